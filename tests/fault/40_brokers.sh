#!/bin/bash
# Brokers that die and come back, networks that misbehave, and the loss of one broker of three.
#   FAULT_FULL=1   20 broker deaths instead of 2, 10 rounds of network faults instead of 1, and three brokers, of which one
#                  dies 6 times
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
. tests/fault/lib.sh
. tests/fault/cluster.sh
BROKER_BEHIND=$(broker_free_port) || exit 1
pipeline_start
direct=$BROKERS
trap 'kill "${proxy_pid:-}" "${generator:-}" 2>/dev/null; [ -z "${cluster_dir:-}" ] || cluster_stop; pipeline_end; broker_stop' EXIT
if full; then deaths=20 rounds=10 lost=6; else deaths=2 rounds=1 lost=0; fi

resident_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$eddy_pid/status"; }
n_files() { find "/proc/$eddy_pid/fd" -mindepth 1 2>/dev/null | wc -l; }

# The process that went through it all comes to the end by itself, with 0.
survived() {
    wait "$generator" || { echo "the generator failed"; tail -2 "$scratch/generate.log"; return 1; }
    lab_reference "$input" || return 1
    kill -0 "$eddy_pid" || { echo "it has ended"; return 1; }
    lab_settled 1 90 || { kill_eddy; return 1; }
    lab_stop && lab_exact
}

broker_deaths() {
    local i before=$violations first_kb last_kb files
    lab_live deaths $((deaths * 12000)) 2000
    lab_start
    wait_for 30 grep -qs event=partition_assigned "$scratch/deaths.log"
    sleep 2
    first_kb=$(resident_kb) files=$(n_files)
    for ((i = 0; i < deaths; i++)); do
        broker_kill
        sleep "$(random_s 1500)"
        broker_start || failed "the broker does not come back"
        sleep 2
    done
    last_kb=$(resident_kb)
    check "it lives after $deaths broker deaths, with bounded memory ($first_kb KB, then $last_kb KB)" \
        [ "${last_kb:-999999}" -lt $((first_kb + 65536)) ]
    check "and keeps no files open that it does not need ($files, then $(n_files))" [ "$(n_files)" -lt $((files + 16)) ]
    judge "broker kill -9 and back, $deaths times" "$deaths" survived
    row "broker kill -9 and back under load" "$deaths" $((violations - before)) "$first_kb KB, then $last_kb KB resident"
}

network() {
    local i k before=$violations n=0 path=$scratch/network
    local -a faults=("delay 300" cut "throttle 20000" cut half through)
    echo through >"$path"
    python3 tests/fault/proxy.py "$BROKER_BEHIND" "$BROKER_BEHIND_PORT" "$path" 2>"$scratch/proxy.log" &
    proxy_pid=$!
    lab_live network $((rounds * 20000)) 2000
    EDDY_BROKERS=127.0.0.1:$BROKER_BEHIND lab_start
    wait_for 30 grep -qs event=partition_assigned "$scratch/network.log" || failed "no partitions through the proxy"
    for ((i = 0; i < rounds; i++)); do
        for k in "${faults[@]}"; do
            echo "$k" >"$path"
            sleep "$(random_s 2500)"
            n=$((n + 1))
            echo through >"$path"
            sleep 0.3
        done
    done
    judge "a network that delays, cuts, throttles and falls silent" $n survived
    row "network: delay, cut, throttle, half-open" $n $((violations - before))
    kill "$proxy_pid"
}

one_of_three() {
    local i k before=$violations
    [ $lost -gt 0 ] || return 0
    broker_kill
    cluster_start || { failed "no cluster"; return; }
    export EDDY_BROKERS=$BROKERS
    lab_live lost $((lost * 16000)) 2000
    lab_start
    wait_for 30 grep -qs event=partition_assigned "$scratch/lost.log" || failed "no partitions of the cluster"
    for ((i = 0; i < lost; i++)); do
        k=$((1 + i % 3)) # in turn, so that coordinators of group and transactions move
        sleep 1
        cluster_kill $k
        sleep 4
        cluster_back $k
        wait_for 30 cluster_serves $k || failed "broker $k does not come back"
        sleep 1
    done
    judge "one of three brokers killed, $lost times" "$lost" survived
    row "three brokers, one killed" "$lost" $((violations - before)) "replication 3, coordinators move"
    cluster_stop
    cluster_dir='' BROKERS=$direct EDDY_BROKERS=$direct
}

for part in ${EDDY_PARTS:-broker_deaths network one_of_three}; do
    echo "# $part"
    $part
done
suite_end
