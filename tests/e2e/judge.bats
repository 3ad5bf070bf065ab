# The judge of captions, against a server on a socket that fails in every way (judge_server.c).
load common

# server [ARGUMENT…]: starts it; its address is in $URL, its log in server.log.
server() {
    rm -f port
    "$(dirname "$SYNTHVLM")/tests/judge_server" port server.log "$@" 3>&- >/dev/null 2>server.err &
    SERVER=$!
    for _ in $(seq 1 200); do
        [ -s port ] && break
        sleep 0.02
    done
    PORT=$(cat port)
    URL=http://127.0.0.1:$PORT/v1
}

stop_server() {
    [ -z "${SERVER:-}" ] || { kill "$SERVER" 2>/dev/null; wait "$SERVER" 2>/dev/null || true; }
    SERVER=
}

teardown() {
    stop_server
}

# captions N [TEXT…]: N good captions and these, one a line.
captions() {
    local n=$1
    shift
    { for i in $(seq 1 "$n"); do echo "A red apple lies beside cup number $i."; done; [ $# -eq 0 ] || printf '%s\n' "$@"; } >c.txt
}

# recipe [SETTING…]: r.yaml with a judge at $URL.
recipe() {
    cat >r.yaml <<END
name: judged
captions:
  sources: [{path: c.txt}]
  process: [{text_length_filter: {min_len: 8}}]
  judge: {url: "$URL", model: some-model, timeout: 5$(printf ', %s' "$@")}
generate: {model: $ROOT/models/tabletop}
score: {weights: {clip: 0}}
END
    sed -i 's/, }/}/' r.yaml
}

export no_proxy=127.0.0.1

curate() {
    synthvlm curate r.yaml -o run "$@"
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

@test "yes, no and neither; only kept captions are asked, each text once; a second call asks nothing" {
    captions 30 'a bad caption of a cup' 'an odd caption of a cup' tiny 'A red apple lies beside cup number 7.'
    server
    recipe
    run curate --json
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    [ "$output" = '{"captions":33,"added":33,"repeated":1,"faults":0,"judged":33,"kept":30,"sampled":30}' ]
    [ "$(asked)" -eq 32 ]
    [ "$(ask "SELECT rule, value, min FROM rejected WHERE text LIKE '%bad%'")" = 'llm_judge|0.0|0.5' ]
    [ "$(ask "SELECT rule, value IS NULL FROM rejected WHERE text LIKE '%odd%'")" = 'llm_judge_unclear|1' ]
    [ "$(ask "SELECT rule FROM rejected WHERE text = 'tiny'")" = text_length_filter ]
    [ "$(ask "SELECT outcome, answer FROM judge_answers WHERE text LIKE '%odd%'")" = 'unclear|Perhaps' ]
    [ "$(ask "SELECT count(*) FROM stable WHERE kind = 'judged'")" -eq 32 ]
    run synthvlm status run
    says '32   by 32 requests; tokens: 3,200 in, 64 out; 1 unclear'
    synthvlm status run --json | grep -q '"judge":{"setup":"[0-9a-f]*","asked":32,"unclear":1,"failed":0,"requests":32,"tokens_in":3200,"tokens_out":64}'
    id=$(ask "SELECT id FROM rejected WHERE text LIKE '%bad%'")
    run synthvlm show run "$id"
    says 'rejected by llm_judge: 0, allowed: at least 0.5'
    says 'judge      answered: No'
    stable >before.txt
    stop_server     # with nobody to ask
    run curate
    [ "$status" -eq 0 ]
    says 'nothing was left to do'
    stable | diff before.txt -
}

@test "log probabilities give P(yes), which the limit is laid on" {
    captions 3 'a bad caption of a cup' 'an unsure caption of a cup'
    server logprobs
    recipe 'min: 0.3'
    curate >/dev/null
    [ "$(ask "SELECT printf('%.6f', p_yes) FROM judge_answers WHERE text LIKE '%bad%'")" = 0.100000 ]
    [ "$(ask "SELECT printf('%.6f', p_yes), keep FROM judge_answers WHERE text LIKE '%unsure%'")" = '0.400000|1' ]
    [ "$(ask "SELECT rule, printf('%.6f', value), min FROM rejected")" = 'llm_judge|0.100000|0.3' ]
    # Another limit needs no answer and leaves the list's verdicts alone.
    before=$(ask "SELECT count(*) FROM setups WHERE stage = 'curate'")
    stop_server
    run curate --set captions.judge.min=0.5 --json
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    says '"kept":3,'
    [ "$(ask "SELECT count(*) FROM setups WHERE stage = 'curate'")" -eq $((before + 1)) ]
    [ "$(ask "SELECT count(*) FROM judgements")" -eq 5 ]
    # Without the judge the list's own verdicts are in force again.
    run curate --set captions.judge=null --json
    says '"kept":5,'
}

@test "grades from 1 to 5, with a prompt of one's own" {
    captions 3 'a bad caption of a cup' 'an odd caption of a cup'
    printf 'Grade this.\nCaption: {caption}\nFrom 1 to 5?' >p.txt
    server score
    recipe 'grade: score' 'prompt: p.txt' 'min: 2.5'
    curate >/dev/null
    [ "$(ask "SELECT rule, value, min FROM rejected WHERE text LIKE '%bad%'")" = 'llm_judge|2.0|2.5' ]
    [ "$(ask "SELECT rule FROM rejected WHERE text LIKE '%odd%'")" = llm_judge_unclear ]
    [ "$(ask "SELECT DISTINCT value FROM judge_answers WHERE keep")" = 4.0 ]
    ask "SELECT json FROM setups WHERE stage = 'judge'" | grep -q 'Grade this'
}

@test "every fault of a server is overcome, and the ledger is the same as without" {
    captions 40 'a bad caption of a cup'
    server
    recipe
    curate >/dev/null
    stable >clean.txt
    stop_server
    mv run clean
    server 2:cut 5:half 9:500 13:garbage 17:text 21:huge 25:list 29:429 33:429=1 37:429date 41:slow=300 45:never
    sed -i "s|http://127.0.0.1:[0-9]*|$URL|; s|/v1/v1|/v1|; s|timeout: 5|timeout: 1|" r.yaml
    SECONDS=0
    run curate
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    [ $SECONDS -lt 25 ]
    [ $SECONDS -ge 3 ]         # the pauses that were asked for
    [ "$(asked)" -gt 48 ]
    # The address has another port, and with it other hashes.
    for f in clean/ledger.sqlite run/ledger.sqlite; do
        sqlite3 $f "SELECT number, keep, rule, value, min, text FROM verdicts ORDER BY setup, number; SELECT hex(text_sha256), outcome, answer, value FROM judgements ORDER BY 1"
    done >both.txt
    [ "$(wc -l <both.txt)" -ge 240 ]
    [ "$(head -n $(($(wc -l <both.txt) / 2)) both.txt | sha256sum)" = "$(tail -n $(($(wc -l <both.txt) / 2)) both.txt | sha256sum)" ]
    # Every question is counted; libcurl itself repeats one whose kept connection turns out to be dead, which only the server sees.
    counted=$(ask "SELECT sum(requests) FROM judgements")
    [ "$counted" -le "$(asked)" ]
    [ "$counted" -ge $(($(asked) - 3)) ]
}

@test "a caption that the server fails or refuses is recorded, and the run goes on" {
    captions 12 'a poison caption of a cup' 'a refused caption of a cup'
    server
    recipe 'retries: 1'
    run curate --json
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    says '"kept":12,'
    [ "$(ask "SELECT rule FROM rejected WHERE text LIKE '%poison%'")" = llm_judge_failed ]
    [ "$(ask "SELECT detail FROM judge_answers WHERE text LIKE '%poison%'")" = 'HTTP 500: the caption broke me' ]
    [ "$(ask "SELECT detail FROM judge_answers WHERE text LIKE '%refused%'")" = 'HTTP 400: content policy' ]
    stop_server
    run curate
    says 'nothing was left to do'
}

@test "a server that dies is given up soon; what it answered stays and is not asked again" {
    captions 60
    server 31-99999:500
    recipe 'retries: 1' 'concurrency: 4'
    SECONDS=0
    fails_with 4 curate
    says 'only fails: HTTP 500: out of order'
    [ $SECONDS -lt 15 ]
    [ "$(ask "SELECT count(*) FROM judgements")" -eq 30 ]
    [ "$(ask "SELECT count(*) FROM judgements WHERE outcome = 'failed'")" -eq 0 ]
    stop_server
    fails_with 4 curate        # nobody listens
    says 'only fails'
    [ "$(ask "SELECT count(*) FROM judgements")" -eq 30 ]
    # The same address again: only the rest is asked.
    JUDGE_SERVER_PORT=$PORT server
    run curate --json
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    [ "$(asked)" -eq 30 ]
    says '"kept":60,'
}

@test "killed while asking: answers of more than a second ago stay" {
    captions 200
    server '*:slow=100'
    recipe 'concurrency: 4'
    synthvlm curate r.yaml -o run >/dev/null 2>&1 &
    pid=$!
    sleep 3
    kill -9 $pid
    wait $pid || true
    kept=$(ask "SELECT count(*) FROM judgements")
    [ "$kept" -ge 20 ]
    before=$(asked)
    [ "$before" -lt 200 ]
    run curate --json
    [ "$status" -eq 0 ]
    says '"kept":200,'
    [ "$(asked)" -eq $((before + 200 - kept)) ]
    stable >broken.txt
    rm -r run
    curate >/dev/null
    stable | diff broken.txt -
}

@test "Ctrl-C keeps every answer and ends with 130" {
    captions 200
    server '*:slow=100'
    recipe 'concurrency: 4'
    synthvlm curate r.yaml -o run >out.txt 2>&1 &
    pid=$!
    sleep 2
    kill -INT $pid
    wait $pid && code=0 || code=$?
    [ $code -eq 130 ]
    [ "$(ask "SELECT count(*) FROM judgements")" -ge $(($(asked) - 5)) ]
}

@test "requests at once grow to the limit and not beyond" {
    captions 120
    server '*:slow=20'
    recipe 'concurrency: 9'
    curate >/dev/null
    most=$(awk '$2 > m { m = $2 } END { print m }' server.log)
    [ "$most" -gt 6 ]
    [ "$most" -le 9 ]
}

@test "a server without log probabilities is asked without them" {
    captions 20 'a bad caption of a cup'
    server '*:nologprobs'
    recipe
    run curate --json
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    says '"kept":20,'
    [ "$(ask "SELECT count(*) FROM judgements WHERE outcome = 'answered' AND p_yes IS NULL")" -eq 21 ]
}

@test "the key comes from the environment and is written nowhere" {
    captions 4
    server
    recipe 'api_key_env: SECRET_OF_TEST'
    fails_with 2 curate
    says 'the environment variable SECRET_OF_TEST is not set'
    SECRET_OF_TEST='two words' fails_with 2 curate
    says 'is no key'
    export SECRET_OF_TEST=sk-verysecret123
    curate >out.txt 2>&1
    grep -q ' sk-verysecret123 ' server.log
    stop_server
    server '*:401'
    sed -i "s|http://127.0.0.1:[0-9]*|http://127.0.0.1:$PORT|" r.yaml
    fails_with 4 curate
    says 'refuses the key: HTTP 401: Incorrect API key provided: *'
    [ "$(asked)" -le 4 ]
    echo "$output" >>out.txt
    ! grep -r verysecret out.txt run
    unset SECRET_OF_TEST
}

@test "wrong settings end at the first answers" {
    captions 50
    server '*:400'
    recipe
    fails_with 4 curate
    says 'HTTP 400: there is no model of that name'
    [ "$(asked)" -lt 20 ]
    [ "$(ask "SELECT count(*) FROM judgements")" -eq 0 ]
    stop_server
    server '*:301'
    recipe
    fails_with 4 curate
    says 'sends elsewhere'
    stop_server
    server '*:429=3600'
    recipe
    fails_with 4 curate
    says 'asks for a long pause'
}

@test "a caption that is always told to wait does not end a run that has asked all others" {
    captions 12 'a throttled caption of a cup'
    server
    recipe 'retries: 0'
    run curate --json
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    says '"judged":13,"kept":12,'
    [ "$(ask "SELECT rule FROM rejected")" = llm_judge_failed ]
    [ "$(ask "SELECT detail FROM judge_answers WHERE keep = 0")" = 'HTTP 429: slow down' ]
}

@test "a grown file, another list, a later earlier duplicate: only new texts are asked about" {
    captions 10 'a bad caption of a cup'
    server
    recipe
    sed -i 's/process: .*/process: [{whitespace_normalization_mapper: }, {document_deduplicator: {lowercase: true}}]/' r.yaml
    curate >/dev/null
    [ "$(asked)" -eq 11 ]
    printf '%s\n' 'A RED apple lies beside cup number 3.' 'A green pear stands in a bowl.' 'another bad caption' >>c.txt
    run curate --json
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    says '"captions":14,"added":3,"repeated":11,"faults":0,"judged":14,"kept":11,'
    [ "$(asked)" -eq 13 ]
    [ "$(ask "SELECT group_concat(n, ' ') FROM (SELECT rule || '=' || count(*) AS n FROM rejected GROUP BY rule ORDER BY 1)")" = 'document_deduplicator=1 llm_judge=2' ]
    # Another list and back again: the rows of the first one are as they were.
    stable | grep -v '^source|\|^caption|\|^setup|\|^current|' >grown.txt
    run curate --set 'captions.process=[]' --json
    says '"kept":12,'
    [ "$(asked)" -eq 14 ]
    curate >/dev/null
    stable | grep -v '^source|\|^caption|\|^setup|\|^current|' | grep -F -f <(cut -d'|' -f1,2 grown.txt) | diff grown.txt -
}

@test "what the judge keeps is balanced; another cap asks nothing again" {
    captions 30
    server
    recipe
    curate --set 'captions.balance={cap: 8, concepts: [{list: objects}]}' >/dev/null
    [ "$(ask 'SELECT count(*) FROM judgements')" -eq 30 ]
    [ "$(ask "SELECT DISTINCT captions FROM concept_counts WHERE name = 'apple'")" -eq 30 ]
    [ "$(ask "SELECT count(*) > 0 AND count(*) < 30 FROM rejected WHERE rule = 'balance' AND max = 8")" -eq 1 ]
    [ "$(ask 'SELECT count(*) FROM judge_answers')" -eq 30 ]
    synthvlm show run 1 --json | grep -q '"answer"'
    before=$(asked)
    curate --set 'captions.balance={cap: 30, concepts: [{list: objects}]}' >/dev/null
    [ "$(asked)" -eq "$before" ]
    [ "$(ask 'SELECT count(*) FROM kept')" -eq 30 ]
    [ "$(ask "SELECT count(*) FROM setups WHERE stage = 'concepts'")" -eq 1 ]
}
