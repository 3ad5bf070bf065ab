#!/bin/sh
# adaptive.sh [CAPTIONS [SEED]] - what adaptive best of N and pruning save: denoising steps per caption against the mean score of the selected images, one a caption.
#
#   SVG=docs/adaptive.svg bench/adaptive.sh 48 3 >table.md      (some three minutes of two cores; SYNTHVLM names the program)
#
# The demo recipe at 64x64 and without guidance, where the bundled model is often wrong and a better candidate is worth looking for; the paper's weights. Plain and adaptive runs
# share a directory, and so do those with pruning, since a candidate has the same bytes in all of them; what a way was given is read from the ledger, and a
# pruned image counts as far as it was drawn. Settings were chosen on seed 1; use another one.
set -eu
cd "$(dirname "$0")/.."
captions=${1:-48} seed=${2:-3}
sv=${SYNTHVLM:-build/synthvlm}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
steps=20

draw() {   # draw DIR SETTING…: candidates under these settings, with their scores
    out=$1
    shift
    sets='--set generate.engine.batch=4 --set generate.size=64x64 --set generate.guidance=1'
    for s in "$@"; do sets="$sets --set $s"; done
    [ -d "$dir/$out" ] || "$sv" curate recipes/demo.yaml -o "$dir/$out" --set seed="$seed" --set captions.sample="$captions" --set score.ssim.base=64 --set score.ssim.low=28 \
        --set 'score.weights={"clip":1,"ssim":0.5}' >&2
    # shellcheck disable=SC2086
    "$sv" generate "$dir/$out" $sets >&2
    # shellcheck disable=SC2086
    "$sv" score "$dir/$out" >&2
    "$sv" select "$dir/$out" --set select.keep=1.0 >/dev/null
}

report() {   # report DIR NAME GIVEN: a row of the table; GIVEN: SQL of the candidates (number, k) that this way was given
    sqlite3 -separator ' ' "$dir/$1/ledger.sqlite" "
        WITH given AS ($3),
             drawn AS (SELECT d.* FROM now JOIN given g JOIN candidates d ON d.setup = now.generate AND d.number = g.number AND d.k = g.k),
             cost AS (SELECT sum(CASE outcome WHEN 'pruned' THEN (SELECT max(calls) FROM previews v WHERE v.generate = d.setup AND v.number = d.number
                 AND v.k = d.k) ELSE $steps END) AS steps FROM drawn d),
             best AS (SELECT e.number, max(e.weighted) AS b FROM drawn d JOIN explained e ON e.number = d.number AND e.k = d.k WHERE d.outcome = 'ok' GROUP BY e.number)
        SELECT cost.steps / $captions.0, avg(b), sqrt((avg(b * b) - avg(b) * avg(b)) / count(*)) FROM cost, best" |
        awk -v name="$2" -v whole=$((8 * steps)) '{ printf "| %s | %.1f | %.0f %% | %.4f | %.4f |\n", name, $1, 100 * $1 / whole, $2, $3 }'
}

given="SELECT s.number, d.k FROM stopped s JOIN now JOIN candidates d ON d.setup = now.generate AND d.number = s.number AND d.k < s.images"

table() {
    echo '| way | steps per caption | of best of 8 | mean selected score | standard error |'
    echo '| --- | ---: | ---: | ---: | ---: |'
    draw plain generate.candidates=8
    for n in 1 2 3 4 5 6 7 8; do report plain "best of $n" "SELECT number, k FROM candidates, now WHERE setup = now.generate AND k < $n"; done
    for b in 3 4 5 6; do
        draw plain 'generate.candidates={"min":1,"max":16,"stop_at":0.85,"budget":'$b'}'
        report plain "adaptive, budget $b" "$given"
    done
    draw pruned generate.candidates=8 'generate.prune={"at":[0.5,0.65],"keep":0.34}'
    report pruned 'pruned at 0.5 and 0.65, keep 0.34' 'SELECT number, k FROM candidates, now WHERE setup = now.generate'
    draw halved generate.candidates=8 'generate.prune={"at":[0.5],"keep":0.5}'
    report halved 'pruned at 0.5, keep 0.5' 'SELECT number, k FROM candidates, now WHERE setup = now.generate'
    for b in 4 5 6 6.3 7; do
        draw both 'generate.candidates={"min":4,"max":16,"step":2,"stop_at":0.85,"budget":'$b'}' 'generate.prune={"at":[0.5],"keep":0.5}'
        report both "both, budget $b" "$given"
    done
}

# The curve: steps to the right, score upwards; a line for each way.
plot() {
    awk -F' *[|] *' '
        function x(v) { return 60 + v * 2.6 }
        function y(v) { return 330 - (v - low) / (high - low) * 290 }
        NR > 2 {
            way = $2; sub(/ of .*| at .*|, .*/, "", way); n[way]++; a[way, n[way]] = $3; b[way, n[way]] = $5
            if (!low || $5 < low) low = $5; if ($5 > high) high = $5
        }
        END {
            print "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"600\" height=\"380\" font-family=\"sans-serif\" font-size=\"12\">"
            print "<rect width=\"600\" height=\"380\" fill=\"white\"/><path d=\"M60 330H580M60 330V30\" stroke=\"black\" fill=\"none\"/>"
            for (v = 0; v <= 160; v += 20) printf "<text x=\"%d\" y=\"346\" text-anchor=\"middle\">%d</text>\n", x(v), v
            for (i = 0; i <= 4; i++) { v = low + (high - low) * i / 4; printf "<text x=\"54\" y=\"%d\" text-anchor=\"end\">%.2f</text>\n", y(v) + 4, v }
            print "<text x=\"320\" y=\"368\" text-anchor=\"middle\">denoising steps per caption</text><text x=\"64\" y=\"22\">mean selected score</text>"
            split("best adaptive pruned both", ways, " "); split("#555 #1f77b4 #ff7f0e #2ca02c", colours, " "); split("best of N,adaptive,pruned,adaptive and pruned", names, ",")
            for (w = 1; w <= 4; w++) {
                way = ways[w]; d = ""
                for (i = 1; i <= n[way]; i++) {
                    d = d (i == 1 ? "M" : "L") sprintf("%.1f %.1f", x(a[way, i]), y(b[way, i]))
                    printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", x(a[way, i]), y(b[way, i]), colours[w]
                }
                if (way != "pruned") printf "<path d=\"%s\" stroke=\"%s\" fill=\"none\"/>\n", d, colours[w]
                printf "<circle cx=\"440\" cy=\"%d\" r=\"3.5\" fill=\"%s\"/><text x=\"450\" y=\"%d\">%s</text>\n", 230 + 20 * w, colours[w], 234 + 20 * w, names[w]
            }
            print "</svg>"
        }' "$1"
}

table | tee "$dir/table"
[ -z "${SVG:-}" ] || plot "$dir/table" >"$SVG"
