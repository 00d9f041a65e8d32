#!/bin/bash
# readme-refresh.sh [--tables] [FILE...]: replaces the output shown in README.md and docs/ with that of a run.
# A block is
#     <!-- run: COMMAND -->  or  <!-- run: COMMAND ## FILTER -->
#     (the command and what it printed to stdout and stderr, passed through FILTER)
#     <!-- end -->
# and with `markdown:` in place of `run:` it is only what was printed. --tables: only those; the
# other blocks, for which guests run, stay as they are.
set -eu
cd "$(dirname "$0")/.."
unset MAKELEVEL MAKEFLAGS MFLAGS # commands run as in a reader's shell
kinds='run|markdown'
if [ "${1:-}" = --tables ]; then
    kinds=markdown
    shift
fi
[ $# -gt 0 ] || set -- README.md docs/tour.md docs/trace.md docs/virtio.md docs/qemu.md

print_block() { # KIND COMMAND FILTER
    [ "$1" = markdown ] || printf '```console\n$ %s\n' "$2"
    # A guest may end with any status; what it printed is what is shown.
    (timeout 120 bash -c "$2" </dev/null 2>&1 || true) | tr -d '\r' | sed 's/[[:blank:]]*$//' | bash -c "$3"
    [ "$1" = markdown ] || printf '```\n'
}

refresh() {
    local line command filter inside=
    while IFS= read -r line || [ -n "$line" ]; do
        if [ "$inside" ]; then
            [ "$line" = "<!-- end -->" ] || continue
            inside=
        fi
        printf '%s\n' "$line"
        if [[ $line =~ ^'<!-- '($kinds)': '(.*)' -->'$ ]]; then
            inside=yes
            command=${BASH_REMATCH[2]}
            filter="cat"
            [[ $command != *' ## '* ]] || filter=${command#* ## }
            print_block "${BASH_REMATCH[1]}" "${command%% ## *}" "$filter"
        fi
    done
    [ -z "$inside" ]
}

for file in "$@"; do
    [ -f "$file" ] || {
        echo "readme-refresh.sh: there is no $file" >&2
        exit 1
    }
    new=$(mktemp "${TMPDIR:-/tmp}/readme-refresh.XXXXXX")
    trap 'rm -f "$new"' EXIT
    refresh <"$file" >"$new" || {
        echo "readme-refresh.sh: $file: a block has no <!-- end -->" >&2
        exit 1
    }
    cat "$new" >"$file"
    rm -f "$new"
done
