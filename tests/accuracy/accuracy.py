#!/usr/bin/env python3
"""make accuracy: what eddy reaches with the sample configurations, beside what it must reach (README.md here).

  ROWS=nab,ett   only these rows (the beginning of a name will do)
  SEEDS=5        seeds 1..5
"""
import os
import sys
import time

import detection
import faults
import forecasts
import young
from replay import EDDY, Refused
from table import show

ROWS = {
    "nab": detection.nab,
    "faults": faults.faults,
    "ett-best": forecasts.etth1("best", (.193, .602, .718), (.186, .590, .705)),
    "ett-fleet": forecasts.etth1("fleet", (.206, .635, .745), (.203, .620, .730)),
    "exchange-best": forecasts.exchange("best"),
    "exchange-fleet": forecasts.exchange("fleet"),
    "gru": forecasts.gru,
    "coverage": forecasts.coverage,
    "skab": detection.skab,
    "pinball": forecasts.pinball,
    "unseen": young.unseen,
}


def chosen():
    asked = [name for name in os.environ.get("ROWS", "").split(",") if name]
    unknown = [name for name in asked if not any(row.startswith(name) for row in ROWS)]
    if unknown:
        sys.exit(f"accuracy: no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    return [row for row in ROWS if not asked or any(row.startswith(name) for name in asked)]


def main():
    seeds = range(1, int(os.environ.get("SEEDS") or 5) + 1)
    if not os.path.exists(EDDY):
        sys.exit(f"accuracy: {EDDY} is not built")
    figures, refused, skipped = [], [], []
    for name in chosen():
        began = time.monotonic()
        try:
            row = list(ROWS[name](seeds))
        except (Refused, KeyError, StopIteration) as error:
            row = []
            refused.append(f"{name}: {type(error).__name__} {error}")
        else:
            if not row:
                skipped.append(name)
        figures += row
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(f"\nmean of {len(seeds)} seed{'s' if len(seeds) > 1 else ''}\n")
    below = show(figures)
    for message in refused:
        print(f"\nFAILED {message}")
    if skipped:
        print(f"\nSKIPPED, no data: {', '.join(skipped)}")
    print(f"\n{len(figures)} figures, {below} below must, {len(refused)} rows failed, {len(skipped)} skipped")
    sys.exit(bool(below or refused))


if __name__ == "__main__":
    main()
