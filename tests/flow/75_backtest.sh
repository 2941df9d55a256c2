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
for rows in 5 5:5 6:5 a:b :5 1:2:3 -1:4 "1: 2"; do
    run "${replay[@]}" --score-rows "$rows"
    expect 2 "--score-rows '$rows' is no range" "--score-rows takes A:B"
done
run "${replay[@]}" --scale-rows 9
expect 2 "nor is a single number for --scale-rows" "--scale-rows takes A:B"
finish
