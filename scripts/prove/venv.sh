#!/usr/bin/env bash
# Installs the Python tools of a list beside this file once and prints the folder of their programs.
#
#   venv.sh              requirements.txt: Halmos and Slither
#   venv.sh vision       vision.txt: ONNX Runtime, OpenCV and pycocotools
#   venv.sh ultralytics  ultralytics.txt, on Debian's torch, which is for processors alone; that of PyPI brings gigabytes for GPUs
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly WANTED=scripts/prove/${1:-requirements}.txt
readonly VENV=target/tools/${1:-prove}-venv
python=python3 environment=(--clear) install=(--quiet --disable-pip-version-check)

if [[ ${1:-} == ultralytics ]]; then
    python=/usr/bin/python3
    environment+=(--system-site-packages)
    install+=(--no-deps)
    "$python" -c 'import torch, torchvision, yaml, requests, psutil, PIL' 2>/dev/null || {
        echo "needs Debian's torch (550 MB): apt-get install python3-torch python3-torchvision python3-yaml python3-requests python3-psutil" >&2
        exit 1
    }
fi
if ! cmp -s "$WANTED" "$VENV/installed.txt"; then
    echo "installing the tools of $WANTED into $VENV" >&2
    "$python" -m venv "${environment[@]}" "$VENV" || { echo "prove: needs python3 with venv (Debian: apt-get install python3-venv)" >&2; exit 1; }
    "$VENV/bin/pip" install "${install[@]}" --requirement "$WANTED" >&2
    cp "$WANTED" "$VENV/installed.txt"
fi
echo "$PWD/$VENV/bin"
