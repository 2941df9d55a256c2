"""What the scripts layers_*.py share: a case is written to tests/golden/layers/NAME.txt as

    layer YAML of one entry of `layers`
    shape n_in n_categories n_dims n_horizons
    steps T B T_window
    sizes n_out n_params
    params | x [T,B,n_in] | elapsed [T,B] | y [T,B,n_out] | c [T_window,B,n_out] | d_params | d_x [T_window,B,n_in]

Steps start from a new key (state 0).  `y` is nan where the layer does not fire.  The gradients are those of
sum(c * y[:T_window]).  All numbers that go in are exactly representable in single precision; PyTorch works in double.

    apt-get install python3-torch && /usr/bin/python3 tests/golden/layers_cells.py

Made with Python 3.11.2 and PyTorch 1.13.0 (Debian 12); seeds are in the scripts."""
import math
import os
import zlib

import torch

STEPS, ROWS, WINDOW = 200, 2, 32
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))


def exact(t):
    """Rounded to single precision, kept in double."""
    return t.to(torch.float32).to(torch.float64)


def show(f, name, values):
    f.write(name + " " + " ".join(f"{v:.9g}" for v in values.detach().reshape(-1).tolist()) + "\n")


def case(name, layer, n_in, n_params, forward, n_categories=0, n_dims=1, n_horizons=1, scale=0.5, steps=STEPS,
         rows=ROWS, window=WINDOW):
    """forward(params [n_params], x [T,B,n_in], elapsed [T,B]) -> y [T,B,n_out] for any T; nan where the layer is silent.

    The window's gradient is that of the sequence cut to its first `window` steps."""
    g = torch.Generator().manual_seed(zlib.crc32(name.encode()))

    def normal(*shape):
        return exact(torch.randn(*shape, generator=g))

    params = exact(scale * normal(n_params))
    x = normal(steps, rows, n_in)
    if n_categories:
        x[:, :, n_in - n_categories:] = torch.randint(0, 4, (steps, rows, n_categories), generator=g).double()
    elapsed = exact(torch.rand(steps, rows, generator=g) * 2)
    y = forward(params, x, elapsed)
    c = normal(window, rows, y.shape[2])
    p = params.clone().requires_grad_(True)
    xw = x[:window].clone().requires_grad_(True)
    yw = forward(p, xw, elapsed[:window])
    loss = (c * torch.where(torch.isnan(yw), torch.zeros_like(yw), yw)).sum()
    d_params, d_x = torch.autograd.grad(loss, [p, xw], allow_unused=True)
    d_params = torch.zeros_like(p) if d_params is None else d_params
    assert math.isfinite(loss.item()) and torch.isfinite(d_params).all() and torch.isfinite(d_x).all()
    os.makedirs(os.path.join(HERE, "layers"), exist_ok=True)
    with open(os.path.join(HERE, "layers", name + ".txt"), "w") as f:
        f.write(f"layer {layer}\nshape {n_in} {n_categories} {n_dims} {n_horizons}\n")
        f.write(f"steps {steps} {rows} {window}\nsizes {y.shape[2]} {n_params}\n")
        show(f, "params", params)
        show(f, "x", x)
        show(f, "elapsed", elapsed)
        show(f, "y", y)
        show(f, "c", c)
        show(f, "d_params", d_params)
        show(f, "d_x", d_x)


def take(params, *shapes):
    """The flat parameters as tensors of these shapes, in order; all of them are used up."""
    out, at = [], 0
    for shape in shapes:
        n = math.prod(shape)
        out.append(params[at:at + n].reshape(shape))
        at += n
    assert at == len(params), (at, len(params))
    return out
