#!/bin/sh
# pipeline.sh [CAPTIONS] - images per second of a whole run beside the Python stack on the same model, captions, steps and cores.
# PYTHON=… names a Python that has what bench/python_pipeline.py needs; without one only synthvlm is timed.
set -eu
cd "$(dirname "$0")/.."
n=${1:-12}
program=${SYNTHVLM:-build/synthvlm}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -n "$n" recipes/demo-captions.jsonl | sed 's/"caption"/"prompt"/' >"$work/prompts.jsonl"
sed -n 's/.*"caption": "\(.*\)", "source".*/{"caption": "\1"}/p' recipes/demo-captions.jsonl | head -n "$n" >"$work/captions.jsonl"
now() { date +%s.%N; }
images=$(($(wc -l <"$work/captions.jsonl") * 4))
begin=$(now)
"$program" run recipes/demo.yaml -o "$work/run" --set "captions={sources: [{path: $work/captions.jsonl}]}" --set select.keep=100% >/dev/null
end=$(now)
echo "$begin $end $images" | awk '{ printf "synthvlm         %d images  %6.2f s  %5.2f images/s, start-up, selection, export and verification included\n", $3, $2 - $1, $3 / ($2 - $1) }'
[ -n "${PYTHON:-}" ] || exit 0
begin=$(now)
"$PYTHON" bench/python_pipeline.py models/tabletop "$work/prompts.jsonl" "$work/python" >/dev/null
end=$(now)
echo "$begin $end $images" | awk '{ printf "Python stack     %d images  %6.2f s  %5.2f images/s, imports included\n", $3, $2 - $1, $3 / ($2 - $1) }'
