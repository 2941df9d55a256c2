"""Errors, bands and quantiles of forecasts: ETTh1, exchange rates."""
import gzip
import math
import statistics

from replay import data, has_data, replay
from table import Figure

ETT, EXCHANGE = "ett/ETTh1.csv.gz", "exchange/exchange_rate.txt.gz"
ROWS_ETT = ("--score-rows", "3600:14400", "--scale-rows", "0:2880")
DAYS, FROM, SCALED = 7588, 7588 // 4, 7588 // 5  # of the exchange rates: judged from a quarter on, scaled by the first fifth
DAILY = ("--no-header", "--time", "none", "--start", "1990-01-01T00:00:00Z", "--interval", "1d")
HORIZONS = (1, 24, 48)


def ett(config, seed, *more):
    return replay(config, "--input", data(ETT), *ROWS_ETT, *more, seed=seed)


def ett_profile(profile, seed):
    return ett("config/forecast.yml", seed, "--set", f"forecast.profile={profile}")


def exchange_profile(profile, seed):
    return replay("config/forecast.yml", "--input", data(EXCHANGE), *DAILY, "--score-rows", f"{FROM}:{DAYS}",
                  "--scale-rows", f"0:{SCALED}", "--set", f"forecast.profile={profile}", seed=seed)


def cumulative(run, horizon, name="mse"):
    rows = run.result()[0]["forecast"]["cumulative"]
    return next(row[name] for row in rows if row["H"] == horizon)


def errors(work, runs, musts, aims):
    for horizon, must, aim in zip(HORIZONS, musts, aims):
        yield Figure(f"{work}, H = {horizon}", [cumulative(run, horizon) for run in runs], "<=", must, aim, "{:.3f}")


def etth1(profile, musts, aims):
    def row(seeds):
        if has_data(ETT):
            runs = [ett_profile(profile, seed) for seed in seeds]
            yield from errors(f"ETTh1 MSE, profile {profile}", runs, musts, aims)
    return row


def gru(seeds):
    if has_data(ETT):
        runs = [ett("tests/accuracy/gru.yml", seed) for seed in seeds]
        yield from errors("ETTh1 MSE, a GRU alone", runs, (.225, .665, .780), (.222, .652, .771))


def exchange(profile):
    def row(seeds):
        if not has_data(EXCHANGE):
            return
        runs = [exchange_profile(profile, seed) for seed in seeds]
        for horizon in HORIZONS:
            ratios = [cumulative(run, horizon) / cumulative(run, horizon, "persistence_mse") for run in runs]
            yield Figure(f"Exchange MSE over persistence's, profile {profile}, H = {horizon}", ratios, "<=", 1.01, 1.00, "{:.3f}")
    return row


def coverage(seeds):
    """The lowest and the highest share inside over every horizon and both sets: the same replays as the errors."""
    if not has_data(ETT, EXCHANGE):
        return
    wanted = {("best", "0.9"): (.89, .91, .895, .905), ("best", "0.5"): (.485, .515, .495, .505),
              ("fleet", "0.9"): (.87, .92, .89, .91), ("fleet", "0.5"): (.45, .53, .48, .52)}
    for (profile, band), (low, high, aim_low, aim_high) in wanted.items():
        runs = [(ett_profile(profile, seed), exchange_profile(profile, seed)) for seed in seeds]
        inside = [[row["coverage"][band] for run in pair for row in run.result()[0]["forecast"]["by_horizon"]] for pair in runs]
        work = f"coverage of the {float(band):.0%} band, profile {profile}"
        yield Figure(work + ", least", [min(one) for one in inside], ">=", low, aim_low, "{:.3f}")
        yield Figure(work + ", most", [max(one) for one in inside], "<=", high, aim_high, "{:.3f}")


LEVELS = (.05, .25, .5, .75, .95)


def riskmetrics(values, decay=.94):
    """Mean pinball by horizon of normal quantiles: variance = EWMA of squared changes, times the horizon.

    The variance starts as the mean of the first 30 squared changes.
    """
    normal = [statistics.NormalDist().inv_cdf(level) for level in LEVELS]
    changes = [b - a for a, b in zip(values, values[1:])]
    variance, sums, counts = sum(c * c for c in changes[:30]) / 30, dict.fromkeys(HORIZONS, 0.), dict.fromkeys(HORIZONS, 0)
    for now in range(1, len(values)):
        variance = decay * variance + (1 - decay) * changes[now - 1] ** 2
        if now < FROM:
            continue
        for horizon in HORIZONS:
            if now + horizon < len(values):
                deviation = math.sqrt(variance * horizon)
                for level, z in zip(LEVELS, normal):
                    error = values[now + horizon] - values[now] - z * deviation
                    sums[horizon] += (level if error > 0 else level - 1) * error / len(LEVELS)
                counts[horizon] += 1
    return {horizon: sums[horizon] / counts[horizon] for horizon in HORIZONS}


def pinball(seeds):
    """Mean over the 8 rates of the ratio to RiskMetrics: each rate counts alike whatever its unit."""
    if not has_data(EXCHANGE):
        return
    with gzip.open(data(EXCHANGE), "rt") as file:
        columns = list(zip(*([float(cell) for cell in line.split(",")] for line in file)))
    names = [f"c{i}" for i in range(len(columns))]
    simple = {name: riskmetrics(column) for name, column in zip(names, columns)}
    more = ("--set", "forecast.horizons=[1, 24, 48]", "--set", "forecast.bands=[0.5, 0.9]", "--values", ",".join(names))
    runs = [replay("config/prices.yml", "--input", data(EXCHANGE), *DAILY, "--score-rows", f"{FROM}:{DAYS}", *more, seed=seed)
            for seed in seeds]
    for horizon in HORIZONS:
        ratios = []
        for run in runs:
            by_value = run.result()[0]["forecast"]["by_value"]
            own = {name: next(row["pinball"] for row in by_value[name]["by_horizon"] if row["h"] == horizon) for name in names}
            ratios.append(statistics.fmean(own[name] / simple[name][horizon] for name in names))
        yield Figure(f"Exchange pinball over RiskMetrics', h = {horizon}", ratios, "<=", 1.00, .97, "{:.3f}")
