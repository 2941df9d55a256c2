"""The forecast figures of a replay, computed anew from its --output (JSON lines) and compared with its --metrics.

    replay_figures.py OUTPUT METRICS COVERAGE SEASON [A:B [C:D]]

COVERAGE is the one band of the configuration, SEASON its steps; A:B are --score-rows, C:D --scale-rows.  Everything is
done the slow, plain way: for every series all rows are in memory, and each pair of an origin and a later row is looked
at.
"""
import json
import math
import sys


def rows(text):
    first, last = text.split(":")
    return int(first), int(last)


def read(path):
    series = {}
    for line in open(path):
        r = json.loads(line)
        y = r["y"] if isinstance(r["y"], dict) else {"": r["y"]}
        for name in y:
            pick = lambda v: v[name] if isinstance(v, dict) else v
            ahead = {f["h"]: [pick(f["yhat"]), pick(f["lower"]), pick(f["upper"])] for f in r["forecast"]}
            series.setdefault((r["key"], name), []).append((y[name], ahead))
    return series


def pinball(q, e):
    return max(q * e, (q - 1) * e)


def pairs(events, h, score, season):
    """(y, forecast, lower, upper, persistence, seasonal) of every judged pair."""
    last = None
    for t, (y, ahead) in enumerate(events):
        last = y if y is not None else last
        if not score[0] <= t < score[1] or t + h >= len(events):
            continue
        actual, (forecast, lower, upper) = events[t + h][0], ahead[h]
        if actual is None or forecast is None or last is None:
            continue
        back = t + h - season * math.ceil(h / season)
        yield actual, forecast, lower, upper, last, events[back][0] if back >= 0 else None


def deviation(events, scale):
    if not scale:
        return 1.0
    y = [v for v, _ in events[scale[0] : scale[1]] if v is not None]
    mean = sum(y) / len(y)
    return math.sqrt(sum((v - mean) ** 2 for v in y) / len(y))


def figures(series, h, score, scale, season, coverage):
    """Sums, so that several horizons can be added up."""
    s = dict.fromkeys(["n", "sq", "abs", "sym", "pin", "n_pin", "in", "width", "n_band", "per", "sea", "n_sea"], 0)
    for events in series:
        d = deviation(events, scale)
        for y, f, lower, upper, last, ago in pairs(events, h, score, season):
            s["n"] += 1
            s["sq"] += ((y - f) / d) ** 2
            s["abs"] += abs(y - f) / d
            s["sym"] += 200 * abs(y - f) / (abs(y) + abs(f)) if abs(y) + abs(f) > 0 else 0
            s["per"] += ((y - last) / d) ** 2
            if lower is not None and upper is not None:
                out = (1 - coverage) / 2
                s["n_band"] += 1
                s["in"] += lower <= y <= upper
                s["width"] += (upper - lower) / d
                s["pin"] += (pinball(0.5, y - f) + pinball(out, y - lower) + pinball(1 - out, y - upper)) / 3 / d
            if ago is not None:
                s["n_sea"] += 1
                s["sea"] += ((y - ago) / d) ** 2
    return s


def main():
    output, metrics, coverage, season = sys.argv[1], json.load(open(sys.argv[2])), float(sys.argv[3]), int(sys.argv[4])
    score = rows(sys.argv[5]) if len(sys.argv) > 5 else (0, 1 << 60)
    scale = rows(sys.argv[6]) if len(sys.argv) > 6 else None
    series, wrong, n = read(output), [], 0

    def same(what, got, want):
        nonlocal n
        n += 1
        if got is None or abs(got - want) > 2e-6 * max(1e-9, abs(want)):
            wrong.append(f"{what}: {got} instead of {want}")

    def compare(part, of, name):
        total = {}
        for i, row in enumerate(part["by_horizon"]):
            s = figures(of, row["h"], score, scale, season, coverage)
            at = f"{name} h={row['h']} "
            same(at + "n", row["n"], s["n"])
            same(at + "mse", row["mse"], s["sq"] / s["n"])
            same(at + "mae", row["mae"], s["abs"] / s["n"])
            same(at + "rmse", row["rmse"], math.sqrt(s["sq"] / s["n"]))
            same(at + "smape", row["smape"], s["sym"] / s["n"])
            same(at + "pinball", row["pinball"], s["pin"] / s["n_band"])
            same(at + "coverage", row["coverage"][f"{coverage:g}"], s["in"] / s["n_band"])
            same(at + "width", row["width"][f"{coverage:g}"], s["width"] / s["n_band"])
            same(at + "persistence", row["persistence_mse"], s["per"] / s["n"])
            same(at + "seasonal", row["seasonal_mse"], s["sea"] / s["n_sea"])
            total = {k: total.get(k, 0) + v for k, v in s.items()}
            if row["h"] != i + 1:
                continue
            cumulative = part["cumulative"][i]
            same(at + "cumulative H", cumulative["H"], row["h"])
            same(at + "cumulative", cumulative["mse"], total["sq"] / total["n"])
            same(at + "cumulative mae", cumulative["mae"], total["abs"] / total["n"])
            same(at + "cumulative persistence", cumulative["persistence_mse"], total["per"] / total["n"])

    forecast = metrics["forecast"]
    if forecast["units"] != ("scaled" if scale else "raw"):
        wrong.append("units " + forecast["units"])
    compare(forecast, list(series.values()), "all")
    for name, part in forecast.get("by_value", {}).items():
        compare(part, [events for (_, value), events in series.items() if value == name], name)
    print(*wrong, sep="\n")
    print(f"{n} figures compared, {len(wrong)} differ")
    sys.exit(bool(wrong) or n < 20)


main()
