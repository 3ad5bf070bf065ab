# Captions that come with their pictures: filters on them, and the control set of real pictures.
load common

GOLDEN=$BATS_TEST_DIRNAME/../golden
CLIP=tests/golden/models/tiny-clip BLIP=tests/golden/models/tiny-blip-itm

# The five filters of tests/golden/pairs. $1: least similarity
filters() {
    cat <<EOF
    - image_aspect_ratio_filter: {min_ratio: 0.4, max_ratio: 3.0}
    - image_shape_filter: {min_width: 2, max_width: 58}
    - image_size_filter: {min_size: "100", max_size: 20KB}
    - image_text_similarity_filter: {hf_clip: $ROOT/$CLIP, min_score: $1, horizontal_flip: true}
    - image_text_matching_filter: {hf_blip: $ROOT/$BLIP, min_score: 0.1}
EOF
}

recipe() {   # recipe FILE LEAST_SIMILARITY
    cat >"$1" <<EOF
captions:
  sources: [{path: $GOLDEN/pairs/pool.jsonl, images: $GOLDEN/pairs/images, source: golden, license: CC0-1.0}]
  view: data-juicer
  process:
$(filters "$2")
generate: {source: captions}
score:
  clip: {model: $ROOT/$CLIP}
  itm: {model: $ROOT/$BLIP}
  ssim: {base: 32, low: 14}
  weights: {itm: 0.5}
select: {by: weighted, keep: 50%}
export: [{format: llava}, {format: webdataset}]
EOF
}

ask() { sqlite3 "$1/ledger.sqlite" "$2"; }

fingerprint() {
    (cd "$1" && find images dataset -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum && sqlite3 ledger.sqlite 'SELECT * FROM stable' | LC_ALL=C sort)
}

@test "filters on pictures give Data-Juicer's verdicts and values" {
    recipe r.yaml -0.05
    run synthvlm curate r.yaml -o run
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    [ "$(ask run "SELECT count(*) FROM verdicts")" -eq 64 ]
    ask run "SELECT c.id, v.rule, json_extract(w.value, '\$.rule') FROM json_each(readfile('$GOLDEN/pairs/expected.json')) w JOIN captions c ON c.id = json_extract(w.value, '\$.id')
        JOIN verdicts v USING(number) WHERE v.rule IS NOT json_extract(w.value, '\$.rule')" >wrong.txt
    ask run "SELECT c.id, s.key, s.value, json_extract(v.stats, '\$.' || s.key) FROM json_each(readfile('$GOLDEN/pairs/expected.json')) w JOIN captions c
        ON c.id = json_extract(w.value, '\$.id') JOIN verdicts v USING(number), json_each(json_extract(w.value, '\$.stats')) s
        WHERE coalesce(abs(s.value - json_extract(v.stats, '\$.' || s.key)), 9) > 1e-4" >>wrong.txt
    cat wrong.txt
    [ ! -s wrong.txt ]
}

@test "what was measured of a picture is kept: another limit measures nothing anew" {
    recipe r.yaml -0.05
    synthvlm curate r.yaml -o run
    before=$(ask run "SELECT count(*) FROM picture_stats")
    [ "$before" -gt 100 ]
    ask run "UPDATE picture_stats SET value = 0.75 WHERE setup IN (SELECT id FROM setups WHERE name = 'image_text_similarity')"
    recipe r.yaml 0.5
    synthvlm curate r.yaml -o run
    [ "$(ask run "SELECT count(*) FROM now JOIN verdicts ON setup = curate WHERE rule = 'image_text_similarity_filter'")" -eq 0 ]
    recipe r.yaml 0.8
    synthvlm curate r.yaml -o run
    [ "$(ask run "SELECT count(*) FROM now JOIN verdicts ON setup = curate WHERE rule = 'image_text_similarity_filter' AND value = 0.75")" -gt 30 ]
}

@test "the control set: own pictures, byte for byte, through score, select, export and verify" {
    recipe r.yaml -0.05
    run synthvlm run r.yaml -o run
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    says "none was generated"
    [ "$(ask run "SELECT count(*) FROM candidates WHERE seed = -1 AND k = 0 AND outcome = 'ok'")" -eq "$(ask run "SELECT count(*) FROM kept JOIN pictures USING(number)")" ]
    # captions without a picture pass the filters, as in Data-Juicer, and have no candidate
    ask run "SELECT DISTINCT reason FROM candidates WHERE outcome = 'failed'" | grep -qx image_missing
    ask run "SELECT p.name, d.file FROM candidates d JOIN pictures p USING(number) WHERE outcome = 'ok'" | while IFS='|' read -r name file; do
        cmp "$GOLDEN/pairs/images/$name" "run/$file"
    done
    run synthvlm verify run/dataset/llava
    [ "$status" -eq 0 ]
    run synthvlm verify run/dataset/webdataset
    [ "$status" -eq 0 ]
    grep -q '"seed": null' run/dataset/llava/pairs.jsonl
    grep -q 'No image was generated' run/dataset/llava/README.md
    ! grep -q synthetic run/dataset/llava/README.md
    [ "$(ask run "SELECT count(*) FROM measured WHERE name = 'itm'")" -gt 20 ]
    run synthvlm show run p01
    says "its own picture, not generated"
    says "picture    grey.jpg in "
    fingerprint run >before.txt
    synthvlm run run
    fingerprint run | diff before.txt -
    # in single steps, and with a picture lost in between: the same
    synthvlm curate r.yaml -o steps
    synthvlm generate steps
    rm "steps/$(ask steps "SELECT file FROM candidates WHERE outcome = 'ok' LIMIT 1")"
    synthvlm generate steps
    synthvlm score steps
    synthvlm select steps
    synthvlm export steps
    fingerprint steps | diff before.txt -
}

@test "pictures that cannot be used are recorded with a reason, and taken in once they can" {
    mkdir img
    cp "$GOLDEN"/pairs/bad/* "$GOLDEN/pairs/images/rgb.png" img/
    chmod +w img/*
    cat >c.jsonl <<'EOF'
{"id":"good","caption":"a red cup","image":"rgb.png"}
{"id":"cut","caption":"a cut picture","image":"cut.jpg"}
{"id":"huge","caption":"a bomb","image":"huge.png"}
{"id":"words","caption":"no picture","image":"words.png"}
{"id":"gone","caption":"not there","image":"sub/gone.png"}
{"id":"none","caption":"none at all"}
{"id":"out","caption":"leads out","image":"../rgb.png"}
{"id":"abs","caption":"absolute","image":"/etc/passwd"}
{"id":"many","caption":"several","image":["rgb.png","rgb.png"]}
{"id":"number","caption":"a number","image":7}
EOF
    cat >r.yaml <<EOF
captions:
  sources: [{path: c.jsonl, images: img}]
generate: {source: captions}
score: {weights: {clip: 0}, ssim: {base: 32, low: 14}}
export: [{format: llava}]
EOF
    run synthvlm run r.yaml -o run
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    ask run "SELECT reason, count(*) FROM ingest_faults GROUP BY reason" >faults.txt
    printf 'bad_image_name|2\nnot_a_string|1\nseveral_images|1\n' | diff - faults.txt
    ask run "SELECT c.id, d.outcome, d.reason FROM candidates d JOIN captions c USING(number) ORDER BY d.number" >got.txt
    printf 'good|ok|\ncut|failed|image_unreadable\nhuge|failed|image_too_large\nwords|failed|image_unreadable\ngone|failed|image_missing\nnone|failed|image_missing\n' | diff - got.txt
    # the same words as reasons of filters
    sed -i 's/^generate/  process: [{image_aspect_ratio_filter: {}}]\ngenerate/' r.yaml
    synthvlm curate r.yaml -o run
    ask run "SELECT c.id, v.rule FROM now JOIN verdicts v ON v.setup = curate JOIN captions c USING(number) WHERE keep = 0 ORDER BY number" >got.txt
    printf 'cut|image_unreadable\nhuge|image_too_large\nwords|image_unreadable\ngone|image_missing\n' | diff - got.txt
    sed -i '/process/d' r.yaml
    mkdir img/sub
    cp img/rgb.png img/sub/gone.png
    synthvlm run r.yaml -o run
    [ "$(ask run "SELECT count(*) FROM now JOIN candidates ON setup = generate AND outcome = 'ok'")" -eq 2 ]
}

@test "the top share by CLIPScore, and COCO's names of pictures by image_id" {
    mkdir img
    cp "$GOLDEN"/pairs/images/*.png img/
    cat >coco.json <<'EOF'
{"images": [{"id": 5, "file_name": "rgb.png"}, {"id": "x", "file_name": "alpha.png"}, {"id": 9, "file_name": "deep.png"}],
 "annotations": [{"id": 1, "image_id": 5, "caption": "a red cup"}, {"id": 2, "image_id": "x", "caption": "a green dog"},
                 {"id": 3, "image_id": 9, "caption": "two lamps"}, {"id": 4, "image_id": 77, "caption": "no such picture"}, {"id": 5, "image_id": 5, "caption": "a table"}]}
EOF
    cat >r.yaml <<EOF
captions:
  sources: [{path: coco.json, format: coco, images: img}]
  process:
    - image_text_similarity_filter: {hf_clip: $ROOT/$CLIP, min_score: -1}
    - topk_specified_field_selector: {field_key: __dj__stats__.image_text_similarity, top_ratio: 0.4}
generate: {source: captions}
score: {clip: {model: $ROOT/$CLIP}}
export: [{format: llava}]
EOF
    synthvlm curate r.yaml -o run
    [ "$(ask run "SELECT group_concat(name) FROM (SELECT name FROM pictures ORDER BY number)")" = "rgb.png,alpha.png,deep.png,rgb.png" ]
    [ "$(ask run "SELECT count(*) FROM verdicts WHERE keep")" -eq 2 ]
    least=$(ask run "SELECT min(json_extract(stats, '\$.image_text_similarity')) FROM verdicts WHERE keep")
    [ "$(ask run "SELECT count(*) FROM verdicts WHERE json_extract(stats, '\$.image_text_similarity') >= $least")" -eq 2 ]
    [ "$(ask run "SELECT count(*) FROM verdicts WHERE rule = 'topk_specified_field_selector' AND min IS NOT NULL")" -eq 3 ]
}
