# The house itself: set-up, installation, and the runner of text cases.
load common

@test "set-up has nothing to say or do when all is there" {
    run "$ROOT/tools/setup.sh" test
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "set-up refuses a download that is not the pinned file, naming it and both hashes" {
    . /etc/os-release
    [ "$ID:$VERSION_ID" = debian:12 ] || skip 'only Debian 12 downloads anything'
    mkdir -p tree files
    cp -r "$ROOT/tools" tree/
    arch=$(dpkg --print-architecture)
    file=$(awk -v a="$arch" '$1 == "wheel" && $4 == a { print $6 }' tree/tools/deps.lock)
    wanted=$(awk -v a="$arch" '$1 == "wheel" && $4 == a { print $5 }' tree/tools/deps.lock)
    echo 'not a wheel' >"files/$file"
    SYNTHVLM_DOWNLOADS=$T/files fails_with 3 tree/tools/setup.sh
    says "$file"
    says "wanted $wanted"
    says "found $(sha256sum "files/$file" | cut -d' ' -f1)"
    [ ! -e tree/.deps/stamp ]
    [ -z "$(ls -d tree/.deps/tmp.* 2>/dev/null)" ]
}

@test "an installed program runs with the libraries installed beside it" {
    DESTDIR=$T/dest meson install -C "$(dirname "$SYNTHVLM")" --no-rebuild --quiet
    program=$(find dest -name synthvlm -type f -perm /100)
    run env -u SYNTHVLM_ONNXRUNTIME "$program" --version
    [ "$status" -eq 0 ]
    says 'synthvlm '
    [ -e "$(find dest -name status.h)" ]
}

@test "the runner of text cases notices what is wrong" {
    printf '%s\n' '== right' '$ echo "{\"a\": 1.0, \"b\": [1, 2]}"' '> {"b": [1, 2], "a": 1}' \
        '== a field differs' '$ echo "{\"a\": 1}"' '>> {"a": 2}' \
        '== a field too many' '$ echo "{\"a\": 1, \"b\": 1}"' '> {"a": 1}' \
        '== a line too many' '$ echo one; echo two' '> one' \
        '== a line too few' '$ echo one' '> one' '> two' \
        '== exit code' '$ exit 3' 'exit 2' \
        '== stderr' '$ echo oh >&2' '! ah' \
        '== out of tolerance' '$ echo "[1.01]"' 'tolerance 0.001' '> [1]' \
        '== within tolerance' '$ echo "[1.01]"' 'tolerance 0.1' '> [1]' \
        '== killed' '$ kill -9 $$' >bad.test
    fails_with 1 "$(dirname "$SYNTHVLM")/tests/run_cases" "$(dirname "$SYNTHVLM")" bad.test
    says '2 passed, 8 failed'
    echo 'nonsense' >none.test
    fails_with 2 "$(dirname "$SYNTHVLM")/tests/run_cases" "$(dirname "$SYNTHVLM")" none.test
}
