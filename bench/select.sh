#!/usr/bin/env bash
# Top-K over millions of scored candidates: makes a ledger of a run whose pictures exist on paper only, four candidates a caption with two scores each,
# and selects from it. What is measured reads the ledger as any run's.
#   bench/select.sh [BUILD [CANDIDATES]]      default: build, 10000000 (3 GB in $TMPDIR, some minutes to make)
#   LEDGER=DIR bench/select.sh …              keeps the run directory DIR, and makes it only if it is not there
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-build}")/synthvlm
candidates=${2:-10000000}
captions=$((candidates / 4))
scratch=$(mktemp -d "${TMPDIR:-/tmp}/synthvlm-select-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
run=${LEDGER:-$scratch/run}

make_ledger() {
    printf '{"id":"a","caption":"a red cube"}\n' >"$scratch/pool.jsonl"
    cat >"$scratch/bench.yaml" <<'YAML'
captions: {sources: [{path: pool.jsonl}]}
generate: {model: no-model}
score: {clip: {model: no-model}}
select: {keep: 10%}
export: []
YAML
    "$program" curate "$scratch/bench.yaml" -o "$run" >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
    sqlite3 "$run/ledger.sqlite" <<SQL
PRAGMA journal_mode = off; PRAGMA synchronous = off; PRAGMA cache_size = -400000;
BEGIN;
DELETE FROM captions; DELETE FROM verdicts; DELETE FROM samples;
INSERT INTO origins(id, origin, license) SELECT 100 + value, 'source ' || value, 'CC0-1.0' FROM generate_series(1, 4);
INSERT INTO setups(id, stage, name, hash, json) VALUES (100, 'generate', '', 'aa', '{}'), (101, 'score', 'clip', 'bb', '{}'), (102, 'score', 'ssim', 'cc', '{}');
INSERT INTO current VALUES ('generate', '', 100), ('score', 'clip', 101), ('score', 'ssim', 102);
INSERT INTO captions SELECT value, printf('cap-%09d', value), 'A photo of a big red cube, a small blue cube and a small matte purple block.', 1, value,
    101 + value % 4 FROM generate_series(1, $captions);
INSERT INTO verdicts(setup, number, keep) SELECT curate, value, 1 FROM now, generate_series(1, $captions);
INSERT INTO samples SELECT sample, value FROM now, generate_series(1, $captions);
INSERT INTO candidates SELECT 100, value / 4, value % 4, abs(random()) % 4294967296, 'ok', NULL, NULL,
    printf('images/aaaaaaaa/%05d/%09d-%d.jpg', value / 40000, value / 4, value % 4), 20000, randomblob(32), 512, 512, 0
    FROM generate_series(4, 4 * $captions + 3);
INSERT INTO scores SELECT 101, 100, value / 4, value % 4, 0.2 + abs(random()) / 6e19 FROM generate_series(4, 4 * $captions + 3);
INSERT INTO scores SELECT 102, 100, value / 4, value % 4, 0.7 + abs(random()) / 4e19 FROM generate_series(4, 4 * $captions + 3);
INSERT INTO hashes(generate, number, k, phash, dhash) SELECT 100, value / 4, value % 4, random(), random() FROM generate_series(4, 4 * $captions + 3);
COMMIT;
SQL
}

# Seconds of the wall clock and of the processor, and the most memory held, of one command.
measure() {
    local what=$1
    shift
    /usr/bin/time -o "$scratch/time" -f '%e s, %U s user, %S s system, %M kB' "$@" >"$scratch/out" 2>&1 || { cat "$scratch/out"; exit 1; }
    printf '%-34s %s\n' "$what" "$(tail -1 "$scratch/time")"
}

[ -e "$run/ledger.sqlite" ] || make_ledger
"$program" --version | head -1
printf '%d candidates with two scores, %s of ledger, %s\n' "$candidates" "$(du -h "$run/ledger.sqlite" | cut -f1)" \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"
measure 'keep 10%' "$program" select "$run" --set "select.keep=$((RANDOM % 90000 + 955000))e-7"
measure 'other weights' "$program" select "$run" --set "score.weights.ssim=0.$((RANDOM + 10000))"
measure 'status' "$program" status "$run"
