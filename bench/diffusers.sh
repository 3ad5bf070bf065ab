#!/bin/sh
# diffusers.sh [IMAGES [MODEL_DIR]] - images per second of CPU time on one thread, beside diffusers in PyTorch on the same weights, seeds and settings; and
# how far the pictures are from each other. MODEL_DIR: a Stable Diffusion 1.x or 2.x directory, models/tabletop by default.
# PYTHON=… names a Python that has what bench/diffusers_torch.py needs; without one only synthvlm is timed.
set -eu
cd "$(dirname "$0")/.."
n=${1:-6} model=${2:-models/tabletop}
program=${SYNTHVLM:-build/synthvlm}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -n "$n" recipes/demo-captions.jsonl | sed -n 's/.*"caption": "\(.*\)", "source".*/\1/p' |
    awk '{ printf "{\"prompt\": \"%s\", \"seed\": %d, \"steps\": 20, \"guidance\": 5.0, \"width\": 128, \"height\": 128, \"image\": \"%d.png\"}\n", $0, NR, NR }' >"$work/jobs.jsonl"
n=$(wc -l <"$work/jobs.jsonl")
{ time -p "$program" txt2img -m "$model" --jobs "$work/jobs.jsonl" --workers 1 -o "$work/out" >/dev/null; } 2>"$work/time"
awk -v n="$n" '{ s[$1] = $2 } END { printf "synthvlm, 1 thread: %d images  %6.2f s  %5.2f images/s, %.2f images per second of CPU, start-up included\n", n, s["real"], n / s["real"],
    n / (s["user"] + s["sys"]) }' "$work/time"
[ -n "${PYTHON:-}" ] || exit 0
OMP_NUM_THREADS=1 "$PYTHON" bench/diffusers_torch.py "$model" "$work/jobs.jsonl" "$work/out"
