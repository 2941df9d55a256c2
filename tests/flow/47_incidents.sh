#!/bin/bash
# Incidents: the same live, replayed, and after kill -9; in the results, or as records of their own.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"
conf=$scratch/flow.yml
config "$conf"
cat >>"$conf" <<YAML
detect: {detectors: [exceedance, stuck, missing], silence: {keys: 10}, incidents: {sink: {file: {path: $scratch/incidents.jsonl}}}}
YAML
# k0 jumps and comes back, k1 stands still, k2 goes missing, k3 falls silent.
series 20000 4 | awk '{
    i = int((NR - 1) / 4)
    if (/"k0"/ && i >= 900 && i < 920) sub(/"v":.*/, "\"v\":95.5}")
    if (/"k1"/ && i >= 1100 && i < 1200) sub(/"v":.*/, "\"v\":7.25}")
    if (/"k2"/ && i >= 1300 && i < 1330) sub(/"v":.*/, "\"v\":null}")
    if (/"k3"/ && i >= 1500 && i < 1560) next
    print
}' >"$scratch/in.jsonl"

run check "$conf"
expect 0 "check says where incidents go" "incidents  file"
run replay "$conf" --input "$scratch/in.jsonl" --output "$scratch/replay.jsonl" --incidents "$scratch/told.jsonl"
expect 0 "a replay writes incidents apart"
check "each kind opens once and closes, with a start, an end and what drove it" python3 - "$scratch/told.jsonl" <<'PY'
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
for key, kind in (("k1", "stuck"), ("k2", "missing"), ("k3", "silence")):
    own = [r for r in rows if r["kind"] == kind]
    assert [(r["key"], r["state"]) for r in own] == [(key, "open"), (key, "closed")], own
    assert own[0]["id"] == own[1]["id"] and own[0]["end"] is None and own[1]["end"] > own[1]["start"], own
    assert kind == "silence" or own[1]["peak"]["values"]["v"]["share"] == 1, own
jump = [r for r in rows if r["key"] == "k0" and r["kind"] == "anomaly" and r["state"] == "open"]
assert any(r["peak"]["values"]["v"]["y"] == 95.5 and r["peak"]["score"] > .4 for r in jump), jump
PY
check "records carry the id of what is open, and nothing in full" python3 - "$scratch" <<'PY'
import json, sys
told = {i["id"] for i in map(json.loads, open(sys.argv[1] + "/told.jsonl")) if i["kind"] != "silence"}
rows = [json.loads(l) for l in open(sys.argv[1] + "/replay.jsonl")]
ids = {r["incident"] for r in rows if "incident" in r}
assert ids == told and not any("incidents" in r for r in rows), (ids, told)
PY

sed 's|, incidents: {sink: .*}}}}|}|' "$conf" >"$scratch/inline.yml"
run replay "$scratch/inline.yml" --input "$scratch/in.jsonl" --output "$scratch/inline.jsonl"
expect 0 "a sink is not needed"
check "without a sink the results tell the same, but of silence, which has no result" python3 - "$scratch" <<'PY'
import json, sys
told = [i for i in map(json.loads, open(sys.argv[1] + "/told.jsonl")) if i["kind"] != "silence"]
inline = [dict(i, key=r["key"], src=r["src"]) for r in map(json.loads, open(sys.argv[1] + "/inline.jsonl"))
          for i in r.get("incidents", [])]
assert inline == told and told
PY

# ---- what kind of fault ----
sed 's|detect: .*|detect: {detectors: [{committee: {}}]}|' "$conf" >"$scratch/kinds.yml"
run replay "$scratch/kinds.yml" --input "$scratch/in.jsonl" --output "$scratch/kinds.jsonl"
expect 0 "a committee alone opens incidents"
check "an incident is told as the fault that the committee's member knows, so that a value which jumps and stays is stuck in the end" python3 - "$scratch" <<'PY'
import json, sys
rows = [(r["key"], i) for r in map(json.loads, open(sys.argv[1] + "/kinds.jsonl")) for i in r.get("incidents", [])]
def kinds(key):
    return [i["kind"] for k, i in rows if k == key][:2]
assert kinds("k0") == ["spike", "spike"] and kinds("k1") == ["spike", "stuck"] and kinds("k2") == ["dropout"] * 2, rows
assert "anomaly" not in {i["kind"] for k, i in rows}, rows
PY

# ---- live, killed now and then ----
# live_killed CONFIG WRITTEN REPLAYED WHAT: run with CONFIG, killed three times and once to the end, it writes the incidents of a
# replay.  src names the file either way; what was written twice is the same twice.
live_killed() {
    local append=(--set sink.file.append=true --set detect.incidents.sink.file.append=true) delay pid
    for delay in 0.05 0.1 0.15; do
        "$EDDY" run "$1" "${append[@]}" --set state.checkpoint=20ms >/dev/null 2>&1 &
        pid=$!
        sleep $delay
        kill -9 $pid 2>/dev/null
        wait $pid 2>/dev/null
    done
    run run "$1" "${append[@]}"
    expect 0 "after kill -9 it runs to the end: $4"
    check "killed and restarted it tells of the same incidents: $4" python3 - "$scratch/$2" "$scratch/$3" <<'PY'
import json, sys
live, replayed = ({(r["src"]["offset"], r["id"], r["state"]): r for r in map(json.loads, open(name))} for name in sys.argv[1:])
assert live == replayed and len(live) >= 6
PY
}
live_killed "$conf" incidents.jsonl told.jsonl "of all kinds"

run state "$conf" show k1
expect 0 "state show says which incidents there were" "stuck        closed 2023-11-1" "events; peak 2023-11-1" ": v 7.25 for"
check "and not as raw bytes" test "$(grep -c '^  incidents' "$scratch/out")" -eq 0
run state "$conf" show k1 --json
check "as JSON it tells what was told when the incident closed" python3 - "$scratch" <<'PY'
import json, sys
shown = [i for i in json.load(open(sys.argv[1] + "/out"))["incidents"] if i["kind"] == "stuck"]
told = [i for i in map(json.loads, open(sys.argv[1] + "/told.jsonl")) if i["key"] == "k1" and i["kind"] == "stuck"]
assert len(shown) == 1 and shown[0]["state"] == "closed", shown
for name in ("id", "kind", "start", "end", "events"):
    assert shown[0][name] == told[-1][name], (name, shown, told)
PY
sed 's|detectors: \[exceedance|detectors: [committee, exceedance|' "$conf" >"$scratch/other.yml"
run state "$scratch/other.yml" show k1
expect 0 "where the configuration keeps incidents in another way they are raw bytes" "  incidents  "

# ---- keys that are forgotten for their age ----
# k0 jumps and is never heard of again; k1 does, and comes back a day later; k2 does, and comes back after an hour.
sed 's|^state: .*|state: {path: '"$scratch"'/aged, ttl: 12h}|; s|/incidents.jsonl|/aged.jsonl|' "$conf" >"$scratch/ttl.yml"
grep -q "ttl: 12h" "$scratch/ttl.yml" || not_ok "the configuration has a ttl"
series 20000 4 | awk '{
    i = int((NR - 1) / 4)
    if (i == 900 && !/"k3"/) sub(/"v":.*/, "\"v\":95.5}")
    if (/"k0"/ && i > 900 || /"k1"/ && i > 900 && i < 2400 || /"k2"/ && i > 900 && i < 915) next
    print
}' >"$scratch/aged.in"
sed "s|in.jsonl|aged.in|" "$scratch/ttl.yml" >"$scratch/aged.yml"
run replay "$scratch/aged.yml" --input "$scratch/aged.in" --incidents "$scratch/aged-told.jsonl"
expect 0 "a replay in which keys are forgotten"
check "an incident of a key that is forgotten closes once, when the others' time has run past its own" python3 - "$scratch" <<'PY'
import datetime, json, sys
rows = [r for r in map(json.loads, open(sys.argv[1] + "/aged-told.jsonl")) if r["kind"] != "silence"]
times = [json.loads(l) for l in open(sys.argv[1] + "/aged.in")]
last = {k: max(r["ts"] for r in times if r["key"] == k and r["v"] == 95.5) for k in ("k0", "k1", "k2")}
for key in ("k0", "k1"):
    own = [r for r in rows if r["key"] == key and r["kind"] == "anomaly"]
    at = next(i for i, r in enumerate(own) if r["state"] == "open" and r["peak"]["values"]["v"]["y"] == 95.5)
    opened, closed = own[at:at + 2]
    assert closed["state"] == "closed" and closed["id"] == opened["id"], own
    due = times[closed["src"]["offset"]]["ts"], times[closed["src"]["offset"] - 1]["ts"]
    assert due[0] - last[key] > 12 * 3600 >= due[1] - last[key], (due, last)
    assert [r["id"] for r in rows].count(opened["id"]) == 2, own
assert not [r for r in rows if r["key"] == "k2" and r["state"] == "closed" and times[r["src"]["offset"]]["key"] != "k2"]
PY
live_killed "$scratch/aged.yml" aged.jsonl aged-told.jsonl "of keys that are forgotten"
finish
