load common

# 40,000 captions of two sources; colours and counts in them.
pool() {
    awk 'BEGIN { split("red blue green teal", c); split("two three many", n)
        for (i = 0; i < 40000; i++) printf "{\"id\":\"%d\",\"caption\":\"caption %d of a %s cube%s\",\"source\":\"%s\"}\n", i, i, c[1 + i % 4],
            i % 9 ? "" : " and " n[1 + i % 3] " balls", i % 5 ? "large" : "small" }' >pool.jsonl
    cat >r.yaml <<END
seed: 3
captions:
  sources: [{path: pool.jsonl}]
  sample: 500
  balance: {cap: 2000, others: 10, concepts: [{list: colours}, {list: counts, quota: 40}]}
generate: {model: m}
score: {weights: {clip: 0}}
END
}

stable() { sqlite3 "$1/ledger.sqlite" 'SELECT kind, key, value FROM stable ORDER BY 1, 2, 3' | sha256sum; }

@test "a balanced curation that is killed at random instants ends like an unbroken one" {
    pool
    synthvlm curate r.yaml -o whole >/dev/null
    local kills=0
    for i in $(seq 1 8); do
        synthvlm curate r.yaml -o broken >/dev/null 2>&1 &
        pid=$!
        sleep "$(awk -v s="$RANDOM" 'BEGIN { printf "%.3f", 0.02 + s / 32768 * 0.4 }')"
        if kill -9 $pid 2>/dev/null; then kills=$((kills + 1)); fi
        wait $pid || true
    done
    [ $kills -gt 0 ]
    synthvlm curate r.yaml -o broken >/dev/null
    [ "$(stable whole)" = "$(stable broken)" ]
    # what is counted apart adds up, too
    [ "$(synthvlm status whole --json | sed 's/.*"by_source"/"by_source"/')" = "$(synthvlm status broken --json | sed 's/.*"by_source"/"by_source"/')" ]
}

@test "every source's share is told" {
    pool
    run synthvlm curate r.yaml -o run
    [ "$status" -eq 0 ]
    says 'by concept'
    run synthvlm status run
    says 'by source'
    says 'large'
    [ "$(sqlite3 run/ledger.sqlite "SELECT name, captions FROM by_source ORDER BY 1" | tr '\n' ' ')" = 'large|32000 small|8000 ' ]
    [ "$(sqlite3 run/ledger.sqlite "SELECT sum(sampled) FROM by_source")" -eq 500 ]
    # a pool that grows is counted anew
    echo '{"id": "new", "caption": "a purple cube", "source": "late"}' >late.jsonl
    synthvlm curate r.yaml -o run --set 'captions.sources=[{path: pool.jsonl}, {path: late.jsonl}]' >/dev/null
    [ "$(sqlite3 run/ledger.sqlite "SELECT name, captions, kept FROM by_source WHERE name = 'late'")" = 'late|1|1' ]
}

@test "Parquet comes in by standard input, too" {
    if ! synthvlm --version | grep '^duckdb' | grep -vq 'not found'; then skip 'there is no DuckDB library: tools/setup.sh parquet fetches it'; fi
    pool
    synthvlm curate r.yaml -o run --set 'captions.sources=[{path: "-"}]' --set 'captions.balance=null' <"$ROOT/tests/golden/pools/captions.parquet" >/dev/null
    [ "$(sqlite3 run/ledger.sqlite 'SELECT count(*) FROM captions')" -eq 36 ]
}
