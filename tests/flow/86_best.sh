#!/bin/bash
# The profile best by the public protocol: errors of series that it has never seen, scaled as the papers do, and the share
# of values inside its bands at every horizon.  FORECASTING, sections 2 and 9, say what the numbers mean.
# shellcheck source=tests/flow/lib.sh
. "$(dirname "$0")/lib.sh"
ett=../shared/data/ett/ETTh1.csv.gz rates=../shared/data/exchange/exchange_rate.txt.gz
if [ ! -f $ett ] || [ ! -f $rates ]; then
    skip "errors and coverage of the profile best: ../shared/data is not there"
    finish
    exit
fi
cat >"$scratch/judge.py" <<'PY'
import json, sys
f = json.load(open(sys.argv[1]))["forecast"]
most = [float(v) for v in sys.argv[2].split("/")]
got = [c["mse"] for c in f["cumulative"] if c["H"] in (1, 24, 48)]
inside = {share: [h["coverage"][share] for h in f["by_horizon"]] for share in ("0.5", "0.9")}
print("errors", got, "bands", {s: (min(v), max(v)) for s, v in inside.items()})
good = all(g <= m for g, m in zip(got, most)) and len(got) == len(most)
good &= min(inside["0.9"]) >= .89 and max(inside["0.9"]) <= .91
good &= min(inside["0.5"]) >= .485 and max(inside["0.5"]) <= .515
sys.exit(not good)
PY
zcat $ett | head -14401 >"$scratch/ETTh1.csv"
run replay config/forecast.yml --input "$scratch/ETTh1.csv" --set state.path="$scratch/state" --set train.mode=inline \
    --score-rows 3600:14400 --scale-rows 0:2880 --metrics "$scratch/ett.json"
expect 0 "ETTh1, 7 values by themselves"
check "its errors and bands" python3 "$scratch/judge.py" "$scratch/ett.json" .193/.602/.718
cat "$scratch/check"
zcat $rates >"$scratch/rates.csv"
run replay config/forecast.yml --input "$scratch/rates.csv" --no-header --time none --start 1990-01-01T00:00:00Z \
    --interval 1d --set state.path="$scratch/state" --set train.mode=inline --set forecast.season=auto \
    --score-rows 1896:7588 --scale-rows 0:1517 --metrics "$scratch/rates.json"
expect 0 "exchange rates, 8 values"
check "what cannot be beaten is not lost to: at most 1.01 of the last value's errors" \
    python3 "$scratch/judge.py" "$scratch/rates.json" .00899/.0870/.1664
cat "$scratch/check"
finish
