#!/bin/bash
# The figures of a replay against computations of their own (tests/golden) from what it wrote.
# shellcheck source=tests/flow/lib.sh
. "$(dirname "$0")/lib.sh"
mkdir "$scratch/plant"
# Three machines of different sizes, two values, a day of 24 hours, and holes.
for k in 1 2 3; do
    awk -v k=$k 'BEGIN {
        print "ts,flow,heat"
        for (i = 0; i < 400 + 10 * k; i++) {
            flow = k * 50 + 10 * k * sin(i * 6.2831853 / 24) + k * sin(i * 12.9898 * k) * 3
            heat = 20 / k + 3 * cos(i * 6.2831853 / 24) + cos(i * 78.233 * k)
            printf "%d,%s,%s\n", 1700000000 + 3600 * i, i % 37 == 5 ? "" : sprintf("%.3f", flow), i % 41 == 7 ? "NA" : sprintf("%.3f", heat)
        }
    }' >"$scratch/plant/m$k.csv"
done
cat >"$scratch/c.yml" <<YAML
name: backtest
forecast: {horizons: [1-5, 30], bands: [0.8], season: 24, network: {layers: [{gru: {units: 4}}]}}
train: {mode: inline, window: 16, every: 4}
state: {path: $scratch/state}
YAML
replay=(replay "$scratch/c.yml" --input "$scratch/plant" --time-unit s --output "$scratch/out.jsonl" --metrics "$scratch/m.json")
figures() { python3 tests/golden/replay_figures.py "$scratch/out.jsonl" "$scratch/m.json" 0.8 24 "$@"; }

run "${replay[@]}"
expect 0 "a directory with holes in its series"
check "its figures are those computed anew" figures
run "${replay[@]}" --score-rows 120:360
expect 0 "--score-rows"
check "the figures of these origins alone" figures 120:360
run "${replay[@]}" --score-rows 100:300 --scale-rows 0:100
expect 0 "--scale-rows"
check "in standard deviations of the first rows" figures 100:300 0:100
# Every expert alone: two of them are baselines, whose errors are known from elsewhere.
run "${replay[@]}" --score-rows 100:300 --scale-rows 0:100 --report "$scratch/report.html" \
    --set 'forecast.experts=[persistence, seasonal_naive, network]'
expect 0 "three experts"
check "each one's own error and weight" python3 - "$scratch/m.json" <<'PY'
import json, sys
f = json.load(open(sys.argv[1]))["forecast"]
assert list(f["experts"]) == ["persistence", "seasonal_naive", "network"], f["experts"]
for i, row in enumerate(f["by_horizon"]):
    own = {name: e["by_horizon"][i] for name, e in f["experts"].items()}
    assert own["persistence"]["n"] == row["n"]
    assert abs(own["persistence"]["mse"] - row["persistence_mse"]) < 1e-6 * row["persistence_mse"], (own, row)
    assert abs(own["persistence"]["relative_mse"] - 1) < 1e-6
    assert 0 < own["network"]["relative_mse"] < 2, own["network"]
    weights = [e["weight"] for e in own.values()]
    assert all(0 <= w <= 1 for w in weights) and sum(weights) < 1 + 1e-8, weights  # nine digits each
PY
check "their weights over time in the report" grep -q '"experts":{"names":\["persistence","seasonal_naive","network"\],"weights":\[\[' "$scratch/report.html"
cp "$scratch/out.jsonl" "$scratch/told.jsonl"
run replay "$scratch/c.yml" --input "$scratch/plant" --time-unit s --output "$scratch/out.jsonl" \
    --set 'forecast.experts=[persistence, seasonal_naive, network]'
check "telling of them changes no record" cmp "$scratch/out.jsonl" "$scratch/told.jsonl"
for rows in 5 5:5 6:5 a:b :5 1:2:3 -1:4 "1: 2"; do
    run "${replay[@]}" --score-rows "$rows"
    expect 2 "--score-rows '$rows' is no range" "--score-rows takes A:B"
done
run "${replay[@]}" --scale-rows 9
expect 2 "nor is a single number for --scale-rows" "--scale-rows takes A:B"

# Alarms against known anomalies: a level that is out of place for some hours.
awk 'BEGIN {
    print "ts,v"
    for (i = 0; i < 900; i++)
        printf "%d,%.3f\n", 1700000000 + 3600 * i, 10 + sin(i * 12.9898) + (i > 500 && i < 512 || i == 300 || i == 700) * 9
}' >"$scratch/alone.csv"
cat >"$scratch/labels.json" <<JSON
{"plant/alone.csv": [["$(date -u -d @$((1700000000 + 3600 * 495)) '+%F %T')", $((1700000000 + 3600 * 530))], [1702480000, 1702580000]]}
JSON
judged=(replay "$scratch/c.yml" --input "$scratch/alone.csv" --time-unit s --output "$scratch/out.jsonl" --metrics "$scratch/m.json")
run "${judged[@]}" --labels "$scratch/labels.json"
expect 0 "--labels judges the alarms" "windows  " "nab  "
check "the benchmark's score as its definition says" \
    python3 tests/golden/nab_score.py "$scratch/out.jsonl" "$scratch/labels.json" "$scratch/m.json"
check "rows, windows and runs as counted anew" python3 - "$scratch/out.jsonl" "$scratch/m.json" <<'PY'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
alarm = [r["anomaly"] or r.get("incident") is not None for r in rows]
windows = [(495, 530), (689, 716)]  # (1702480000 - 1700000000) / 3600 = 688.9
inside = [any(a <= i <= b for a, b in windows) for i in range(len(rows))]
d = json.load(open(sys.argv[2]))["detect"]
hits = [[i - a for i in range(a, b + 1) if alarm[i]] for a, b in windows]
assert d["windows"]["hit"] == sum(map(bool, hits)) > 0, d["windows"]
assert d["windows"]["missed"] == sum(not h for h in hits)
runs = sum(alarm[i] and not inside[i] and not (i and alarm[i - 1]) for i in range(len(rows)))
assert d["false_alarms"] == runs, (d["false_alarms"], runs)
tp = sum(a and b for a, b in zip(alarm, inside))
assert abs(d["pointwise"]["precision"] - tp / sum(alarm)) < 1e-8
assert abs(d["pointwise"]["recall"] - tp / sum(inside)) < 1e-8
assert list(d["by_series"]) == ["plant/alone.csv"]
PY
nab=../shared/data/nab
if [ -d $nab ]; then
    run replay config/sensors.yml --input $nab --labels $nab/windows.json --output "$scratch/nab.jsonl" --metrics "$scratch/nab.json"
    expect 0 "29 series of the benchmark with their windows" " of 29 labelled series"
    check "their score in three profiles, and the best threshold" \
        python3 tests/golden/nab_score.py "$scratch/nab.jsonl" $nab/windows.json "$scratch/nab.json"
else
    skip "the benchmark's series: ../shared/data is not there"
fi
run "${judged[@]}" --labels "$scratch/labels.json" --report "$scratch/report.html"
expect 0 "--report writes a page"
check "which holds its data and loads nothing" python3 - "$scratch/report.html" "$scratch/m.json" <<'PY'
import json, re, sys
page = open(sys.argv[1]).read()
data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S).group(1))
assert data["metrics"][0]["forecast"] == json.load(open(sys.argv[2]))["forecast"]
chart = data["charts"][0]
assert len(chart["t"]) == 900 == len(chart["values"][0]["y"]) and len(chart["spans"]) == 2 and data["training"]
assert not re.search(r"https?://|<link|src=", page) and page.count("<script") == 2
PY
run "${judged[@]}" --report /nowhere/r.html
expect 1 "a report that cannot be written is named" /nowhere/r.html
run "${judged[@]}" --labels "$scratch/c.yml"
expect 1 "labels that are no JSON" "$scratch/c.yml:1"
run "${judged[@]}" --labels /nowhere.json
expect 1 "labels that are not there" "labels /nowhere.json"
finish
