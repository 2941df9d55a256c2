#!/usr/bin/env python3
"""Golden values of the dense layer and of the recurrent cells, by PyTorch: see common.py.

The cells as PyTorch has them run through torch.gru, torch.lstm and torch.rnn_tanh over the whole sequence; those with
options (cell.h) are written out in plain tensor operations."""
import torch
import torch.nn.functional as F

from common import case, take


def recurrent(run, x, states, tensors):
    """A one-layer torch.nn.GRU, LSTM or RNN as a function of its weights: run is torch.gru and so on."""
    return run(x, states, tensors, True, 1, 0.0, False, False, False)[0]


def dense(n_in, units, activation, bias=True):
    def forward(params, x, elapsed):
        if not bias:
            return activation(F.linear(x, take(params, (units, n_in))[0]))
        w, b = take(params, (units, n_in), (units,))
        return activation(F.linear(x, w, b))
    return units * n_in + (units if bias else 0), forward


def gru(n_in, units, biases=2):
    def forward(params, x, elapsed):
        w, u, *b = take(params, (3 * units, n_in), (3 * units, units), *[(3 * units,)] * biases)
        c = b[1] if biases == 2 else torch.zeros_like(b[0])
        return recurrent(torch.gru, x, x.new_zeros(1, x.shape[1], units), [w, u, b[0], c])
    return 3 * units * (n_in + units + biases), forward


def lstm(n_in, units):
    def forward(params, x, elapsed):
        w, u, b = take(params, (4 * units, n_in), (4 * units, units), (4 * units,))
        zero = x.new_zeros(1, x.shape[1], units)
        return recurrent(torch.lstm, x, (zero, zero), [w, u, b, torch.zeros_like(b)])
    return 4 * units * (n_in + units + 1), forward


def rnn(n_in, units, run):
    def forward(params, x, elapsed):
        w, u, b = take(params, (units, n_in), (units, units), (units,))
        return recurrent(run, x, x.new_zeros(1, x.shape[1], units), [w, u, b, torch.zeros_like(b)])
    return units * (n_in + units + 1), forward


GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def with_options(kind, n_in, units, norm=False, learned=False, decay=False):
    """Any cell with any of its options; parameters in the order of cell.h."""
    gates, states, biases = GATES[kind] * units, (2 if kind == "lstm" else 1) * units, 2 if kind == "gru" else 1
    shapes = [(gates, n_in), (gates, units)] + [(gates,)] * biases
    shapes += [(gates,)] * 2 if norm else []
    shapes += [(units,)] * 2 if norm and kind == "lstm" else []
    shapes += [(states,)] if learned else []
    shapes += [(states,)] * 2 if decay else []

    def per_gate(s, gain):
        """LN of each gate by itself, without a bias."""
        s = F.layer_norm(s.reshape(*s.shape[:-1], GATES[kind], units), (units,), eps=1e-5)
        return gain * s.reshape(*s.shape[:-2], gates)

    def forward(params, x, elapsed):
        t = take(params, *shapes)
        w, u, b, t = t[0], t[1], t[2], t[3:]
        c_bias = torch.zeros_like(b)
        if biases == 2:
            c_bias, t = t[0], t[1:]
        if norm:
            gain_x, gain_h, t = t[0], t[1], t[2:]
        if norm and kind == "lstm":
            gain_c, bias_c, t = t[0], t[1], t[2:]
        state = x.new_zeros(x.shape[1], states)
        if learned:
            start, t = t[0], t[1:]
        out = []
        for step in range(x.shape[0]):
            if learned and step == 0:
                state = start.expand(x.shape[1], states)
            elif decay:
                rate = t[0] * torch.log1p(elapsed[step])[:, None] + t[1]
                state = state * torch.exp(-F.softplus(rate))
            h = state[:, :units]
            of_x, of_h = x[step] @ w.T, h @ u.T
            if norm:
                of_x, of_h = per_gate(of_x, gain_x), per_gate(of_h, gain_h)
            of_x, of_h = of_x + b, of_h + c_bias
            if kind == "rnn":
                state = torch.tanh(of_x + of_h)
            elif kind == "gru":
                r, z = torch.sigmoid(of_x + of_h)[:, :2 * units].chunk(2, dim=1)
                n = torch.tanh(of_x[:, 2 * units:] + r * of_h[:, 2 * units:])
                state = (1 - z) * n + z * h
            else:
                i, f, g, o = (of_x + of_h).chunk(4, dim=1)
                cell = torch.sigmoid(f) * state[:, units:] + torch.sigmoid(i) * torch.tanh(g)
                shown = F.layer_norm(cell, (units,), gain_c, bias_c, eps=1e-5) if norm else cell
                state = torch.cat([torch.sigmoid(o) * torch.tanh(shown), cell], dim=1)
            out.append(state[:, :units])
        return torch.stack(out)

    n = sum(int(torch.Size(s).numel()) for s in shapes)
    return n, forward


case("dense", "dense: {units: 5, activation: tanh}", 3, *dense(3, 5, torch.tanh))
case("dense_sigmoid", "dense: {units: 17, activation: sigmoid}", 4, *dense(4, 17, torch.sigmoid))
case("dense_relu", "dense: {units: 6, activation: relu}", 3, *dense(3, 6, torch.relu))
case("dense_no_bias", "dense: {units: 4, activation: identity, bias: false}", 3, *dense(3, 4, lambda a: a, False))
case("gru", "gru: {units: 7}", 3, *gru(3, 7))
case("gru_single_bias", "gru: {units: 6, bias: single}", 3, *gru(3, 6, 1))
case("lstm", "lstm: {units: 5}", 3, *lstm(3, 5))
case("rnn_tanh", "rnn: {units: 5}", 3, *rnn(3, 5, torch.rnn_tanh))
case("rnn_relu", "rnn: {units: 4, activation: relu}", 3, *rnn(3, 4, torch.rnn_relu), scale=0.3)
for kind in GATES:
    case(f"{kind}_norm", f"{kind}: {{units: 5, layer_norm: true}}", 3, *with_options(kind, 3, 5, norm=True))
    case(f"{kind}_learned", f"{kind}: {{units: 4, initial_state: learned}}", 3, *with_options(kind, 3, 4, learned=True))
    case(f"{kind}_decay", f"{kind}: {{units: 4, time_decay: true}}", 3, *with_options(kind, 3, 4, decay=True))
    case(f"{kind}_all", f"{kind}: {{units: 5, layer_norm: true, initial_state: learned, time_decay: true}}", 2,
         *with_options(kind, 2, 5, norm=True, learned=True, decay=True))
