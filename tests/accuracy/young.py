"""A fleet of simulated devices: the error of a device that nobody has seen before against its age."""
import datetime

from replay import replay, scratch, train
from simulated import device, number
from table import Figure

KNOWN, KNOWN_ROWS, STARTS = 900, 400, 600  # devices that come first, each for so many hours, beginning within so many
UNSEEN, AGES, HORIZONS = 300, 250, (1, 8, 24)
FIRST = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
YOUNG, GROWN = range(20, 25), range(200, 250)
HORIZON = ("--set", f"forecast.horizons={list(HORIZONS)}")
# As config/fleet.yml says: windows from closer to each other in training beforehand, and small steps behind it.
BEFOREHAND = ("--epochs", "12", "--set", "train.every=4", "--set", "train.learning_rate=2e-3")
BEHIND = ("--set", "train.learning_rate=1e-3", "--set", "train.ema=0.9995")


def write(path, rows):
    with open(path, "w") as file:
        file.write("key,ts,power\n")
        for hour, key, value in sorted(rows):
            file.write(f"{key},{(FIRST + datetime.timedelta(hours=hour)).strftime('%Y-%m-%dT%H:%M:%SZ')},{value:.7g}\n")
    return path


def fleet(seed):
    """Paths of the known devices' records, of the unseen ones' and of all, in the order of time, and what the unseen
    ones are: {key: (scale, values)}."""
    known, new, unseen = [], [], {}
    for i in range(KNOWN):
        key = f"known{i}"
        start = number(f"start {seed} {i}") % STARTS
        known += [(start + t, key, v) for t, v in enumerate(device(f"{seed} {key}", KNOWN_ROWS)[1])]
    for i in range(UNSEEN):
        key = f"unseen{i}"
        unseen[key] = device(f"{seed} {key}", AGES + max(HORIZONS) + 1)
        start = STARTS + KNOWN_ROWS + number(f"unseen start {seed} {i}") % STARTS
        new += [(start + t, key, v) for t, v in enumerate(unseen[key][1])]
    paths = [write(scratch(f"{name}-{seed}.csv"), rows) for name, rows in (("known", known), ("unseen", new), ("fleet", known + new))]
    return *paths, unseen


def forecasts(records):
    """{key: [{h: yhat}, ..] by age}"""
    found = {}
    for record in records:
        if record["key"].startswith("unseen"):
            found.setdefault(record["key"], []).append({row["h"]: row["yhat"] for row in record["forecast"]})
    return found


def error(found, unseen, ages, horizon):
    """Mean squared error in units of each device's own scale."""
    total = count = 0
    for key, (scale, values) in unseen.items():
        for age in ages:
            guess = found[key][age][horizon]
            if guess is None:
                guess = values[age]
            total += ((guess - values[age + horizon]) / scale) ** 2
            count += 1
    return total / count


def figures(name, runs, limits):
    """runs: (what the devices are, a future of the replay) by seed"""
    for horizon, (must, aim) in zip(HORIZONS, limits):
        pairs = [[error(run.result()[1], devices, ages, horizon) for ages in (YOUNG, GROWN)] for devices, run in runs]
        yield Figure(f"{name}, error at 20-24 events over 200-249, h = {horizon}", [y / g for y, g in pairs], "<=", must, aim, "{:.2f}")
        yield Figure("  MSE over squared scale at 20-24 events", [y for y, _ in pairs], "<=", None, form="{:.3f}")


def unseen(seeds):
    fleets = [(seed, *fleet(seed)) for seed in seeds]
    models = [train("config/fleet.yml", "--input", known, *HORIZON, *BEFOREHAND, name=f"known-{seed}", seed=seed)
              for seed, known, _, _, _ in fleets]
    cold = [(devices, replay("config/fleet.yml", "--input", everything, *HORIZON, seed=seed, read=forecasts))
            for seed, _, _, everything, devices in fleets]
    warm = [(devices, replay("config/fleet.yml", "--input", new, *HORIZON, *BEHIND, "--model", model.result(), seed=seed, read=forecasts))
            for model, (seed, _, new, _, devices) in zip(models, fleets)]
    yield from figures("unseen key", warm, ((1.10, 1.04), (1.8, 1.5), (1.35, 1.2)))
    yield from figures("  nothing learnt before the stream", cold, [(None, None)] * len(HORIZONS))
