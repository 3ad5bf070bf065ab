# common.bash - loaded by every end-to-end test: `load common`. Run by `make test`, or alone: SYNTHVLM=$PWD/build/synthvlm bats tests/e2e/NAME.bats
#
# $ROOT the repository, $SYNTHVLM the program (also first on the PATH), $T an empty directory of the test's own, which is where it starts.

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
SYNTHVLM=${SYNTHVLM:-$ROOT/build/synthvlm}
PATH=$(dirname "$SYNTHVLM"):$PATH
export ROOT SYNTHVLM PATH LC_ALL=C.UTF-8

setup() {
    T=$BATS_TEST_TMPDIR
    cd "$T" || return 1
}

# fails_with CODE COMMAND…: the command must end with this exit code. Its stdout and stderr are in $output.
fails_with() {
    local code=$1
    shift
    run "$@"
    if [ "$status" -ne "$code" ]; then
        printf 'expected exit code %s, got %s from: %s\n%s\n' "$code" "$status" "$*" "$output"
        return 1
    fi
}

# says TEXT: $output contains it.
says() {
    case $output in
    *"$1"*) ;;
    *) printf 'expected to read: %s\nin: %s\n' "$1" "$output"; return 1 ;;
    esac
}
