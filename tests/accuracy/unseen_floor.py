"""How well an unseen device can be forecast at all: two forecasters that know the equations of simulated.device().

    python3 tests/accuracy/unseen_floor.py [SEED ..]        seeds 1-5 if none is named; two minutes each

Needs NumPy (Debian: python3-numpy). No part of `make accuracy`: what it prints stands in the README.

`all known` is told the device's scale, phase of the day and noise, and has seen it long enough to know its level: what
it errs comes from what nobody can know. Its ratio between two ages is the luck of the draw. `fleet known` starts from
how the fleet is distributed and knows a device by its own values alone, by Bayes' rule: a grid of phases, scales and
noises, in each a Kalman filter of (level and drift, x, x before, load), with the spells of load as two branches a step
(generalised pseudo-Bayes of second order). Who must learn the equations as well cannot be expected to do better.

Equations (s scale; z = value / s; all of the state in units of s; c_t the course of the day)
    z_t  = b_t + c_t + x_t + l_t + noise e        b_t = b_{t-1} + .01 e      b_0 = N(10, 3^2) / s
    x_t  = 1.5 x_{t-1} - .56 x_{t-2} + .25 e      l_t = .75 (l_{t-1} + J)    J = U(2, 4) with probability .01, else 0
    said = E[value / s^2] / E[1 / s^2]            over the posterior: what least squares in units of s asks for
"""
import math
import sys

import numpy as np

from simulated import Random, device
from young import AGES, GROWN, HORIZONS, UNSEEN, YOUNG, error

JUMP, FADE, SIZE, SPREAD = .01, .75, 3., 1 / 3.  # of a spell of load: how often, what is left of it, its mean and variance
DRIFT, PUSH = .01 ** 2, .25 ** 2
STEP = np.array([[1, 0, 0, 0], [0, 1.5, -.56, 0], [0, 1, 0, 0], [0, 0, 0, FADE]])
SEEN = np.array([1., 1, 0, 1])  # what of the state is in a value
FORGOTTEN = 1e-6                # hypotheses less likely than that are dropped
CHUNK = 20


def course(hour):
    a = 2 * math.pi * hour / 24
    return 1.2 * np.sin(a) + .5 * np.sin(2 * a + 1) + np.where(np.sin(a) > .9, .6, 0)


COURSE = course(np.arange(24))


def usual():
    """Covariance of (x, x before) after long."""
    p = np.zeros((2, 2))
    f, q = STEP[1:3, 1:3], np.diag([PUSH, 0])
    for _ in range(2000):
        p = f @ p @ f.T + q
    return p


def drawn(name):
    """What device() draws first: (scale, phase, noise)."""
    r = Random(name)
    r.normal()
    scale, phase = math.exp(r.normal()), r.whole(0, 24)
    return scale, phase, .05 * math.exp(.7 * r.normal())


class Filters:
    """One filter per row: of which device it is, what it believes of it, and two branches: no spell began just now, one did."""

    def __init__(self, of, phase, scale, noise, weight):
        n = len(of)
        self.of, self.phase, self.scale, self.noise2 = of, phase, scale, noise ** 2
        self.weight = np.log(weight)  # of each row, up to a constant per device
        recent = 1 - (1 - JUMP) ** 6  # a spell of the last six steps, or what earlier ones left
        fades = FADE ** np.arange(1, 7)
        loads = ((SIZE * (1 - recent) * JUMP * FADE ** 7 / (1 - FADE), .02),
                 (SIZE * fades.mean(), (SIZE ** 2 + SPREAD) * (fades ** 2).mean() - (SIZE * fades.mean()) ** 2))
        self.branch = np.tile(np.log([[1 - recent], [recent]]), (1, n))
        self.mean, self.cov = np.zeros((2, n, 4)), np.zeros((2, n, 4, 4))
        self.mean[:, :, 0] = 10 / scale
        self.cov[:, :, 0, 0] = (3 / scale) ** 2
        self.cov[:, :, 1:3, 1:3] = usual()
        for i, (mean, variance) in enumerate(loads):
            self.mean[i, :, 3], self.cov[i, :, 3, 3] = mean, variance

    def ahead(self):
        """One step on: four branches, [before, now]."""
        mean = np.repeat((self.mean @ STEP.T)[:, None], 2, 1)
        cov = np.repeat((STEP @ self.cov @ STEP.T)[:, None], 2, 1)
        cov[..., 0, 0] += DRIFT
        cov[..., 1, 1] += PUSH
        mean[:, 1, :, 3] += FADE * SIZE
        cov[:, 1, :, 3, 3] += FADE ** 2 * SPREAD
        return mean, cov, self.branch[:, None] + np.log([1 - JUMP, JUMP])[None, :, None]

    def see(self, values, t):
        """values [device]"""
        mean, cov, branch = self.ahead() if t > 0 else (self.mean[:, None], self.cov[:, None], self.branch[:, None])
        off = values[self.of] / self.scale - COURSE[(t + self.phase) % 24] - mean @ SEEN
        seen = cov @ SEEN
        variance = seen @ SEEN + self.noise2
        gain = seen / variance[..., None]
        mean = mean + gain * off[..., None]
        cov = cov - gain[..., :, None] * seen[..., None, :]
        branch = branch - .5 * (off ** 2 / variance + np.log(variance))
        if t == 0:
            self.mean, self.cov, likely = mean[:, 0], cov[:, 0], branch[:, 0]
        else:
            self.mean, self.cov, likely = merged(mean, cov, branch)
        whole = np.logaddexp(likely[0], likely[1])
        self.branch = likely - whole
        self.weight += whole - np.log(self.scale)

    def forget(self, n):
        """Rows that say little are dropped; the weights of a device add up to 1."""
        best = np.full(n, -np.inf)
        np.maximum.at(best, self.of, self.weight)
        weight = np.exp(self.weight - best[self.of])
        self.weight = np.log(np.maximum(weight / np.bincount(self.of, weight, n)[self.of], 1e-300))
        keep = self.weight > math.log(FORGOTTEN)
        for name in ("of", "phase", "scale", "noise2", "weight"):
            setattr(self, name, getattr(self, name)[keep])
        for name in ("branch", "mean", "cov"):
            setattr(self, name, getattr(self, name)[:, keep])

    def say(self, n, t):
        """{h: [device]}"""
        shares, found = np.exp(self.branch), {}
        state = (shares[..., None] * self.mean).sum(0)
        for h in range(1, max(HORIZONS) + 1):
            state = state @ STEP.T
            state[:, 3] += JUMP * FADE * SIZE
            if h in HORIZONS:
                value = self.scale * (state @ SEEN + COURSE[(t + h + self.phase) % 24])
                weight = np.exp(self.weight) / self.scale ** 2
                found[h] = np.bincount(self.of, weight * value, n) / np.bincount(self.of, weight, n)
        return found


def merged(mean, cov, branch):
    """The branches [before, now] with the same now become one of the same mean and covariance."""
    likely = np.logaddexp(branch[0], branch[1])
    share = np.exp(branch - likely)
    middle = (share[..., None] * mean).sum(0)
    off = mean - middle
    spread = cov + off[..., :, None] * off[..., None, :]
    return middle, (share[..., None, None] * spread).sum(0), likely


def grid(devices):
    """Hypotheses about each of so many devices, with the fleet's shares of them."""
    scales, noises = np.arange(-3.2, 3.21, .08), np.arange(-2, 2.1, .8)
    d, phase, s, e = (a.ravel() for a in np.meshgrid(np.arange(devices), np.arange(24), scales, noises, indexing="ij"))
    return d, phase, np.exp(s), .05 * np.exp(.7 * e), np.exp(-.5 * (s ** 2 + e ** 2))


def follow(filters, values):
    """values [device, step] -> [{h: [device]} by step]"""
    found, n = [], len(values)
    for t in range(AGES):
        filters.see(values[:, t], t)
        filters.forget(n)
        found.append(filters.say(n, t))
    return found


def told(names, values):
    """The forecasts of who knows all; the level is known by being told it."""
    scale, phase, noise = (np.array(a) for a in zip(*map(drawn, names)))
    filters = Filters(np.arange(len(names)), phase, scale, noise, np.ones(len(names)))
    levels = np.array([10 + 3 * Random(name).normal() for name in names])
    filters.mean[:, :, 0] = levels / scale
    filters.cov[:, :, 0, 0] = 200 * DRIFT
    return follow(filters, values)


def learned(names, values):
    found = []
    for first in range(0, len(names), CHUNK):
        part = values[first:first + CHUNK]
        found.append(follow(Filters(*grid(len(part))), part))
    return [{h: np.concatenate([f[t][h] for f in found]) for h in HORIZONS} for t in range(AGES)]


def by_key(said, keys):
    return {key: [{h: float(row[h][i]) for h in HORIZONS} for row in said] for i, key in enumerate(keys)}


def figures(seed):
    """{(who, h): (error of the young, of the grown)}"""
    keys = [f"unseen{i}" for i in range(UNSEEN)]
    names = [f"{seed} {key}" for key in keys]
    unseen = {key: device(name, AGES + max(HORIZONS) + 1) for key, name in zip(keys, names)}
    values = np.array([unseen[key][1] for key in keys])
    found = {}
    for who, forecaster in (("all known", told), ("fleet known", learned)):
        said = by_key(forecaster(names, values), keys)
        for h in HORIZONS:
            found[who, h] = tuple(error(said, unseen, ages, h) for ages in (YOUNG, GROWN))
    return found


def main():
    seeds = [int(seed) for seed in sys.argv[1:]] or range(1, 6)
    every = []
    for seed in seeds:
        every.append(figures(seed))
        for (who, h), (young, grown) in every[-1].items():
            print(f"seed {seed}  {who:11}  h = {h:2}  {young:.3f} / {grown:.3f} = {young / grown:.2f}", flush=True)
    for at in every[0]:
        young, grown = (sum(f[at][i] for f in every) / len(every) for i in (0, 1))
        ratio = sum(f[at][0] / f[at][1] for f in every) / len(every)
        print(f"mean    {at[0]:11}  h = {at[1]:2}  {young:.3f} / {grown:.3f}, ratios {ratio:.2f}")


if __name__ == "__main__":
    main()
