#!/bin/sh
# scale.sh [BUILD [COUNT...]]: time and memory of caption-stats, of curate, and of curate with both deduplicators, for pools of so many generated captions (10,000 and 100,000;
# give 10000000 for the whole way: half an hour and 20 GB in TMPDIR). Each runs under `ulimit -v` of LIMIT_MIB (2048): what needed more would fail.
set -e
build=$(cd "${1:-build}" && pwd); [ $# = 0 ] || shift
[ $# -gt 0 ] || set -- 10000 100000
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
limit=${LIMIT_MIB:-2048}
grep -m1 'model name' /proc/cpuinfo 2>/dev/null || uname -m
"$build/synthvlm" --version | head -n 1
echo "address space limited to $limit MiB"
printf '%12s %-14s %10s %10s %12s %14s\n' captions what 'wall s' 'CPU s' 'peak MiB' 'captions/s CPU'

generate() {   # COUNT: a tenth of the captions are another one's text, and most are near another one
    awk -v n="$1" 'BEGIN {
        srand(7)
        split("red blue green yellow black white grey brown orange pink", colour); split("small large tiny old young wooden shiny broken", size)
        split("dog cat horse bus train bench chair table laptop bicycle boat kite bowl vase clock pizza", thing)
        split("sitting on,standing next to,riding,holding,looking at,walking past", does, ","); split("in the park,on the beach,at night,near a river,in the snow", where, ",")
        for (i = 0; i < n; i++) printf "{\"id\":\"c%d\",\"text\":\"a %s %s %s a %s %s %s number %d\"}\n", i, size[1 + int(rand() * 8)], thing[1 + int(rand() * 16)],
            does[1 + int(rand() * 6)], colour[1 + int(rand() * 10)], thing[1 + int(rand() * 16)], where[1 + int(rand() * 5)], rand() * n }'
}

# measure COUNT NAME COMMAND...: the command under the limit. VmHWM is the most memory that was resident, looked at until the process ends.
measure() {
    count=$1 name=$2; shift 2
    ( ulimit -v $((limit * 1024)); exec bash -c 'TIMEFORMAT="%R %U %S"; time "$@" >/dev/null 2>"$0"' "$tmp/err" "$@" ) 2>"$tmp/time" &
    job=$! peak=0
    while kill -0 $job 2>/dev/null; do
        for pid in $(cat /proc/$job/task/$job/children 2>/dev/null); do
            now=$(awk '/^VmHWM/ {print $2}' "/proc/$pid/status" 2>/dev/null || true)
            [ "${now:-0}" -le "$peak" ] || peak=$now
        done
        sleep 0.03
    done
    wait $job || { cat "$tmp/err" >&2; return 1; }
    awk -v n="$count" -v name="$name" -v peak="$peak" '{printf "%12d %-14s %10.1f %10.1f %12.1f %14.0f\n", n, name, $1, $2 + $3, peak / 1024, n / ($2 + $3)}' "$tmp/time"
}

for count in "$@"; do
    generate "$count" >"$tmp/pool.jsonl"
    printf 'captions:\n  sources: [{path: pool.jsonl, text: text}]\n  process:\n    - alphanumeric_filter: {min_ratio: 0.6}\n    - special_characters_filter: {max_ratio: 0.42}
    - character_repetition_filter: {rep_len: 10, max_ratio: 0.1}\n    - word_repetition_filter: {rep_len: 10, max_ratio: 0.04}\n# here\n  sample: 1000
generate: {model: none}\nscore: {clip: {model: none}}\n' >"$tmp/rules.yaml"
    sed 's/^# here/    - document_deduplicator:\n    - document_minhash_deduplicator: {window_size: 3}/' "$tmp/rules.yaml" >"$tmp/dedup.yaml"
    measure "$count" caption-stats sh -c 'exec "$0" caption-stats <"$1"' "$build/synthvlm" "$tmp/pool.jsonl"
    for recipe in rules dedup; do
        measure "$count" "curate, $recipe" "$build/synthvlm" curate "$tmp/$recipe.yaml" -o "$tmp/run"
        rm -rf "$tmp/run"
    done
done
