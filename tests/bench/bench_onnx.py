#!/usr/bin/env python3
"""The LSTM steps of bench_kernels.c with ONNX Runtime: one LSTM node, one step, states in and out as arrays, one thread.
Rounds are interleaved, CPU time of the thread, medians.  Prints the same JSON lines; says so where ONNX Runtime or onnx,
which builds the graph, is not installed (`make bench PEERS=1` puts both into build/peers).
    bench_onnx.py [LINES]      as bench_torch.py"""
from contextlib import nullcontext

from peer_steps import measure, show


def model(onnx, np, units):
    """x [1, B, 1], h and c [1, B, units] to the next h and c."""
    h, random = onnx.helper, np.random.default_rng(1)
    real = onnx.TensorProto.FLOAT

    def weights(name, *shape):
        return onnx.numpy_helper.from_array(random.uniform(-0.1, 0.1, shape).astype(np.float32), name)

    def value(name, *shape):
        return h.make_tensor_value_info(name, real, shape)

    node = h.make_node("LSTM", ["x", "w", "r", "b", "", "h", "c"], ["", "h1", "c1"], hidden_size=units)
    graph = h.make_graph(
        [node], "step",
        [value("x", 1, "B", 1), value("h", 1, "B", units), value("c", 1, "B", units)],
        [value("h1", 1, "B", units), value("c1", 1, "B", units)],
        [weights("w", 1, 4 * units, 1), weights("r", 1, 4 * units, units), weights("b", 1, 8 * units)])
    built = h.make_model(graph, opset_imports=[h.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(built)
    return built.SerializeToString()


def step(runtime, np, built, units, rows):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(built, options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(2)
    state = {"x": random.standard_normal((1, rows, 1), np.float32), "h": np.zeros((1, rows, units), np.float32),
             "c": np.zeros((1, rows, units), np.float32)}

    def once():
        state["h"], state["c"] = session.run(["h1", "c1"], state)

    return once


def main():
    try:
        import numpy as np
        import onnx
        import onnxruntime as runtime
    except ImportError as absent:
        show("onnxruntime", f"absent: {absent.name} is not installed")
        return
    cases = []
    for units in (32, 64, 128):
        built = model(onnx, np, units)
        for rows in (1, 16, 64):
            size = f"H={units} B={rows}"
            cases.append((f"LSTM {size}", f"lstm {size}", rows, 200, step(runtime, np, built, units, rows),
                          nullcontext))
    measure("onnxruntime", cases)


if __name__ == "__main__":
    main()
