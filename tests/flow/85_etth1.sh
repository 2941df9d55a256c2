#!/bin/bash
# A model from elsewhere: an LSTM that was trained in PyTorch on ETTh1 (tests/golden/etth1_lstm.py) gives in eddy the
# forecasts that it gives there.
# shellcheck source=tests/flow/lib.sh
. "$(dirname "$0")/lib.sh"
data=../shared/data/ett/ETTh1.csv.gz
if [ ! -f $data ]; then
    skip "forecasts of an imported LSTM: ../shared/data is not there"
    finish
    exit
fi
python3 - tests/golden/files/etth1_lstm.csv >"$scratch/imported.yml" <<'PY'
import sys
names = ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
mean, deviation = (line.strip().split(",")[1:] for line in open(sys.argv[1]).readlines()[:2])
show = lambda v: "{" + ", ".join(f"{n}: {x}" for n, x in zip(names, v)) + "}"
print(f"""name: imported
forecast:
  horizons: [1]
  channels: joint
  anchor: none
  calendar: false
  scaling: {{kind: fixed, mean: {show(mean)}, deviation: {show(deviation)}}}
  network: {{inputs: [level], layers: [{{lstm: {{units: 16}}}}]}}
train: {{mode: "off"}}""")
PY
zcat $data | awk 'NR == 1 || (NR > 3401 && NR <= 3901)' >"$scratch/rows.csv" # row r is line r + 2
run replay "$scratch/imported.yml" --input "$scratch/rows.csv" --output "$scratch/scored.jsonl" \
    --model tests/golden/files/etth1_lstm.safetensors --set state.path="$scratch/state"
expect 0 "the file fits the configuration"
check "300 forecasts of 7 values as PyTorch makes them, within 1e-4" python3 - tests/golden/files/etth1_lstm.csv \
    "$scratch/scored.jsonl" <<'PY'
import json, sys
lines = [line.strip().split(",") for line in open(sys.argv[1])]
mean, deviation = ([float(v) for v in line[1:]] for line in lines[:2])
got = [json.loads(line)["forecast"][0]["yhat"] for line in open(sys.argv[2])]
worst = 0
for row, *want in lines[2:]:
    now = got[int(row) - 3400]
    for k, name in enumerate(now):
        worst = max(worst, abs((now[name] - mean[k]) / deviation[k] - float(want[k])))
print("largest difference", worst)
sys.exit(not (len(lines) == 302 and worst < 1e-4))
PY
cat "$scratch/check"
finish
