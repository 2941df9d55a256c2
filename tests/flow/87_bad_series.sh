#!/bin/bash
# Series that no sensor should send: every sample configuration takes them, tells of no number that is none, raises no storm
# of alarms and keeps its memory.
# shellcheck source=tests/flow/lib.sh
. "$(dirname "$0")/lib.sh"
rows=1500
# One file a series; v(i) is the value of row i, t(i) its time.
python3 - "$scratch/bad" $rows <<'PY'
import os, sys
folder, rows = sys.argv[1], int(sys.argv[2])
os.mkdir(folder)
noise = lambda i: (i * 2654435761 % 2**32) / 2**32 - .5
usual = lambda i: 10 + noise(i)
hour = lambda i: 1700000000 + 3600 * i
series = {
    "constant": (lambda i: 5, hour),
    "zero": (lambda i: 0, hour),
    "two_values": (lambda i: i * 7919 % 5 < 2, hour),
    "missing": (lambda i: "", hour),
    "mostly_missing": (lambda i: usual(i) if i % 50 == 0 else "", hour),
    "months_apart": (usual, lambda i: hour(i) + 7776000 * (i // 100)),
    "jumps": (lambda i: usual(i) + (1e9 if i // 200 % 2 else 0), hour),
    "denormal": (lambda i: noise(i) * 1e-309, hour),
    "small_floats": (lambda i: noise(i) * 1e-40, hour),
    "huge": (lambda i: noise(i) * 1e308, hour),
    "now_and_then_huge": (lambda i: 1e308 if i % 300 == 299 else usual(i), hour),
    "largest_floats": (lambda i: noise(i) * 6e38, hour),
    "alternating": (lambda i: 1e6 * (-1) ** i, hour),
    "duplicated": (usual, lambda i: hour(i // 2)),
    "reversed": (usual, lambda i: hour(rows - i)),
    "one_time": (usual, lambda i: hour(0)),
    "one_event": (usual, hour),
}
for name, (v, t) in series.items():
    with open(f"{folder}/{name}.csv", "w") as file:
        file.write("ts,power\n")
        for i in range(1 if name == "one_event" else rows):
            value = v(i)
            file.write(f"{t(i)},{value if value == '' else repr(float(value))}\n")
PY
cat >"$scratch/judge.py" <<'PY'
import json, math, sys
def refuse(word):
    raise ValueError(f"{word} is no JSON")
alarms, rows = {}, {}
def walk(v):
    if isinstance(v, dict): return all(map(walk, v.values()))
    if isinstance(v, list): return all(map(walk, v))
    return not isinstance(v, float) or math.isfinite(v)
for line in open(sys.argv[1]):
    record = json.loads(line, parse_constant=refuse)
    assert walk(record), line
    key = record["key"]
    rows[key] = rows.get(key, 0) + 1
    alarms[key] = alarms.get(key, 0) + bool(record["anomaly"])
storm = {key: n for key, n in alarms.items() if n > 10 * max(1, rows[key] / 1000)}
print("more than 10 alerts per 1,000 rows:", storm)
sys.exit(bool(storm))
PY
for name in sensors fleet forecast prices; do
    more=()
    [ $name != prices ] || more=(--values power)
    run replay config/$name.yml --input "$scratch/bad" --time-unit s --output "$scratch/out.jsonl" --metrics "$scratch/m.json" \
        --state "$scratch/state-$name" --dead-letter "$scratch/dead.jsonl" "${more[@]}"
    expect 0 "$name.yml takes bad series"
    check "$name.yml: every number is one, and alarms are few" python3 "$scratch/judge.py" "$scratch/out.jsonl"
    check "$name.yml: the figures are JSON" python3 -c \
        'import json, sys; json.load(open(sys.argv[1]), parse_constant=lambda w: sys.exit(w))' "$scratch/m.json"
    check "$name.yml: it kept keys" test "$("$EDDY" state config/$name.yml list --set state.path="$scratch/state-$name" --json | wc -l)" -ge 1 # ttl takes the others
    run state config/$name.yml verify --set state.path="$scratch/state-$name"
    expect 0 "$name.yml: its state is sound"
done

# 5,000 values in a record: done or refused, but clearly.
awk 'BEGIN {
    printf "ts"; for (c = 0; c < 5000; c++) printf ",v%d", c
    for (i = 0; i < 3; i++) { printf "\n%d", 1700000000 + 3600 * i; for (c = 0; c < 5000; c++) printf ",%d", (c * 7 + i * 11) % 101 }
    print ""
}' >"$scratch/wide.csv"
for name in sensors forecast; do
    run replay config/$name.yml --input "$scratch/wide.csv" --time-unit s --output "$scratch/out.jsonl"
    if [ "$rc" -eq 0 ]; then
        check "$name.yml: 5,000 values a record, and every number is one" python3 "$scratch/judge.py" "$scratch/out.jsonl"
    else
        check "$name.yml: 5,000 values a record are refused, with the reason" grep -Eq "values|columns|larger than" "$scratch/err"
        tail -n 1 "$scratch/err"
    fi
done
finish
