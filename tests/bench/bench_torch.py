#!/usr/bin/env python3
"""The steps of bench_kernels.c with PyTorch (Debian python3-torch): LSTMCell, GRUCell and nn.LSTM of one step, one thread,
no gradients; and training: forward, backward and Adam over windows of 32 steps.  Rounds are interleaved, CPU time of the
thread, medians.  Prints the same JSON lines; says so where PyTorch is not installed.
    bench_torch.py [LINES]
LINES is a file of what bench_kernels and bench_layers have printed in this run: "over_own" divides by their figures."""
import functools

from peer_steps import measure, show


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
        show("torch", "absent: PyTorch is not installed")
        return
    torch.set_num_threads(1)
    no_gradients, gradients = (functools.partial(torch.set_grad_enabled, on) for on in (False, True))
    cases = []
    for units in (32, 64, 128):
        for rows in (1, 16, 64):
            for cell, own in (("LSTMCell", "lstm"), ("GRUCell", "gru"), ("nn.LSTM", "lstm")):
                size = f"H={units} B={rows}"
                cases.append((f"{cell} {size}", f"{own} {size}", rows, 100, serve(torch, cell, units, rows),
                              no_gradients))
    cases.append(("train LSTM H=64 T=32 B=64", "lstm-64 train B=64", 32 * 64, 3, train(torch, 64, 64, 32), gradients))
    measure("torch", cases)


main()
