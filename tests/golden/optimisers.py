#!/usr/bin/env python3
"""Golden values for the optimisers from PyTorch, in double: five steps over a quadratic whose gradient a linear head has,
so that the whole of train_step() is run, clipping and decay included.

    apt-get install python3-torch && /usr/bin/python3 tests/golden/optimisers.py > tests/golden/optimisers.txt

Made with Python 3.11.2 and PyTorch 1.13.0 (Debian 12); seeds are in the table below.

The network is a head alone, y = W x + b with W [2, 3], loss squared: the loss of a window is the mean over its labels of
(y - target)^2 / 2, the gradient 2 (labels of a step) times that of the loss.  Weight decay is decoupled from all of the
optimisers and spares the bias; for Adam that is PyTorch's AdamW.

A case:  optimiser NAME kind learning_rate beta1 beta2 alpha momentum weight_decay clip_value clip_norm
         params [8]: W row by row, then b | x [5, 3] | target [5, 2]: step by step | weights [5, 8]: after each step
         norms [5]: of the gradients before clipping"""
import torch

torch.set_default_dtype(torch.float64)
KINDS = ["adam", "rmsprop", "sgd"]
STEPS = 5
CASES = [  # name, kind, settings
    ("adam", "adam", {}),
    ("adam_betas", "adam", {"beta1": 0.8, "beta2": 0.95}),
    ("adamw", "adam", {"weight_decay": 0.3}),
    ("rmsprop", "rmsprop", {}),
    ("rmsprop_decay", "rmsprop", {"alpha": 0.9, "weight_decay": 0.5}),
    ("sgd", "sgd", {"momentum": 0.0}),
    ("sgd_momentum", "sgd", {}),
    ("sgd_decay", "sgd", {"weight_decay": 0.9}),
    ("clip_value", "sgd", {"clip_value": 0.4}),
    ("clip_norm", "sgd", {"clip_norm": 0.5}),
    ("clip_both", "adam", {"clip_value": 0.6, "clip_norm": 0.7, "weight_decay": 0.2}),
]


def exact(t):
    """Rounded to single precision, kept in double."""
    return t.to(torch.float32).to(torch.float64)


def show(name, t):
    print(name, " ".join(f"{v:.12g}" for v in t.detach().reshape(-1).tolist()))


def make(kind, s, weight, bias):
    """The optimiser, and what is to be done before its step."""
    lr, decay = s["learning_rate"], s["weight_decay"]
    if kind == "adam":
        groups = [{"params": [weight], "weight_decay": decay}, {"params": [bias], "weight_decay": 0}]
        return torch.optim.AdamW(groups, lr=lr, betas=(s["beta1"], s["beta2"])), lambda: None

    def shrink():
        with torch.no_grad():
            weight.mul_(1 - lr * decay)

    if kind == "rmsprop":
        return torch.optim.RMSprop([weight, bias], lr=lr, alpha=s["alpha"]), shrink
    return torch.optim.SGD([weight, bias], lr=lr, momentum=s["momentum"]), shrink


def case(seed, name, kind, given):
    s = {"learning_rate": 0.05, "beta1": 0.9, "beta2": 0.999, "alpha": 0.99, "momentum": 0.9, "weight_decay": 0.0,
         "clip_value": 0.0, "clip_norm": 1e6}
    s.update(given)
    g = torch.Generator().manual_seed(seed)
    weight = exact(torch.randn(2, 3, generator=g)).requires_grad_(True)
    bias = exact(torch.randn(2, generator=g)).requires_grad_(True)
    x, target = exact(torch.randn(STEPS, 3, generator=g)), exact(torch.randn(STEPS, 2, generator=g))
    print("optimiser", name, KINDS.index(kind), *s.values())
    show("params", torch.cat([weight.reshape(-1), bias]))
    show("x", x)
    show("target", target)
    optimiser, before = make(kind, s, weight, bias)
    weights, norms = [], []
    for t in range(STEPS):
        optimiser.zero_grad()
        (2 * ((weight @ x[t] + bias - target[t]) ** 2 / 2).mean()).backward()
        norms.append(torch.cat([weight.grad.reshape(-1), bias.grad]).norm())
        if s["clip_value"] > 0:
            torch.nn.utils.clip_grad_value_([weight, bias], s["clip_value"])
        norm = torch.cat([weight.grad.reshape(-1), bias.grad]).norm()
        if norm > s["clip_norm"]:  # clip_grad_norm_ divides by the norm plus 1e-6
            for p in (weight, bias):
                p.grad.mul_(s["clip_norm"] / norm)
        before()
        optimiser.step()
        weights.append(torch.cat([weight.reshape(-1), bias]).detach().clone())
    show("weights", torch.stack(weights))
    show("norms", torch.stack(norms))


for i, row in enumerate(CASES):
    case(i + 1, *row)
