#!/bin/sh
# check-style.sh - the house rules that a program can check (CONTRIBUTING.md). One line a fault, exit code 1 if there is any.
set -eu
cd "$(dirname "$0")/.."
faults=$(mktemp)
trap 'rm -f "$faults"' EXIT
fault() { sed "s|^|$1: |" >>"$faults"; }

# Files that belong to the tree: tracked or about to be.
files() { git ls-files -co --exclude-standard -- "$@" | while read -r f; do [ ! -f "$f" ] || echo "$f"; done; }
c_files=$(files 'src/*.[ch]' 'include/*.h' 'tests/*.[ch]')
sources=$(files 'src/*.[ch]' 'include/*.h')
library=$(files 'src/*.[ch]' ':!src/cli')
more=$(files '*.sh' '*.build' '*.bats' ':!tools/check-style.sh')

# ---- text ----
# shellcheck disable=SC2086
{
    grep -nP '\t' $c_files $more | cut -c1-120 | fault 'tab' || true
    grep -nE '[[:blank:]]+$' $c_files | cut -c1-120 | fault 'blank at a line end' || true
    awk 'FILENAME !~ /_(data|tables)\.[ch]$/ && length > 170 { print FILENAME ":" FNR " (" length ")" }' $c_files | fault 'line over 170 columns'
    grep -nIE '\b(TODO|FIXME|XXX)\b' $c_files $more | fault 'unfinished' || true
    grep -nwE '(sprintf|vsprintf|strcpy|strcat|gets|atoi|atol|atof|strtok|system)[[:blank:]]*\(' $sources | fault 'call to avoid' || true
    grep -nwE '(exit|_exit|abort|assert)[[:blank:]]*\(' $library | fault 'the library does not end the program' || true
}
git grep -nIE '(^|[^A-Za-z0-9_.$}])/(work|root|home|farm)/' -- . ':!*.jsonl' ':!tools/' | cut -c1-120 | fault 'path of a machine' || true
for f in $(echo "$sources" | grep -vE '_(data|tables)\.[ch]$'); do      # tables are as long as what they list
    lines=$(wc -l <"$f")
    [ "$lines" -le 800 ] || echo "$f ($lines lines)" | fault 'over 800 lines: split it'
done

# ---- layers: base < text, image, infer, remote < diffusion < score < recipe < ledger < stages < cli ----
# shellcheck disable=SC2086
grep -nE '^#include "[a-z]+/' $sources | awk -F: '
    BEGIN { n = split("base text image infer remote diffusion score recipe ledger stages", name, " ")
            split("0 1 1 1 1 2 3 4 5 6", rank, " ")
            for (i = 1; i <= n; i++) level[name[i]] = rank[i] }
    {
        split($1, path, "/"); layer = path[2]; target = $3; sub(/^#include "/, "", target); sub(/".*/, "", target); split(target, to, "/")
        where = $1 ":" $2 " includes " target
        if (path[1] == "include" && to[1] != "synthvlm") print where " (a public header needs only public ones)"
        else if (path[1] == "include" || to[1] == "synthvlm") next
        else if (layer == "cli") { print where " (the program uses public headers only)" }
        else if (!(to[1] in level)) print where " (no such layer)"
        else if (level[to[1]] > level[layer] || (level[to[1]] == level[layer] && to[1] != layer)) print where " (a higher or neighbouring layer)"
    }' | fault 'layer'
# shellcheck disable=SC2086
grep -nE '#include <sqlite3' $sources | grep -v -E '^src/(ledger/|stages/version)' | fault 'SQL lives in src/ledger' || true
# shellcheck disable=SC2086
grep -nE '#include <onnxruntime' $sources | grep -v '^src/infer/' | fault 'only src/infer knows ONNX Runtime' || true

# ---- every header compiles alone; every source file is built; every link in the docs leads somewhere ----
for h in $(files 'src/*.h' 'include/*.h' 'tests/*.h'); do
    printf '#include "%s"\n' "$h" | ${CC:-cc} -std=c11 -D_GNU_SOURCE -fsyntax-only -I. -Iinclude -Isrc -Isrc/cli -isystem .deps/include -xc - 2>&1 |
        head -n 3 | fault "$h does not compile alone"
done
for f in $(git ls-files -- 'src/*.c'); do
    [ ! -f "$f" ] || cat src/*/meson.build | grep -qE "['/]$(basename "$f")'" || echo "$f" | fault 'in no meson.build'
done
for list in src/*/meson.build; do
    grep -oE "'[a-z0-9_/]+\.c'" "$list" | tr -d "'" | while read -r f; do
        git ls-files --error-unmatch "$(dirname "$list")/$f" >/dev/null 2>&1 || echo "$list: $f" | fault 'listed, but not in the repository'
    done
done
for f in $(files '*.md'); do
    { grep -oE '\]\([^)# ]+' "$f" || true; } | sed 's/^](//' | grep -vE '^(https?|mailto):' | while read -r link; do
        [ -e "$(dirname "$f")/$link" ] || echo "$f: $link" | fault 'dead link'
    done
done

if [ -s "$faults" ]; then
    cat "$faults"
    echo "style: $(wc -l <"$faults") faults"
    exit 1
fi
echo "style: no fault"
