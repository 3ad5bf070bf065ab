# The vision model that is asked about pictures, against a server on a socket (judge_server.c).
load common

server() {
    rm -f port
    "$(dirname "$SYNTHVLM")/tests/judge_server" port server.log sees "$@" 3>&- >/dev/null 2>server.err &
    SERVER=$!
    for _ in $(seq 1 200); do
        [ -s port ] && break
        sleep 0.02
    done
    URL=http://127.0.0.1:$(cat port)/v1
}

stop_server() {
    [ -z "${SERVER:-}" ] || { kill "$SERVER" 2>/dev/null; wait "$SERVER" 2>/dev/null || true; }
    SERVER=
}

teardown() {
    stop_server
}

export no_proxy=127.0.0.1

# recipe [SETTING…]: r.yaml with a vision model at $URL; ten captions, two small pictures each.
recipe() {
    head -10 "$ROOT/recipes/demo-captions.jsonl" >c.jsonl
    cat >r.yaml <<END
name: judged
captions: {sources: [{path: c.jsonl, text: caption, id: id}]}
generate: {model: $ROOT/models/tabletop, candidates: 2, size: 64x64, steps: 2}
score:
  clip: {model: $ROOT/models/tabletop/clip}
  ssim: {base: 64, low: 28}
  judge_image: {url: "$URL", model: some-model, timeout: 5$(printf ', %s' "$@")}
select: {count: 4}
END
    sed -i 's/, }/}/' r.yaml
}

ask() {
    sqlite3 run/ledger.sqlite "$1"
}

asked() {
    wc -l <server.log
}

stable() {
    ask 'SELECT * FROM stable ORDER BY 1, 2, 3'
}

picks() {
    ask "SELECT candidate FROM picked ORDER BY rank"
}

@test "held out: only the picks are asked about, which does not change them; a second call asks nothing" {
    server
    recipe
    run synthvlm run r.yaml -o run
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    [ "$(asked)" -eq 4 ]
    grep -q 'data:image/jpeg;base64,/9j' server.log
    picks >before.txt
    stable >stable.txt
    # The answers are the server's.
    while read -r _ _ _ tenths _; do echo "$tenths"; done <server.log | sort >told.txt
    ask "SELECT max(0, cast(round(10 * value) AS INTEGER)) FROM measured WHERE name = 'judge_image'" | sort >kept.txt
    diff told.txt kept.txt
    ask "SELECT name FROM selection_means" | grep -q judge_image
    run synthvlm status run
    says 'judge_image'
    id=$(picks | head -1)
    run synthvlm show run "$id"
    says 'judge_image'
    stop_server
    run synthvlm run run
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    stable | diff stable.txt -
    # Without the judge the same pairs are picked.
    run synthvlm select run --set score.judge_image=null
    picks | diff before.txt -
}

@test "veto: what it says no to is replaced by the next, which is asked about in turn" {
    server
    recipe 'use: veto' 'min: 0.5'
    run synthvlm run r.yaml -o run
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    [ "$(ask "SELECT count(*) FROM explained e JOIN measured m ON m.candidate = e.candidate AND m.name = 'judge_image' WHERE e.reason = 'picked' AND m.value < 0.5")" -eq 0 ]
    [ "$(ask "SELECT count(*) FROM picked")" -eq 4 ]
    no=$(ask "SELECT count(*) FROM measured WHERE name = 'judge_image' AND value < 0.5")
    [ "$no" -gt 0 ]
    [ "$(asked)" -eq $((no + 4)) ]
    [ "$(ask "SELECT count(*) FROM explained WHERE reason = 'judge_image'")" -eq "$no" ]
    # Everything that ranks above the last pick and was not taken was said no to, or is a sibling of a pick.
    [ "$(ask "SELECT count(*) FROM explained WHERE weighted > (SELECT min(score) FROM picked) AND reason NOT IN ('picked', 'judge_image', 'better_sibling')")" -eq 0 ]
    stable | grep -v '^setup\|^source\|^export\|^selection' >before.txt
    # Asked about all, it decides the same.
    picks >picks.txt
    run synthvlm run run --set score.judge_image.ask=all
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    picks | diff picks.txt -
    [ "$(asked)" -eq 20 ]
    # A limit that nothing reaches.
    run synthvlm select run --set score.judge_image.min=1 --set score.judge_image.ask=all
    [ "$status" -eq 1 ]
    says 'score.judge_image does not say yes to'
    says 'lower score.judge_image.min'
    [[ "$output" != *nan* ]]                  # of no pair there is no mean
    # The same of a share: why nothing was picked is the veto, and the summary says so.
    run synthvlm run run --set score.judge_image.min=1 --set score.judge_image.ask=all --set select.count=null --set select.keep=50%
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    says 'nothing was picked: score.judge_image says yes to none of 20 candidates'
    says '20   left out: judge_image does not say yes'
    [[ "$output" =~ weighted\ +[0-9.]+\ +-[[:space:]] ]]
}

@test "tie-break: of pictures that score alike the one that the model is surer of" {
    server
    recipe 'use: tie_break' 'tie: 1000'
    run synthvlm run r.yaml -o run
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    [ "$(asked)" -eq 8 ]
    # Every pick is its caption's surest.
    [ "$(ask "SELECT count(*) FROM picked p JOIN measured a ON a.candidate = p.candidate AND a.name = 'judge_image'
              JOIN measured b ON b.number = a.number AND b.name = 'judge_image' WHERE b.value > a.value")" -eq 0 ]
    # The captions are those that the scores pick.
    ask "SELECT caption FROM picked ORDER BY rank" >captions.txt
    run synthvlm select run --set score.judge_image=null
    ask "SELECT caption FROM picked ORDER BY rank" | diff captions.txt -
}

@test "faults of the server are overcome; the ledger is the same as without" {
    server
    recipe 'use: veto'
    synthvlm run r.yaml -o run
    stable | grep -v '^setup\|^export' >whole.txt
    stop_server
    rm -rf run
    JUDGE_SERVER_PORT=$(cat port) server 1:cut 2:500 3:429=0 4:garbage 5:text 6:half
    run synthvlm run r.yaml -o run
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    stable | grep -v '^setup\|^export' | diff whole.txt -
}

@test "a server that dies ends with 4; what it answered stays, and the rest is asked by the next call" {
    server '3-99:500'
    recipe 'concurrency: 1' 'retries: 1'
    run synthvlm run r.yaml -o run
    [ "$status" -eq 4 ] || { echo "$output"; return 1; }
    says 'only fails'
    [ "$(ask 'SELECT count(*) FROM judgements')" -eq 2 ]
    stop_server
    JUDGE_SERVER_PORT=$(cat port) server
    run synthvlm run run
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    [ "$(asked)" -eq 2 ]
}

@test "larger pictures are sent reduced; wrong settings are named" {
    server
    recipe 'side: 32'
    run synthvlm run r.yaml -o run
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    ask "SELECT json FROM setups WHERE stage = 'judge_image'" | grep -q '"side":32'
    run synthvlm run r.yaml -o other --set score.judge_image.use=sometimes
    [ "$status" -eq 2 ]
    run synthvlm run r.yaml -o other --set score.judge_image.url=ftp://x
    [ "$status" -eq 2 ]
    says 'score.judge_image.url'
    run synthvlm run r.yaml -o other --set score.judge_image.use=tie_break --set select.per_caption=2
    [ "$status" -eq 2 ]
    says 'per_caption'
    run synthvlm run run --set score.judge_image.model=x --set score.judge_image.api_key_env=NO_SUCH_VARIABLE
    [ "$status" -eq 2 ]
    says 'NO_SUCH_VARIABLE'
}
