"""Detection on labelled data: NAB by its own score, SKAB row by row."""
import json

from replay import data, has_data, replay
from table import Figure


def alarmed(record):
    """An alert, or an incident that is open."""
    return bool(record.get("anomaly")) or record.get("incident") is not None


def nab(seeds):
    if not has_data("nab/windows.json"):
        return
    runs = [replay("config/sensors.yml", "--input", data("nab"), "--labels", data("nab/windows.json"), seed=seed) for seed in seeds]
    detect = [run.result()[0]["detect"] for run in runs]
    yield Figure("NAB, standard profile, own threshold", [d["nab"]["standard"]["score"] for d in detect], ">=", 73, 75, "{:.1f}")
    yield Figure("  alerts outside windows", [d["false_alarms"] for d in detect], "<=", None, form="{:.0f}")


WARMUP = 400  # rows of an SKAB experiment that are good by definition


def alarmed_rows(records):
    rows = {}
    for record in records:
        rows.setdefault(record["key"], []).append((record["ts"], alarmed(record)))
    return rows


def pooled(rows, windows):
    """F1 and 1 - false-alarm rate - missed-alarm rate over the judged rows of all experiments."""
    counts = {(alarm, fault): 0 for alarm in (False, True) for fault in (False, True)}
    for key, series in rows.items():
        spans = [[t.replace(" ", "T").split(".")[0] for t in span] for span in windows[key]]
        for time, alarm in series[WARMUP:]:
            counts[alarm, any(start <= time.rstrip("Z") <= end for start, end in spans)] += 1
    hits, false, missed, quiet = counts[True, True], counts[True, False], counts[False, True], counts[False, False]
    return 2 * hits / (2 * hits + false + missed), 1 - false / (false + quiet) - missed / (missed + hits)


def skab(seeds):
    if not has_data("skab/windows.json"):
        return
    with open(data("skab/windows.json")) as file:
        windows = {name.removesuffix(".csv"): spans for name, spans in json.load(file).items()}
    runs = [replay("config/machine.yml", "--input", data("skab"), seed=seed, read=alarmed_rows) for seed in seeds]
    both = [pooled(run.result()[1], windows) for run in runs]
    yield Figure("SKAB, rows with an open incident: F1", [f1 for f1, _ in both], ">=", .84, .86, "{:.3f}")
    yield Figure("SKAB: 1 - FAR - MAR", [balance for _, balance in both], ">=", .67, .72, "{:.3f}")
