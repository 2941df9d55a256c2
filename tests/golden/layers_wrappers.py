#!/usr/bin/env python3
"""Golden values of the layers that wrap other layers, by PyTorch: see common.py."""
import torch

from common import case, take


def cell(kind, n_in, units):
    """Shapes of a cell's tensors in eddy's order, and how they become torch's: of biases, all have two there."""
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[kind]
    biases = [(gates * units,)] * (2 if kind == "gru" else 1)
    shapes = [(gates * units, n_in), (gates * units, units)] + biases

    def weights(tensors):
        return list(tensors) + ([] if kind == "gru" else [torch.zeros_like(tensors[2])])
    n_params = gates * units * (n_in + units + len(biases))
    return shapes, weights, n_params


def bidirectional(kind, n_in, units, lag, center):
    """Of every prefix x[0..t] the layer in both directions, of which the answer for step t - lag is taken."""
    shapes, weights, n_params = cell(kind, n_in, units)

    def both(tensors, x):
        zero = x.new_zeros(2, x.shape[1], units)
        flat = weights(tensors[:len(shapes)]) + weights(tensors[len(shapes):])
        run = {"rnn": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}[kind]
        state = (zero, zero) if kind == "lstm" else zero
        return run(x, state, flat, True, 1, 0.0, False, True, False)[0]

    def answer(out, at):
        if center == "include":
            return out[at]
        before = out[at - 1, :, :units] if at > 0 else torch.zeros_like(out[0, :, :units])
        return torch.cat([before, out[at + 1, :, units:]], 1)

    def forward(params, x, elapsed):
        tensors = take(params, *shapes, *shapes)
        y = [x.new_zeros(x.shape[1], 2 * units) for t in range(min(lag, x.shape[0]))]
        return torch.stack(y + [answer(both(tensors, x[:t + 1]), t - lag) for t in range(lag, x.shape[0])])
    return f"bidirectional: {{layer: {{{kind}: {{units: {units}}}}}, lag: {lag}, center: {center}}}", n_in, \
        2 * n_params, forward


def decoder(kind, n_in, units, n_dims, n_horizons):
    shapes, weights, n_params = cell(kind, n_dims, units)

    def forward(params, x, elapsed):
        w_s, b_s, *tensors, w_o, b_o = take(params, (units, n_in), (units,), *shapes, (n_dims, units), (n_dims,))
        rows = x.reshape(-1, n_in)
        h = torch.tanh(torch.nn.functional.linear(rows, w_s, b_s))
        c, u, y = torch.zeros_like(h), rows.new_zeros(rows.shape[0], n_dims), []
        for _ in range(n_horizons):
            if kind == "lstm":
                h, c = torch.lstm_cell(u, (h, c), *weights(tensors))
            else:
                h = (torch.gru_cell if kind == "gru" else torch.rnn_tanh_cell)(u, h, *weights(tensors))
            u = torch.nn.functional.linear(h, w_o, b_o)
            y.append(u)
        return torch.cat(y, 1).reshape(x.shape[0], x.shape[1], -1)
    return f"decoder: {{layer: {{{kind}: {{units: {units}}}}}}}", n_in, \
        units * (n_in + 1) + n_params + n_dims * (units + 1), forward, 0, n_dims, n_horizons


case("bidirectional_gru", *bidirectional("gru", 3, 4, 8, "include"))
case("bidirectional_gru_exclude", *bidirectional("gru", 2, 3, 5, "exclude"))
case("bidirectional_lstm", *bidirectional("lstm", 2, 5, 1, "include"))
case("bidirectional_lstm_exclude", *bidirectional("lstm", 3, 3, 20, "exclude"))
case("bidirectional_rnn", *bidirectional("rnn", 10, 3, 4, "include"))
case("decoder_gru", *decoder("gru", 4, 5, 2, 4))
case("decoder_lstm", *decoder("lstm", 3, 6, 1, 7))
case("decoder_rnn", *decoder("rnn", 2, 4, 3, 3))
