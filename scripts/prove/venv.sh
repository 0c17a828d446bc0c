#!/usr/bin/env bash
# Installs the Python tools of requirements.txt once and prints the folder of their programs.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly WANTED=scripts/prove/requirements.txt
readonly VENV=target/tools/prove-venv

if ! cmp -s "$WANTED" "$VENV/installed.txt"; then
    echo "installing Halmos and Slither into $VENV" >&2
    rm -rf "$VENV"
    python3 -m venv "$VENV" || { echo "prove: needs python3 with venv (Debian: apt-get install python3-venv)" >&2; exit 1; }
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --requirement "$WANTED" >&2
    cp "$WANTED" "$VENV/installed.txt"
fi
echo "$PWD/$VENV/bin"
