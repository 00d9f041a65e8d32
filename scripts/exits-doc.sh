#!/bin/bash
# exits-doc.sh: makes the tables of docs/exits.md and docs/registers.md from the table of
# `kvmlens explain` (vmm/trace/explain_*.def), so that program and documents cannot differ.
#   exits-doc.sh          writes them
#   exits-doc.sh --check  says whether they are up to date (exit status 1: they are not)
set -eu
cd "$(dirname "$0")/.."

documents="docs/exits.md docs/registers.md"
if [ "${1:-}" != --check ]; then
    # shellcheck disable=SC2086 # two words
    exec scripts/readme-refresh.sh $documents
fi

fresh=$(mktemp "${TMPDIR:-/tmp}/exits-doc.XXXXXX")
trap 'rm -f "$fresh"' EXIT
stale=0
for document in $documents; do
    cp "$document" "$fresh"
    scripts/readme-refresh.sh "$fresh"
    if ! difference=$(diff -u "$document" "$fresh"); then
        echo "$document is out of date (make docs refreshes it):"
        echo "$difference"
        stale=1
    fi
done
exit $stale
