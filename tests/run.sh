#!/bin/sh
# run.sh BUILD_DIR [unit] [cases] [e2e] - runs the tests of a finished build: what failed in full, a line a part, and at the end "N passed, N failed, N skipped".
# RESULTS=FILE: the three numbers are added to that file too (for .ci/run).
set -eu
cd "$(dirname "$0")/.."
build=$1
shift
jobs=$(nproc)
all_passed=0 all_failed=0 all_skipped=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# A memory error ends the test; ONNX Runtime's own leaks at exit are not ours (tests/lsan.supp).
export ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:allocator_may_return_null=1"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
export LSAN_OPTIONS="suppressions=$PWD/tests/lsan.supp:print_suppressions=0"

totals() { [ "$3" = 0 ] && echo "$1 passed, $2 failed" || echo "$1 passed, $2 failed, $3 skipped"; }

count() {   # count PART PASSED FAILED [SKIPPED]
    printf '%-6s %s\n' "$1:" "$(totals "$2" "$3" "${4:-0}")"
    all_passed=$((all_passed + $2)) all_failed=$((all_failed + $3)) all_skipped=$((all_skipped + ${4:-0}))
}

# The counts are those of the single tests, from cmocka's TAP output. A program that dies counts the tests that it did not report as failed.
unit() {
    names=$(cd "$build/tests" && find . -maxdepth 1 -type f -name 'test_*' -perm /100 | sed 's|^\./||' | sort)
    [ -n "$names" ] || { echo "no unit tests in $build/tests: is cmocka there? (tools/setup.sh test)" >&2; count unit 0 1; return; }
    # shellcheck disable=SC2086,SC2016
    printf '%s\n' $names | xargs -P "$jobs" -I{} sh -c \
        'CMOCKA_MESSAGE_OUTPUT=TAP "$1/tests/$3" </dev/null >"$2/$3.out" 2>"$2/$3.err"; echo $? >"$2/$3.rc"' - "$build" "$work" {} || true
    passed=0 failed=0 skipped=0
    for name in $names; do
        rc=$(cat "$work/$name.rc")
        plan=$(cat "$work/$name.out" "$work/$name.err" | sed -n 's/^1\.\.\([0-9][0-9]*\).*/\1/p' | awk '{ n += $1 } END { print n + 0 }')
        # cmocka 1.1.5 calls a skipped test "not ok N # SKIP NAME", later ones "ok".
        out=$(cat "$work/$name.out" "$work/$name.err" | grep -E '^(not )?ok ' || true)
        skip=$(printf '%s\n' "$out" | grep -ci '# *skip' || true)
        good=$(printf '%s\n' "$out" | grep -vi '# *skip' | grep -c '^ok ' || true)
        printf '%s\n' "$out" | sed -n "s/^.*# *SKIP */skipped: $name: /p"
        bad=$((plan - good - skip))
        [ "$rc" = 0 ] || [ $bad -gt 0 ] || bad=1
        [ "$plan" -gt 0 ] || bad=1
        passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skip))
        [ $bad = 0 ] || { echo "FAILED $name (exit code $rc)"; grep -hv -E '^(ok |1\.\.)' "$work/$name.out" "$work/$name.err" | head -n 200 | sed 's/^/  /'; }
    done
    count unit $passed $failed $skipped
}

cases() {
    if "$build/tests/run_cases" -j "$jobs" "$build" tests/cases/*.test >"$work/cases.out" 2>"$work/cases.err"; then :; fi
    last=$(tail -n 1 "$work/cases.out")
    cat "$work/cases.err"
    case $last in
    *' passed, '*' failed')
        sed '$d' "$work/cases.out"
        failed=${last#* passed, }
        count cases "${last%% *}" "${failed%% *}" ;;
    *) cat "$work/cases.out"; count cases 0 1 ;;
    esac
}

e2e() {
    rc=0
    SYNTHVLM="$PWD/$build/synthvlm" bats --tap tests/e2e >"$work/e2e.out" 2>&1 </dev/null || rc=$?
    plan=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$work/e2e.out")
    skipped=$(grep -c '^ok .* # skip' "$work/e2e.out" || true)
    passed=$(($(grep -c '^ok ' "$work/e2e.out" || true) - skipped))
    failed=$((${plan:-0} - passed - skipped))
    [ $rc = 0 ] || [ $failed -gt 0 ] || failed=1
    [ "${plan:-0}" -gt 0 ] || failed=1
    [ $failed = 0 ] || grep -v -E '^(ok |1\.\.)' "$work/e2e.out"
    grep '^ok .* # skip' "$work/e2e.out" | sed 's/^ok [0-9]* /skipped: /' || true
    count e2e "$passed" $failed "$skipped"
}

for part in "$@"; do
    case $part in
    unit | cases | e2e) $part ;;
    *) echo "unknown part of the tests: $part" >&2; exit 2 ;;
    esac
done
[ -z "${RESULTS:-}" ] || echo "$all_passed $all_failed $all_skipped" >>"$RESULTS"
totals $all_passed $all_failed $all_skipped
[ $all_failed = 0 ] && [ $all_passed -gt 0 ]
