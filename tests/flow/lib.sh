# Sourced by the suites of the command line: EDDY names the program, $scratch is a directory of the suite's own.
# shellcheck shell=bash
#
#   run ARGS...             runs eddy; exit code in $rc, output in $scratch/out and $scratch/err
#   expect RC NAME [TEXT].. the last run ended with RC and said every TEXT (fixed strings) on stdout or stderr
#   check NAME COMMAND...   the command succeeds
#   finish                  prints the totals; the suite's exit code
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
EDDY=${EDDY:-build/eddy}
EDDY=$(realpath "$EDDY")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
n_passed=0 n_failed=0

ok() { echo "ok - $1"; n_passed=$((n_passed + 1)); }
not_ok() { echo "not ok - $1${2:+: $2}"; n_failed=$((n_failed + 1)); }
skip() { echo "skip - $1"; }

run() {
    rc=0
    timeout 300 "$EDDY" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || rc=$?
}

expect() {
    local want=$1 name=$2 text
    shift 2
    if [ "$rc" -ne "$want" ]; then
        not_ok "$name" "exit $rc instead of $want"
        tail -qn 5 "$scratch/out" "$scratch/err"
        return
    fi
    for text in "$@"; do
        if ! grep -qF -- "$text" "$scratch/out" "$scratch/err"; then
            not_ok "$name" "nobody said \"$text\""
            tail -qn 5 "$scratch/out" "$scratch/err"
            return
        fi
    done
    ok "$name"
}

check() {
    local name=$1
    shift
    if "$@" >"$scratch/check" 2>&1; then ok "$name"; else not_ok "$name" "$*" && tail -n 5 "$scratch/check"; fi
}

finish() {
    echo "$n_passed passed, $n_failed failed"
    [ $n_failed -eq 0 ]
}

# lines FILE: how many lines it has.
lines() { wc -l <"$1" | tr -d ' '; }

# series N KEYS: N JSON records of KEYS keys in turn, one a minute, a daily swing with a little noise.
series() {
    awk -v n="$1" -v keys="$2" 'BEGIN {
        for (i = 0; i < n; i++) {
            t = 1700000000 + 60 * int(i / keys)
            printf "{\"key\":\"k%d\",\"ts\":%d,\"v\":%.4f}\n", i % keys, t, 10 + 3 * sin(t / 13751) + 0.2 * sin(i * 12.9898)
        }
    }'
}

# config FILE: a small pipeline over such records, without Kafka.
config() {
    cat >"$1" <<YAML
name: flow
source: {file: {paths: [$scratch/in.jsonl]}}
sink: {file: {path: $scratch/scored.jsonl}}
codec: {json: {key: key, time: ts, time_unit: s}}
forecast: {horizons: [1, 3], network: {layers: [{gru: {units: 8}}]}}
train: {mode: inline, window: 16, every: 4}
state: {path: $scratch/state}
YAML
}
