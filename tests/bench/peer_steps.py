"""What the benchmarks of single steps with other people's libraries share: bench_torch.py, bench_onnx.py."""
import json
import statistics
import sys
import time

ROUNDS = 7


def show(bench, case, **numbers):
    """Prints a line of JSON, as all benchmark programs do."""
    print(json.dumps({"bench": bench, "case": case, **numbers}, separators=(",", ":")))


def own_times():
    """Nanoseconds per step of bench_kernels and bench_layers by case: from the file that the command line names, which
    holds what they printed in this run; without one there are none."""
    times = {}
    if len(sys.argv) > 1:
        with open(sys.argv[1], encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                if row["bench"] in ("kernels", "layers"):
                    times[row["case"]] = row.get("ns_per_step") or row.get("ns_per_row_step")
    return times


def measure(bench, cases):
    """Runs the cases (name, the name of eddy's own case, steps in a call, calls in a round, work(), context()) in interleaved
    rounds, each within its context; shows nanoseconds of the thread's CPU time per step, medians, and "over_own"."""
    times = [[] for _ in cases]
    for _ in range(ROUNDS):
        for of_case, (_, _, steps, calls, work, context) in zip(times, cases):
            with context():
                work()
                start = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
                for _ in range(calls):
                    work()
                spent = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) - start
            of_case.append(1e9 * spent / calls / steps)
    own = own_times()
    for (name, own_name, *_), of_case in zip(cases, times):
        ns = statistics.median(of_case)
        beside = {"over_own": round(ns / own[own_name], 2)} if own.get(own_name) else {}
        show(bench, name, ns_per_step=round(ns), **beside)
