#!/bin/bash
# The stored state: what the commands show of it, and what every kind of damage gets.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"
conf=$scratch/flow.yml
config "$conf"
series 600 3 >"$scratch/in.jsonl"
run state "$conf" list
expect 1 "no state is said, not invented" "nothing is stored"
run run "$conf"
expect 0 "a run makes state"

# ---- looking ----
run state "$conf" list
expect 0 "list shows every key" k0 k1 k2
check "with its events" test "$(awk -F'\t' 'NR > 1 { n += $4 } END { print n }' "$scratch/out")" -eq 600
run state "$conf" list --json --limit 2
check "list --json --limit gives that many JSON lines" python3 - "$scratch/out" <<'PY'
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
assert [r["key"] for r in rows] == ["k0", "k1"] and rows[0]["count"] == 200 and rows[0]["ts"].startswith("2023-11-1")
PY
run state "$conf" show k1
expect 0 "show names the sections of the row" "key          k1" "events       200" network
run state "$conf" show k1 --json
check "show --json holds all numbers" python3 -c "
import json; r = json.load(open('$scratch/out')); assert all(s['data'] for s in r['sections'].values()), r"
run state "$conf" show nobody
expect 1 "a key that is not there is named" nobody
run state "$conf" hash
check "hash is one line of 32 digits" grep -qE '^[0-9a-f]{32}$' "$scratch/out"
hash=$(cat "$scratch/out")
run state "$conf" hash --positions
check "positions give another hash" test "$(cat "$scratch/out")" != "$hash"
run state "$conf" verify
expect 0 "verify finds it sound" "3 keys"
run model "$conf" list
expect 0 "model list shows the versions" "in use"
version=$(awk -F'\t' '/in use/ { print $3 }' "$scratch/out")
run model "$conf" show "$version"
expect 0 "model show prints the tensors" weight head gradient update
run model "$conf" show "$version" --json
check "model show --json holds how every tensor took the last step" python3 -c "
import json; tensors = json.load(open('$scratch/out'))['networks'][0]['tensors']
assert len(tensors) == 6 and all(t['grad_norm'] > 0 and 0 < t['update_ratio'] < 10 for t in tensors), tensors"
run model "$conf" show v999999
expect 1 "a version that is not kept is named" 999999
run state "$conf" wipe
expect 2 "an unknown action is a usage error" wipe
run state "$conf" show
expect 2 "show wants a key"
run state "$conf" hash extra
expect 2 "hash wants nothing" extra

# ---- export, import, forget ----
run state "$conf" export "$scratch/x.eddy"
expect 0 "export writes a file"
run state "$conf" export "$scratch/x.eddy"
expect 1 "and does not overwrite one" x.eddy
run state "$conf" import "$scratch/x.eddy"
expect 1 "import does not go over state that is there"
run state "$conf" import "$scratch/x.eddy" --set state.path="$scratch/second"
expect 0 "import makes the state elsewhere"
run state "$conf" hash --positions --set state.path="$scratch/second"
second=$(cat "$scratch/out")
run state "$conf" hash --positions
check "equal to the first" test "$(cat "$scratch/out")" = "$second"
run state "$conf" export - --set state.path="$scratch/second"
check "its export is the same file" cmp "$scratch/out" "$scratch/x.eddy"
head -c $(($(stat -c %s "$scratch/x.eddy") - 9)) "$scratch/x.eddy" >"$scratch/cut.eddy"
run state "$conf" import "$scratch/cut.eddy" --set state.path="$scratch/third"
expect 1 "a truncated export is refused" cut.eddy
check "and leaves no state behind" bash -c "! compgen -G '$scratch/third/flow/*.db'"
printf 'hello\n' >"$scratch/foreign.eddy"
run state "$conf" import "$scratch/foreign.eddy" --set state.path="$scratch/third"
expect 1 "a foreign file is refused" foreign.eddy
: >"$scratch/nothing.eddy"
run state "$conf" import "$scratch/nothing.eddy" --set state.path="$scratch/third"
expect 1 "an empty file is refused" nothing.eddy
run state "$conf" forget k1 --set state.path="$scratch/second"
expect 0 "forget forgets a key" "forgot k1 after 200"
run state "$conf" list --set state.path="$scratch/second"
check "and only that one" bash -c "! grep -q k1 '$scratch/out' && grep -q k0 '$scratch/out' && grep -q k2 '$scratch/out'"
run state "$conf" forget k1 --set state.path="$scratch/second"
expect 1 "a second time it is not there" k1
run state "$conf" verify --set state.path="$scratch/second"
expect 0 "what is left is sound" "2 keys"

# ---- two processes on one state directory ----
sed "s|file: {paths: .*}}|stdin: }|" "$conf" >"$scratch/pipe.yml"
mkfifo "$scratch/pipe"
"$EDDY" run "$scratch/pipe.yml" --set state.path="$scratch/busy" <"$scratch/pipe" >/dev/null 2>&1 &
pid=$!
exec 7>"$scratch/pipe"
head -50 "$scratch/in.jsonl" >&7
for _ in $(seq 50); do [ -e "$scratch/busy/flow/lock" ] && break || sleep 0.1; done
sleep 0.3
run run "$conf" --set state.path="$scratch/busy"
expect 1 "two processes on one state directory: the second is refused with the first one's pid" "$pid"
run state "$conf" forget k0 --set state.path="$scratch/busy"
expect 1 "forget wants to be alone" "$pid"
kill -TERM $pid
wait $pid
exec 7>&-
run state "$conf" list --set state.path="$scratch/busy"
expect 0 "afterwards the state is free" k0

# ---- damage ----
# damaged NAME TEXT...: a run over a copy of the state, spoilt by `spoil FILE`, ends with 1 and says every TEXT.
damaged() {
    local name=$1 copy
    shift
    rm -rf "$scratch/bad" && cp -r "$scratch/state" "$scratch/bad"
    copy=$(find "$scratch/bad" -name '*.db')
    spoil "$copy"
    run run "$conf" --set state.path="$scratch/bad" "${extra[@]}"
    expect 1 "$name" "$@"
}
extra=()
spoil() { head -c 4096 /dev/urandom >"$1"; }
damaged "a state file that is no database is refused" "$scratch/bad"
spoil() { rm "$1" && python3 -c "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('create table t(x)'); c.commit()" "$1"; }
damaged "a database of another program is refused" "$scratch/bad"
spoil() { python3 -c "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('pragma user_version=999'); c.commit()" "$1"; }
damaged "a newer state file is refused" 999
spoil() { python3 -c "
import sqlite3,sys
c=sqlite3.connect(sys.argv[1]); c.execute('update rows set count = count + 1'); c.commit()" "$1"; }
rm -rf "$scratch/bad" && cp -r "$scratch/state" "$scratch/bad" && spoil "$(find "$scratch/bad" -name '*.db')"
run state "$conf" verify --set state.path="$scratch/bad"
expect 1 "an altered row is found by its sum" "k"
extra=(--set "forecast.network.layers=[{gru: {units: 9}}]")
spoil() { :; }
damaged "another network does not go over the old state by itself" on_change
run run "$conf" --set state.path="$scratch/bad" "${extra[@]}" --set state.on_change=reset
expect 0 "state.on_change: reset lets it"
extra=(--set "detect.detectors=[{exceedance: {windows: [8, 16, 24, 32]}}]")
damaged "nor do windows of another number" detect.0.exceedance on_change
extra=(--set "detect.detectors=[{exceedance: {decades: 5, marginal_weight: 0}}]")
rm -rf "$scratch/bad" && cp -r "$scratch/state" "$scratch/bad"
run run "$conf" --set state.path="$scratch/bad" "${extra[@]}"
expect 0 "what sizes no state may change at any time"

# ---- a partition without a good record ----
printf 'one\n{"key":"k0"}\n[3]\n' >"$scratch/bad.jsonl"
for _ in 1 2 3; do
    run run "$conf" --set source.file.paths="[$scratch/bad.jsonl]" --set state.path="$scratch/bad-only" \
        --set errors.dead_letter.file.path="$scratch/dead.jsonl"
    expect 0 "bad records alone are no reason to fail"
done
check "three starts leave one dead letter per bad record" test "$(lines "$scratch/dead.jsonl")" -eq 3

# ---- places that cannot be written ----
if [ "$(id -u)" -ne 0 ]; then
    mkdir "$scratch/readonly" && chmod 500 "$scratch/readonly"
    run run "$conf" --set state.path="$scratch/readonly/state"
    expect 1 "a read-only state directory is named" "$scratch/readonly"
fi
: >"$scratch/file"
run run "$conf" --set state.path="$scratch/file/state"
expect 1 "a state path below a file is named" "$scratch/file"
run run "$conf" --set state.path=/proc/nowhere
expect 1 "a state path that cannot be made is named" /proc/nowhere
mkdir "$scratch/small" "$scratch/ro"
if mount -t tmpfs -o size=300k tmpfs "$scratch/small" 2>/dev/null; then
    rm -f "$scratch/scored.jsonl"
    run run "$conf" --set state.path="$scratch/small/state" --set state.checkpoint=1ms --set "forecast.network.layers=[{gru: {units: 200}}]"
    check "a full disk under the state: every record is still scored" test "$(lines "$scratch/scored.jsonl")" -eq 600
    expect 1 "but the last checkpoint failed, and the exit says so" "$scratch/small/state"
    check "and the trouble is said" grep -q "checkpoint_failed\|full" "$scratch/err"
    umount "$scratch/small"
    mount -t tmpfs -o size=300k tmpfs "$scratch/small"
    rm -f "$scratch/scored.jsonl"
    run run "$conf" --set state.path="$scratch/small/state" --set state.max_keys=1 --set state.checkpoint=1ms \
        --set "forecast.network.layers=[{gru: {units: 200}}]"
    check "the same while keys are evicted" test "$(lines "$scratch/scored.jsonl")" -eq 600
    umount "$scratch/small"
    mount -t tmpfs -o size=8k tmpfs "$scratch/small"
    run run "$conf" --set sink.file.path="$scratch/small/out.jsonl" --set state.path="$scratch/four"
    expect 1 "a full disk under the output ends the run with its name" "$scratch/small/out.jsonl"
    umount "$scratch/small"
    mount -t tmpfs -o size=1m,ro tmpfs "$scratch/ro"
    run run "$conf" --set state.path="$scratch/ro/state"
    expect 1 "a read-only file system is named" "$scratch/ro"
    umount "$scratch/ro"
else
    skip "a full disk and a read-only one: mounting a small tmpfs needs root"
fi
finish
