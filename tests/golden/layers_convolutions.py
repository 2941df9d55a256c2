#!/usr/bin/env python3
"""Golden values of conv1d, embedding, lags and wavenet, by PyTorch: see common.py."""
import torch

from common import case, take


def lags(steps):
    def forward(params, x, elapsed):
        past = [torch.nn.functional.pad(x, (0, 0, 0, 0, j, 0))[:x.shape[0]] for j in range(steps)]
        return torch.cat(past, dim=2)
    return 0, forward


def conv1d(n_in, filters, kernel, stride, activation):
    def forward(params, x, elapsed):
        w, b = take(params, (filters, n_in, kernel), (filters,))
        padded = torch.nn.functional.pad(x.permute(1, 2, 0), (kernel - 1, 0))
        y = activation(torch.nn.functional.conv1d(padded, w, b)).permute(2, 0, 1)
        fires = (torch.arange(x.shape[0]) % stride == stride - 1).reshape(-1, 1, 1)
        return torch.where(fires, y, torch.full_like(y, torch.nan))
    return filters * (n_in * kernel + 1), forward


def embedding(n_others, n_categories, buckets, units):
    """Units None: one-hot."""
    def forward(params, x, elapsed):
        numbers = x[:, :, n_others:].detach().long() % buckets
        if units is None:
            found = [torch.nn.functional.one_hot(numbers[:, :, c], buckets) for c in range(n_categories)]
        else:
            tables = take(params, *[(buckets, units)] * n_categories)
            found = [torch.nn.functional.embedding(numbers[:, :, c], w) for c, w in enumerate(tables)]
        return torch.cat([x[:, :, :n_others]] + found, dim=2)
    return n_categories * buckets * (units or 0), forward


def wavenet(n_in, channels, layers, kernel, skip):
    shapes = [(channels, n_in), (channels,), (layers, 2 * channels, kernel, channels), (layers, 2 * channels),
              (layers - 1, channels, channels), (layers - 1, channels), (layers, skip, channels), (layers, skip)]

    def one(x, weight, bias):
        return torch.nn.functional.conv1d(x, weight.unsqueeze(2), bias)

    def forward(params, x, elapsed):
        w_in, b_in, w_gates, b_gates, w_residual, b_residual, w_skip, b_skip = take(params, *shapes)
        r, q = one(x.permute(1, 2, 0), w_in, b_in), 0
        for l in range(layers):
            padded = torch.nn.functional.pad(r, ((kernel - 1) * 2**l, 0))
            a = torch.nn.functional.conv1d(padded, w_gates[l].permute(0, 2, 1), b_gates[l], dilation=2**l)
            z = torch.tanh(a[:, :channels]) * torch.sigmoid(a[:, channels:])
            q = q + one(z, w_skip[l], b_skip[l])
            if l + 1 < layers:
                r = r + one(z, w_residual[l], b_residual[l])
        return torch.relu(q).permute(2, 0, 1)
    return sum(torch.Size(s).numel() for s in shapes), forward


case("conv1d", "conv1d: {filters: 5, kernel: 4, activation: tanh}", 3, *conv1d(3, 5, 4, 1, torch.tanh))
case("conv1d_relu", "conv1d: {filters: 17, kernel: 40, activation: relu}", 1, *conv1d(1, 17, 40, 1, torch.relu))
case("conv1d_stride", "conv1d: {filters: 4, kernel: 6, stride: 3, activation: sigmoid}", 2,
     *conv1d(2, 4, 6, 3, torch.sigmoid))
case("embedding_one_hot", "embedding: {encoding: one_hot, buckets: 4}", 4, *embedding(2, 2, 4, None), n_categories=2)
case("embedding_learned", "embedding: {encoding: learned, buckets: 3, units: 2}", 5, *embedding(3, 2, 3, 2),
     n_categories=2)
case("lags", "lags: {steps: 5}", 2, *lags(5))
case("wavenet", "wavenet: {channels: 4, layers: 5, kernel: 2, skip: 6}", 2, *wavenet(2, 4, 5, 2, 6))
case("wavenet_taps", "wavenet: {channels: 3, layers: 3, kernel: 4, skip: 2}", 3, *wavenet(3, 3, 3, 4, 2))
