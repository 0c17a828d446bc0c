#!/usr/bin/env bash
# Runs the long proofs and writes down what they found.
#
#   scripts/prove.sh                   every part, each an executable of scripts/prove
#   scripts/prove.sh slither symbolic  these parts
#
# ASHYA_SEED   decimal seed of all that is random; drawn when unset
# ASHYA_PROVE  long (default) writes docs/proof/PART.md; short takes seconds to minutes and writes target/proof/PART.md
#
# A part gets both variables, reports its progress on stderr and a Markdown body on stdout, and exits with another code
# than 0 on any violation. Its second line says what it shows. Exit code 0 when every part held, 1 when one did not, 64
# for a part or a form that does not exist.
set -euo pipefail
cd "$(dirname "$0")/.."

ASHYA_PROVE=${ASHYA_PROVE:-long}
# 31 bits: every tool takes a seed of that size.
ASHYA_SEED=${ASHYA_SEED:-$((RANDOM << 16 ^ RANDOM))}
export ASHYA_PROVE ASHYA_SEED

body=$(mktemp)
readonly body
trap 'rm -f "$body"' EXIT

refuse() {
    echo "prove: $1" >&2
    exit 64
}

parts() {
    local file
    for file in scripts/prove/*; do
        if [[ -x "$file" && -f "$file" && "$file" != *.* ]]; then basename "$file"; fi
    done
}

# The reports themselves do not make a tree unclean: nothing is built from them.
tree() {
    if [[ -z "$(git status --porcelain -- . ':!docs/proof')" ]]; then echo clean; else echo "with uncommitted changes"; fi
}

cores() { getconf _NPROCESSORS_ONLN; }

# prove PART: fails when the part does.
prove() {
    local part=$1 commit tree result=held started status=0
    commit=$(git rev-parse --short=12 HEAD)
    tree=$(tree)
    started=$(date -u +%s)
    printf '== %s (%s, seed %s)\n' "$part" "$ASHYA_PROVE" "$ASHYA_SEED" >&2
    "scripts/prove/$part" >"$body" || status=$?
    if ((status != 0)); then result="**VIOLATED** (exit code $status)"; fi
    {
        sed -n '2{s,^\(#\|//\) *,# ,p;q;}' "scripts/prove/$part"
        printf '\n| | |\n|---|---|\n'
        printf '| result | %s |\n' "$result"
        printf '| command | scripts/prove.sh %s, %s form |\n' "$part" "$ASHYA_PROVE"
        printf '| commit | %s, %s |\n' "$commit" "$tree"
        printf '| seed | %s |\n' "$ASHYA_SEED"
        printf '| date | %s |\n' "$(date -u -d "@$started" +%FT%TZ 2>/dev/null || date -u -r "$started" +%FT%TZ)"
        printf '| cores | %s |\n' "$(cores)"
        printf '| duration | %s s |\n\n' "$(($(date -u +%s) - started))"
        cat "$body"
    } >"$reports/$part.md"
    printf '== %s: %s, %s/%s.md\n' "$part" "$result" "$reports" "$part" >&2
    return "$((status != 0))"
}

case $ASHYA_PROVE in
long) reports=docs/proof ;;
short) reports=target/proof ;;
*) refuse "ASHYA_PROVE is long or short, not $ASHYA_PROVE" ;;
esac
[[ $ASHYA_SEED =~ ^[0-9]+$ ]] || refuse "ASHYA_SEED is a decimal number, not $ASHYA_SEED"
# shellcheck disable=SC2046 # the names hold no spaces
if (($# == 0)); then set -- $(parts); fi
for part in "$@"; do
    [[ "$part" != *.* && -f "scripts/prove/$part" && -x "scripts/prove/$part" ]] || refuse "no part $part, only: $(parts | xargs)"
done

mkdir -p "$reports"
failed=0
for part in "$@"; do
    prove "$part" || failed=1
done
exit "$failed"
