#!/usr/bin/env python3
"""Golden values for engine/model/loss.c from PyTorch, in double: values by its own loss functions where it has them,
gradients by automatic differentiation.

    apt-get install python3-torch && /usr/bin/python3 tests/golden/losses.py > tests/golden/losses.txt

Made with Python 3.11.2 and PyTorch 1.13.0 (Debian 12); seeds are in the table below.

A case:  loss NAME kind delta freedom n_classes
         levels N numbers ..
         shape n_steps n_targets n_outputs
         y [n_steps, n_outputs] | target [n_steps, n_targets] | value [n_steps] | d_y [n_steps, n_outputs]
Output k of target i is y[k * n_targets + i]; three labels in ten are nan and add nothing."""
import math

import torch
import torch.nn.functional as F
from torch.distributions import StudentT

torch.set_default_dtype(torch.float64)
KINDS = ["huber", "squared", "gaussian", "student_t", "quantiles", "sigmoid", "softmax"]
STEPS = 6
CASES = [  # name, kind, settings, targets, size of the outputs, size of the labels
    ("huber", "huber", {"delta": 1.0}, 3, 1, 2),
    ("huber_wide", "huber", {"delta": 2.5}, 2, 2, 3),
    ("squared", "squared", {}, 3, 1, 2),
    ("gaussian", "gaussian", {}, 3, 1, 2),
    ("student_t", "student_t", {"freedom": 3.5}, 3, 1, 4),
    ("student_t_near_normal", "student_t", {"freedom": 1e5}, 2, 1, 1),
    ("quantiles", "quantiles", {"levels": [0.05, 0.25, 0.5, 0.75, 0.95]}, 3, 1, 2),
    ("quantiles_lopsided", "quantiles", {"levels": [0.5, 0.8, 0.99]}, 2, 2, 3),
    ("quantiles_one", "quantiles", {"levels": [0.5]}, 2, 1, 1),
    ("sigmoid", "sigmoid", {"classes": 2}, 3, 4, 0),
    ("softmax", "softmax", {"classes": 4}, 2, 3, 0),
]


def exact(t):
    """Rounded to single precision, kept in double."""
    return t.to(torch.float32).to(torch.float64)


def value(kind, s, y, label):
    """The loss of one target's outputs y [k]."""
    if kind == "huber":
        return F.huber_loss(y[0], label, delta=s["delta"])
    if kind == "squared":
        return F.mse_loss(y[0], label) / 2
    if kind == "gaussian":
        return F.gaussian_nll_loss(y[0], label, (2 * y[1]).exp(), eps=1e-30)
    if kind == "student_t":
        t = StudentT(s["freedom"], y[0], y[1].exp())
        at_0 = StudentT(s["freedom"], torch.tensor(0.0), torch.tensor(1.0)).log_prob(torch.tensor(0.0))
        return at_0 - t.log_prob(label)  # without the constant
    if kind == "quantiles":
        levels = s["levels"]
        m = levels.index(0.5)
        total = 0
        for k, tau in enumerate(levels):
            between = F.softplus(y[m + 1:k + 1]).sum() if k > m else -F.softplus(y[k:m]).sum()
            e = label - (y[m] + between)
            total = total + torch.maximum(tau * e, (tau - 1) * e)
        return total
    if kind == "sigmoid":
        return F.binary_cross_entropy_with_logits(y[0], label)
    return F.cross_entropy(y[None], label.long()[None])


def n_each(kind, s):
    return {"gaussian": 2, "student_t": 2, "quantiles": len(s.get("levels", [])), "softmax": s.get("classes")}.get(kind, 1)


def show(name, t):
    print(name, " ".join(f"{v:.12g}" for v in t.detach().reshape(-1).tolist()))


def case(seed, name, kind, s, n_targets, size, label_size):
    g = torch.Generator().manual_seed(seed)
    k = n_each(kind, s)
    y = exact(size * torch.randn(STEPS, k * n_targets, generator=g)).requires_grad_(True)
    if "classes" in s:
        target = torch.randint(0, s["classes"], (STEPS, n_targets), generator=g).double()
    else:
        target = exact(label_size * torch.randn(STEPS, n_targets, generator=g))
    target[torch.rand(target.shape, generator=g) < 0.3] = math.nan
    assert torch.isnan(target).any()
    values = []
    for t in range(STEPS):
        total = torch.zeros(())
        for i in range(n_targets):
            if not torch.isnan(target[t, i]):
                total = total + value(kind, s, y[t, i::n_targets], target[t, i])
        values.append(total)
    values = torch.stack(values)
    (d_y,) = torch.autograd.grad(values.sum(), y)
    levels = s.get("levels", [])
    print("loss", name, KINDS.index(kind), s.get("delta", 0), s.get("freedom", 0), s.get("classes", 0))
    print("levels", len(levels), *levels)
    print("shape", STEPS, n_targets, k * n_targets)
    show("y", y)
    show("target", target)
    show("value", values)
    show("d_y", d_y)


for i, row in enumerate(CASES):
    case(i + 1, *row)
