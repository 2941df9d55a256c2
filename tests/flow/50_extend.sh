#!/bin/bash
# Embedding and extending: the libraries' names, the examples, an installed copy.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"
build=$(dirname "$EDDY")
examples=$build/examples
conf=$scratch/flow.yml
config "$conf"
series 300 3 >"$scratch/in.jsonl"

# ---- names ----
exported() { nm -D --defined-only "$1" | awk '$2 ~ /^[A-Z]$/ && $3 !~ /^EDDY_[0-9]+$/ { print $3 }' | sed 's/@.*//' | sort -u; }
check "libeddy.so exports eddy_* and nothing else" bash -c "! { $(declare -f exported); exported '$build/libeddy.so'; } | grep -v '^eddy_' | grep ."
exported "$build/libeddy.so" >"$scratch/exported"
# Each public function of eddy.h is there.
missing=$(grep -hoE '\beddy_[a-z_]+\(' plugin/eddy.h | tr -d '(' | sort -u | comm -23 - "$scratch/exported")
check "every call of eddy.h is there${missing:+, but: $missing}" test -z "$missing"
check "its soname is versioned" bash -c "readelf -d '$build/libeddy.so' | grep -q 'SONAME.*libeddy.so.0'"
check "so are its symbols" bash -c "nm -D '$build/libeddy.so' | grep -q 'eddy_feed@@EDDY_0'"
foreign=$(nm -g --defined-only "$build/libeddy.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | grep -v '^eddy_' | grep -v '^_\|^\.\|^__' | head -3)
check "libeddy.a has no other global names${foreign:+, but: $foreign}" test -z "$foreign"

# ---- the examples ----
rc=0
(cd "$scratch" && timeout 60 "$examples/embed" "$scratch/saved.eddy") >"$scratch/out" 2>"$scratch/err" || rc=$?
expect 0 "the embedding example runs, and finds its spike" "at event 180" '"key":"oven-1"'

sed 's/{"key":"\([^"]*\)","ts":\([0-9]*\),"v":\(.*\)}/key=\1 ts=\2 temp=\3/' "$scratch/in.jsonl" >"$scratch/in.kv"
kv=(--set "plugins=[$examples/codec_kv.so]" --set "codec={kv: {key: key}}")
rc=0
timeout 60 "$EDDY" filter "$conf" "${kv[@]}" <"$scratch/in.kv" >"$scratch/out" 2>"$scratch/err" || rc=$?
expect 0 "a loaded codec reads and writes" "key=k1 ts=17000" "score="
check "one line per record" test "$(lines "$scratch/out")" -eq 300
rc=0
echo "no pairs here" | timeout 60 "$EDDY" filter "$conf" "${kv[@]}" >"$scratch/out" 2>"$scratch/err" || rc=$?
expect 0 "its bad records are dead letters like others" '"code":"not_kv"'
run options kv --plugin "$examples/codec_kv.so"
expect 0 "its options are documented like others" "key"

run replay "$conf" --input "$scratch/in.jsonl" --output "$scratch/l.jsonl" --set "plugins=[$examples/detector_limit.so]" \
    --set "detect.detectors=[{limit: {high: 9}}]" --set detect.warmup=10
expect 0 "a loaded detector judges"
check "by its limits" python3 - "$scratch/l.jsonl" <<'PY'
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
scored = [r for r in rows if r["state"] == "ok"]
assert scored and all((r["score"] == 1) == (r["y"] > 9) for r in scored)
assert any(r["anomaly"] for r in scored) and not all(r["anomaly"] for r in scored)
PY
run check "$conf" --set "plugins=[$examples/detector_limit.so]" --set "detect.detectors=[{limit: {low: 5, high: 3}}]"
expect 78 "its own check is asked" "low 5 lies above high 3"

leaky=(--set "plugins=[$examples/layer_leaky.so]" --set "forecast.network.layers=[{leaky: {units: 12}}]")
series 6000 3 >"$scratch/long.jsonl"
run replay "$conf" --input "$scratch/long.jsonl" --metrics "$scratch/m.json" "${leaky[@]}"
expect 0 "a loaded layer serves and learns"
check "its loss is finite and it was updated" python3 -c "
import json, math; t = json.load(open('$scratch/m.json'))['train']; assert t['updates'] > 10 and t['refused'] == 0 and math.isfinite(t['loss'])"
run model "$conf" summary "${leaky[@]}"
expect 0 "and is in the summary" leaky
cp "$examples/layer_leaky.so" "$scratch/open.so" && chmod 777 "$scratch/open.so"
run check "$conf" --set "plugins=[$scratch/open.so]"
expect 78 "a plugin that others may write is refused" open.so "chmod go-w"

# ---- an installed copy ----
if [ "$(nm "$EDDY" | grep -c __asan_init)" -gt 0 ]; then
    echo "# a sanitizer build is not installed"
else
    env -u MAKEFLAGS -u MAKELEVEL make -s BUILD="$(realpath --relative-to=. "$build")" DESTDIR="$scratch/root" PREFIX=/usr install >"$scratch/check" 2>&1 || cat "$scratch/check"
    root=$scratch/root/usr
    check "make install puts everything in its place" ls "$root/bin/eddy" "$root/lib/libeddy.so" "$root/lib/libeddy.a" \
        "$root/include/eddy/eddy.h" "$root/include/eddy/eddy_plugin.h" "$root/lib/pkgconfig/eddy.pc" \
        "$root/share/man/man1/eddy.1" "$root/share/eddy/sensors.yml"
    export PKG_CONFIG_PATH=$root/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$scratch/root
    # shellcheck disable=SC2046
    check "an installed copy builds the example" cc -o "$scratch/embed" plugin/examples/embed.c $(pkg-config --cflags --libs eddy) -lm
    check "which runs" env LD_LIBRARY_PATH="$root/lib" "$scratch/embed" "$scratch/again.eddy"
    # shellcheck disable=SC2046
    check "a plugin builds against the installed headers" cc -shared -fPIC -o "$scratch/kv.so" plugin/examples/codec_kv.c $(pkg-config --cflags eddy)
    # shellcheck disable=SC2046
    check "the static library links" cc -o "$scratch/static" plugin/examples/embed.c -I"$root/include/eddy" "$root/lib/libeddy.a" \
        $(PKG_CONFIG_SYSROOT_DIR='' pkg-config --static --libs-only-l eddy | sed 's/-leddy//') -lm
    check "and runs" "$scratch/static" "$scratch/static.eddy"
    printf '#include "eddy.h"\n#include "eddy_plugin.h"\nint main(void) { return eddy_version() == 0; }\n' >"$scratch/x.cc"
    if command -v g++ >/dev/null; then
        check "the headers are C++ too" g++ -fsyntax-only -I"$root/include/eddy" "$scratch/x.cc"
    fi
fi
finish
