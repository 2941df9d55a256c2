#!/usr/bin/env python3
"""Golden values of the dense layer and of the recurrent cells, by PyTorch: see common.py."""
import torch

from common import case, take


def recurrent(run, x, states, tensors):
    """A one-layer torch.nn.GRU or LSTM as a function of its weights: run is torch.gru or torch.lstm."""
    return run(x, states, tensors, True, 1, 0.0, False, False, False)[0]


def dense(n_in, units, activation):
    def forward(params, x, elapsed):
        w, b = take(params, (units, n_in), (units,))
        return activation(torch.nn.functional.linear(x, w, b))
    return units * n_in + units, forward


def gru(n_in, units):
    def forward(params, x, elapsed):
        w, u, b, c = take(params, (3 * units, n_in), (3 * units, units), (3 * units,), (3 * units,))
        return recurrent(torch.gru, x, x.new_zeros(1, x.shape[1], units), [w, u, b, c])
    return 3 * units * (n_in + units + 2), forward


def lstm(n_in, units):
    def forward(params, x, elapsed):
        w, u, b = take(params, (4 * units, n_in), (4 * units, units), (4 * units,))
        zero = x.new_zeros(1, x.shape[1], units)
        return recurrent(torch.lstm, x, (zero, zero), [w, u, b, torch.zeros_like(b)])
    return 4 * units * (n_in + units + 1), forward


case("dense", "dense: {units: 5, activation: tanh}", 3, *dense(3, 5, torch.tanh))
case("dense_sigmoid", "dense: {units: 17, activation: sigmoid}", 4, *dense(4, 17, torch.sigmoid))
case("dense_relu", "dense: {units: 6, activation: relu}", 3, *dense(3, 6, torch.relu))
case("gru", "gru: {units: 7}", 3, *gru(3, 7))
case("lstm", "lstm: {units: 5}", 3, *lstm(3, 5))
