#!/usr/bin/env python3
"""The steps of bench_kernels.c with PyTorch (Debian python3-torch): LSTMCell, GRUCell and nn.LSTM of one step, one thread,
no gradients; and training: forward, backward and Adam over windows of 32 steps.  Rounds are interleaved, CPU time of the
thread, medians.  Prints the same JSON lines; says so where PyTorch is not installed."""
import json
import statistics
import time

ROUNDS = 7


def show(case, **numbers):
    print(json.dumps({"bench": "torch", "case": case, **numbers}, separators=(",", ":")))


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
        show(name, ns_per_step=round(statistics.median(all_times)))


main()
