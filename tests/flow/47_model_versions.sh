#!/bin/bash
# Versions of the weights: listed, compared, promoted and taken back.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"
conf=$scratch/flow.yml
config "$conf"
in_use() { "$EDDY" model "$conf" list | awk -F'\t' '/in use/ { print substr($3, 2) }'; }
for n in 900 1800 2700 3600; do
    series $n 3 >"$scratch/in.jsonl"
    run run "$conf" --set train.keep_versions=3
    expect 0 "a run up to record $n"
done
run model "$conf" list --json
expect 0 "the versions as JSON" '"health":"ok"'
check "the last three, with offsets, steps and losses" python3 - "$scratch/out" <<'PY'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
assert len(rows) == 3, rows
assert [r["offset"] for r in rows] == [1800, 2700, 3600], rows
assert [r["in_use"] for r in rows] == [False, False, True], rows
assert rows[0]["steps"] < rows[1]["steps"] < rows[2]["steps"] and all(r["loss"] > 0 for r in rows), rows
assert all("copy_of" not in r for r in rows)
PY
mapfile -t v < <(python3 -c "import json,sys; [print(json.loads(l)['version']) for l in open(sys.argv[1])]" "$scratch/out")

run model "$conf" diff "v${v[0]}" "v${v[2]}"
expect 0 "what changed between two of them" "cosine" "weight_hh" "v${v[0]} to v${v[2]}"
run model "$conf" diff "${v[1]}" "${v[1]}" --json
expect 0 "as JSON"
check "nothing changes from a version to itself" python3 - "$scratch/out" <<'PY'
import json, sys
tensors = json.load(open(sys.argv[1]))["tensors"]
assert len(tensors) == 6 and all(t["change"] == 0 for t in tensors), tensors
assert all(abs(t["cosine"] - 1) < 1e-9 for t in tensors if t["cosine"] is not None), tensors
PY
run model "$conf" diff "v${v[0]}" v999999
expect 1 "one that is not kept" "v999999"
run model "$conf" diff "v${v[0]}"
expect 2 "diff wants two" "diff expects V W"

run model "$conf" export "$scratch/first.safetensors" --version "v${v[0]}"
run model "$conf" promote "v${v[0]}"
expect 0 "an old version is promoted" "a copy of ${v[0]}, is in use now"
check "as a version of its own" test "$(in_use)" = $((v[2] + 1))
run model "$conf" list
expect 0 "the list says so" "in use, v${v[0]} again"
run model "$conf" export "$scratch/promoted.safetensors"
check "with the old one's weights" cmp "$scratch/first.safetensors" "$scratch/promoted.safetensors"
run state "$conf" verify
expect 0 "the state is sound" "3 keys"
run model "$conf" promote v999999
expect 1 "what is not kept is not promoted" "v999999"

series 3900 3 >"$scratch/in.jsonl"
run run "$conf"
expect 0 "the pipeline goes on from it"
last=$(in_use)
run model "$conf" rollback
expect 0 "a rollback promotes the version before" "a copy of $((v[2] + 1)), is in use now"
check "under a new number" test "$(in_use)" = $((last + 1))
run model "$conf" rollback
expect 0 "a second one goes on from there" "a copy of ${v[2]}, is in use now"
before=$(in_use)
"$EDDY" model "$conf" list | awk -F'\t' 'NR > 1 { print substr($3, 2) }' >"$scratch/kept"
run model "$conf" promote "v$(head -1 "$scratch/kept")"
expect 0 "a promotion of the oldest, by mistake"
run model "$conf" rollback
expect 0 "is taken back" "a copy of $before, is in use now"
before=$(in_use)
run model "$conf" promote "v$last"
run model "$conf" rollback
expect 0 "so is one of a newer version" "a copy of $before, is in use now"
run model "$conf" rollback
expect 1 "the next one would go further back, where nothing is kept" "no version before"
run model "$conf" rollback v3
expect 2 "rollback takes no version" 'rollback takes no "v3"'

# ---- while a pipeline runs ----
sed "s|file: {paths: .*}}|stdin: }|" "$conf" >"$scratch/pipe.yml"
mkfifo "$scratch/pipe"
"$EDDY" run "$scratch/pipe.yml" <"$scratch/pipe" >/dev/null 2>&1 &
pid=$!
exec 7>"$scratch/pipe"
for _ in $(seq 50); do grep -qs "$pid" "$scratch/state/flow/lock" && break || sleep 0.1; done
run model "$conf" promote "v$last"
expect 1 "promote wants to be alone" "$pid"
run model "$conf" rollback
expect 1 "rollback too" "$pid"
kill -TERM $pid
wait $pid
exec 7>&-
finish
