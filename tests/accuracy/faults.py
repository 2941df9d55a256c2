"""Fault injection: what eddy finds with one configuration, beside simple charts at its own rate of false alarms."""
import datetime
import math
import os
import statistics
import subprocess

from detection import alarmed
from inject import AFTER, KINDS, MAGNITUDES, ROWS, WARM, applies, clean_series, faulty, half
from replay import replay, scratch
from table import Figure

CONFIG = os.environ.get("FAULTS_CONFIG", "config/sensors.yml")
CHARTS = ("EWMA z-score", "seasonal z-score", "Hampel filter", "half-space trees")
STEPS = {0: 3600, 24: 3600, 288: 300}  # seconds from row to row, by season
FIRST = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)


class Case:
    """One series with its faults; by detector the rows that alarm."""

    def __init__(self, name, season, values, spans, kind, size, repeated):
        self.name, self.season, self.values, self.spans = name, season, values, spans
        self.kind, self.size, self.repeated, self.half = kind, size, repeated, half(name)

    def times(self):
        step = STEPS[self.season]
        return [(FIRST + datetime.timedelta(seconds=step * t)).strftime("%Y-%m-%dT%H:%M:%SZ") for t in range(ROWS)]

    def judge(self, alarms):
        """([delay or None for each fault], runs of false alarms); alarms: rows in order."""
        delays = []
        for start, end in self.spans:
            hit = next((t for t in alarms if start <= t < end + AFTER), None)
            delays.append(None if hit is None else hit - start)
        runs, before = 0, -2
        for t in alarms:
            if t >= WARM and not any(start <= t < end + 2 * AFTER for start, end in self.spans):
                runs += t != before + 1
                before = t
        return delays, runs

    def clean_rows(self):
        return ROWS - WARM - sum(end + 2 * AFTER - start for start, end in self.spans)


def groups(seed):
    """[Case, ..] of each replay: no series comes twice in one, for the keys of a replay share a network."""
    for kind in KINDS:
        for size, faults in ((0, 1), (1, 1), (2, 1), (1, 3)):
            cases = []
            for name, (season, values, unit) in clean_series().items():
                if applies(kind, season):
                    changed, spans = faulty(name, season, values, unit, kind, size, seed, faults)
                    cases.append(Case(name, season, changed, spans, kind, size, faults > 1))
            yield cases


def write(cases, folder):
    for case in cases:
        path = scratch(f"{folder}/{case.name}.csv")
        with open(path, "w") as file:
            file.write("ts,value\n")
            file.writelines(f"{time},{'' if math.isnan(v) else format(v, '.9g')}\n"
                            for time, v in zip(case.times(), case.values) if v is not None)
    return os.path.dirname(path)


def alarm_times(records):
    found = {}
    for record in records:
        if alarmed(record):
            found.setdefault(record["key"], []).append(record["ts"])
    return found


def chart_scores(cases):
    """[[(row, scores), ..] by case]; rows that are not there are left out for the charts as well.

    In units of what each chart reached in the series' own warm-up (its 99.5 % quantile), so that one threshold does for all.
    """
    lines = []
    for case in cases:
        lines.append(f"# season {case.season}")
        lines += [repr(v) for v in case.values if v is not None]
    program = os.path.join(os.environ.get("BUILD", "build"), "charts")
    out = iter(subprocess.run([program], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True).stdout.splitlines())
    result = []
    for case in cases:
        rows = [(t, [float(v) for v in next(out).split()]) for t, value in enumerate(case.values) if value is not None]
        usual = [sorted(row[chart] for t, row in rows if WARM - 1000 <= t < WARM)[995] + 1e-3 for chart in range(len(CHARTS))]
        result.append([(t, [v / u for v, u in zip(row, usual)]) for t, row in rows])
    return result


def totals(cases, alarms):
    """(delays by case, false alarms per 1,000 clean rows)"""
    judged = [case.judge(rows) for case, rows in zip(cases, alarms)]
    clean = sum(case.clean_rows() for case in cases)
    return [delays for delays, _ in judged], 1000 * sum(runs for _, runs in judged) / clean


def in_hindsight(cases, scores, chart, rate):
    """The chart's alarms at the lowest threshold whose false alarms are no more than rate: halving, on a log scale."""
    late = [[(t, row[chart]) for t, row in one if t >= WARM] for one in scores]
    ordered = sorted(score for one in late for _, score in one)
    low, high = len(ordered) // 2, len(ordered)
    pick = lambda at: [[t for t, score in one if at < len(ordered) and score >= max(ordered[at], 1e-9)] for one in late]
    while high - low > max(1, len(ordered) // 5000):
        middle = high - max(1, (high - low) // 2) if high - low < 3 else (low + high) // 2
        if totals(cases, pick(middle))[1] <= rate:
            high = middle
        else:
            low = middle
    return pick(high)


def recall(cases, delays, wanted=lambda case: True):
    flat = [d for case, one in zip(cases, delays) if wanted(case) for d in one]
    return sum(d is not None for d in flat) / len(flat) if flat else float("nan")


def measure(seed):
    """{detector: (cases, delays, false alarms per 1,000 of all, {half: the same})} of one seed."""
    cases, ours, scores = [], [], []
    runs = []
    for number, group in enumerate(groups(seed)):
        folder = write(group, f"faults-{seed}-{number}")
        runs.append((group, replay(CONFIG, "--input", folder, seed=seed, read=alarm_times)))
    for group, run in runs:
        found = run.result()[1]
        for case in group:
            row = {time: t for t, time in enumerate(case.times())}
            ours.append([row[time] for time in found.get(case.name, ())])
        scores += chart_scores(group)
        cases += group
    result = {"eddy": (ours, *totals(cases, ours))}
    for chart, name in enumerate(CHARTS):
        alarms = in_hindsight(cases, scores, chart, result["eddy"][2])
        result[name] = (alarms, *totals(cases, alarms))
    return cases, result


def details(measured):
    """Recall and median delay by kind and magnitude; by half; of repeated faults: means over seeds."""
    names = ("eddy", *CHARTS)
    mean = lambda f: [statistics.fmean(f(cases, result[name][1]) for cases, result in measured) for name in names]

    def line(title, wanted):
        cells = [f"{v:8.2f}" for v in mean(lambda cases, delays: recall(cases, delays, wanted))]
        delays = [d for cases, result in measured for case, one in zip(cases, result["eddy"][1]) if wanted(case) for d in one if d is not None]
        print(f"{title:28}" + "".join(f"{c:>18}" for c in cells) + f"{statistics.median(delays) if delays else float('nan'):12.0f}")

    print(f"\n{'recall':28}" + "".join(f"{name:>18}" for name in names) + f"{'delay, rows':>12}")
    for kind in KINDS:
        for size, word in enumerate(MAGNITUDES):
            line(f"{kind}, {word}", lambda c: (c.kind, c.size, c.repeated) == (kind, size, False))
    for which in ("choose", "rarely"):
        line(f"all, half '{which}'", lambda c: c.half == which and not c.repeated)
    line("all of one a series", lambda c: not c.repeated)
    line("without dropout", lambda c: c.kind != "dropout" and not c.repeated)
    line("three a series, medium", lambda c: c.repeated)
    for which in ("choose", "rarely"):
        rates = []
        for name in names:
            one = []
            for cases, result in measured:
                kept = [(c, a) for c, a in zip(cases, result[name][0]) if c.half == which]
                one.append(totals([c for c, _ in kept], [a for _, a in kept])[1])
            rates.append(statistics.fmean(one))
        print(f"{'false alarms, half ' + repr(which):28}" + "".join(f"{r:18.2f}" for r in rates))


def faults(seeds):
    measured = [measure(seed) for seed in seeds]
    details(measured)
    single = lambda case: not case.repeated
    own = [recall(cases, result["eddy"][1], single) for cases, result in measured]
    best = [max(recall(cases, result[name][1], single) for name in CHARTS) for cases, result in measured]
    yield Figure("faults: false alarms per 1,000 clean events", [result["eddy"][2] for _, result in measured], "<=", 1.0, form="{:.2f}")
    yield Figure("faults: recall", own, ">=", None, form="{:.3f}")
    yield Figure("faults: recall beyond the best chart's, points", [100 * (a - b) for a, b in zip(own, best)], ">=", 10, form="{:.1f}")
    large = []
    for cases, result in measured:
        large.append(min(recall(cases, result["eddy"][1], lambda c: c.kind == kind and c.size == 2 and single(c)) for kind in KINDS))
    yield Figure("faults: recall of the worst kind, large", large, ">=", None, .9, "{:.2f}")
