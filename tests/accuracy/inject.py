"""Clean stretches and the faults that are put into them."""
import csv
import functools
import glob
import gzip
import os
import statistics

from replay import data
from simulated import Random, number, plants

WARM, ROWS, AFTER = 1500, 2400, 24
KINDS = ("spike", "shift", "drift", "stuck", "variance", "rhythm", "amplitude", "dropout")
MAGNITUDES = ("small", "medium", "large")
MISSING = float("nan")


def column(path, name_or_index, header=True):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt") as file:
        rows = csv.reader(file)
        at = next(rows).index(name_or_index) if header else name_or_index
        return [float(row[at]) for row in rows]


def skab_column(folder, name):
    """The first 400 rows of the folder's experiments end to end, each moved to a median of 0: one alone is too short."""
    joined = []
    for path in sorted(glob.glob(data(f"skab/{folder}/*.csv"))):
        piece = column(path, name)[:400]
        middle = statistics.median(piece)
        joined += [x - middle for x in piece]
    return joined


@functools.cache
def clean_series():
    """name: (season in rows or 0, ROWS values, size of what is unpredictable)"""
    found = plants(ROWS)
    if not os.path.exists(data("ett/ETTh1.csv.gz")):
        return sized(found)
    for i, name in enumerate(("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")):
        start = 2400 * (i % 6)
        found[f"ett_{name}"] = 24, column(data("ett/ETTh1.csv.gz"), name)[start:start + ROWS]
    for i, start in ((0, 0), (2, 1500), (4, 3000), (7, 5000)):
        found[f"exchange_{i}"] = 0, column(data("exchange/exchange_rate.txt.gz"), i, header=False)[start:start + ROWS]
    for name in ("art_daily_no_noise", "art_daily_perfect_square_wave", "art_daily_small_noise"):
        found[f"nab_{name}"] = 288, column(data(f"nab/artificialNoAnomaly/{name}.csv"), "value")[:ROWS]
    for folder, name in (("valve1", "Accelerometer1RMS"), ("valve1", "Current"), ("other", "Pressure"), ("other", "Volume_Flow_RateRMS")):
        found[f"skab_{folder}_{name}"] = 0, skab_column(folder, name)[:ROWS]
    return sized(found)


def sized(found):
    return {name: (season, values, unpredictable(values, season)) for name, (season, values) in found.items() if len(values) == ROWS}


def half(name):
    """Which half a series belongs to: one to choose on, one to look at rarely."""
    return "choose" if number("half of " + name) & 1 else "rarely"


def solve(a, b):
    """Gaussian elimination with row exchange; a small ridge makes it always solvable."""
    n = len(b)
    rows = [a[i][:] + [b[i]] for i in range(n)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda k: abs(rows[k][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for k in range(i + 1, n):
            factor = rows[k][i] / rows[i][i]
            rows[k] = [x - factor * y for x, y in zip(rows[k], rows[i])]
    x = [0.] * n
    for i in reversed(range(n)):
        x[i] = (rows[i][n] - sum(rows[i][k] * x[k] for k in range(i + 1, n))) / rows[i][i]
    return x


def mad(values):
    middle = statistics.median(values)
    return 1.4826 * statistics.median(abs(v - middle) for v in values)


def unpredictable(values, season):
    """Robust deviation of what a seasonal autoregression, fitted to these clean rows, leaves; 1 % of the range at least."""
    lags = [1, 2, 3] + ([season, season + 1] if season else [])
    mean = statistics.fmean(values)
    x = [v - mean for v in values]
    rows = [[1.] + [x[t - lag] for lag in lags] for t in range(max(lags), len(x))]
    target = x[max(lags):]
    size = len(lags) + 1
    ridge = 1e-6 * sum(v * v for v in x) + 1e-9
    a = [[sum(r[i] * r[j] for r in rows) + ridge * (i == j) for j in range(size)] for i in range(size)]
    w = solve(a, [sum(r[i] * y for r, y in zip(rows, target)) for i in range(size)])
    left = [y - sum(p * q for p, q in zip(w, r)) for r, y in zip(rows, target)]
    ordered = sorted(values)
    return max(mad(left), .01 * (ordered[-len(values) // 100] - ordered[len(values) // 100]))


def length(kind, size, season):
    return {"spike": 1, "shift": 72, "drift": 96, "stuck": (12, 24, 48)[size], "variance": 24, "rhythm": 96 if season < 96 else 144,
            "amplitude": 72, "dropout": 24}[kind]


def inject(values, start, kind, size, season, unit, r):
    """Changes values in place from start on; the end (exclusive) of the fault. None stands for a row that is not there.

    Halves of `variance` are bursts and drops, of `rhythm` shifted and lost, of `amplitude` gains and losses, of `dropout`
    missing values and silence. What is a share rather than a size has three steps of its own.
    """
    other, sign, n = r.uniform() < .5, 1 if r.uniform() < .5 else -1, length(kind, size, season)
    end, clean = start + n, values[:]
    span = range(start, end)
    if kind == "spike":
        values[start] += sign * (4, 8, 16)[size] * unit
    elif kind == "shift":
        for t in span:
            values[t] += sign * (3, 6, 12)[size] * unit
    elif kind == "drift":
        for t in span:
            values[t] += sign * (6, 12, 24)[size] * unit * (t - start + 1) / n
    elif kind == "stuck":
        for t in span:
            values[t] = clean[start - 1]
    elif kind == "variance":
        for t in span:
            around = statistics.fmean(clean[t - 2:t + 3])
            values[t] = around + (.5, .25, 0)[size] * (clean[t] - around) if other else clean[t] + (2, 4, 8)[size] * unit * r.normal()
    elif kind == "rhythm":
        shift, lost = max(1, season // (12, 6, 2)[size]), (.5, .75, 1)[size]
        for t in span:
            course = statistics.fmean(clean[t - season:t])
            values[t] = clean[t] - lost * (clean[t - season] - course) if other else clean[t - shift]
    elif kind == "amplitude":
        middle = statistics.median(clean[start - 2 * max(season, 24):start])
        more = (2, 4, 8)[size] * unit / max(mad(clean[start - 2 * max(season, 24):start]), unit)
        for t in span:
            values[t] = middle + (clean[t] - middle) * (1 / (1 + more) if other else 1 + more)
    elif other:
        for t in span:
            if t in (start, end - 1) or r.uniform() < (.25, .5, 1)[size]:
                values[t] = MISSING
    else:
        end = start + (6, 24, 96)[size]
        for t in range(start, end):
            values[t] = None
    return end


def applies(kind, season):
    return kind != "rhythm" or season > 0


def faulty(name, season, values, unit, kind, size, seed, faults=1):
    """(values with faults, [(start, end), ..])"""
    r = Random(f"{name} {kind} {size} {seed} {faults}")
    values, spans = values[:], []
    room = (ROWS - WARM) // faults
    for i in range(faults):
        first = WARM + i * room
        latest = first + room - 48 - max(length(kind, size, season), 96)
        start = r.whole(first + 30, max(first + 31, latest))
        spans.append((start, inject(values, start, kind, size, season, unit, r)))
    return values, spans
