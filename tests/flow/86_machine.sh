#!/bin/bash
# Sustained faults of a machine with several sensors: config/machine.yml over SKAB, 17 experiments with one fault each.
# shellcheck source=tests/flow/lib.sh
. "$(dirname "$0")/lib.sh"
data=${SKAB:-../shared/data/skab}

run check config/machine.yml
expect 0 "the sample means something" "machine"

awk 'BEGIN { printf "ts"; for (v = 0; v < 65; v++) printf ",s%d", v; print ""
             for (i = 0; i < 3; i++) { printf "2026-03-01T00:00:0%dZ", i; for (v = 0; v < 65; v++) printf ",%d", v; print "" } }' \
    >"$scratch/wide.csv"
run replay config/machine.yml --input "$scratch/wide.csv"
expect 78 "more sensors than it can compare are refused" "machine judges at most 64 values of an event, the series has 65"

if [ ! -d "$data" ]; then
    skip "faults of SKAB: ../shared/data is not there"
    finish
    exit
fi
run replay config/machine.yml --input "$data" --output "$scratch/scored.jsonl"
expect 0 "17 experiments, each a key" "18417 (0 bad), 17 keys"
check "rows with an open incident against labels: F1 at least .84, 1 - FAR - MAR at least .67; 12 of 17 faults alerted" \
    python3 - "$data/windows.json" "$scratch/scored.jsonl" <<'PY'
import json, sys
windows, rows = json.load(open(sys.argv[1])), {}
for line in open(sys.argv[2]):
    record = json.loads(line)
    rows.setdefault(record["key"] + ".csv", []).append(record)
tp = fp = fn = tn = found = elsewhere = 0
for name, spans in windows.items():
    hit = False
    for record in rows[name][400:]:
        ts = record["ts"][:19].replace("T", " ")
        fault, alarm = any(a <= ts <= b for a, b in spans), bool(record.get("incident"))
        tp, fp = tp + (fault and alarm), fp + (alarm and not fault)
        fn, tn = fn + (fault and not alarm), tn + (not fault and not alarm)
        hit |= fault and record["anomaly"]
        elsewhere += record["anomaly"] and not fault
    found += hit
f1, j = 2 * tp / (2 * tp + fp + fn), 1 - fp / (fp + tn) - fn / (fn + tp)
print(f"F1 {f1:.3f}, 1 - FAR - MAR {j:.3f}, {found} faults found, {elsewhere} alerts elsewhere")
sys.exit(not (len(windows) == 17 and f1 >= 0.84 and j >= 0.67 and found >= 12 and elsewhere <= 8))
PY
cat "$scratch/check"
finish
