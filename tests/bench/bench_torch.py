#!/usr/bin/env python3
"""The steps of bench_kernels.c with PyTorch (Debian python3-torch): LSTMCell, GRUCell and nn.LSTM of one step, one thread,
no gradients; and training: forward, backward and Adam over windows of 32 steps.  Rounds are interleaved, CPU time of the
thread, medians.  Prints the same JSON lines; says so where PyTorch is not installed.
    bench_torch.py [LINES]
LINES is a file of what bench_kernels and bench_layers have printed in this run: "over_own" divides by their figures."""
import json
import statistics
import sys
import time

ROUNDS = 7


def show(case, **numbers):
    print(json.dumps({"bench": "torch", "case": case, **numbers}, separators=(",", ":")))


def own_times(path):
    """Nanoseconds per step by case, of the lines in a file; names as in bench_kernels.c, and of training."""
    times = {}
    with open(path, encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["bench"] == "kernels" and "ns_per_step" in row:
                times[row["case"]] = row["ns_per_step"]
            if row["bench"] == "layers" and row["case"] == "lstm-64 train B=64":
                times["train lstm H=64 T=32 B=64"] = row["ns_per_row_step"]
    return times


def against_own(case, ns, own):
    """The figures of a case: what it took, and how much more than eddy's own, where that is known."""
    name = case.replace("LSTMCell", "lstm").replace("GRUCell", "gru").replace("nn.LSTM", "lstm").replace("LSTM", "lstm")
    return {"ns_per_step": round(ns), **({"over_own": round(ns / own[name], 2)} if name in own else {})}


def serve(torch, cell, units, rows):
    x, h = torch.randn(rows, 1), torch.randn(rows, units)
    c = torch.randn(rows, units)
    if cell == "nn.LSTM":
        net, x, h, c = torch.nn.LSTM(1, units), x[None], h[None], c[None]
        return lambda: net(x, (h, c))
    if cell == "GRUCell":
        net = torch.nn.GRUCell(1, units)
        return lambda: net(x, h)
    net = torch.nn.LSTMCell(1, units)
    return lambda: net(x, (h, c))


def train(torch, units, rows, steps):
    net, head = torch.nn.LSTM(1, units), torch.nn.Linear(units, 1)
    adam = torch.optim.Adam([*net.parameters(), *head.parameters()])
    x, y = torch.randn(steps, rows, 1), torch.randn(steps, rows, 1)

    def once():
        adam.zero_grad()
        torch.nn.functional.mse_loss(head(net(x)[0]), y).backward()
        adam.step()

    return once


def main():
    try:
        import torch
    except ImportError:
        show("absent: PyTorch is not installed")
        return
    torch.set_num_threads(1)
    own = own_times(sys.argv[1]) if len(sys.argv) > 1 else {}
    cases = []
    for units in (32, 64, 128):
        for rows in (1, 16, 64):
            for cell in ("LSTMCell", "GRUCell", "nn.LSTM"):
                cases.append((f"{cell} H={units} B={rows}", rows, 100, True, serve(torch, cell, units, rows)))
    cases.append(("train LSTM H=64 T=32 B=64", 32 * 64, 3, False, train(torch, 64, 64, 32)))
    times = [[] for _ in cases]
    for _ in range(ROUNDS):
        for i, (_, per_call, calls, serving, work) in enumerate(cases):
            with torch.set_grad_enabled(not serving):
                work()
                start = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
                for _ in range(calls):
                    work()
                spent = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) - start
            times[i].append(1e9 * spent / calls / per_call)
    for (name, *_), all_times in zip(cases, times):
        show(name, **against_own(name, statistics.median(all_times), own))


if __name__ == "__main__":
    main()
