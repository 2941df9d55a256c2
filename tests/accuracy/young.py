"""A fleet of simulated devices: the error of a device that nobody has seen before against its age."""
import datetime

from replay import replay, scratch
from simulated import device, number
from table import Figure

KNOWN, KNOWN_ROWS, STARTS = 900, 400, 600  # devices that come first, each for so many hours, beginning within so many
UNSEEN, AGES, HORIZONS = 300, 250, (1, 8, 24)
FIRST = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
YOUNG, GROWN = range(20, 25), range(200, 250)


def fleet(seed):
    """The path of the records, in the order of time, and what the unseen devices are: {key: (scale, values)}."""
    rows, unseen = [], {}
    for i in range(KNOWN):
        key = f"known{i}"
        start = number(f"start {seed} {i}") % STARTS
        rows += [(start + t, key, v) for t, v in enumerate(device(f"{seed} {key}", KNOWN_ROWS)[1])]
    for i in range(UNSEEN):
        key = f"unseen{i}"
        unseen[key] = device(f"{seed} {key}", AGES + max(HORIZONS) + 1)
        start = STARTS + KNOWN_ROWS + number(f"unseen start {seed} {i}") % STARTS
        rows += [(start + t, key, v) for t, v in enumerate(unseen[key][1])]
    path = scratch(f"fleet-{seed}.csv")
    with open(path, "w") as file:
        file.write("key,ts,power\n")
        for hour, key, value in sorted(rows):
            file.write(f"{key},{(FIRST + datetime.timedelta(hours=hour)).strftime('%Y-%m-%dT%H:%M:%SZ')},{value:.7g}\n")
    return path, unseen


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


def unseen(seeds):
    runs = []
    for seed in seeds:
        path, devices = fleet(seed)
        runs.append((devices, replay("config/fleet.yml", "--input", path, "--set", "forecast.horizons=[1, 8, 24]", seed=seed, read=forecasts)))
    for horizon, must, aim in zip(HORIZONS, (1.10, 1.8, 1.35), (1.04, 1.5, 1.2)):
        pairs = [[error(run.result()[1], devices, ages, horizon) for ages in (YOUNG, GROWN)] for devices, run in runs]
        yield Figure(f"unseen key, error at 20-24 events over 200-249, h = {horizon}", [y / g for y, g in pairs], "<=", must, aim, "{:.2f}")
        yield Figure("  MSE over squared scale at 20-24 events", [y for y, _ in pairs], "<=", None, form="{:.3f}")
