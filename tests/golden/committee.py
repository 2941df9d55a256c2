#!/usr/bin/env python3
"""Golden values of the members of the committee (engine/detect), by an implementation of its own: written from the
equations in DETECTION, section 11, and the comments in engine/detect, over lists that hold the whole past instead of rings and running state.  A case is
written to tests/golden/committee/NAME.txt as

    season S                  steps; 0 = unknown; row t lies at phase (t mod S) / S
    series n x_1 .. x_n       nan = missing
    members n name_1 .. name_n
    rows n                    then n lines: row (from 0), evidence of each member; nan = it has nothing to say

    python3 tests/golden/committee.py

Made with Python 3.11; seeds are in the cases.  Nothing but the standard library is used."""
import math
import os
import random

HERE = os.path.dirname(os.path.abspath(__file__))
MEMBERS = "e1ph var24 var60 exceed low48 lowmax calm rough cusum level phase stuck novel miss".split()
NAN = math.nan


def clip(x, limit):
    return max(-limit, min(limit, x))


class Calibration:
    def __init__(self):
        self.maxima, self.block, self.evidence = [], [], []
        self.mean = self.deviation = self.record = 0.0

    def judge(self, y):
        r, k = NAN, len(self.maxima)
        if k >= 8:
            beyond = (y - self.mean) / max(self.deviation, .1)
            self.record *= 1 - 1 / 3000
            r = beyond if beyond >= self.record else -1.0
            self.evidence.append(beyond)
        self.block.append(y)
        if len(self.block) == 24:
            c, room = max(self.block), 4 * max(self.deviation, .1)
            if k >= 8:
                c = max(self.mean - room, min(self.mean + room, c))
            off = abs(c - self.mean)
            if k == 0:
                self.mean = c
            else:
                gain = max(1 / (k + 1), .01)
                self.mean += gain * (c - self.mean)
                self.deviation += (1 if k == 1 else gain) * (off - self.deviation)
            self.maxima.append(c)
            self.record = max([self.record] + self.evidence)
            self.block, self.evidence = [], []
        return r


class Committee:
    def __init__(self, season, first):
        self.S, self.B = season, min(24, season) if season else 1
        self.m = max(1, season / self.B)
        self.lag = next((k * season for k in range(1, 13) if k * season >= 12), 24) if season else 24
        self.lag = self.lag if self.lag <= 60 else 24
        self.x, self.seen, self.z, self.over = [first] * 70, [True] * 70, [0.0] * 70, [False] * 70
        self.move, self.err, self.n_bin = [0.0] * self.B, [0.0] * self.B, [0] * self.B
        self.sd = self.error = self.w = self.spread = 0.0
        self.fast = first
        self.mean = {12: first, 25: first, 97: first}
        self.low = self.high = first
        self.weights, self.P = [0.0] * 12, [[10.0 * (i == j) for j in range(12)] for i in range(12)]
        self.k, self.rls_error, self.last = 0, 0.0, 0.0
        self.q, self.rough, self.up, self.down, self.g = 1.5, 0.0, 0.0, 0.0, [0.0] * 7
        self.run = self.longest_run = self.gap = self.longest_gap = 0
        self.since, self.rate, self.most = 99, 0.0, 0.0
        self.calibration = {}

    def level(self, phase, t):
        """The season's profile at a phase."""
        if self.B == 1 or t <= 25:
            return 0.0
        mean = sum(self.move) / self.B
        c = [self.m * (sum(self.move[:b + 1]) - mean * (b + 1)) for b in range(self.B)]
        c = [v - sum(c) / self.B for v in c]
        place = (phase % 1) * self.B + .5
        b = math.floor(place)
        share = min(1, place - b + .5 / self.m)
        return c[(b - 1) % self.B] + share * (c[b % self.B] - c[(b - 1) % self.B])

    def foresee(self, d, un, b, last_level):
        x, L = self.x, self.lag
        f = [x[-1] - x[-2], x[-2] - x[-3], x[-3] - x[-4], self.move[b], x[-1] - self.mean[12],
             x[-1] - self.mean[97] - last_level, x[-L] - x[-L - 1], x[-L + 1] - x[-L], x[-L - 1] - x[-L - 2],
             x[-1] - self.mean[25], x[-2] - x[-L]]
        f = [.3] + [clip(v / un, 25 if i == 3 else 3) for i, v in enumerate(f)]
        error = clip(d / un, 25) - sum(a * b for a, b in zip(self.weights, f))
        u = [sum(p * v for p, v in zip(row, f)) for row in self.P]
        whole = .9995 + sum(a * b for a, b in zip(u, f))
        limited = clip(error, 4 * self.rls_error + 1e-9) if self.k > 30 else error
        self.rls_error += max(1 / (self.k + 1), .003) * (abs(limited) - self.rls_error)
        self.weights = [w + limited * a / whole for w, a in zip(self.weights, u)]
        self.P = [[(self.P[i][j] - u[i] * u[j] / whole) / .9995 for j in range(12)] for i in range(12)]
        if sum(self.P[i][i] for i in range(12)) > 2400:
            self.P = [[.5 * v for v in row] for row in self.P]
        self.k += 1
        return error * un

    def calibrated(self, name, y):
        return self.calibration.setdefault(name, Calibration()).judge(y)

    def step(self, t, v):
        """Evidence of the members for row t with value v."""
        r, missing = {}, math.isnan(v)
        self.rate += (missing - self.rate) / 32
        if missing:
            self.gap, self.since, self.last = self.gap + 1, 0, 0.0
            r["miss"] = max(self.gap / (self.longest_gap + 4), 2 * (self.rate - .05) / (self.most + .1))
            self.x.append(self.x[-1]), self.seen.append(False), self.z.append(0.0), self.over.append(False)
            return r
        usual = self.gap if t <= 300 else min(self.gap, int(1.2 * self.longest_gap + 4))
        self.longest_gap, self.gap = max(self.longest_gap, usual), 0
        self.most = max(self.most * (1 - 1e-4), self.rate)
        self.since += 1
        follows, settled = self.since > 1, self.since > 8
        phase = (t % self.S) / self.S if self.S else 0
        b = math.floor(phase * self.B + .5) % self.B
        d, un = v - self.x[-1], 4 * self.sd + .02 * self.w + 1e-6 * abs(v)
        s = self.error + .002 * self.w + 1e-7 * abs(v)
        profile = self.level(phase, t)
        e, foreseen = d if follows else 0.0, follows and t > 30
        if foreseen:
            e = self.foresee(d, un, b, self.level(phase - 1 / self.S, t) if self.S else 0)
            r["e1ph"] = self.calibrated("e1ph", math.log(abs(e) / (s * (.3 + .7 * self.err[b])) + .05))
        self.x.append(v), self.seen.append(True)
        self.windows(r, t, e / s, un, settled)
        self.levels(r, t, v, e / s, un, profile, follows)
        self.rhythm(r, t, d, b, follows)
        self.extremes(r, t, v, d)
        self.learn(t, v, d, e, un, s, b, follows, foreseen)
        return r

    def windows(self, r, t, error, un, settled):
        self.z.append(min(abs(error), 6))
        self.over.append(self.z[-1] > self.q)
        self.q = max(.5, self.q + .02 * (self.over[-1] - .08))
        self.rough += (-clip(error, 3) * clip(self.last, 3) - self.rough) / 16
        self.last = clip(error, 6)
        if not (t > 100 and settled):
            return
        moves = [min(abs(self.x[-i] - self.x[-i - 1]), 4 * un) if self.seen[-i] and self.seen[-i - 1] else NAN
                 for i in range(1, 49)]
        day, all_moves = [v for v in moves[:24] if v == v], [v for v in moves if v == v]
        r["var24"] = self.calibrated("var24", math.log(sum(self.z[-24:]) / 24 + .05))
        r["var60"] = self.calibrated("var60", math.log(sum(self.z[-60:]) / 60 + .05))
        r["calm"] = self.calibrated("calm", -math.log(sum(self.z[-60:]) / 60 + .05))
        r["exceed"] = self.calibrated("exceed", sum(self.over[-20:]) / 20)
        r["rough"] = self.calibrated("rough", self.rough)
        if len(all_moves) > 24:
            r["low48"] = self.calibrated("low48", -math.log(sum(all_moves) / len(all_moves) + .02 * self.sd))
        if len(day) > 18:
            r["lowmax"] = self.calibrated("lowmax", -math.log(max(day) + .02 * self.sd))

    def levels(self, r, t, v, error, un, profile, follows):
        if follows:
            self.fast += (v - profile - self.fast) / 8
        if not (t > 100 and follows):
            return
        self.up, self.down = max(0, self.up + clip(error, 4) - .3), max(0, self.down - clip(error, 4) - .3)
        r["cusum"] = self.calibrated("cusum", math.log(1 + max(self.up, self.down)))
        r["level"] = self.calibrated("level", math.log(abs(self.fast - self.mean[97]) / un + .05))

    def rhythm(self, r, t, d, b, follows):
        if not (t > 200 and follows and self.B >= 4):
            return
        likely = lambda a: min(9, a * a / (2 * self.spread * self.spread))
        for q in range(7):
            other = self.move[(b + math.floor((q + 1) * self.B / 8 + .5)) % self.B]
            self.g[q] = min(200, max(0, self.g[q] + likely(d - self.move[b]) - likely(d - other)))
        r["phase"] = self.calibrated("phase", math.log(.5 + max(self.g)))

    def extremes(self, r, t, v, d):
        if t > 0 and d == 0:
            self.run += 1
            if self.sd > 0:
                r["stuck"] = (self.run + 1) / (self.longest_run + 6)
        else:
            usual = self.run if t <= 300 else min(self.run, int(1.5 * self.longest_run + 8))
            self.longest_run, self.run = max(self.longest_run, usual), 0
        excess = max(v - self.high, self.low - v)
        if t > 100 and self.high > self.low and excess > 0:
            r["novel"] = 10 * excess / (self.high - self.low)
        self.low, self.high = min(self.low, v), max(self.high, v)

    def learn(self, t, v, d, e, un, s, b, follows, foreseen):
        rate, most = 1 / (t + 1), max(6 * self.sd, un)
        if follows:
            self.sd += max(rate, .002) * (abs(clip(d, most) if t > 30 else d) - self.sd)
            if foreseen:
                self.error += max(1 / (self.k + 1), .003) * ((min(abs(e), 5 * s) if self.k > 40 else abs(e)) - self.error)
                self.err[b] += max(.04 / self.m, 1 / (self.n_bin[b] + 1)) * (min(abs(e) / s, 5) - self.err[b])
            self.spread += max(rate, .003) * (min(abs(d - self.move[b]), max(6 * self.sd, un)) - self.spread)
            self.n_bin[b] += 1
            self.move[b] += max(.06 / self.m, 1 / self.n_bin[b]) * ((clip(d, 2 * un) if t > 30 else d) - self.move[b])
        self.w += max(rate, 2 / 673) * (abs(v - self.mean[97]) - self.w)
        for m in self.mean:
            self.mean[m] += max(rate, 2 / m) * (v - self.mean[m])


def series(seed, n, season):
    """A course, noise that remembers, and one fault of every kind from row 400 on."""
    random.seed(seed)
    noise, x = 0.0, []
    for t in range(n):
        noise = .7 * noise + random.gauss(0, 1)
        angle = 2 * math.pi * t / (season or 1e9)
        x.append(20 + 4 * math.sin(angle) + 1.5 * math.cos(2 * angle) + noise)
    x[400] += 15
    x[450:465] = [x[450]] * 15
    x[520:523] = [NAN] * 3
    x[560:] = [v + 5 for v in x[560:]]
    x[620:660] = [v + random.gauss(0, 4) for v in x[620:660]]
    x[700:760] = [25 + .1 * (v - 25) for v in x[700:760]]
    x[780:786] = [NAN] * 6
    return [round(v, 3) for v in x]


def case(name, seed, season, n=820):
    x = series(seed, n, season)
    committee = Committee(season, x[0])
    rows = [(t, committee.step(t, v)) for t, v in enumerate(x)]
    rows = [(t, r) for t, r in rows if t % 20 == 0 or t > 300 and max([-1] + [v for v in r.values() if v == v]) > 1.5]
    os.makedirs(os.path.join(HERE, "committee"), exist_ok=True)
    with open(os.path.join(HERE, "committee", name + ".txt"), "w") as f:
        f.write(f"season {season}\nseries {n} " + " ".join(f"{v:g}" for v in x) + "\n")
        f.write(f"members {len(MEMBERS)} " + " ".join(MEMBERS) + f"\nrows {len(rows)}\n")
        for t, r in rows:
            f.write(f"{t} " + " ".join(f"{r.get(m, NAN):.7g}" for m in MEMBERS) + "\n")


case("day_of_24", 1, 24)
case("day_of_96", 2, 96)
case("week_of_7", 3, 7)
case("no_season", 4, 0)
