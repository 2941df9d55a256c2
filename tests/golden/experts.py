#!/usr/bin/env python3
"""Golden values of the experts that forecast by themselves, by statsmodels.  A case is written to
tests/golden/experts/NAME.txt as

    expert YAML of one entry of `experts`
    season steps
    horizons n h_1 .. h_n
    tolerance t                    how far forecasts may differ, as a share of the series' standard deviation
    series n x_1 .. x_n            nan = missing
    forecasts n                    then n lines: number of values seen, forecasts for the horizons

    pip install statsmodels numpy && python3 tests/golden/experts.py

Made with Python 3.11.7, statsmodels 0.15.0, numpy 2.4.6; seeds are in the cases.

Smoothing: all parameters are fixed, so nothing is estimated.  The experts begin with level = first value and trend = 0, and
with a season of m steps, after the first m values, with level = their mean, trend = 0 and season = their deviations from
it: statsmodels is given those as known initial states and sees the series from the second value (with a season: from the
m+1st) on.  Its seasonal rate counts in shares of the error, ours in shares of (1 - alpha) times the error.  Horizons that
are a multiple of the season are left out: there statsmodels 0.15.0 takes the season before the newest one.

ARIMA with known coefficients: statsmodels' Kalman filter begins with the stationary distribution and ours with zeroes, a
difference that dies away like theta^t; differences are taken and undone here.  ARIMA that learns: statsmodels fits the
whole series by maximum likelihood, ours has passed over it once."""
import os

import numpy as np
from statsmodels.tsa.holtwinters import ExponentialSmoothing, Holt, SimpleExpSmoothing
from statsmodels.tsa.statespace.sarimax import SARIMAX

HERE = os.path.dirname(os.path.abspath(__file__))
HORIZONS = [1, 2, 3, 7, 11, 25]


def write(name, expert, x, forecast, origins, season=0, tolerance=1e-6):
    """forecast(x[:n]) -> the next HORIZONS[-1] values; the series is rounded, so that the file stays short."""
    x = np.round(x, 4)
    os.makedirs(os.path.join(HERE, "experts"), exist_ok=True)
    with open(os.path.join(HERE, "experts", name + ".txt"), "w") as f:
        f.write(f"expert {expert}\nseason {season}\n")
        f.write(f"horizons {len(HORIZONS)} " + " ".join(map(str, HORIZONS)) + "\n")
        f.write(f"tolerance {tolerance:g}\nseries {len(x)} " + " ".join(f"{v:.9g}" for v in x) + "\n")
        f.write(f"forecasts {len(origins)}\n")
        for n in origins:
            ahead = forecast(x[:n])
            f.write(f"{n} " + " ".join(f"{ahead[h - 1]:.12g}" for h in HORIZONS) + "\n")


def noise(seed, n):
    return np.random.default_rng(seed).standard_normal(n)


def ses(alpha):
    def forecast(x):
        model = SimpleExpSmoothing(x[1:], initialization_method="known", initial_level=x[0])
        return model.fit(smoothing_level=alpha, optimized=False).forecast(HORIZONS[-1])
    return forecast


def holt(alpha, beta, phi):
    def forecast(x):
        model = Holt(x[1:], damped_trend=phi < 1, initialization_method="known", initial_level=x[0], initial_trend=0)
        damping = {"damping_trend": phi} if phi < 1 else {}
        fit = model.fit(smoothing_level=alpha, smoothing_trend=beta, optimized=False, **damping)
        return fit.forecast(HORIZONS[-1])
    return forecast


def holt_winters(alpha, beta, gamma, phi, m):
    def forecast(x):
        level = np.mean(x[:m])
        model = ExponentialSmoothing(x[m:], trend="add", damped_trend=phi < 1, seasonal="add", seasonal_periods=m,
                                     initialization_method="known", initial_level=level, initial_trend=0,
                                     initial_seasonal=x[:m] - level)
        damping = {"damping_trend": phi} if phi < 1 else {}
        fit = model.fit(smoothing_level=alpha, smoothing_trend=beta, smoothing_seasonal=(1 - alpha) * gamma,
                        optimized=False, **damping)
        return fit.forecast(HORIZONS[-1])
    return forecast


def arima(ar, d, ma):
    def forecast(x):
        z = np.diff(x, d)
        model = SARIMAX(z, order=(len(ar), 0, len(ma)), trend="n")
        ahead = model.smooth(np.array(ar + ma + [1.0])).forecast(HORIZONS[-1])
        for k in range(d, 0, -1):
            ahead = np.diff(x, k - 1)[-1] + np.cumsum(ahead)
        return ahead
    return forecast


def arima_fitted(p, d, q, has_mean=False):
    def forecast(x):
        z = np.diff(x, d)
        mean = np.mean(z) if has_mean else 0.0
        fit = SARIMAX(z - mean, order=(p, 0, q), trend="n").fit(disp=0)
        ahead = fit.forecast(HORIZONS[-1]) + mean
        for k in range(d, 0, -1):
            ahead = np.diff(x, k - 1)[-1] + np.cumsum(ahead)
        return ahead
    return forecast


def simulate(ar, ma, e):
    """An ARMA series from the errors e."""
    y = np.zeros(len(e))
    for t in range(len(e)):
        y[t] = e[t] + sum(a * y[t - 1 - i] for i, a in enumerate(ar) if t > i)
        y[t] += sum(b * e[t - 1 - j] for j, b in enumerate(ma) if t > j)
    return y


T = np.arange(240)
SEASON = 3 * np.sin(2 * np.pi * T / 12) + np.cos(2 * np.pi * T / 4)

write("ses", "ses: {alpha: 0.3}", 50 + noise(1, 120), ses(0.3), [4, 20, 119])
write("holt", "holt: {alpha: 0.4, beta: 0.1, phi: 1}", 10 + 0.5 * T[:120] + noise(2, 120), holt(0.4, 0.1, 1),
      [4, 20, 60, 119])
write("holt_damped", "holt: {alpha: 0.4, beta: 0.2, phi: 0.9}", np.cumsum(0.3 * noise(3, 120)), holt(0.4, 0.2, 0.9),
      [4, 20, 60, 119])
write("holt_winters", "holt_winters: {season: 12, alpha: 0.3, beta: 0.1, gamma: 0.2, phi: 1, carry: false}",
      100 + 0.1 * T + SEASON + 0.5 * noise(4, 240), holt_winters(0.3, 0.1, 0.2, 1, 12), [30, 100, 239])
write("holt_winters_damped", "holt_winters: {alpha: 0.3, beta: 0.1, gamma: 0.4, phi: 0.9, carry: false}",
      100 + 0.1 * T + SEASON + 0.5 * noise(5, 240), holt_winters(0.3, 0.1, 0.4, 0.9, 12), [30, 100, 239], season=12)

write("arima_2_0_1", "arima: {p: 2, d: 0, q: 1, mean: none, ar: [1.2, -0.5], ma: [0.4]}",
      simulate([1.2, -0.5], [0.4], noise(6, 300)), arima([1.2, -0.5], 0, [0.4]), [100, 200, 299])
write("arima_1_1_2", "arima: {p: 1, d: 1, q: 2, ar: [0.6], ma: [-0.5, 0.2]}",
      100 + np.cumsum(simulate([0.6], [-0.5, 0.2], noise(7, 300))), arima([0.6], 1, [-0.5, 0.2]), [100, 200, 299])
write("arima_1_2_1", "arima: {p: 1, d: 2, q: 1, ar: [-0.3], ma: [-0.6]}",
      np.cumsum(np.cumsum(0.01 * simulate([-0.3], [-0.6], noise(8, 300)))), arima([-0.3], 2, [-0.6]), [100, 200, 299])

write("arima_learns_ar", "arima: {p: 2, d: 0, q: 0, forgetting: 1, mean: none}", simulate([1.5, -0.7], [], noise(9, 3000)),
      arima_fitted(2, 0, 0), [2000, 2500, 3000], tolerance=0.06)
write("arima_learns_ar_with_mean", "arima: {p: 2, d: 0, q: 0, forgetting: 1}",
      50 + simulate([1.5, -0.7], [], noise(9, 3000)), arima_fitted(2, 0, 0, True), [2000, 2500, 3000], tolerance=0.1)
write("arima_learns_arma", "arima: {p: 1, d: 0, q: 1, forgetting: 1, mean: none}",
      simulate([0.9], [-0.5], noise(10, 3000)), arima_fitted(1, 0, 1), [2000, 2500, 3000], tolerance=0.06)
write("arima_learns_ima", "arima: {p: 0, d: 1, q: 1, forgetting: 1}",
      np.cumsum(simulate([], [-0.7], noise(11, 3000))), arima_fitted(0, 1, 1), [2000, 2500, 3000], tolerance=0.02)
