# The number of images follows their scores, and half-drawn images are given up: neither interruptions nor the number of workers change a byte.
load common

# $1: name of the file; $2: what stands after `candidates:`, and further keys of generate.
recipe() {
    cat >"$1" <<EOF
name: adaptive
seed: 11
captions: {sources: [{path: $ROOT/recipes/demo-captions.jsonl, text: caption, id: id}], sample: 8}
generate: {model: $ROOT/models/tabletop, size: 64x64, steps: 8, guidance: 3.0, candidates: $2}
score: {clip: {model: $ROOT/models/tabletop/clip}, ssim: {base: 64, low: 28}}
select: {by: weighted}
export: [{format: llava}]
EOF
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

ask() { sqlite3 "$1/ledger.sqlite" "$2"; }

# The image files only, by name below the setup's folder.
pictures() { (cd "$1"/images/* && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum); }

@test "a good image ends a caption, a hopeless one is dropped, the budget goes to the others" {
    recipe r.yaml '{min: 1, max: 6, stop_at: 0.8, budget: 2.5, drop_below: 0.55, drop_after: 3}'
    synthvlm run r.yaml -o one >/dev/null
    # Every caption stopped for a reason that its numbers bear out.
    [ "$(ask one 'SELECT count(*) FROM stopped')" -eq 8 ]
    [ "$(ask one "SELECT count(*) FROM stopped WHERE reason = 'good_enough' AND value < 0.8")" -eq 0 ]
    [ "$(ask one "SELECT count(*) FROM stopped WHERE reason <> 'good_enough' AND value >= 0.8")" -eq 0 ]
    [ "$(ask one "SELECT count(*) FROM stopped WHERE reason = 'dropped' AND (value >= 0.55 OR images < 3)")" -eq 0 ]
    [ "$(ask one "SELECT count(*) FROM stopped WHERE reason = 'most' AND images <> 6")" -eq 0 ]
    [ "$(ask one "SELECT count(*) FROM stopped WHERE reason = 'good_enough'")" -gt 0 ]
    # Nobody has more images than it was given, and all together keep to the budget.
    [ "$(ask one 'SELECT count(*) FROM stopped s WHERE s.images <> (SELECT count(*) FROM candidates d WHERE d.number = s.number)')" -eq 0 ]
    [ "$(ask one 'SELECT count(*) FROM candidates')" -le 20 ]
    # Of those whom the budget left out nobody had a lower score than a caption that went on from the same round.
    [ "$(ask one "SELECT count(*) FROM stopped a JOIN stopped b ON b.round > a.round WHERE a.reason = 'budget'
        AND (SELECT max(weighted) FROM explained e WHERE e.number = b.number AND e.k < a.images) > a.value")" -eq 0 ]
    # The same pictures as those of a run that draws six of each.
    synthvlm generate one --set generate.candidates=6 >/dev/null
    [ "$(ask one 'SELECT count(*) FROM candidates')" -eq 48 ]
    recipe all.yaml 6
    synthvlm run all.yaml -o all --set generate.engine.batch=4 >/dev/null
    pictures one >a.txt
    pictures all >b.txt
    diff a.txt b.txt
}

@test "the story of a caption says why it stopped" {
    recipe r.yaml '{max: 4, stop_at: 0.8, drop_below: 0.6, drop_after: 2}'
    synthvlm run r.yaml -o one >/dev/null
    id=$(ask one "SELECT caption FROM stopped WHERE reason = 'good_enough' LIMIT 1")
    synthvlm show one "$id" --json | grep -q '"stopped":{"reason":"good_enough","round":'
    id=$(ask one "SELECT caption FROM stopped WHERE reason = 'dropped' LIMIT 1")
    [ -n "$id" ]
    [ "$(ask one "SELECT count(*) FROM explained WHERE caption = '$id' AND reason <> 'caption_dropped'")" -eq 0 ]
    synthvlm show one "$id" --json | grep -q 'caption_dropped'
    run synthvlm status one
    says 'good enough'
}

@test "half-drawn images are compared, and the best share goes on" {
    recipe r.yaml '4, prune: {at: [0.3, 0.6], keep: 0.5}'
    synthvlm run r.yaml -o pruned >/dev/null
    # Of four, two are given up after 2 of 8 calls and one after 5.
    [ "$(ask pruned "SELECT group_concat(outcome || ' ' || n) FROM (SELECT outcome, count(*) AS n FROM candidates GROUP BY outcome ORDER BY outcome)")" = 'ok 8,pruned 24' ]
    [ "$(ask pruned "SELECT group_concat(calls || ' ' || n) FROM (SELECT calls, count(*) AS n FROM previews GROUP BY calls)")" = '2 32,5 16' ]
    # Those that went on had the better previews.
    [ "$(ask pruned "SELECT count(*) FROM previews a JOIN previews b USING(number, calls) WHERE a.calls = 5 AND a.value < b.value
        AND (SELECT outcome FROM candidates d WHERE d.number = a.number AND d.k = a.k) = 'ok'")" -eq 0 ]
    # What was finished has the bytes that it has in a run without pruning.
    recipe all.yaml 4
    synthvlm run all.yaml -o all >/dev/null
    pictures pruned >a.txt
    pictures all >b.txt
    [ "$(wc -l <a.txt)" -eq 8 ]
    [ "$(sort a.txt b.txt | uniq -d | wc -l)" -eq 8 ]
    # A picture that is lost comes back as it was, without being compared again.
    lost=$(find pruned/images -name '*.jpg' | sort | head -n 1)
    fingerprint pruned >before.txt
    rm "$lost"
    synthvlm run pruned >/dev/null 2>&1
    fingerprint pruned | diff before.txt -
}

@test "killed at random instants and called again: the same images, rounds and dataset" {
    recipe r.yaml '{min: 2, max: 6, step: 2, stop_at: 0.9, budget: 5}, prune: {at: [0.4], keep: 0.5}'
    synthvlm run r.yaml -o whole >/dev/null
    local kills=0
    for i in $(seq 1 10); do
        synthvlm run r.yaml -o broken >/dev/null 2>&1 &
        pid=$!
        sleep "$(awk -v s="$RANDOM" 'BEGIN { printf "%.3f", 0.05 + s / 32768 * 0.8 }')"
        if kill -9 $pid 2>/dev/null; then kills=$((kills + 1)); fi
        wait $pid || true
    done
    [ $kills -gt 3 ]
    synthvlm run r.yaml -o broken >/dev/null
    same_as whole broken
}

@test "the number of workers changes nothing, also where images are pruned" {
    recipe r.yaml '{min: 1, max: 5, stop_at: 0.9}, prune: {at: [0.5], keep: 0.6}'
    synthvlm run r.yaml -o one --workers 1 >/dev/null
    synthvlm run r.yaml -o three --workers 3 >/dev/null
    same_as one three
}

@test "other limits decide anew and draw only what is missing" {
    recipe r.yaml '{max: 6, stop_at: 0.7}'
    synthvlm run r.yaml -o one >/dev/null
    find one/images -type f -printf '%p %T@\n' | sort >before.txt
    synthvlm run r.yaml -o one --set generate.candidates.stop_at=0.9 >/dev/null
    find one/images -type f -printf '%p %T@\n' | sort >after.txt
    [ "$(comm -23 before.txt after.txt | wc -l)" -eq 0 ]
    [ "$(comm -13 before.txt after.txt | wc -l)" -gt 0 ]
    recipe s.yaml '{max: 6, stop_at: 0.9}'
    synthvlm run s.yaml -o fresh >/dev/null
    pictures one >a.txt
    pictures fresh >b.txt
    diff a.txt b.txt
}

@test "captions share calls where one alone does not fill the batch" {
    recipe r.yaml '1'
    synthvlm run r.yaml -o shared --set generate.engine.batch=4 >/dev/null
    synthvlm run r.yaml -o alone --set generate.engine.batch=4 --set captions.sample=1 >/dev/null
    synthvlm run r.yaml -o alone --set generate.engine.batch=4 --set captions.sample=8 >/dev/null
    pictures shared >a.txt
    pictures alone >b.txt
    [ -s a.txt ]
    diff a.txt b.txt
}

@test "texts encoded in chunks, and the encoders let go in between, change no byte" {
    recipe r.yaml '{max: 4, stop_at: 0.9}, prune: {at: 0.5}'
    synthvlm run r.yaml -o at_once >/dev/null
    for n in 1 3 100; do
        synthvlm run r.yaml -o chunks$n --set generate.engine.text_chunk=$n >/dev/null
        same_as at_once chunks$n
    done
}

@test "what auto stands for is measured once where there is much to draw" {
    recipe r.yaml 100
    sed -i 's/, sample: 8//; s/steps: 8/steps: 200/' r.yaml
    synthvlm curate r.yaml -o much >/dev/null
    for i in 1 2; do
        synthvlm generate much >/dev/null 2>&1 &
        pid=$!
        for t in $(seq 1 300); do
            [ "$(grep -c '"event":"generate"' much/run.log)" -lt $i ] || break
            sleep 0.2
        done
        kill -9 $pid
        wait $pid || true
    done
    [ "$(grep -c '"event":"generate"' much/run.log)" -eq 2 ]
    [ "$(grep -c '"event":"tuned"' much/run.log)" -eq 1 ]
    [ "$(ask much 'SELECT count(*) FROM tuned')" -eq 1 ]
    # Both calls went on under the same setup, with the numbers that were measured.
    [ "$(ask much "SELECT count(*) FROM setups WHERE stage = 'generate'")" -eq 1 ]
    [ "$(ask much "SELECT json_extract(s.json, '$.engine.batch') = json_extract(t.value, '$.batch') FROM setups s, tuned t WHERE s.stage = 'generate'")" -eq 1 ]
    run synthvlm status much
    says 'batch'
}
