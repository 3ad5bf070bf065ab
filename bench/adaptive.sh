#!/bin/sh
# adaptive.sh [CAPTIONS [SEED]] - what adaptive best of N and pruning save on the demo recipe: denoising steps against the mean score of the selected quarter.
#
#   nice bench/adaptive.sh 32 3 >table.md      (about 12 minutes of one core; SYNTHVLM names the program, SVG a file for the curve)
#
# Every way picks the same number of pairs from the same captions. Plain best of N and adaptive runs share one directory, since a candidate has the same bytes in
# all of them; what a way was given is read from the ledger. Steps are model calls per caption; a pruned image counts as far as it was drawn.
set -eu
cd "$(dirname "$0")/.."
captions=${1:-32} seed=${2:-3}
sv=${SYNTHVLM:-build/synthvlm}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
pairs=$((captions / 4)) steps=20

draw() {   # draw DIR SETTING…: candidates under these settings of `generate`, scored
    out=$1
    shift
    sets='--set generate.engine.batch=4'
    for s in "$@"; do sets="$sets --set $s"; done
    # shellcheck disable=SC2086
    [ -d "$dir/$out" ] || "$sv" curate recipes/demo.yaml -o "$dir/$out" --set seed="$seed" --set captions.sample="$captions" >&2
    # shellcheck disable=SC2086
    "$sv" generate "$dir/$out" $sets >&2
    # shellcheck disable=SC2086
    "$sv" score "$dir/$out" $sets >&2
    "$sv" select "$dir/$out" --set select.keep=null >/dev/null
}

# Rows of (number, k) that a way was given, in SQL; the mean of its best $pairs captions, the mean of all of them.
report() {   # report DIR NAME GIVEN STEPS: a row of the table
    sqlite3 -separator ' ' "$dir/$1/ledger.sqlite" "
        WITH given AS ($3), best AS (SELECT e.number, max(e.weighted) AS b FROM explained e JOIN given g ON g.number = e.number AND g.k = e.k
            JOIN now JOIN candidates d ON d.setup = now.generate AND d.number = e.number AND d.k = e.k AND d.outcome = 'ok' GROUP BY e.number)
        SELECT ($4) / $captions.0, (SELECT avg(b) FROM (SELECT b FROM best ORDER BY b DESC LIMIT $pairs)), (SELECT count(*) FROM best)" |
        while read -r cost mean left; do
            awk -v name="$2" -v cost="$cost" -v whole=$((8 * steps)) -v mean="$mean" -v left="$left" \
                'BEGIN { printf "| %s | %.1f | %.0f %% | %.4f | %d |\n", name, cost, 100 * cost / whole, mean, left }'
        done
}

plain() { report plain "best of $1" "SELECT number, k FROM candidates, now WHERE setup = now.generate AND k < $1" "$captions * $1 * $steps"; }

adaptive() {   # adaptive MAX DROP_BELOW
    draw plain 'generate.candidates={"min":2,"max":'"$1"',"drop_below":'"$2"',"drop_after":2,"budget":'"$1"'}'
    report plain "adaptive, max $1, drop_below $2" "SELECT s.number, d.k FROM stopped s JOIN now JOIN candidates d ON d.setup = now.generate AND d.number = s.number
        AND d.k < s.images WHERE s.reason <> 'dropped'" "(SELECT sum(images) FROM stopped) * $steps"
}

pruned() {   # pruned DIR NAME SETTING…
    out=$1 name=$2
    shift 2
    draw "$out" "$@"
    drop="AND d.number NOT IN (SELECT number FROM stopped WHERE reason = 'dropped')"
    report "$out" "$name" "SELECT d.number, d.k FROM now JOIN candidates d ON d.setup = now.generate $drop" "SELECT sum(CASE d.outcome WHEN 'pruned'
        THEN (SELECT max(calls) FROM previews v WHERE v.generate = d.setup AND v.number = d.number AND v.k = d.k) ELSE $steps END)
        FROM now JOIN candidates d ON d.setup = now.generate"
}

echo "| way | steps per caption | of best of 8 | mean score of $pairs pairs | captions in the running |"
echo '| --- | ---: | ---: | ---: | ---: |'
draw plain generate.candidates=8
for n in 1 2 3 4 5 6 7 8; do plain $n; done
for max in 6 8 10; do adaptive $max 1.395; done
pruned p1 'pruned at 0.6, keep 0.5, of 8' generate.candidates=8 'generate.prune={"at":0.6,"keep":0.5}'
pruned p2 'pruned at 0.6, keep 0.34, of 8' generate.candidates=8 'generate.prune={"at":0.6,"keep":0.34}'
for max in 8 10; do
    pruned b$max "both, max $max" 'generate.candidates={"min":2,"max":'"$max"',"step":2,"drop_below":1.395,"drop_after":2,"budget":'"$max"'}' 'generate.prune={"at":0.6,"keep":0.67}'
done
