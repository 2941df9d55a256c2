#!/bin/bash
# Where the CPU time of an event goes, stage by stage: bench_kafka's pipeline that learns, over the mock cluster, under
# perf (`make profile`).
#     BUILD=build tests/bench/profile.sh [CASE]      another case of bench_kafka, by its whole name
# Stages are told by the thread, then by the file that a function was compiled from; what the C library and the kernel do
# for several stages stands by itself.  EDDY_BENCH_EVENTS (400,000): how many events.
set -euo pipefail
build=${BUILD:-build}
case=${1:-lstm-64, every event in one window}
events=${EDDY_BENCH_EVENTS:-400000}
command -v perf >/dev/null || { echo "profile: perf is not installed: apt-get install linux-perf" >&2; exit 1; }
command -v nm >/dev/null || { echo "profile: nm is not installed: apt-get install binutils" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# cpu-clock: virtual machines have no counters of cycles.
if ! EDDY_BENCH_EVENTS=$events EDDY_BENCH_CASES=$case EDDY_BENCH_ROUNDS=1 env -u BROKERS perf record -q -e cpu-clock -F 4000 \
    -o "$work/data" -- "$build/bench_kafka" >"$work/lines" 2>"$work/errors"; then
    echo "profile: perf could not watch $build/bench_kafka:" >&2
    tail -5 "$work/errors" >&2
    exit 1
fi
grep -qF "\"case\":\"$case\"" "$work/lines" || { echo "profile: bench_kafka has no case \"$case\"" >&2; exit 1; }
nm -A "$build"/config.a "$build"/engine_*.a "$build"/connectors_*.a | sed -n 's|^.*/\([a-z_]*\)\.a:\([a-z0-9_]*\)\.o:.* [tT] \(.*\)$|\3 \1 \2|p' >"$work/symbols"
perf script -i "$work/data" -F comm,pid,tid,period,ip,sym,dso 2>/dev/null >"$work/samples"

awk -v events="$events" -v case_name="$case" '
function stage_of(from, part) {
    if (part == "connectors_codec") return from ~ /write|text|incident|lanes|kept/ ? "format" : "parse"
    if (part == "engine_state") return "lookup"
    if (part ~ /^engine_(model|math)$/) return "network"
    if (part == "engine_detect") return "detector"
    if (part == "engine_train") return "training"
    if (part ~ /^engine_(flow|forecast)$/) return from ~ /^driver|^workers/ ? "driver" : "lane"
    if (part == "connectors_kafka") return "produce"
    return "other"
}
FNR == NR { archive[$1] = $2; file[$1] = $3; next }
{   # "eddy-loop  123/124   250000:   55d0 symbol (dso)"; the name of a thread may hold blanks
    match($0, / +[0-9]+\/[0-9]+ +/)
    thread = substr($0, 1, RSTART - 1); gsub(/^ +| +$/, "", thread)
    split(substr($0, RSTART, RLENGTH), ids, "/"); pid = ids[1] + 0
    n = split(substr($0, RSTART + RLENGTH), f, " ")
    ns = f[1] + 0; symbol = f[3]; dso = f[n]; sub(/\.(isra|part|constprop|cold).*$/, "", symbol)
    if (thread ~ /^eddy-loop/ && !(pid in order)) { order[pid] = ++n_pids }
    if (thread ~ /^eddy-train/) stage = "training"
    else if (thread ~ /^rdk/) stage = "threads of the Kafka client"
    else if (dso ~ /librdkafka/) stage = "produce"
    else if (dso ~ /kernel/) stage = "kernel"
    else if (dso ~ /libxxhash/) stage = "lookup"
    else if (dso ~ /libsqlite/) stage = "storage"
    else if (dso ~ /libc[.-]|libm[.-]/) stage = "C library"
    else stage = symbol in archive ? stage_of(file[symbol], archive[symbol]) : "other"
    spent[pid, stage] += ns; learns[pid] = learns[pid] || stage == "training"
}
END {
    for (pid in order) if (!best || learns[pid] > learns[best] || (learns[pid] == learns[best] && order[pid] > order[best])) best = pid
    if (!best) { print "profile: perf saw nothing of the pipeline" > "/dev/stderr"; exit 1 }
    split("parse,lookup,lane,network,detector,format,produce,driver,C library,kernel,storage,other,threads of the Kafka client,training", row, ",")
    for (i = 1; i in row; i++) whole += spent[best, row[i]]
    printf "%-30s %12s %8s\n", case_name, "us per event", "share"
    for (i = 1; i in row; i++)
        printf "  %-28s %12.3f %7.1f%%\n", row[i], spent[best, row[i]] / events / 1000, 100 * spent[best, row[i]] / whole
    printf "  %-28s %12.3f\n", "all", whole / events / 1000
}' "$work/symbols" "$work/samples"
