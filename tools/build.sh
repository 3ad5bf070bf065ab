#!/bin/sh
# build.sh DIR JOBS [meson options…] - configures DIR when needed and builds it, saying little: what failed, in full.
set -eu
cd "$(dirname "$0")/.."
dir=$1 jobs=$2
shift 2

# A directory configured with other options, or left half-configured, is made anew.
wanted="${CC:-cc} ${PREFIX:-/usr/local} $*"
cmocka=$(pkg-config --modversion cmocka 2>/dev/null || echo none)    # comes with `make test`: then the unit tests are added
if [ ! -e "$dir/build.ninja" ] || [ "$(cat "$dir/.configured" 2>/dev/null)" != "$wanted" ]; then
    [ ! -e "$dir" ] || [ -e "$dir/meson-private" ] || { echo "build: $dir is there, but not a build directory" >&2; exit 2; }
    rm -rf "$dir"
    mkdir -p "$dir"
    log=$dir.log
    if ! meson setup "$dir" --prefix "${PREFIX:-/usr/local}" "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -rf "$dir" "$log"
        exit 2
    fi
    rm -f "$log"
    echo "$wanted" >"$dir/.configured"
    echo "$cmocka" >"$dir/.cmocka"
    echo "build: compiling into $dir/"
fi

if [ "$(cat "$dir/.cmocka" 2>/dev/null)" != "$cmocka" ]; then
    meson setup --reconfigure "$dir" >/dev/null
    echo "$cmocka" >"$dir/.cmocka"
fi

# Ninja's progress line on a terminal; elsewhere only what the compiler has to say.
if [ -t 1 ]; then
    NINJA_STATUS='[%f/%t] ' ninja -C "$dir" -j "$jobs"
else
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    code=0
    ninja -C "$dir" -j "$jobs" >"$log" 2>&1 || code=2
    # Ninja's progress is not for here; nor, when all went well, what Meson says when it configures anew. Left over are the compiler's words.
    [ $code != 0 ] || sed -i -e '/^The Meson build system/,/^Found ninja/d' -e '/^ninja: /d' "$log"
    sed -e '/^\[[0-9]*\/[0-9]*\] /d' -e '/^Cleaning\.\.\. /d' "$log" >&2
    exit $code
fi
