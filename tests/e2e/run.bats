# Whole runs on the bundled model: bytes that do not depend on interruptions, workers or order, and everything that can go wrong on the way.
load common

# A small recipe: 10 captions, 4 candidates each, 3 steps. $1: name of the file.
recipe() {
    cat >"$1" <<EOF
name: small
seed: 7
captions:
  sources: [{path: $ROOT/recipes/demo-captions.jsonl, text: caption, id: id}]
  process:
    - whitespace_normalization_mapper:
    - alphanumeric_filter: {min_ratio: 0.60}
    - special_characters_filter: {max_ratio: 0.40}
    - document_deduplicator: {lowercase: true}
  sample: 10
generate: {model: $ROOT/models/tabletop, candidates: 4, size: 64x64, steps: 3, guidance: 3.0}
score:
  clip: {model: $ROOT/models/tabletop/clip}
  ssim: {base: 64, low: 28}
select: {by: weighted, keep: 50%}
export: [{format: llava}, {format: webdataset, shard_size: 1MB}]
EOF
}

teardown() {
    if mountpoint -q "$T/small"; then umount "$T/small"; fi
}

# Everything of a run directory that must be equal after any interruption.
fingerprint() {
    (cd "$1" && find images dataset -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum && sqlite3 ledger.sqlite 'SELECT * FROM stable' | LC_ALL=C sort)
}

same_as() {   # same_as A B: two run directories with the same fingerprint
    fingerprint "$1" >a.txt
    fingerprint "$2" >b.txt
    [ -s a.txt ]
    diff a.txt b.txt
}

@test "captions in, verified set out; the second run has nothing to do" {
    recipe r.yaml
    run synthvlm run r.yaml -o one
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    says selected
    [ "$(find one/images -name '*.jpg' | wc -l)" -eq 40 ]
    [ -s one/sheet.png ]
    run synthvlm verify one/dataset/llava
    [ "$status" -eq 0 ]
    run synthvlm verify one/dataset/webdataset
    [ "$status" -eq 0 ]
    fingerprint one >before.txt
    find one/images one/dataset -type f -printf '%p %T@\n' | sort >times.txt
    synthvlm run one
    fingerprint one | diff before.txt -
    find one/images one/dataset -type f -printf '%p %T@\n' | sort | diff times.txt -
}

@test "killed at random instants and called again: the same bytes as an unbroken run" {
    recipe r.yaml
    sed -i 's/steps: 3/steps: 12/' r.yaml
    synthvlm run r.yaml -o whole >/dev/null
    local kills=0
    # Each attempt is given less than a second of a run that takes several, so that most are killed on any machine.
    for i in $(seq 1 12); do
        synthvlm run r.yaml -o broken >/dev/null 2>&1 &
        pid=$!
        sleep "$(awk -v s="$RANDOM" 'BEGIN { printf "%.3f", 0.05 + s / 32768 * 0.9 }')"
        if kill -9 $pid 2>/dev/null; then kills=$((kills + 1)); fi
        wait $pid || true
    done
    [ $kills -gt 3 ]
    synthvlm run r.yaml -o broken >/dev/null
    same_as whole broken
}

@test "the number of workers changes nothing" {
    recipe r.yaml
    synthvlm run r.yaml -o one --workers 1 >/dev/null
    synthvlm run r.yaml -o three --workers 3 >/dev/null
    same_as one three
}

@test "stage by stage gives what run gives" {
    recipe r.yaml
    synthvlm run r.yaml -o whole >/dev/null
    for stage in curate generate score select export; do synthvlm $stage r.yaml -o parts >/dev/null; done
    same_as whole parts
}

@test "Ctrl-C finishes the batch, says how to go on, and ends with 130" {
    recipe r.yaml
    synthvlm run r.yaml -o whole >/dev/null
    synthvlm run r.yaml -o stopped --set generate.steps=30 >out.txt 2>err.txt &
    pid=$!
    for _ in $(seq 100); do [ -n "$(find stopped/images -name '*.jpg' 2>/dev/null)" ] && break; sleep 0.05; done
    kill -INT $pid
    code=0
    wait $pid || code=$?
    [ $code -eq 130 ]
    output=$(cat err.txt)
    says 'synthvlm run stopped'
    # every file that is there has its row, and the other way round
    [ "$(find stopped/images -type f | wc -l)" -eq "$(sqlite3 stopped/ledger.sqlite 'SELECT count(*) FROM candidates')" ]
    synthvlm run r.yaml -o stopped >/dev/null
    [ "$(synthvlm status stopped --json | tr ',' '\n' | grep -c '"picked":5')" -ge 1 ]
}

@test "a second process on the same directory is refused with host and pid" {
    recipe r.yaml
    synthvlm run r.yaml -o busy --set generate.steps=200 >/dev/null 2>&1 &
    pid=$!
    for _ in $(seq 100); do [ -s busy/lock ] && break; sleep 0.05; done
    fails_with 4 synthvlm run r.yaml -o busy
    kill -9 $pid
    says "$pid"
    says "$(uname -n)"
}

@test "a deleted and a truncated picture are named and made again with the same bytes" {
    recipe r.yaml
    synthvlm run r.yaml -o run >/dev/null
    fingerprint run >before.txt
    gone=$(find run/images -name '*-1.jpg' | sort | head -n 1)
    cut=$(find run/images -name '*-2.jpg' | sort | tail -n 1)
    rm "$gone"
    truncate -s 100 "$cut"
    run synthvlm run run
    [ "$status" -eq 0 ]
    says "${gone#run/}"
    says "${cut#run/}"
    fingerprint run | diff before.txt -
}

@test "a changed setting makes new rows beside the old ones" {
    recipe r.yaml
    synthvlm run r.yaml -o run >/dev/null
    find run/images -type f | sort >old.txt
    run synthvlm run run --set generate.guidance=2.0
    [ "$status" -eq 0 ]
    says 'generate'
    [ "$(find run/images -type f | wc -l)" -eq 80 ]
    while read -r f; do [ -s "$f" ]; done <old.txt
    [ "$(sqlite3 run/ledger.sqlite "SELECT count(*) FROM setups WHERE stage = 'generate'")" -eq 2 ]
    # and back: nothing is drawn again
    synthvlm run run --set generate.guidance=3.0 >/dev/null
    [ "$(find run/images -type f | wc -l)" -eq 80 ]
}

@test "new weights select anew without a model" {
    recipe r.yaml
    synthvlm run r.yaml -o run >/dev/null
    SYNTHVLM_ONNXRUNTIME=/nowhere run synthvlm select run --set score.weights.ssim=0 --set select.keep=20%
    [ "$status" -eq 0 ]
    [ "$(sqlite3 run/ledger.sqlite 'SELECT count(*) FROM selections')" -eq 2 ]
}

@test "a score that is added later is computed from the pictures that there are" {
    recipe r.yaml
    synthvlm run r.yaml -o run >/dev/null
    fails_with 2 synthvlm select run --set select.by=sharpness
    says 'select.by needs sharpness'
    says 'synthvlm score'
    find run/images -type f -printf '%p %T@\n' | sort >times.txt
    sqlite3 run/ledger.sqlite "SELECT hash FROM setups WHERE name IN ('clip', 'ssim') ORDER BY 1" >setups.txt
    sed -i 's/^select: .*/select: {by: weighted, keep: 50%, min: {contrast: 0.2}}/; s/^score:/&\n  weights: {sharpness: 0.25}\n  also: [colour]/' r.yaml
    synthvlm run r.yaml -o run >/dev/null
    find run/images -type f -printf '%p %T@\n' | sort | diff times.txt -
    sqlite3 run/ledger.sqlite "SELECT hash FROM setups WHERE name IN ('clip', 'ssim') ORDER BY 1" | diff setups.txt -
    [ "$(sqlite3 run/ledger.sqlite "SELECT group_concat(name || ' ' || n) FROM (SELECT name, count(value) AS n FROM measured GROUP BY name)")" = \
      'clip 40,colour 40,contrast 40,sharpness 40,ssim 40' ]
    # the view tells the same as what was picked
    [ "$(sqlite3 run/ledger.sqlite "SELECT count(*) FROM explained e JOIN picked p USING(candidate) WHERE e.reason = 'picked' AND e.weighted = p.score")" -eq \
      "$(sqlite3 run/ledger.sqlite 'SELECT count(*) FROM picked')" ]
    [ "$(sqlite3 run/ledger.sqlite "SELECT count(*) FROM explained JOIN measured USING(candidate) WHERE name = 'contrast' AND (value < 0.2) <> (reason = 'below_min_contrast')")" -eq 0 ]
    synthvlm select r.yaml -o run --set select.by=sharpness >/dev/null
    [ "$(sqlite3 run/ledger.sqlite "SELECT count(*) FROM picked JOIN measured USING(candidate) WHERE name = 'sharpness' AND value = score")" -eq \
      "$(sqlite3 run/ledger.sqlite 'SELECT count(*) FROM picked')" ]
    synthvlm run r.yaml -o fresh >/dev/null
    synthvlm select r.yaml -o fresh --set select.by=sharpness >/dev/null
    sqlite3 run/ledger.sqlite 'SELECT candidate, score FROM picked' >a.txt
    sqlite3 fresh/ledger.sqlite 'SELECT candidate, score FROM picked' | diff a.txt -
}

@test "gates: refused pictures are failed candidates with a reason, the next seed is tried, and no interruption changes that" {
    recipe r.yaml
    synthvlm run r.yaml -o open --set score.also=[detail] >/dev/null
    # a limit that a third of the pictures fails
    limit=$(sqlite3 open/ledger.sqlite "SELECT printf('%.3f', value) FROM measured WHERE name = 'detail' ORDER BY value LIMIT 1 OFFSET 13")
    sed -i "s/^score:/&\n  gates: {black: 16, flat: $limit}/" r.yaml
    synthvlm run r.yaml -o whole >/dev/null
    failed=$(sqlite3 whole/ledger.sqlite "SELECT count(*) FROM candidates WHERE outcome = 'failed' AND reason = 'flat' AND detail LIKE '%blocks%'")
    [ "$failed" -gt 5 ]
    [ "$(sqlite3 whole/ledger.sqlite "SELECT count(*) FROM candidates WHERE outcome = 'failed' AND reason <> 'flat'")" -eq 0 ]
    [ "$(sqlite3 whole/ledger.sqlite "SELECT max(k) FROM candidates WHERE outcome = 'ok'")" -gt 3 ]
    [ "$(find whole/images -type f | wc -l)" -eq "$(sqlite3 whole/ledger.sqlite "SELECT count(*) FROM candidates WHERE outcome = 'ok'")" ]
    # four good ones, or all six tried
    [ "$(sqlite3 whole/ledger.sqlite "SELECT count(*) FROM (SELECT sum(outcome = 'ok') AS good, count(*) AS n FROM candidates GROUP BY number) WHERE good < 4 AND n < 6")" -eq 0 ]
    for _ in 1 2 3 4 5; do
        synthvlm run r.yaml -o broken --workers 2 >/dev/null 2>&1 &
        pid=$!
        sleep "$(awk -v s="$RANDOM" 'BEGIN { printf "%.3f", 0.2 + s / 32768 * 1.0 }')"
        kill -9 $pid 2>/dev/null || true
        wait $pid || true
    done
    synthvlm run r.yaml -o broken >/dev/null
    same_as whole broken
    run synthvlm run r.yaml -o black --set 'score.gates={black: 255}'
    [ "$(sqlite3 black/ledger.sqlite "SELECT count(*) FROM candidates WHERE reason = 'black'")" -eq 60 ]
}

@test "fewer pairs than asked: exit code 1, with the reason, and the pairs that there are" {
    recipe r.yaml
    fails_with 1 synthvlm run r.yaml -o run --set 'select={count: 500}'
    says 500
    [ -s run/dataset/llava/dataset.json ]
}

@test "a grown caption file adds captions and draws only those" {
    recipe r.yaml
    head -n 100 "$ROOT/recipes/demo-captions.jsonl" >pool.jsonl
    sed -i "s|path: .*jsonl|path: $T/pool.jsonl|; s/sample: 10/sample: null/" r.yaml
    head -n 12 pool.jsonl >few.jsonl && mv few.jsonl pool.jsonl
    synthvlm run r.yaml -o run >/dev/null
    before=$(find run/images -type f | wc -l)
    sed -n 13,16p "$ROOT/recipes/demo-captions.jsonl" >>pool.jsonl
    synthvlm run r.yaml -o run >/dev/null
    after=$(find run/images -type f | wc -l)
    [ "$after" -gt "$before" ]
    [ "$(sqlite3 run/ledger.sqlite 'SELECT count(*) FROM captions')" -eq 16 ]
}

@test "disk full during a run: exit code 4, nothing finished is lost" {
    [ "$(id -u)" -eq 0 ] || skip 'needs root to mount a small file system'
    recipe r.yaml
    mkdir small
    mount -t tmpfs -o size=400k tmpfs small || skip 'cannot mount here'
    run synthvlm run r.yaml -o small/run --set generate.image.format=png
    if [ "$status" -ne 4 ]; then echo "status $status: $output"; return 1; fi
    says 'free some space'
    mount -o remount,size=20m small
    synthvlm run r.yaml -o small/run --set generate.image.format=png >/dev/null
    synthvlm run r.yaml -o whole --set generate.image.format=png >/dev/null
    same_as whole small/run
}

@test "an output directory that cannot be made is named" {
    recipe r.yaml
    : >file
    fails_with 4 synthvlm run r.yaml -o file/run
    says file
}
