#!/bin/sh
# captions.sh [BUILD [COUNT]]: how many captions a second the rule filters measure on one thread, JSON in and out included; then with perplexity (a small model).
# Set DATA_JUICER to a Python that has py-data-juicer to run its operators on the same captions, and print the ratio.
set -e
build=${1:-build}; count=${2:-500000}; here=$(dirname "$0")
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
awk -v n="$count" 'BEGIN {
    srand(7)
    split("red blue green yellow black white grey brown orange pink", colour); split("small large tiny old young wooden shiny broken", size)
    split("dog cat horse bus train bench chair table laptop bicycle boat kite bowl vase clock pizza", thing)
    split("sitting on,standing next to,riding,holding,looking at,walking past", does, ","); split("in the park,on the beach,at night,near a river,in the snow", where, ",")
    for (i = 0; i < n; i++) printf "{\"id\":%d,\"text\":\"a %s %s %s a %s %s %s and a %s %s\"}\n", i, size[1 + int(rand() * 8)], thing[1 + int(rand() * 16)],
        does[1 + int(rand() * 6)], colour[1 + int(rand() * 10)], thing[1 + int(rand() * 16)], where[1 + int(rand() * 5)],
        colour[1 + int(rand() * 10)], thing[1 + int(rand() * 16)] }' >"$tmp/captions.jsonl"
echo '{"en": ["grumblefish", "snorkwobble"]}' >"$tmp/flagged_words.json"
grep -m1 'model name' /proc/cpuinfo 2>/dev/null || uname -m
"$build/synthvlm" --version | head -n 1
awk '{c += length($0) - index($0, "\"text\":\"") - 9} END {printf "%d captions of %.1f characters\n", NR, c / NR}' "$tmp/captions.jsonl"
cpu() { awk -v n="$count" -v what="$1" '/^user|^sys/ {t += $2} END {printf "%-14s %10.0f captions per second of CPU time\n", what, n / t; print n / t >rate}' rate="$tmp/$1" "$tmp/time"; }
( time -p "$build/synthvlm" caption-stats --threads 1 --flagged "$tmp/flagged_words.json" <"$tmp/captions.jsonl" >"$tmp/ours.jsonl" ) 2>"$tmp/time"
cpu caption-stats
model=$here/../tests/golden/language-model
( time -p "$build/synthvlm" caption-stats --threads 1 --flagged "$tmp/flagged_words.json" --spm "$model/en.sp.model" --lm "$model/en.arpa" <"$tmp/captions.jsonl" >/dev/null ) 2>"$tmp/time"
cpu with-perplexity
[ -n "$DATA_JUICER" ] || exit 0
"$DATA_JUICER" "$here/captions_data_juicer.py" "$tmp" >"$tmp/time"
cpu data-juicer
awk 'NR == FNR {a = $1; next} {printf "ratio %.1f\n", a / $1}' "$tmp/caption-stats" "$tmp/data-juicer"
