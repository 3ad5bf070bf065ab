#!/bin/sh
# run.sh BUILD_DIR SECONDS [TARGET…] - runs each fuzz target (two at a time) from its seeds for so many seconds. A target that finds a fault is
# printed with its input, which is kept in BUILD_DIR/faults. Ends with "N passed, N failed"; RESULTS=FILE as in tests/run.sh.
set -eu
cd "$(dirname "$0")/../.."
build=$1 seconds=$2
shift 2
if [ $# = 0 ]; then
    # shellcheck disable=SC2046
    set -- $(cd "$build/tests" && find . -maxdepth 1 -type f -name 'fuzz_*' -perm /100 | sed 's|^\./fuzz_||' | sort)
fi
[ $# -gt 0 ] || { echo "no fuzz targets in $build/tests" >&2; exit 2; }
mkdir -p "$build/faults" "$build/corpus"

export ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1:detect_stack_use_after_return=0"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
export LSAN_OPTIONS="suppressions=$PWD/tests/lsan.supp:print_suppressions=0"
# shellcheck disable=SC2016
printf '%s\n' "$@" | xargs -P 2 -I{} sh -c '
    mkdir -p "$1/corpus/$3"
    seeds=; [ ! -d "tests/fuzz/corpus/$3" ] || seeds=tests/fuzz/corpus/$3
    dict=; [ ! -e "tests/fuzz/$3.dict" ] || dict=-dict=tests/fuzz/$3.dict
    "$1/tests/fuzz_$3" -max_total_time="$2" -timeout=25 -rss_limit_mb=2048 -malloc_limit_mb=1024 -close_fd_mask=1 -print_final_stats=1 $dict \
        -artifact_prefix="$1/faults/$3-" "$1/corpus/$3" $seeds >"$1/fuzz-$3.log" 2>&1 </dev/null; echo $? >"$1/fuzz-$3.rc"' \
    - "$build" "$seconds" {} || true

passed=0 failed=0
for name in "$@"; do
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/fuzz-$name.log")
    if [ "$(cat "$build/fuzz-$name.rc")" = 0 ] && [ "${runs:-0}" -gt 0 ]; then
        passed=$((passed + 1))
        printf 'fuzz %-16s %s inputs, no fault\n' "$name" "$runs"
    else
        failed=$((failed + 1))
        echo "FAILED fuzz $name; its last words:"
        tail -n 60 "$build/fuzz-$name.log" | sed 's/^/  /'
    fi
done
[ -z "${RESULTS:-}" ] || echo "$passed $failed" >>"$RESULTS"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
