#!/usr/bin/env bash
# Near-duplicate search: pictures entered and asked for per second of CPU time, and memory, at every distance.
#   bench/hash_index.sh [BUILD [COUNT]]      default: build, 1000000
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${1:-build}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -Iinclude -Isrc bench/hash_index.c src/image/hash_index.c src/base/error.c -o "$scratch/bench" 2>"$scratch/log" ||
    { cat "$scratch/log"; exit 1; }
grep -m1 'model name' /proc/cpuinfo || uname -m
"$build/synthvlm" --version | head -1
"$scratch/bench" "${2:-1000000}"
