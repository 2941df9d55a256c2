#!/usr/bin/env python3
"""Golden values of lags and embedding, by PyTorch: see common.py."""
import torch

from common import case, take


def lags(steps):
    def forward(params, x, elapsed):
        past = [torch.nn.functional.pad(x, (0, 0, 0, 0, j, 0))[:x.shape[0]] for j in range(steps)]
        return torch.cat(past, dim=2)
    return 0, forward


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


case("embedding_one_hot", "embedding: {encoding: one_hot, buckets: 4}", 4, *embedding(2, 2, 4, None), n_categories=2)
case("embedding_learned", "embedding: {encoding: learned, buckets: 3, units: 2}", 5, *embedding(3, 2, 3, 2),
     n_categories=2)
case("lags", "lags: {steps: 5}", 2, *lags(5))
