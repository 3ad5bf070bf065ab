# Kept embeddings, the held-out CLIP, and texts in windows, on a run of twelve captions.
load common

# recipe [CLIP SETTING…]
recipe() {
    head -12 "$ROOT/recipes/demo-captions.jsonl" >c.jsonl
    cat >r.yaml <<END
name: kept
captions: {sources: [{path: c.jsonl, text: caption, id: id}]}
generate: {model: $ROOT/models/tabletop, candidates: 2, size: 64x64, steps: 2}
score:
  clip: {model: $ROOT/models/tabletop/clip$(printf ', %s' "$@")}
  ssim: {base: 64, low: 28}
select: {keep: 50%}
export: [{format: llava}]
END
    sed -i 's/, }/}/' r.yaml
}

ask() {
    sqlite3 run/ledger.sqlite "$1"
}

values() {
    ask "SELECT candidate, printf('%.17g', value) FROM measured WHERE name = '$1' ORDER BY 1"
}

@test "another prefix or flavour is scored from the kept embeddings: no picture is opened, and the numbers are those of the pictures" {
    recipe 'keep: true'
    synthvlm run r.yaml -o run
    [ "$(ls run/embeddings | wc -l)" -eq 1 ]
    values clip >first.txt
    # From the pictures: a run that begins with the other prefix.
    synthvlm run r.yaml -o other --set 'score.clip.prefix="a drawing of"'
    mv run run1 && mv other run && values clip >want.txt && mv run other && mv run1 run
    # From the embeddings: there are no pictures.
    mv run/images away
    run synthvlm score run --set 'score.clip.prefix="a drawing of"'
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    says '24 candidates scored'
    values clip | diff want.txt -
    ! diff -q first.txt want.txt
    run synthvlm score run --set score.clip.flavour=hessel --set score.clip.prefix=null
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    values clip | diff first.txt -
    # Another preprocessing needs the pictures.
    run synthvlm score run --set score.clip.flavour=data-juicer
    [ "$status" -eq 1 ]
    mv away run/images
}

@test "near-duplicates, outliers, coverage and the export for numpy" {
    recipe 'keep: true'
    synthvlm run r.yaml -o run
    run synthvlm embeddings run --all --near -1 --list 3 --npy all.npy
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    says '24 pictures, 24 looked at'
    says '276 pairs; 23 pictures repeat another'
    says 'coverage'
    [ "$(wc -l <all.npy.jsonl)" -eq 24 ]
    [ "$(stat -c %s all.npy)" -eq $((128 + 24 * 128 * 2)) ]
    head -c 6 all.npy | tail -c 5 | grep -q NUMPY
    synthvlm embeddings run --json | grep -q '"of": "picks"'
    fails_with 2 synthvlm embeddings run --near 2
    # A lost file is made again.
    rm -r run/embeddings
    fails_with 2 synthvlm embeddings run
    says 'score.clip.keep=true'
    synthvlm score run
    synthvlm embeddings run --all --json | grep -q '"without_embedding": 0'
}

@test "a held-out CLIP is told and changes no pick; it cannot be weighed, limited or ranked by" {
    recipe
    synthvlm run r.yaml -o run
    ask "SELECT candidate FROM picked ORDER BY rank" >before.txt
    run synthvlm run run --set "score.held_out.model=$ROOT/tests/golden/models/tiny-siglip"
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    says 'held_out'
    [ "$(values held_out | wc -l)" -eq 24 ]
    ask "SELECT candidate FROM picked ORDER BY rank" | diff before.txt -
    [ "$(ask "SELECT count(*) FROM selection_means WHERE name = 'held_out'")" -eq 1 ]
    grep -q '| held_out |' run/dataset/llava/README.md
    grep -q '"opinions": {"held_out"' run/dataset/llava/dataset.json
    # The mean over the picks is that of their values.
    [ "$(ask "SELECT abs(avg(m.value) - (SELECT after FROM selection_means WHERE name = 'held_out')) < 1e-12 FROM picked p JOIN measured m ON m.candidate = p.candidate AND m.name = 'held_out'")" -eq 1 ]
    run synthvlm status run
    says 'held_out'
    run synthvlm show run "$(head -1 before.txt)"
    says 'held_out'
    fails_with 2 synthvlm select run --set score.weights.held_out=1
    says 'held_out'
    fails_with 2 synthvlm select run --set select.min.held_out=0.1
    says 'held_out'
    fails_with 2 synthvlm select run --set select.by=held_out
    says 'select.by'
    fails_with 2 synthvlm run run --set "score.held_out.model=$ROOT/models/tabletop/clip"
    says 'which selects'
}

@test "captions longer than a row are read in windows where the recipe says so" {
    recipe
    for i in $(seq 1 30); do printf 'a small red cube and '; done >long.txt
    printf '{"id": "long", "caption": "%s"}\n{"id": "short", "caption": "a red ball"}\n' "$(cat long.txt)" >c.jsonl
    synthvlm run r.yaml -o run --set select.keep=null
    values clip >cut.txt
    synthvlm score run --set score.clip.window=true
    values clip >windows.txt
    [ "$(diff cut.txt windows.txt | grep -c '^>')" -eq 2 ]
    [ "$(ask "SELECT count(*) FROM setups WHERE stage = 'score' AND name = 'clip'")" -eq 2 ]
}
