#!/bin/bash
# readme-refresh.sh [FILE]: replaces the output shown in README.md with that of a run.  A block is
#     <!-- run: COMMAND -->  or  <!-- run: COMMAND ## FILTER -->
#     (the command and what it printed to stdout and stderr, passed through FILTER)
#     <!-- end -->
set -eu
cd "$(dirname "$0")/.."
file=${1:-README.md}
[ -e "$file" ] || {
    echo "readme-refresh.sh: there is no $file" >&2
    exit 1
}

new=$(mktemp "$file.XXXXXX")
trap 'rm -f "$new"' EXIT
inside=
while IFS= read -r line || [ -n "$line" ]; do
    if [ "$inside" ]; then
        [ "$line" = "<!-- end -->" ] || continue
        inside=
    fi
    printf '%s\n' "$line"
    if [[ $line =~ ^'<!-- run: '(.*)' -->'$ ]]; then
        inside=yes
        command=${BASH_REMATCH[1]}
        filter="cat"
        [[ $command != *' ## '* ]] || filter=${command#* ## }
        command=${command%% ## *}
        printf '```console\n$ %s\n' "$command"
        # A guest may end with any status; what it printed is what is shown.
        (timeout 120 bash -c "$command" </dev/null 2>&1 || true) | tr -d '\r' | bash -c "$filter"
        printf '```\n'
    fi
done <"$file" >"$new"
[ -z "$inside" ] || {
    echo "readme-refresh.sh: $file: a block has no <!-- end -->" >&2
    exit 1
}
cat "$new" >"$file"
