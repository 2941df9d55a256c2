#!/bin/bash
# Runs the benchmark programs, prints a table of each and writes BUILD/bench.json; PEERS=1 installs what they are compared
# with, where Debian does not have it:
#     BUILD=build tests/bench/bench.sh PROGRAM...
# A program prints flat JSON objects, one per line; bench_layers does so when it is called with --json.
set -euo pipefail
. tests/kafka/broker.sh
build=${BUILD:-build}
lines=$(mktemp)
trap 'rm -f "$lines"; broker_stop' EXIT

# PyTorch from Debian belongs to Debian's Python, which need not be the first in PATH.
torch_python() {
    local p
    for p in python3 /usr/bin/python3; do "$p" -c 'import torch' 2>/dev/null && { echo "$p"; return; }; done
    echo python3
}

# ONNX Runtime and confluent-kafka come from PyPI, into a place of its own, and only when asked for: PEERS=1.
onnx_python() {
    local own=$build/peers/bin/python
    if [[ -n ${PEERS:-} && ! -e $build/peers/complete ]]; then
        if python3 -m venv "$build/peers" && "$own" -m pip install -q onnx onnxruntime confluent-kafka orjson >&2; then
            touch "$build/peers/complete"
        else
            echo "bench: ONNX Runtime and confluent-kafka could not be installed" >&2
        fi
    fi
    if [[ -e $build/peers/complete ]]; then echo "$own"; else echo python3; fi
}

# Kafka Streams comes through Maven, and is compiled by a JDK, for the same asking; prints a class path.
streams_classes() {
    local own=$build/peers/streams
    if [[ -n ${PEERS:-} && ! -e $own/complete ]]; then
        mkdir -p "$own"
        if kafka_pom kafka-streams >"$own/pom.xml" && kafka_jars "$own/pom.xml" "$own/lib" >&2 &&
            javac -cp "$own/lib/*" -d "$own/classes" tests/bench/PeerStreams.java >&2; then
            touch "$own/complete"
        else
            echo "bench: Kafka Streams could not be installed (it needs mvn and javac: openjdk-17-jdk-headless)" >&2
        fi
    fi
    [[ ! -e $own/complete ]] || echo "$own/classes:$own/lib/*"
}

# The pipelines through Kafka run against a real broker where one can be started, else against the mock cluster.
kafka_broker() {
    [[ -z ${BROKERS:-} ]] || return 0
    command -v java >/dev/null && broker_start && return
    echo "bench: no broker could be started; the mock cluster stands in" >&2
}

# PyTorch and ONNX Runtime are held against both of these, and run right behind the last one.
beside=
for program in "$@"; do
    [[ $program != */bench_kernels && $program != */bench_layers ]] || beside=$program
done

for program in "$@"; do
    if [[ $program == */bench_kafka ]]; then
        [[ $(onnx_python) != "$build"/* ]] || export EDDY_BENCH_PYTHON=$build/peers/bin/python
        EDDY_BENCH_STREAMS=$(streams_classes)
        [[ -z $EDDY_BENCH_STREAMS ]] || export EDDY_BENCH_STREAMS
    fi
    [[ $program != */bench_kafka && $program != */bench_latency && $program != */bench_restore ]] || kafka_broker
    arguments=()
    [[ $program != */bench_layers ]] || arguments=(--json)
    "$program" "${arguments[@]}" </dev/null >>"$lines"
    [[ $program == "$beside" ]] || continue
    "$(torch_python)" -B tests/bench/bench_torch.py "$lines" >>"$lines"
    "$(onnx_python)" -B tests/bench/bench_onnx.py "$lines" >>"$lines"
done

# One column per field, one block per value of "bench"; the numbers' names say their units.
awk '
{
    gsub(/^[{]|[}]$/, "")
    bench = ""; name = ""; row = ""; head = ""
    while (match($0, /"[^"]*":("[^"]*"|[^,]*),?/)) {
        field = substr($0, RSTART, RLENGTH); $0 = substr($0, RSTART + RLENGTH)
        sub(/,$/, "", field)
        key = field; sub(/":.*/, "", key); sub(/^"/, "", key)
        value = field; sub(/^"[^"]*":/, "", value); gsub(/"/, "", value)
        if (key == "bench") bench = value
        else if (key == "case") name = value
        else {
            width = length(key) > 9 ? length(key) : 9
            head = head sprintf(" %*s", width, key)
            row = row sprintf(" %*s", width, value)
        }
    }
    if (head != last || bench != block) { printf "\n%-38s%s\n", bench, head; last = head; block = bench }
    printf "  %-36s%s\n", name, row
}' "$lines"

{
    printf '{"when":"%s","commit":"%s","cpu":"%s","cores":%s,"results":[\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
        "$(git rev-parse --short HEAD 2>/dev/null || true)" \
        "$(sed -n 's/^model name[^:]*: //p;' /proc/cpuinfo | head -1)" "$(nproc)"
    sed '$!s/$/,/' "$lines"
    echo ']}'
} >"$build/bench.json"
echo
echo "written: $build/bench.json"
