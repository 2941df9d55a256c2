#!/bin/bash
# Prices: config/prices.yml over eight daily exchange rates, against RiskMetrics in an independent computation.
# shellcheck source=tests/flow/lib.sh
. "$(dirname "$0")/lib.sh"
data=${EXCHANGE:-../shared/data/exchange/exchange_rate.txt.gz}

printf 'ts,price\n2026-03-01,100\n2026-03-02,101\n2026-03-03,0\n2026-03-04,102\n2026-03-05,102\n' >"$scratch/few.csv"
run replay config/prices.yml --input "$scratch/few.csv" --output "$scratch/few.jsonl"
expect 0 "a price of 0 is no error"
check "it counts as missing: the last price is forecast, and written as it came" python3 - "$scratch/few.jsonl" <<'PY'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
near = lambda a, b: abs(a - b) < 1e-6
sys.exit(not (rows[2]["y"] == 0 and near(rows[2]["forecast"][0]["yhat"], 101) and near(rows[3]["yhat"], 101)
              and near(sum(rows[4]["forecast"][1]["moves"].values()), 1)))
PY

if [ ! -f "$data" ]; then
    skip "bands of exchange rates: ../shared/data is not there"
    finish
    exit
fi
zcat "$data" >"$scratch/rates.csv"
run replay config/prices.yml --input "$scratch/rates.csv" --no-header --time none --start 1990-01-01 --interval 1d \
    --values c0,c1,c2,c3,c4,c5,c6,c7 --set 'forecast.horizons=[1,24,48]' --score-rows 1897: \
    --metrics "$scratch/rates.json"
expect 0 "eight rates, 7,588 days"
check "bands better than those of RiskMetrics, moves than their climatology, and the point is the last price" \
    python3 - "$scratch/rates.csv" "$scratch/rates.json" <<'PY'
import json, sys
rows = [[float(x) for x in line.split(",")] for line in open(sys.argv[1])]
figures, first, bad = json.load(open(sys.argv[2]))["forecast"], 1897, 0
levels = ((.05, -1.644854), (.25, -.67449), (.5, 0), (.75, .67449), (.95, 1.644854))
def riskmetrics(v, h):
    variance, total, n, at = 0, 0, 0, {}
    for t, row in enumerate(rows):
        x = row[v]
        if t > 0:
            variance += max(.06, 1 / t) * ((x - rows[t - 1][v]) ** 2 - variance)
        if t - h >= first:
            last, sd = at.pop(t - h)
            for level, z in levels:
                e = x - last - z * sd
                total += (level if e >= 0 else level - 1) * e / len(levels)
            n += 1
        at[t] = x, (h * variance) ** .5
    return total / n
for i, h in enumerate((1, 24, 48)):
    ratios = [figures["by_value"][f"c{v}"]["by_horizon"][i]["pinball"] / riskmetrics(v, h) for v in range(8)]
    pooled = figures["by_horizon"][i]
    mean = sum(ratios) / len(ratios)
    print(f"h {h}: pinball {mean:.4f} of RiskMetrics, brier {pooled['brier']:.4f} against",
          f"{pooled['brier_climatology']:.4f}, mse {pooled['relative_mse']:.4f} of persistence")
    bad += mean > .97 or pooled["brier"] > pooled["brier_climatology"] or pooled["relative_mse"] > 1.0001
sys.exit(bad > 0)
PY
cat "$scratch/check"
finish
