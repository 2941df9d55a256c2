"""The score of the Numenta Anomaly Benchmark from a replay's --output and label windows, straight from the definition.

    nab_score.py OUTPUT LABELS METRICS      compares with the metrics of the replay; exit 1 when they differ
    nab_score.py --golden                   writes nab_score.txt: made series, their windows and their scores

For a threshold every series is scored row by row on its own; the best threshold is found by trying all that occur.
"""
import datetime
import json
import math
import random
import sys

PROFILES = {"standard": (0.11, 1.0), "low_fp": (0.22, 1.0), "low_fn": (0.11, 2.0)}


def s(y):
    return -1.0 if y > 3 else 2 / (1 + math.exp(5 * y)) - 1


def raw(detections, n, windows, fp, fn):
    """detections: rows in order; windows: [(first, last)] of rows."""
    probation = min(math.floor(0.15 * n + 1e-9), 750)
    total, inside = 0.0, {}
    for i in detections:
        if i < probation:
            continue
        home = [w for w in windows if w[0] <= i <= w[1]]
        if home:
            first, last = home[0]
            value = s(-(last - i + 1) / (last - first + 1)) / s(-1)
            inside[home[0]] = max(inside.get(home[0], -9), value)
            continue
        before = [w for w in windows if w[1] < i]
        if not before:
            total -= fp
            continue
        first, last = max(before, key=lambda w: w[1])
        total += fp * (s((i - last) / (last - first)) if last > first else -1.0)
    return total + sum(inside.get(w, -fn) for w in windows)


def score(series, threshold, profile):
    fp, fn = PROFILES[profile]
    got = nothing = perfect = 0.0
    for scores, windows in series:
        rows = [i for i, v in scores if v >= threshold]
        got += raw(rows, scores.n, windows, fp, fn)
        nothing += raw([], scores.n, windows, fp, fn)
        perfect += len(windows)
    return 100 * (got - nothing) / (perfect - nothing)


class Scores(list):
    """(row, score) of the rows that matter, and how many rows there are in all."""

    def __init__(self, values, at_least):
        super().__init__((i, v) for i, v in enumerate(values) if v >= at_least)
        self.n = len(values)


def best(series, profile):
    """Nothing detected scores 0 and is allowed."""
    tried = [(score(series, t, profile), t) for t in {v for scores, _ in series for _, v in scores}]
    return max(tried + [(0.0, None)], key=lambda x: (x[0], x[1] or 0))


def text(t):
    """As in the output, with a blank for the T; numbers are seconds since 1970."""
    if isinstance(t, str):
        return t[:19].replace("T", " ")
    return datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def read(output, labels, at_least):
    rows = {}
    for line in open(output):
        r = json.loads(line)
        rows.setdefault(r["key"], []).append((r["ts"][:19].replace("T", " "), r["score"]))
    series = []
    for name, spans in json.load(open(labels)).items():
        key = name.rsplit(".", 1)[0]
        events = rows[key] if key in rows else rows[key.rsplit("/", 1)[1]]
        windows = []
        for span in spans:
            start, end = map(text, span)
            inside = [i for i, (t, _) in enumerate(events) if start <= t <= end]
            windows.append((inside[0], inside[-1]))
        series.append((Scores([v for _, v in events], at_least), windows))
    return series


def compare(output, labels, metrics):
    detect = json.load(open(metrics))["detect"]
    wrong = 0
    for profile, told in detect["nab"].items():
        # Rows far below the best threshold cost time and decide nothing.
        low = min(told["best_threshold"] or 1, detect["threshold"]) * 0.8
        series = read(output, labels, low)
        top, at = best(series, profile)
        own = score(series, detect["threshold"], profile)
        print(profile, own, told["score"], top, told["best"], at, told["best_threshold"])
        wrong += abs(own - told["score"]) > 1e-6 or abs(top - told["best"]) > 1e-6 or abs(at - told["best_threshold"]) > 1e-6
    sys.exit(bool(wrong))


def golden():
    random.seed(5)
    out = open(__file__.replace(".py", ".txt"), "w")
    made = []
    for n, windows in [(100, [(20, 34), (60, 60), (80, 99)]), (60, []), (41, [(3, 9), (10, 20)]), (7, [(1, 5)])]:
        made.append((Scores([round(random.random() ** 3, 2) for _ in range(n)], 0), windows))
    for scores, windows in made:
        print("series", scores.n, len(windows), *(v for w in windows for v in w), *(v for _, v in scores), file=out)
    for profile in PROFILES:
        top, at = best(made, profile)
        for threshold in (0.0, 0.3, 0.5, 0.8, 2.0):
            print("score", profile, threshold, repr(score(made, threshold, profile)), file=out)
        print("best", profile, at, repr(top), file=out)


if sys.argv[1:] == ["--golden"]:
    golden()
else:
    compare(*sys.argv[1:])
