#!/usr/bin/env bash
# Asks cargo-deny about licences, banned crates, sources and, where the database can be had, advisories.
#
# ASHYA_ADVISORY_DB names a local clone of rustsec/advisory-db for machines that cannot reach it.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly DATABASE=https://github.com/rustsec/advisory-db
readonly REACH_SECONDS=20

deny() {
    if [[ -x target/tools/bin/cargo-deny ]]; then
        target/tools/bin/cargo-deny --locked "$@"
    else
        cargo deny --locked "$@"
    fi
}

# A network that swallows packets must not hold the lint up. macOS has no `timeout`.
reachable() {
    local limit=()
    if command -v timeout >/dev/null; then limit=(timeout "$REACH_SECONDS"); fi
    ${limit[@]+"${limit[@]}"} git ls-remote --quiet "$DATABASE" HEAD >/dev/null 2>&1
}

deny check --hide-inclusion-graph --allow duplicate bans licenses sources

export GIT_TERMINAL_PROMPT=0
if [[ -n "${ASHYA_ADVISORY_DB:-}" ]]; then
    # git swaps the address, so that the one in deny.toml stays the only one.
    GIT_CONFIG_VALUE_0=$DATABASE
    GIT_CONFIG_KEY_0=url.file://$(cd "$ASHYA_ADVISORY_DB" && pwd).insteadOf
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0 GIT_CONFIG_VALUE_0
elif ! reachable; then
    echo "ADVISORIES NOT CHECKED: $DATABASE cannot be reached; name a local clone of it in ASHYA_ADVISORY_DB."
    exit 0
fi
deny check --hide-inclusion-graph advisories
