#!/bin/bash
# Runs test suites one after another and adds them up: BUILD=build tests/run.sh SUITE...
#
# A suite is   a Criterion program (.../test-NAME), counted test by test;
#              a bash script (*.sh) or another program, counted by its lines "ok - NAME", "not ok - NAME" and
#              "skip - NAME"; one that prints none counts as one test by its exit status, 77 meaning "cannot run here".
# Output       one line per suite, the end of the log of a suite that failed, and at last "N passed, N failed", with
#              ", N skipped" when something was.  The logs are in BUILD/log.
# CI=true      a suite that cannot run has failed.
# Sanitizers   a report of theirs in BUILD/log is a failure: Criterion takes no notice of a leak.
set -uo pipefail

build=${BUILD:-build}
log=$(mkdir -p "$build/log" && cd "$build/log" && pwd)
root=$(cd "$(dirname "$0")/.." && pwd)
export BUILD=$build EDDY=${EDDY:-$(cd "$build" && pwd)/eddy}
limit_s=${TEST_TIMEOUT:-1500} # a suite that hangs must not hang the rest
passed=0 failed=0 skipped=0

# What a suite leaves behind when it is killed goes with this directory.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/eddy-tests.XXXXXX") || exit 1
export TMPDIR
chmod 711 "$TMPDIR" # a test that gives up root must reach its files
trap 'rm -rf "$TMPDIR"' EXIT

# Prints "passed failed skipped" from the lines of a TAP or shell log.
count() {
    awk '/^skip - / || /^ok .*# SKIP/ { s++; next } /^ok( |$)/ { p++ } /^not ok( |$)/ { f++ }
         END { print p + 0, f + 0, s + 0 }' "$1"
}

# Runs one suite: its output goes to $2.log, what is counted to $2.tap.
start() {
    local suite=$1 out=$2
    rm -f "$out".*
    export ASAN_OPTIONS=log_path=$out.san LSAN_OPTIONS=suppressions=$root/tests/lsan.supp:print_suppressions=0
    export UBSAN_OPTIONS=log_path=$out.san:print_stacktrace=1
    export TSAN_OPTIONS=log_path=$out.san:suppressions=$root/tests/tsan.supp:halt_on_error=0
    case $suite in
    */test-kafka) timeout -k 10 "$limit_s" "$suite" --jobs 8 --tap="$out.tap" ;; # its tests wait for mock brokers
    */test-*) timeout -k 10 "$limit_s" "$suite" --tap="$out.tap" ;;
    *.sh) timeout -k 10 "$limit_s" bash "$suite" ;;
    *) timeout -k 10 "$limit_s" "$suite" ;;
    esac >"$out.log" 2>&1 </dev/null
}

# What went wrong, for a reader who has only this output.
show() {
    local out=$1
    grep -h -A6 '^not ok' "$out.tap" "$out.log" 2>/dev/null | head -60
    for report in "$out".san*; do [ -e "$report" ] && head -30 "$report"; done
    echo "--- the end of $out.log"
    tail -40 "$out.log"
}

run() {
    local suite=$1 name out rc p f s t0=$SECONDS
    name=${suite#"$build"/} name=${name#tests/}
    out=$log/$(tr '/' '_' <<<"${name%.sh}")
    start "$suite" "$out"
    rc=$?
    read -r p f s < <(if [ -e "$out.tap" ]; then count "$out.tap"; else count "$out.log"; fi)
    if [ $((p + f + s)) -eq 0 ]; then
        case $rc in
        0) [[ $suite == */test-* ]] && f=1 || p=1 ;; # a Criterion program without a test proves nothing
        77) s=1 ;;
        *) f=1 ;;
        esac
    elif [ $rc -ne 0 ] && [ "$rc" -ne 77 ] && [ "$f" -eq 0 ]; then
        f=1 # it died, or leaked, after its last test
    fi
    [ "$rc" -ne 124 ] || echo "not ok - stopped after $limit_s s" >>"$out.log"
    if compgen -G "$out.san*" >/dev/null && [ "$f" -eq 0 ]; then f=1; fi
    if [ "$rc" -eq 77 ] && [ "${CI:-}" = true ]; then f=$((f + 1)); fi
    printf '%-28s %5d passed %s%s %5d s\n' "$name" "$p" "$([ "$f" -eq 0 ] || echo " $f FAILED")" \
        "$([ "$s" -eq 0 ] || echo " $s skipped")" $((SECONDS - t0))
    [ "$s" -eq 0 ] || grep -h '^skip - \|# SKIP\|^cannot run' "$out.log" "$out.tap" 2>/dev/null | sort -u | sed 's/^/    /'
    [ "$f" -eq 0 ] || show "$out"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

for suite in "$@"; do run "$suite"; done
echo "$passed passed, $failed failed$([ $skipped -eq 0 ] || echo ", $skipped skipped")"
[ $failed -eq 0 ] && [ $((passed + failed)) -gt 0 ]
