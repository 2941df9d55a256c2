#!/usr/bin/env python3
"""Golden values for the networks and their training: an implementation of its own in numpy float64, written from the
equations alone, with gradients by automatic differentiation (autograd), so that no derivative is written by hand.

    pip install numpy autograd [onnx onnxruntime]
    python3 tests/golden/networks.py > tests/golden/networks.txt

Made with Python 3.11.7, numpy 2.4.6, autograd 1.9.1; seeds are in the table below.  When onnxruntime can be imported
(made with 1.31.1), the recurrent cells are checked against its GRU and LSTM operators as well.

A case:  network NAME
         layers KIND:UNITS ..            dense_ACTIVATION for dense layers
         shape n_in n_out T B n_state n_params
         params | windows | outputs [B,T,n_out] | states [B,n_state] | loss | gradient | master | ema
`windows` are blocks as in engine/train/tbptt.h; `gradient` is n_out times that of the mean loss; `master` and `ema` are
the weights after two steps of Adam (rate 0.01, clip 0.5, ema 0.9)."""
import sys

import autograd.numpy as np
from autograd import grad

CASES = [  # name, seed, layers, n_in, n_out, T, B
    ("dense", 1, [("dense_tanh", 5)], 3, 2, 4, 3),
    ("gru", 2, [("gru", 7)], 3, 1, 6, 3),
    ("lstm", 3, [("lstm", 5)], 2, 2, 6, 3),
    ("wide", 4, [("gru", 16)], 10, 3, 5, 2),
    ("stack", 5, [("lstm", 17), ("gru", 9), ("dense_relu", 6), ("dense_sigmoid", 4)], 4, 3, 7, 5),
]


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


ACTIVATIONS = {"identity": lambda a: a, "tanh": np.tanh, "relu": lambda a: np.where(a > 0, a, 0.0), "sigmoid": sigmoid}


def shapes(kind, n_in, units):
    if kind == "gru":
        return [(3 * units, n_in), (3 * units, units), (3 * units,), (3 * units,)]
    if kind == "lstm":
        return [(4 * units, n_in), (4 * units, units), (4 * units,)]
    return [(units, n_in), (units,)]


def state_width(kind, units):
    return {"gru": units, "lstm": 2 * units}.get(kind, 0)


def cell(kind, units, tensors, x, state):
    """One step of one layer: (output [B, units], new state)."""
    if kind == "gru":
        w, u, b, c = tensors
        s, m = x @ w.T + b, state @ u.T + c
        r = sigmoid(s[:, :units] + m[:, :units])
        z = sigmoid(s[:, units:2 * units] + m[:, units:2 * units])
        n = np.tanh(s[:, 2 * units:] + r * m[:, 2 * units:])
        h = (1 - z) * n + z * state
        return h, h
    if kind == "lstm":
        w, u, b = tensors
        h, c = state[:, :units], state[:, units:]
        a = x @ w.T + h @ u.T + b
        i, f, g, o = (a[:, k * units:(k + 1) * units] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return h, np.concatenate([h, c], axis=1)
    w, b = tensors
    return ACTIVATIONS[kind.removeprefix("dense_")](x @ w.T + b), state


def unpack(params, layers, n_in):
    """The flat parameters as one list of tensors per layer."""
    out, at, width = [], 0, n_in
    for kind, units in layers:
        tensors = []
        for shape in shapes(kind, width, units):
            n = int(np.prod(np.array(shape)))
            tensors.append(params[at:at + n].reshape(shape))
            at += n
        out.append(tensors)
        width = units
    assert at == len(params)
    return out


def forward(params, layers, start, x):
    """Outputs [B, T, n_out] and final states [B, n_state]."""
    tensors = unpack(params, layers, x.shape[2])
    states, at = [], 0
    for kind, units in layers:
        states.append(start[:, at:at + state_width(kind, units)])
        at += state_width(kind, units)
    outputs = []
    for t in range(x.shape[1]):
        h = x[:, t]
        for i, (kind, units) in enumerate(layers):
            h, states[i] = cell(kind, units, tensors[i], h, states[i])
        outputs.append(h)
    return np.stack(outputs, axis=1), np.concatenate(states, axis=1)


def loss(params, layers, start, x, target):
    y, _ = forward(params, layers, start, x)
    known = ~np.isnan(target)
    e = np.where(known, y - np.where(known, target, 0.0), 0.0)
    huber = np.where(np.abs(e) <= 1, e * e / 2, np.abs(e) - 0.5)
    return np.sum(huber) / np.sum(known)


def adam(params, layers, start, x, target, n_out, steps):
    w, m, v, ema = params, 0 * params, 0 * params, params
    for t in range(1, steps + 1):
        g = n_out * grad(loss)(w, layers, start, x, target)
        norm = np.sqrt(np.sum(g * g))
        g = g * min(1.0, 0.5 / norm)
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        w = w - 0.01 * (m / (1 - 0.9 ** t)) / (np.sqrt(v / (1 - 0.999 ** t)) + 1e-8)
        ema = ema + (1 - min(0.9, 1 - 5 / (t + 5))) * (w - ema)
    return w, ema


def check_onnx(kind, units, tensors, start, x):
    """The same layer by onnxruntime; its gates stand in another order (GRU z r h, LSTM i o f c)."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    order = {"gru": [1, 0, 2], "lstm": [0, 3, 1, 2]}[kind]

    def gates(a):
        return np.concatenate([a[k * units:(k + 1) * units] for k in order]).astype("float32")

    biases = tensors[2:] if kind == "gru" else [tensors[2], 0 * tensors[2]]
    values = {"W": gates(tensors[0])[None], "R": gates(tensors[1])[None],
              "B": np.concatenate([gates(b) for b in biases])[None],
              "h": start[None, :, :units].astype("float32")}
    if kind == "lstm":
        values["c"] = start[None, :, units:].astype("float32")
    names = ["x", "W", "R", "B", "", "h"] + (["c"] if kind == "lstm" else [])
    extra = {"linear_before_reset": 1} if kind == "gru" else {}
    node = helper.make_node(kind.upper(), names, ["y"], hidden_size=units, **extra)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(v, k) for k, v in values.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    y = session.run(None, {"x": x.transpose(1, 0, 2).astype("float32")})[0][:, 0].transpose(1, 0, 2)
    ours, _ = forward(np.concatenate([t.ravel() for t in tensors]), [(kind, units)], start, x)
    worst = np.max(np.abs(y - ours))
    assert worst < 1e-5, (kind, worst)
    print(f"onnxruntime agrees on {kind}-{units} within {worst:.1e}", file=sys.stderr)


def show(name, values):
    print(name, " ".join(f"{v:.9g}" for v in np.ravel(values)))


def case(name, seed, hidden, n_in, n_out, steps, rows):
    rng = np.random.default_rng(seed)
    layers = hidden + [("dense_identity", n_out)]
    width, n_params, n_state = n_in, 0, 0
    for kind, units in layers:
        n_params += sum(int(np.prod(np.array(s))) for s in shapes(kind, width, units))
        n_state += state_width(kind, units)
        width = units

    def draw(shape, scale):  # exactly representable in single precision
        return (scale * rng.standard_normal(shape)).astype("float32").astype("float64")

    params, start, x = draw(n_params, 0.4), draw((rows, n_state), 0.3), draw((rows, steps, n_in), 1.0)
    target = draw((rows, steps, n_out), 1.5)
    target[rng.random(target.shape) < 0.3] = np.nan
    elapsed = np.abs(draw((rows, steps), 1.0))

    y, states = forward(params, layers, start, x)
    gradient = n_out * grad(loss)(params, layers, start, x, target)
    master, ema = adam(params, layers, start, x, target, n_out, 2)
    print("network", name)
    print("layers", " ".join(f"{k}:{u}" for k, u in hidden))
    print("shape", n_in, n_out, steps, rows, n_state, n_params)
    show("params", params)
    show("windows", [np.concatenate([start[b], elapsed[b], x[b].ravel(), target[b].ravel()]) for b in range(rows)])
    show("outputs", y)
    show("states", states)
    show("loss", [loss(params, layers, start, x, target)])
    show("gradient", gradient)
    show("master", master)
    show("ema", ema)
    if hidden[0][0] in ("gru", "lstm"):
        try:
            kind, units = hidden[0]
            check_onnx(kind, units, unpack(params, layers, n_in)[0], start[:, :state_width(kind, units)], x)
        except ImportError:
            pass


for row in CASES:
    case(*row)
