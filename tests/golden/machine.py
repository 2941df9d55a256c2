#!/usr/bin/env python3
"""Golden rows of the detector `machine`, written from DETECTION section 10 with NumPy's matrices and lists of past
records instead of running sums: tests/golden/detectors/machine.txt has

    evidence open

for every row of a simulated machine of three sensors, with missing values, an outlier of two rows, a fault that ends
and one that becomes the new normal.  The series is made of integers alone, the same in the test.

    pip install numpy        (made with 2.4.6)
    python3 tests/golden/machine.py"""
import math
import os

import numpy as np

ROWS, THRESHOLD, WARM = 2200, 0.4, 400


def series():
    """[ROWS, 3]: a common course, a second of its own, noise; all from one linear congruential generator."""
    state, course, rows = 12345, 0.0, []

    def noise():
        nonlocal state
        total = 0
        for _ in range(4):
            state = (state * 1664525 + 1013904223) % 2**32
            total += state >> 16
        return (total - 131072) / 32768

    for t in range(ROWS):
        course = 0.9 * course + noise()
        x = [20 + course + 0.25 * noise(), -3 + 0.5 * course + 0.25 * noise(), 100 + noise()]
        if 700 <= t < 800:
            x[2] += 4
        if t >= 1200:
            x[1] += 6
        if t in (600, 601):
            x[0] = 1e6
        if t % 97 == 5:
            x[t // 97 % 3] = math.nan
        rows.append(x)
    return np.array(rows)


class Haar:
    def __init__(self):
        self.past, self.step = [], 0.0
        self.v, self.count = [0.0] * 11, [0.0] * 11

    def add(self, x, n):
        if self.past:
            d2 = (x - self.past[-1]) ** 2
            if n > 32:
                d2 = min(d2, 25 * self.step)
            self.step += max(1 / n, 1 / 4000) * (d2 - self.step)
        self.past.append(x)
        m = len(self.past)
        for j in range(1, 11):
            half = 2 ** (j - 1)
            if m % half or m < 4 * half:
                continue
            new, old = np.mean(self.past[-2 * half:]), np.mean(self.past[-4 * half:-2 * half])
            v = (new - old) ** 2 / 2
            self.count[j] += 1
            if self.count[j] > 16:
                v = min(v, 25 * self.v[j])
            self.v[j] += (v - self.v[j]) / min(self.count[j], max(8, 8000 / 2**j))

    def restart(self):
        self.past = []

    def admit(self, shift):
        for j in range(1, 11):
            self.count[j] = min(self.count[j], 8)
            if j >= 7:
                self.count[j] += 2
                self.v[j] += 2 / self.count[j] * (shift * shift / 2 - self.v[j])
        self.restart()

    def tolerance(self):
        js = np.array([j for j in range(2, 8) if self.count[j] >= 1], float)
        w = np.array([self.count[int(j)] / 2 for j in js])
        y = np.array([math.log2(self.v[int(j)] + 1e-38) for j in js])
        jm, ym = np.average(js, weights=w), np.average(y, weights=w)
        b = np.sum(w * (js - jm) * (y - ym)) / np.sum(w * (js - jm) ** 2)
        drift = min(max((b + 0.3) / 0.8, 0), 1)
        b = min(max(b, -1), 2)
        total = 0.125 * 0.08**2 * self.step
        for j in range(4, 11):
            t = self.count[j] / 2 / (self.count[j] / 2 + 8)
            total += 2 ** (t * math.log2(self.v[j] + 1e-38) + (1 - t) * (ym + b * (j - jm)))
        return math.sqrt(total), drift


class Channel:
    def __init__(self):
        self.haar = Haar()
        self.fast = self.ref = self.tol = self.drift = self.lo = self.hi = 0.0
        self.n = self.wild = 0


def run(rows):
    d = rows.shape[1]
    channels = [Channel() for _ in range(2 * d)]
    first, mean, cov, prec = [None] * d, np.zeros(d), np.zeros((d, d)), None
    open_, age, in_a_row, plateau, reopen, alarms, lift, mute = False, 0, 0, 0.0, 3.15, 0.0, 1.0, 0
    for n, x in enumerate(rows, 1):
        for c in range(d):
            if first[c] is None and not math.isnan(x[c]):
                first[c] = x[c]
        x = np.array([math.nan if first[c] is None else x[c] - first[c] for c in range(d)])
        z = np.where(np.isnan(x) | (np.diag(cov) <= 0) | (n <= 8), 0, (x - mean) / np.sqrt(np.diag(cov) + 1e-30))
        z = np.nan_to_num(np.clip(z, -1e6, 1e6))
        seen = np.full(2 * d, math.nan)
        seen[:d] = x
        if n >= 100:
            seen[d:] = np.where(np.isnan(x), math.nan, prec @ z / np.diag(prec))
        # fast means and score
        score = 0.0
        for c, h in enumerate(channels):
            v = seen[c]
            if math.isnan(v):
                continue
            if h.tol > 0:
                if abs(v - h.ref) <= 200 * max(h.tol, 0.01 * (h.hi - h.lo)):
                    h.wild = 0
                else:
                    h.wild += 1
                    if h.wild < 3:
                        seen[c] = math.nan
                        continue
            if h.n == 0:
                h.fast = h.ref = v
            h.fast += max(0.08, 1 / (h.n + 1)) * (v - h.fast)
            if h.n < 30 and not open_:
                h.lo = h.hi = h.fast
            else:
                shrink = (h.hi - h.lo) / 8000
                h.lo, h.hi = min(h.lo + shrink, h.fast), max(h.hi - shrink, h.fast)
            if h.tol > 0:
                q = (h.fast - h.ref) / max(h.tol, 0.01 * (h.hi - h.lo)) * (1 if c < d else 0.7)
                score = max(score, abs(q))
        # the incident
        evidence = 0.0
        if mute > 0:
            mute -= 1
        elif n > WARM:
            reopen += 0.005 * (3.15 - reopen)
            if open_:
                limit = 3.15 * lift
                age += 1
                plateau += max(1 / age, 0.02) * (score - plateau)
                in_a_row = in_a_row + 1 if score < max(0.65 * 3.15 * lift, 0.3 * plateau) else 0
                if in_a_row >= 8:
                    open_, in_a_row, reopen = False, 0, max(reopen, score)
                    for h in channels:
                        h.haar.restart()
                elif age > 800:
                    open_, in_a_row, reopen, mute = False, 0, 3.15, 128
                    for c, h in enumerate(channels):
                        h.haar.admit(h.fast - h.ref)
                        h.ref, h.n = h.fast, min(h.n, 32)
                        if c < d:
                            mean[c] = h.ref
            else:
                alarms = max(0.0, alarms - 1 / 1500)
                up = math.exp(0.3 * max(0.0, alarms - 1.5))
                limit = max(reopen, 3.15 * up)
                if score > limit:
                    open_, in_a_row, age, plateau, lift, alarms = True, 0, 0, score, up, alarms + 1
            r = score / limit
            evidence = THRESHOLD * r if r <= 1 else 1 - (1 - THRESHOLD) / r
        # learning
        for c, h in enumerate(channels):
            if math.isnan(seen[c]):
                continue
            g = h.drift / 400
            if not open_:
                g = max(g + (1 - h.drift) / 1000, 1 / (h.n + 1))
            h.ref += g * ((seen[c] if n <= WARM else h.fast) - h.ref)
            if not open_:
                h.n += 1
                h.haar.add(seen[c], h.n)
        if not open_:
            g, there = max(1 / n, 1 / 4000), ~np.isnan(seen[:d])
            delta = np.where(there, x - mean, 0)
            if n > 32:
                delta = np.clip(delta, -5 * np.sqrt(np.diag(cov)), 5 * np.sqrt(np.diag(cov)))
            mean = mean + g * delta
            both = np.outer(there, there)
            cov = np.where(both, cov + g * ((1 - g) * np.outer(delta, delta) - cov), cov)
            if n == 99 or (n > 100 and n % 64 == 0):
                sd = np.sqrt(np.diag(cov))
                prec = np.linalg.inv(cov / np.outer(sd, sd) + 0.02 * np.eye(d))
            if n == WARM or (n > WARM and (n % 64 == 0 or mute == 1)):
                for h in channels:
                    tol, h.drift = h.haar.tolerance()
                    h.tol = tol + 1e-6 * abs(h.ref) + 1e-9
        yield evidence, open_


path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "detectors", "machine.txt")
with open(path, "w") as f:
    for evidence, is_open in run(series()):
        f.write(f"{evidence:.5g} {int(is_open)}\n")
