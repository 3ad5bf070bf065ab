#!/usr/bin/env bats
# What comes out of drawing: refiner, metadata, safety checker, providers in recipes.

load common

model() { echo "$ROOT/tests/golden/models/$1"; }

recipe() {   # recipe NAME "more keys of generate" ["keys of score"]
    printf '%s\n' "name: $1" 'seed: 3' 'captions: {sources: [{path: captions.jsonl}]}' \
        "generate: {model: $MODEL, candidates: 2, size: 64x64, steps: ${STEPS:-5}, guidance: 5.0, image: {format: png}, engine: {batch: 1}, $2}" \
        "score: {weights: {clip: 0}, ssim: {base: 64, low: 28}${3:+, $3}}" 'select: {keep: 100%}' >"$1.yaml"
}

captions() {   # captions N
    for i in $(seq 1 "$1"); do echo "{\"id\": \"c$i\", \"caption\": \"picture number $i: two <red> cubes & a ball\"}"; done >captions.jsonl
}

jobs_of() {   # jobs_of DIR "more keys": a line of txt2img for every good picture of a run, named as the run names it
    sqlite3 -json "$1/ledger.sqlite" "SELECT t.text AS prompt, c.seed AS seed, c.file AS image FROM candidates c JOIN captions t USING(number) WHERE c.outcome = 'ok'" |
        tr -d '\n' | sed 's/^\[{/{/; s/}\]$/}\n/; s/},{/}\n{/g' | sed "s|^{|{$2, |"
}

@test "a refiner in a recipe draws what txt2img draws, both ways of handing over, and goes on after a kill" {
    MODEL=$(model tiny-sdxl)
    captions 3
    STEPS=20
    for way in diffusers synthvlm; do
        recipe $way "metadata: false, negative: \"\", refiner: {model: $(model tiny-sdxl-refiner), at: 0.8, handover: $way, aesthetic_score: 7}"
        synthvlm run $way.yaml -o $way
        jobs_of $way "\"refiner\": \"$(model tiny-sdxl-refiner)\", \"denoising_end\": 0.8, \"handover\": \"$way\", \"negative_prompt\": \"\", \"steps\": 20, \"guidance\": 5.0, \"width\": 64, \"height\": 64, \"aesthetic_score\": 7" >jobs
        [ "$(wc -l <jobs)" = 6 ]
        synthvlm txt2img -m "$MODEL" --jobs jobs -o drawn --no-metadata >/dev/null
        for f in $(cd $way && find images -type f); do cmp "$way/$f" "drawn/$f"; done
    done
    ! diff -rq diffusers/images synthvlm/images >/dev/null
    # Interrupted, and called again.
    synthvlm run diffusers.yaml -o again & pid=$!
    for _ in $(seq 1 200); do [ -n "$(find again/images -name '*.png' 2>/dev/null)" ] && break; sleep 0.02; done
    kill -9 $pid 2>/dev/null || true
    wait $pid || true
    synthvlm run diffusers.yaml -o again
    for f in $(cd diffusers && find images -type f); do cmp "diffusers/$f" "again/$f"; done
    # Another hand-over is another setup.
    synthvlm run again --set generate.refiner.at=0.7
    [ "$(ls again/images | wc -l)" = 2 ]
}

@test "clip_skip in a recipe draws what txt2img draws" {
    MODEL=$(model tiny-sdxl)
    captions 1
    recipe skip "metadata: false, clip_skip: 1"
    recipe none "metadata: false"
    synthvlm run skip.yaml -o skip
    synthvlm run none.yaml -o none
    jobs_of skip '"clip_skip": 1, "steps": 5, "guidance": 5.0, "width": 64, "height": 64' >jobs
    synthvlm txt2img -m "$MODEL" --jobs jobs -o drawn --no-metadata >/dev/null
    for f in $(cd skip && find images -type f); do cmp "skip/$f" "drawn/$f"; done
    ! cmp -s skip/images/*/00000/000000001-0.png none/images/*/00000/000000001-0.png
}

@test "pictures say where they are from, the same at every run, and without a path; switched off they do not" {
    MODEL=$(model tiny-sd15)
    captions 2
    for format in jpeg png webp; do
        recipe $format "image: {format: $format}"
        sed -i 's/image: {format: png}, //' $format.yaml
        synthvlm run $format.yaml -o one-$format
        synthvlm run $format.yaml -o two-$format
        diff -r one-$format/images two-$format/images
        for f in $(find one-$format/images -type f); do
            grep -aq 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia' "$f"
            grep -aq '<Iptc4xmpExt:AIPromptInformation>picture number [12]: two &lt;red&gt; cubes &amp; a ball<' "$f"
            grep -aq '<synthvlm:scheduler>PNDMScheduler<' "$f"
            ! grep -aqF -e "$ROOT" -e "$T" "$f"
        done
        synthvlm run one-$format --set generate.metadata=false
        [ "$(ls one-$format/images | wc -l)" = 2 ]
        [ "$(grep -rlaF trainedAlgorithmicMedia one-$format/images | wc -l)" = 4 ]
    done
    seed=$(sqlite3 two-png/ledger.sqlite "SELECT seed FROM candidates WHERE number = 1 AND k = 0")
    grep -aqF "<synthvlm:seed>$seed<" two-png/images/*/00000/000000001-0.png
    grep -aqF "Seed: $seed, Size: 64x64" two-png/images/*/00000/000000001-0.png
}

@test "the safety checker of a model is a gate: its pictures fail with the reason, the next seed is tried" {
    MODEL=$T/m
    captions 12
    mkdir m && cp -r "$(model tiny-lcm)"/* m && cp -r "$ROOT/tests/golden/safety/safety_checker" "$ROOT/tests/golden/safety/feature_extractor" m
    sqlite3 :memory: "SELECT json_remove(readfile('m/model_index.json'), '\$.safety_checker')" >index && mv index m/model_index.json   # it was switched off
    recipe auto "metadata: false"
    recipe never "metadata: false" "gates: {safety: never}"
    recipe always "metadata: false" "gates: {safety: always}"
    synthvlm run auto.yaml -o auto
    synthvlm run never.yaml -o never
    [ "$(sqlite3 never/ledger.sqlite "SELECT count(*) FROM candidates WHERE outcome = 'failed'")" = 0 ]
    flagged=$(sqlite3 auto/ledger.sqlite "SELECT count(*) FROM candidates WHERE reason = 'unsafe'")
    [ "$flagged" -gt 0 ]
    # What passes is what is drawn without the gate, and failed candidates are made up for by further ones.
    for f in $(cd auto/images/* && find . -name '*-[01].png'); do cmp auto/images/*/"$f" never/images/*/"$f"; done
    [ -n "$(find auto/images -name '*-[23].png')" ]
    # Found or demanded is the same; a model without one cannot be asked for it.
    synthvlm run always.yaml -o always
    diff -r auto/images always/images
    rm -r m/safety_checker
    fails_with 3 synthvlm run always.yaml -o none
    says "safety_checker/model.onnx"
}

@test "a provider that is not there is named, with what there is" {
    MODEL=$(model tiny-sd15)
    captions 1
    recipe none "engine: {provider: openvino}"
    sed -i 's/engine: {batch: 1}, //' none.yaml
    fails_with 2 synthvlm run none.yaml -o none
    says 'no execution provider "openvino"; it has: cpu'
    says 'onnxruntime-openvino'
    sed -i 's/provider: openvino/provider: {name: openvino, library: nothing.so}/' none.yaml
    fails_with 3 synthvlm run none.yaml -o none
    says 'there is no such plugin library'
    sed -i "s|library: nothing.so|library: none.yaml|" none.yaml
    fails_with 3 synthvlm run none.yaml -o none
    says 'it must be a plugin for ONNX Runtime'
}

@test "numbers that are none: every candidate is recorded as failed with the next k tried, and select says why there is nothing" {
    MODEL=$T/broken
    cp -r "$(model tiny-sd15)" "$MODEL"
    chmod -R u+w "$MODEL"
    # A bias of the decoder becomes NaN: in the file a tensor's bytes follow its name, a tag and a length.
    name=post_quant_conv.bias
    at=$(grep -abo "$name" "$MODEL/vae_decoder/model.onnx" | tail -1 | cut -d: -f1)
    printf '\0\0\300\177' | dd of="$MODEL/vae_decoder/model.onnx" bs=1 seek=$((at + ${#name} + 2)) conv=notrunc status=none
    captions 2
    recipe nan "retries: 1"
    run synthvlm run nan.yaml -o nan
    [ "$status" = 2 ]
    [[ "$output" == *'there are no images to select from, because all 6 candidates failed: 6 by not_finite (synthvlm show nan ID '* ]]
    [ "$(sqlite3 nan/ledger.sqlite "SELECT group_concat(DISTINCT k || ' ' || outcome || ' ' || reason) FROM candidates")" = '0 failed not_finite,1 failed not_finite,2 failed not_finite' ]
    [ -z "$(find nan -name '*.png')" ]
    # The weights as they should be are another model: drawn anew in the same directory.
    cp "$(model tiny-sd15)/vae_decoder/model.onnx" "$MODEL/vae_decoder/model.onnx"
    synthvlm run nan
    [ "$(sqlite3 nan/ledger.sqlite "SELECT count(*) FROM candidates WHERE outcome = 'ok'")" = 4 ]
}

@test "a scheduler's file that is at fault is named" {
    MODEL=$T/odd
    cp -r "$(model tiny-sd15)" "$MODEL"
    chmod -R u+w "$MODEL"
    sed -i 's/{/{"frobnicate": true,/' "$MODEL/scheduler/scheduler_config.json"
    run synthvlm txt2img -m "$MODEL" -p x --steps 1 -o x.png
    [ "$status" = 3 ]
    [[ "$output" == *'odd/scheduler/scheduler_config.json: unknown key "frobnicate"'* ]]
}

@test "a scheduler or a refiner that cannot be is refused before captions are read" {
    MODEL=$(model tiny-sdxl)
    captions 1
    for keys in 'scheduler: {frobnicate: 1}' 'refiner: {model: nowhere}'; do
        recipe early "$keys"
        run synthvlm run early.yaml -o early
        [ "$status" != 0 ]
        [[ "$output" == *frobnicate* || "$output" == *'nowhere: no such directory'* ]]
        [ ! -e early ]
    done
}
