#!/usr/bin/env python3
"""The LSTM steps of bench_kernels.c with ONNX Runtime: one LSTM node, one step, states in and out as arrays, one thread.
Rounds are interleaved, CPU time of the thread, medians.  Prints the same JSON lines; says so where ONNX Runtime or onnx,
which builds the graph, is not installed (`make bench PEERS=1` puts both into build/peers).
    bench_onnx.py [LINES]      as bench_torch.py"""
import json
import statistics
import sys
import time

from bench_torch import against_own, own_times

ROUNDS, CALLS = 7, 200


def show(case, **numbers):
    print(json.dumps({"bench": "onnxruntime", "case": case, **numbers}, separators=(",", ":")))


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
        show(f"absent: {absent.name} is not installed")
        return
    own = own_times(sys.argv[1]) if len(sys.argv) > 1 else {}
    cases = []
    for units in (32, 64, 128):
        built = model(onnx, np, units)
        for rows in (1, 16, 64):
            cases.append((f"LSTM H={units} B={rows}", rows, step(runtime, np, built, units, rows)))
    times = [[] for _ in cases]
    for _ in range(ROUNDS):
        for i, (_, rows, once) in enumerate(cases):
            once()
            start = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
            for _ in range(CALLS):
                once()
            spent = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) - start
            times[i].append(1e9 * spent / CALLS / rows)
    for (name, *_), all_times in zip(cases, times):
        show(name, **against_own(name, statistics.median(all_times), own))


if __name__ == "__main__":
    main()
