#!/usr/bin/env python3
"""The minimax coefficients of engine/math/activations_single.h, by iteratively reweighted least squares (Lawson) on
Chebyshev points in float64; prints them rounded to single precision, and the error that the fit itself has.

    pip install numpy        (made with 2.4.6)
    python3 tests/golden/coefficients.py"""
import math

import numpy as np


def fit(name, f, low, high, degree, weight):
    x = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(4001) + 0.5) / 4001)
    y, w, lam = f(x), weight(x), np.full(x.size, 1 / x.size)
    powers = np.vander(x, degree + 1, increasing=True)
    for _ in range(300):
        s = np.sqrt(lam) * w
        c, *_ = np.linalg.lstsq(powers * s[:, None], y * s, rcond=None)
        error = np.abs(w * (y - powers @ c))
        lam *= error
        lam /= lam.sum()
    print(name, "error %.1e" % error.max(), [float(np.float32(v)) for v in c])


# P: (e^r - 1 - r) / r^2 on |r| <= ln 2 / 2, error weighed as that of e^r.
half = math.log(2) / 2 * 1.0005
fit("P", lambda r: sum(r**k / float(math.factorial(k + 2)) for k in range(25)), -half, half, 4, lambda r: r * r / np.exp(r))

# Q: (2 artanh s - 2 s) / s^3 as a function of s^2, |s| <= (sqrt 2 - 1) / (sqrt 2 + 1).
limit = ((math.sqrt(2) - 1) / (math.sqrt(2) + 1)) ** 2 * 1.001
fit("Q", lambda t: sum(2 * t**k / (2 * k + 3) for k in range(30)), 0, limit, 2, lambda t: np.sqrt(t) ** 3 + 1e-30)

# R4, R5: (2^r - 1) / r on |r| <= 1/2, error weighed as relative to it.
ln2 = math.log(2)
power = lambda r: sum(ln2 ** (k + 1) * r**k / float(math.factorial(k + 1)) for k in range(25))
fit("R4", power, -0.501, 0.501, 4, lambda r: 1 / power(r))
fit("R5", power, -0.501, 0.501, 5, lambda r: 1 / power(r))
