#!/bin/bash
# tables-doc.sh [--check] [FILE...]: makes the tables of docs/exits.md, docs/registers.md, docs/qemu.md and
# README.md from those of the program (vmm/trace/explain_*.def, vmm/options_table.c,
# vmm/options_absent.c), so that program and documents cannot differ.
#   tables-doc.sh          writes them
#   tables-doc.sh --check  says whether they are up to date (exit status 1: they are not)
set -eu
cd "$(dirname "$0")/.."

check=
if [ "${1:-}" = --check ]; then
    check=yes
    shift
fi
[ $# -gt 0 ] || set -- docs/exits.md docs/registers.md docs/qemu.md README.md
[ "$check" ] || exec scripts/readme-refresh.sh --tables "$@"

fresh=$(mktemp "${TMPDIR:-/tmp}/tables-doc.XXXXXX")
trap 'rm -f "$fresh"' EXIT
stale=0
for document in "$@"; do
    cp "$document" "$fresh"
    scripts/readme-refresh.sh --tables "$fresh"
    if ! difference=$(diff -u "$document" "$fresh"); then
        echo "$document is out of date (make docs refreshes it):"
        echo "$difference"
        stale=1
    fi
done
exit $stale
