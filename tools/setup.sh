#!/bin/sh
# setup.sh [build|test|fuzz|parquet] - makes this machine ready to build (default), to test, or to fuzz, or fetches what reads Parquet. The only
# set-up script there is.
#
#  1. Debian packages: installs those that are missing (as root), or says which they are. No apt call when all are there.
#  2. What Debian 12 does not package goes to .deps/, pinned in tools/deps.lock by version and SHA-256: the ONNX Runtime library, its
#     C header and yyjson. On Debian 13 and later these are ordinary packages.
#
#  3. For `test`, `fuzz` and `parquet`: DuckDB's library, which reads Parquet files, from the npm package that carries it, pinned likewise. It is needed
#     for nothing else, so where there is no npm (or no network) `test` and `fuzz` say so and go on; the tests of Parquet are then skipped.
#
# Safe to run at any time, twice at once, and after an interruption: .deps/stamp is written last, and without it all is fetched anew.
#
# Environment: SYNTHVLM_SKIP_SETUP=1     do nothing (the libraries come from elsewhere: see docs/BUILDING.md)
#              SYNTHVLM_DOWNLOADS=DIR    take the files named in tools/deps.lock from DIR instead of the network
set -eu
umask 022

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 3; }

[ -z "${SYNTHVLM_SKIP_SETUP:-}" ] || exit 0
root=$(cd "$(dirname "$0")/.." && pwd)
deps=$root/.deps
lock=$root/tools/deps.lock
group=${1:-build}

# ---- which machine ----

command -v dpkg-query >/dev/null 2>&1 || die "this script knows Debian and its kin only. Install the libraries that meson.build names by" \
    "other means (docs/BUILDING.md), then run make with SYNTHVLM_SKIP_SETUP=1"
ID='' VERSION_ID='' VERSION_CODENAME=''
# shellcheck disable=SC1091
[ ! -r /etc/os-release ] || . /etc/os-release
old_debian=no
if [ "$ID" = debian ] && [ -n "$VERSION_ID" ]; then
    [ "$VERSION_ID" -ge 12 ] || die "Debian $VERSION_ID is too old: its libraries and compiler do not do. Debian 12 or later is needed"
    [ "$VERSION_ID" -gt 12 ] || old_debian=yes
fi

packages='gcc libc6-dev make meson ninja-build pkg-config ca-certificates libarchive-dev libcurl4-openssl-dev libfyaml-dev libjpeg-dev
    libpcre2-dev libpng-dev libsqlite3-dev libssl-dev libutf8proc-dev libwebp-dev libxxhash-dev libzstd-dev zlib1g-dev'
[ $old_debian = yes ] || packages="$packages libonnxruntime-dev libyyjson-dev"
case $group in
build | parquet) ;;
test) packages="$packages bats libcmocka-dev sqlite3" ;;
fuzz) packages="$packages bats libcmocka-dev sqlite3 clang"
    if [ $old_debian = yes ]; then packages="$packages libclang-rt-14-dev"; else packages="$packages libclang-rt-dev"; fi ;;
*) say "unknown group '$group': build, test, fuzz or parquet"; exit 2 ;;
esac

# ---- is .deps/ what the lock file asks for? ----

stamp_text() {   # what .deps/stamp holds when .deps/ is complete
    printf 'layout 1, packaged %s\n' "$old_debian"
    [ $old_debian = no ] || grep -v -e '^#' -e '^npm ' "$lock"
}
deps_ready() {
    [ -r "$deps/stamp" ] && [ "$(stamp_text)" = "$(cat "$deps/stamp")" ] || return 1
    [ $old_debian = yes ] || return 0
    [ -e "$deps/include/onnxruntime/onnxruntime_c_api.h" ] && [ -e "$deps/include/yyjson.h" ] &&
        [ -e "$deps/lib/libonnxruntime.so.1" ] && [ -e "$deps/lib/libyyjson.so" ]
}
fetch=no
deps_ready || fetch=$old_debian
# pip and its Python are needed only to fetch the wheel, and not for a file that is given.
wheel=$(awk '$1 == "wheel" { print $6; exit }' "$lock")
if [ $fetch = yes ] && [ ! -e "${SYNTHVLM_DOWNLOADS:-/nowhere}/$wheel" ] && ! python3 -m pip --version >/dev/null 2>&1; then
    packages="$packages python3-pip"
fi

# ---- 1. packages ----

missing=''
# dpkg-query fails when a name is unknown to it; the names it does print are what counts. An architecture suffix is cut off.
# shellcheck disable=SC2086
have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null | sed -n 's/^installed //p' | tr '\n' ' ') || true
for p in $packages; do
    case " $have " in *" $p "*) ;; *) missing="$missing $p" ;; esac
done
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null 2>&1 || die "these packages are missing, and there is no apt-get to install them:$missing"
    if [ "$(id -u)" != 0 ]; then
        say 'some Debian packages are missing. Please have them installed:'
        say ''
        say "    sudo apt-get update && sudo apt-get install --no-install-recommends$missing"
        say ''
        say 'then run the same command again.'
        exit 3
    fi
    # shellcheck disable=SC2086
    say "installing $(echo $missing | wc -w) Debian packages:$missing"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    # An update that fails half-way (one mirror of several) may still be enough for what we need: the install decides.
    apt-get -qq -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 || true
    # shellcheck disable=SC2086
    if ! DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install $missing >>"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        die "apt-get could not install them (its last words are above)"
    fi
    rm -f "$log"
    trap - EXIT
fi

# ---- 3. DuckDB's library ----

no_parquet() {   # what is missing is told; only who asked for it by name is stopped
    [ "$group" != parquet ] || die "$*"
    say "$*. Parquet files cannot be read and their tests are skipped; all else works"
    exit 0
}
# The last step: npm fetches the package, the library is taken out of it.
parquet_and_exit() {
    [ "$group" != build ] || exit 0
    arch=$(dpkg --print-architecture)
    pin=$(awk -v arch="$arch" '$1 == "npm" && $4 == arch' "$lock")
    [ -n "$pin" ] || no_parquet "no DuckDB library is pinned in tools/deps.lock for the architecture $arch"
    # shellcheck disable=SC2086
    set -- $pin
    if [ -e "$deps/lib/libduckdb.so" ] && [ "$(cat "$deps/parquet.stamp" 2>/dev/null)" = "$pin" ]; then exit 0; fi
    fetched=$(mktemp -d "$deps/tmp.XXXXXX")
    trap 'rm -rf "$fetched"' EXIT
    if [ -n "${SYNTHVLM_DOWNLOADS:-}" ] && [ -e "$SYNTHVLM_DOWNLOADS/$6" ]; then
        cp "$SYNTHVLM_DOWNLOADS/$6" "$fetched/"
    else
        command -v npm >/dev/null 2>&1 || no_parquet "there is no npm to fetch DuckDB's library with (with the file $6 at hand: SYNTHVLM_DOWNLOADS=DIR)"
        say 'fetching the library of DuckDB, which reads Parquet, into .deps/ (24 MB, once)'
        (cd "$fetched" && npm pack --silent "$2@$3" >npm.log 2>&1 </dev/null) || {
            cat "$fetched/npm.log" >&2
            no_parquet "npm could not fetch $2@$3 (its words are above)"
        }
    fi
    found=$(sha256sum "$fetched/$6" 2>/dev/null | cut -d' ' -f1)
    [ "$found" = "$5" ] || die "$6 is not the file that tools/deps.lock asks for: SHA-256 wanted $5, found ${found:-no such file}"
    tar -xzf "$fetched/$6" -C "$fetched" package/libduckdb.so || die "cannot unpack $6"
    rm -f "$deps/parquet.stamp"
    mv "$fetched/package/libduckdb.so" "$deps/lib/"
    printf '%s\n' "$pin" >"$deps/parquet.stamp"
    exit 0
}

# ---- 2. .deps/ ----

deps_ready && parquet_and_exit
mkdir -p "$deps" || die "cannot make $deps: it is needed for libraries that Debian does not package"
exec 9>"$deps/lock"
flock 9          # a second set-up waits for the first and then finds the work done
deps_ready && parquet_and_exit
if [ $old_debian = no ]; then
    mkdir -p "$deps/include" "$deps/lib"
    stamp_text >"$deps/stamp"
    parquet_and_exit
fi

rm -rf "$deps"/tmp.*        # left by an interrupted set-up: we hold the lock, nobody uses them
tmp=$(mktemp -d "$deps/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP
arch=$(dpkg --print-architecture)
grep -q " $arch " "$lock" || die "no versions are pinned in tools/deps.lock for the architecture $arch (there are:$(awk '!/^#/ { print $4 }' "$lock" |
    sort -u | tr '\n' ' ' | sed 's/^/ /; s/ $//')). Install ONNX Runtime and yyjson yourself (docs/BUILDING.md) and use SYNTHVLM_SKIP_SETUP=1"
say 'fetching ONNX Runtime and yyjson into .deps/ (28 MB, once)'

# A private apt directory: the machine's configuration and mirrors, the next Debian's suite, our own lists and cache.
apt_private() {
    a=$tmp/apt
    if [ ! -d "$a" ]; then
        mkdir -p "$a/conf.d" "$a/lists/partial" "$a/cache/archives/partial" "$a/sources"
        for f in /etc/apt/apt.conf.d/*; do
            [ ! -r "$f" ] || ln -s "$f" "$a/conf.d/"
        done
        # Without the hooks that other packages hang on an update, and the extra indexes they ask for.
        printf '#clear %s;\n' APT::Update DPkg::Post-Invoke Acquire::IndexTargets::deb::DEP-11 Acquire::IndexTargets::deb::CNF \
            Acquire::IndexTargets::deb::Contents-deb >"$a/conf.d/zz-private"
        printf 'Dir::Etc::Parts "%s/conf.d/";\n' "$a" >"$a/apt.conf"
        # Sources in the older style, one a line: deb [options] URI suite component…
        for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
            [ ! -r "$f" ] || sed -e 's/#.*//' "$f"
        done | awk -v old="$VERSION_CODENAME" '$1 == "deb" {
            i = 2; options = ""
            if ($i ~ /^\[/) { do { options = options " " $i } while ($(i++) !~ /\]$/) }
            if (($(i + 1) == old || $(i + 1) == "stable" || $(i + 1) == "oldstable") && / main( |$)/) print "deb" options, $i, "trixie main"
        }' >"$a/sources/old.list"
        # Sources in paragraphs. Fields may go on over several lines (a key in Signed-By); they are kept as they are.
        for f in /etc/apt/sources.list.d/*.sources; do
            [ ! -r "$f" ] || { cat "$f"; echo; }
        done | awk -v old="$VERSION_CODENAME" 'BEGIN { RS = ""; FS = "\n" } {
            text = ""; use = 0; main = 0; off = 0; skip = 0
            for (i = 1; i <= NF; i++) {
                if ($i ~ /^#/) continue
                name = ""
                if ($i !~ /^[ \t]/) { name = tolower($i); sub(/:.*/, "", name); skip = 0 }
                if (name == "suites") {
                    n = split($i, word, /[ \t:]+/)
                    for (k = 2; k <= n; k++) if (word[k] == old || word[k] == "stable" || word[k] == "oldstable") use = 1
                    $i = "Suites: trixie"; skip = 1
                } else if (name == "components") { if ($i ~ /[ \t:]main([ \t]|$)/) main = 1; $i = "Components: main"; skip = 1 }
                else if (name == "types") { $i = "Types: deb"; skip = 1 }
                else if (name == "enabled") { if (tolower($i) ~ /no|false|0/) off = 1 }
                else if (name == "" && skip) continue
                text = text $i "\n"
            }
            if (use && main && !off) printf "%s\n", text
        }' >"$a/sources/new.sources"
        [ -s "$a/sources/old.list" ] || [ -s "$a/sources/new.sources" ] || die "found no Debian source with the suite $VERSION_CODENAME and the" \
            "component main in /etc/apt/sources.list or /etc/apt/sources.list.d: cannot tell where to fetch Debian packages from"
        apt_run -qq update >"$tmp/apt.log" 2>&1 || true     # the download below decides, and shows this log if it fails
    fi
}
apt_run() {
    APT_CONFIG=$tmp/apt/apt.conf apt-get -o Dir::State::lists="$tmp/apt/lists" -o Dir::Cache="$tmp/apt/cache" -o Dir::Etc::sourcelist=/dev/null \
        -o Dir::Etc::sourceparts="$tmp/apt/sources" -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o Dir::State::status=/dev/null -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none -o Acquire::GzipIndexes=false "$@" </dev/null
}

# get KIND NAME VERSION FILE: puts the file into $tmp/files.
get() {
    if [ -n "${SYNTHVLM_DOWNLOADS:-}" ] && [ -e "$SYNTHVLM_DOWNLOADS/$4" ]; then
        cp "$SYNTHVLM_DOWNLOADS/$4" "$tmp/files/"
        return
    fi
    case $1 in
    wheel)
        # The tags are in the file's name: …-cp311-cp311-manylinux_2_28_x86_64.whl. Asked for one by one, so that every Python fetches this file.
        platform=${4##*-}
        platform=${platform%.whl}
        if ! PIP_REQUIRE_VIRTUALENV=0 python3 -m pip --quiet --disable-pip-version-check download --no-deps --only-binary=:all: --dest "$tmp/files" \
            --implementation cp --abi cp311 --python-version 3.11 --platform "$platform" "$2==$3" >"$tmp/pip.log" 2>&1 </dev/null; then
            cat "$tmp/pip.log" >&2
            die "pip could not download $4 (its words are above; it is asked with this machine's own pip configuration)"
        fi ;;
    deb)
        apt_private
        if ! (cd "$tmp/files" && apt_run -q download "$2=$3") >>"$tmp/apt.log" 2>&1; then
            cat "$tmp/apt.log" >&2
            die "apt could not download $4 from Debian 13 (its words are above). With the file at hand: SYNTHVLM_DOWNLOADS=DIR make"
        fi ;;
    esac
    [ -e "$tmp/files/$4" ] || die "wanted the file $4, got $(cd "$tmp/files" && echo ./*)"
}

check() {   # check SHA256 FILE
    found=$(sha256sum "$tmp/files/$2" | cut -d' ' -f1)
    [ "$found" = "$1" ] || die "$2 is not the file that tools/deps.lock asks for: SHA-256 wanted $1, found $found"
}

mkdir -p "$tmp/files" "$tmp/root" "$tmp/new/lib"
grep -v -e '^#' -e '^npm ' "$lock" >"$tmp/pins"
while read -r kind name version a sha file; do
    [ "$a" = "$arch" ] || continue
    get "$kind" "$name" "$version" "$file"
    check "$sha" "$file"
    case $kind in
    deb) dpkg-deb -x "$tmp/files/$file" "$tmp/root" ;;
    wheel)
        python3 - "$tmp/files/$file" "$tmp/new/lib" <<'PY' || die "cannot unpack $file"
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    found = [n for n in wheel.namelist() if os.path.basename(n).startswith("libonnxruntime.so.")]
    if len(found) != 1:
        sys.exit("expected one libonnxruntime.so in the wheel, found %s" % found)
    name = os.path.basename(found[0])
    path = os.path.join(sys.argv[2], name)
    with open(path, "wb") as out:
        out.write(wheel.read(found[0]))
    os.chmod(path, 0o755)
    os.symlink(name, os.path.join(sys.argv[2], "libonnxruntime.so.1"))
PY
        ;;
    esac
    rm -f "$tmp/files/$file"
done <"$tmp/pins"
cp -a "$tmp/root/usr/include" "$tmp/new/include"
cp -a "$tmp"/root/usr/lib/*/libyyjson.so* "$tmp/new/lib/"
for f in include/onnxruntime/onnxruntime_c_api.h include/yyjson.h lib/libyyjson.so lib/libonnxruntime.so.1; do
    [ -e "$tmp/new/$f" ] || die "the downloaded packages do not hold $f"
done

# Into place: without a stamp while it lasts, so that an interruption here is mended by the next call.
rm -f "$deps/stamp"
rm -rf "${deps:?}/include" "${deps:?}/lib"
mv "$tmp/new/include" "$tmp/new/lib" "$deps/"
stamp_text >"$tmp/stamp"
mv "$tmp/stamp" "$deps/stamp"
rm -rf "$tmp"
parquet_and_exit
