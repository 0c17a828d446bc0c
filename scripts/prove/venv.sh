#!/usr/bin/env bash
# Installs the Python tools of a list beside this file once and prints the folder of their programs.
#
#   venv.sh            requirements.txt: Halmos and Slither
#   venv.sh vision     vision.txt: ONNX Runtime, OpenCV and pycocotools
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly WANTED=scripts/prove/${1:-requirements}.txt
readonly VENV=target/tools/${1:-prove}-venv

if ! cmp -s "$WANTED" "$VENV/installed.txt"; then
    echo "installing the tools of $WANTED into $VENV" >&2
    rm -rf "$VENV"
    python3 -m venv "$VENV" || { echo "prove: needs python3 with venv (Debian: apt-get install python3-venv)" >&2; exit 1; }
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --requirement "$WANTED" >&2
    cp "$WANTED" "$VENV/installed.txt"
fi
echo "$PWD/$VENV/bin"
