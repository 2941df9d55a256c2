#!/bin/bash
# Brokers that die and come back, at once or long after every timeout, networks that misbehave, and the loss of one broker of
# three.
#   FAULT_FULL=1   20 broker deaths instead of 2, away for 60 s instead of 20, 10 rounds of network faults instead of 1, and
#                  three brokers, of which one dies 6 times
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
if full; then deaths=20 away_s=60 rounds=10 lost=6; else deaths=2 away_s=20 rounds=1 lost=0; fi

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

# Longer than session.timeout.ms, transaction.timeout.ms and every retry: it waits, takes no more memory meanwhile, and
# goes on by itself.
broker_away() {
    local before=$violations first_kb most_kb=0 kb i
    lab_live away 40000 2000
    lab_start
    wait_for 30 grep -qs event=partition_assigned "$scratch/away.log"
    sleep 3
    first_kb=$(resident_kb)
    broker_kill
    for ((i = 0; i < away_s; i++)); do
        sleep 1
        kb=$(resident_kb)
        [ "${kb:-0}" -le "$most_kb" ] || most_kb=$kb
    done
    check "it lives without a broker for $away_s s, with bounded memory ($first_kb KB, at most $most_kb KB)" \
        [ "$most_kb" -lt $((first_kb + 65536)) ]
    broker_start || failed "the broker does not come back"
    judge "broker away for $away_s s" 1 survived
    row "broker away for $away_s s" 1 $((violations - before)) "$first_kb KB, at most $most_kb KB resident"
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
        wait_for 120 cluster_serves $k || failed "broker $k does not come back"
        sleep 1
    done
    judge "one of three brokers killed, $lost times" "$lost" survived
    row "three brokers, one killed, guarantee: $GUARANTEE" "$lost" $((violations - before)) "replication 3, coordinators move"
    cluster_stop
    cluster_dir='' BROKERS=$direct EDDY_BROKERS=$direct
}

for part in ${EDDY_PARTS:-broker_deaths broker_away network one_of_three}; do
    echo "# $part"
    $part
done
suite_end
