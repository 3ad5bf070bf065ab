#!/bin/sh
# scores.sh [BUILD]: CPU time of resizing and SSIM on decoded arrays, one thread, and CLIP's pictures per second by batch (bundled model, one thread).
# Set REFERENCE to a Python that has Pillow and scikit-image to run these on the same arrays, compare the values, and print the ratios.
set -e
cd "$(dirname "$0")/.."
build=${1:-build}
ninja -C "$build" tests/bench_scores >/dev/null
grep -m1 'model name' /proc/cpuinfo 2>/dev/null || uname -m
"$build/synthvlm" --version | head -n 1
if [ -n "$REFERENCE" ]; then "$build/tests/bench_scores" models/tabletop/clip | "$REFERENCE" bench/scores_reference.py
else "$build/tests/bench_scores" models/tabletop/clip; fi
