#!/usr/bin/python3
"""Draws what bench_keys measured as SVG: a run with more keys than memory over time (throughput, resident memory, state
file) and, when there are any, events per second over the number of keys.

    tests/bench/plot_keys.py OUT.svg RATES TIMELINE.csv [TITLE]

RATES holds the JSON lines that bench_keys prints (/dev/null: none), TIMELINE.csv what EDDY_BENCH_TIMELINE keeps."""
import json
import math
import sys

WIDTH, PANEL, LEFT, GAP = 860, 170, 78, 56
COLOURS = ["#0072b2", "#d55e00", "#009e73"]


def ticks(top):
    step = 10 ** math.floor(math.log10(top / 2)) if top > 0 else 1
    while top / step > 6:
        step *= 2 if str(step)[0] in "15" else 2.5
    return [i * step for i in range(int(top / step) + 1)]


def number(v):
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(v) >= unit:
            return f"{v / unit:g}{name}"
    return f"{v:g}"


def panel(out, y0, title, series, x_top, x_labels, x_title):
    """series: [(name, [(x, y)])]; x in [0, x_top]."""
    top = max(y for _, points in series for _, y in points) * 1.08 or 1
    width = WIDTH - LEFT - 150
    at_x = lambda x: LEFT + x / x_top * width
    at_y = lambda y: y0 + PANEL - y / top * PANEL
    out.append(f'<text x="{LEFT}" y="{y0 - 8}" font-weight="bold">{title}</text>')
    for y in ticks(top):
        out.append(f'<path d="M{LEFT} {at_y(y):.1f}h{width}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{at_y(y) + 4:.1f}" text-anchor="end">{number(y)}</text>')
    for x, label in x_labels:
        out.append(f'<text x="{at_x(x):.1f}" y="{y0 + PANEL + 16}" text-anchor="middle">{label}</text>')
    out.append(f'<text x="{LEFT + width}" y="{y0 + PANEL + 32}" text-anchor="end">{x_title}</text>')
    for i, (name, points) in enumerate(series):
        line = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[i]}" stroke-width="1.8"/>')
        if len(points) < 10:
            out += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3.5" fill="{COLOURS[i]}"/>' for x, y in points]
        out.append(f'<text x="{LEFT + width + 10}" y="{y0 + 14 + 16 * i}" fill="{COLOURS[i]}">{name}</text>')


def main():
    out_path, rates_path, timeline_path = sys.argv[1:4]
    title = sys.argv[4] if len(sys.argv) > 4 else "more keys than memory"
    with open(rates_path, encoding="utf-8") as f:
        rows = [json.loads(line) for line in f if line.startswith("{")]
    rates = {r["keys"]: r["events_per_s"] for r in rows if r["bench"] in ("keys", "keys, evicted") and "uniform" not in r["case"]}
    with open(timeline_path, encoding="utf-8") as f:
        times = [tuple(float(v) for v in line.split(",")) for line in f if line.strip()]
    body = []
    keys = sorted(rates)
    at = {k: i + 0.5 for i, k in enumerate(keys)}
    y = 40
    if len(keys) > 1:
        panel(body, y, "events per second by number of keys", [("events/s", [(at[k], rates[k]) for k in keys])],
              len(keys), [(at[k], number(k)) for k in keys], "keys")
        y += PANEL + GAP + 20
    end = times[-1][0]
    step = 10 * 2 ** max(0, math.ceil(math.log2(end / 100)))
    labels = [(s, f"{s:g}") for s in range(0, int(end) + 1, int(step))]
    speed = [((a[0] + b[0]) / 2, (b[1] - a[1]) / (b[0] - a[0])) for a, b in zip(times, times[5:])]
    panel(body, y, f"{title}: events per second", [("events/s", speed)], end, labels, "seconds")
    y += PANEL + GAP + 10
    panel(body, y, "bytes", [("resident", [(t[0], t[2]) for t in times]), ("state file", [(t[0], t[3]) for t in times]),
                             ("its log", [(t[0], t[4]) for t in times])], end, labels, "seconds")
    height = y + PANEL + 44
    with open(out_path, "w", encoding="utf-8") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
                f'font-size="12">\n<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n")


if __name__ == "__main__":
    main()
