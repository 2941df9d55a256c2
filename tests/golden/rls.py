#!/usr/bin/env python3
"""Golden values of the expert rls, by the equations of engine/forecast/regressors.h, head.h and scale.h written down once
more in plain Python, dense and without any of the shortcuts: in the format of tests/golden/experts.py, beside whose files
it puts its own.

    python3 tests/golden/rls.py

Made with Python 3.11; no package is needed.  Seasons and networks are not part of these cases."""
import math
import os
import random

HERE = os.path.dirname(os.path.abspath(__file__))
HORIZONS = [1, 2, 3, 7, 11, 25]
LAGS = [1, 2, 3, 4, 6, 8, 12, 16, 20, 22, 25, 48]


def clip(v, limit):
    return max(-limit, min(limit, v))


def scales(x):
    """sigma after every value"""
    v = w = 0.0
    last = slow = x[0]
    out = []
    for n, value in enumerate(x):
        if n:
            d2 = (value - last) ** 2
            if n >= 6:
                d2 = min(d2, (9 if n < 20 else 25) * v + 1e-4 * w * w)
            v += (d2 - v) / min(n, 200)
            gain = max(2 / 673, 1 / (n + 1))
            off = value - slow
            slow += gain * off
            w += gain * (abs(off) - w)
            last = value
        out.append(3 * math.sqrt(v) + 0.05 * w + 1e-6 * abs(last) + 1e-12)
    return out


def rows(x, sigma, raw):
    """What the head sees after each value, and its unit; None before it is ready."""
    means, spread, unit, out = [0.0] * 4, 0.0, 0.0, []
    for n, value in enumerate(x):
        off = abs(value - means[3]) if n else 0.0
        spread += (off - spread) * max(2 / 673, 1 / (n + 1))
        means = [m + (value - m) * max(2 / r, 1 / (n + 1)) if n else value for m, r in zip(means, (12, 25, 97, 673))]
        if n < 200:
            unit = 1.25 * spread + 1e-6 * abs(value) + 1e-12
        if n + 1 < LAGS[-1] + 1 + 4:
            out.append(None)
            continue
        u = unit if raw else sigma[n]
        seen = [value - x[n - lag] for lag in LAGS] + [value - m for m in means] + [value - means[2]] + [0.0] * 23
        far = (value - means[1]) / u
        row = [1.0] + [clip(s / u, 1e6 if raw else 4) for s in seen] + [clip(far, 40) - clip(far, 4)]
        out.append((row, u))
    return out


def rls(x, raw, forgetting, huber, leverage):
    """forecasts after every value"""
    seen, out = rows(x, scales(x), raw), []
    n = 1 + len(LAGS) + 4 + 1 + 23 + 1
    P = [[0.1 if i == j else 0.0 for j in range(n)] for i in range(n)]
    w = {h: [0.0] * n for h in HORIZONS}
    S = {h: 0.0 for h in HORIZONS}
    gains, usual, count = {}, 0.0, 0
    for t, value in enumerate(x):
        for h in HORIZONS:
            s = t - h
            if s < 0 or seen[s] is None:
                continue
            row, u = seen[s]
            e = (value - x[s]) / u - sum(a * b for a, b in zip(w[h], row))
            if S[h] == 0:
                S[h] = abs(e) + 1e-3
            else:
                e = clip(e, huber * S[h])
                S[h] = max(1e-3, S[h] + 0.005 * (abs(e) - S[h]))
            w[h] = [a + k * e for a, k in zip(w[h], gains[s])]
        if seen[t] is None:
            out.append([value] * len(HORIZONS))
            continue
        row, u = seen[t]
        past = x[max(0, t - 48):t + 1]
        low, high = min(past), max(past)
        room = 0.25 * (high - low)
        out.append([max(low - room, min(high + room, value + u * sum(a * b for a, b in zip(w[h], row))))
                    for h in HORIZONS])
        a = [sum(p * r for p, r in zip(line, row)) for line in P]
        far = sum(p * r for p, r in zip(a, row))
        weight = 1.0
        if count < 400 or usual <= 0:
            usual = usual + 0.02 * (far - usual) if usual > 0 else far
        else:
            most = leverage * usual
            weight = min(1.0, most / far)
            usual += 0.005 * (min(far, most) - usual)
        count += 1
        gains[t] = [v / (forgetting / weight + far) for v in a]
        P = [[(P[i][j] - gains[t][i] * a[j]) / forgetting for j in range(n)] for i in range(n)]
        for i in range(n):
            if P[i][i] > 1e6:
                by = math.sqrt(1e6 / P[i][i])
                P[i] = [v * by for v in P[i]]
                for line in P:
                    line[i] *= by
    return out


def write(name, expert, x, forecasts, origins, tolerance):
    with open(os.path.join(HERE, "experts", name + ".txt"), "w") as f:
        f.write(f"expert {expert}\nseason 0\n")
        f.write(f"horizons {len(HORIZONS)} " + " ".join(map(str, HORIZONS)) + "\n")
        f.write(f"tolerance {tolerance:g}\nseries {len(x)} " + " ".join(f"{v:.9g}" for v in x) + "\n")
        f.write(f"forecasts {len(origins)}\n")
        for n in origins:
            f.write(f"{n} " + " ".join(f"{v:.12g}" for v in forecasts[n - 1]) + "\n")


def series(seed, n):
    """A rhythm of 24 steps, noise that remembers, and a few outliers."""
    draw, e, x = random.Random(seed), 0.0, []
    for t in range(n):
        e = 0.9 * e + draw.gauss(0, 1)
        x.append(round(50 + 8 * math.sin(2 * math.pi * t / 24) + e + (40 if t % 211 == 190 else 0), 3))
    return x


X = series(1, 620)
ORIGINS = [1, 20, 52, 53, 60, 100, 250, 390, 403, 470, 619]
write("rls_scaled", "rls", X, rls(X, False, 0.9997, 6, 10), ORIGINS, 1e-6)
write("rls_raw", "rls: {units: raw, forgetting: 0.999, huber: 12, leverage: 2}", X, rls(X, True, 0.999, 12, 2), ORIGINS, 1e-6)
