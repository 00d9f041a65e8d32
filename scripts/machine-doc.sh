#!/bin/bash
# machine-doc.sh: makes docs/machine.md from include/*.h, so that code and document cannot differ.
#   machine-doc.sh          writes it
#   machine-doc.sh --check  says whether it is up to date (exit status 1: it is not)
set -eu
cd "$(dirname "$0")/.."

# What a header says: its opening comment, its section comments, its lines "#define NAME VALUE",
# each with the comment beside it, and its structures as they stand.
render() {
    awk '
    function cell(text) { gsub(/\|/, "\\|", text); return text }
    function begin_table() {
        if (!table) print "\n| name | value | what it is |\n|---|---|---|"
        table = 1
    }
    function end_table() { table = 0 }
    FNR == 1 { opening = 1; structure = 0; end_table() }
    opening {
        line = $0
        sub(/ *docs\/machine.md is generated from these lines\./, "", line)
        sub(/^ ?\/?\*+\/? ?/, "", line)
        if (/\*\//) { opening = 0; if (drawing) print "```"; drawing = 0; next }
        if (line == "") { if (!drawing && title) print ""; next }
        if (!title) {
            name = line; sub(/:.*/, "", name)
            sub(/^[^:]*: */, "", line)
            printf "\n## %s\n\n%s\n", name, toupper(substr(line, 1, 1)) substr(line, 2)
            title = 1
            next
        }
        if (line ~ /^  / && !drawing) { print "```"; drawing = 1 }
        print line
        next
    }
    /^struct .*\{$/ { end_table(); print "\n```c"; structure = 1 }
    structure { print; if (/^\};$/) { print "```"; structure = 0 }; next }
    /^\/\* .* \*\/$/ {
        end_table()
        gsub(/^\/\* | \*\/$/, "")
        printf "\n### %s\n", $0
        next
    }
    # A table of NAME(SYMBOL, VALUE, "TEXT"), which code expands in its own way.
    /^#define .*\\$/ { rows = 1; next }
    rows && match($0, /\(.*\)/) {
        split(substr($0, RSTART + 1, RLENGTH - 2), part, /, */)
        gsub(/"/, "", part[3])
        begin_table()
        printf "| `%s` | `%s` | %s |\n", part[1], part[2], cell(part[3])
        if (!/\\$/) rows = 0
        next
    }
    /^#define POST_CODE/ { next }
    /^#define [A-Z0-9_]+[ (]/ {
        sub(/^#define /, "")
        text = ""
        if (match($0, /\/\*.*\*\//)) { text = substr($0, RSTART + 3, RLENGTH - 6); $0 = substr($0, 1, RSTART - 1) }
        match($0, /^[A-Z0-9_]+(\([^)]*\))?/)
        symbol = substr($0, 1, RLENGTH)
        value = substr($0, RLENGTH + 1)
        gsub(/^ +| +$/, "", value)
        begin_table()
        printf "| `%s` | `%s` | %s |\n", symbol, cell(value), cell(text)
    }
    ' "$1"
}

document() {
    echo "# The machine"
    echo
    echo "What a guest finds: the memory map, the ports and interrupt lines, the devices' registers, and"
    echo "the structures at its first instruction. Guest and VMM include the same headers. This page is"
    echo "made from them by \`make docs\`; change the headers, not the page."
    local header
    for header in include/memmap.h include/ports.h include/pvh.h $(printf '%s\n' include/*.h |
        grep -vE '/(memmap|ports|pvh)\.h$'); do
        render "$header"
    done
}

if [ "${1:-}" = --check ]; then
    if ! difference=$(document | diff -u docs/machine.md - 2>&1); then
        echo "docs/machine.md is out of date (make docs refreshes it):"
        echo "$difference"
        exit 1
    fi
else
    mkdir -p docs
    document >docs/machine.md
fi
