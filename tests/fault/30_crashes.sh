#!/bin/bash
# Crashes and stops at random moments while events come in, with one instance and with three.
#   EDDY_SEED   of the moments (default: the process id); FAULT_FULL=1: 100 kills each instead of 8 and 6
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
. tests/fault/lib.sh
pipeline_start
RANDOM=${EDDY_SEED:-$$}
echo "# seed ${EDDY_SEED:-$$}"
if full; then kills_one=100 kills_three=100 terms=60 storm_s=300 stops=10 losses=30; else kills_one=8 kills_three=6 terms=6 storm_s=10 stops=1 losses=3; fi

# ---- kill -9, the same instance restarted at once ----
random_kills() {
    local i t0 ms times=()
    lab_live killed $((kills_one * 4000)) 3000
    lab_start
    for ((i = 0; i < kills_one; i++)); do
        sleep "$(random_s 1200)"
        kill_eddy
        t0=$(now_ms)
        lab_start
        if generating && ms=$(tool fault_wait output=killed.scored "since=$t0" seconds=60); then times+=("$ms"); fi
    done
    kill_eddy
    judge "one instance, $kills_one random kill -9" "$kills_one" lab_last
    row "random kill -9, one instance" "$kills_one" $violations "$(spread "${times[@]}") from kill -9 to the next output"
}

# ---- kill -9, and the state directory is gone ----
# machine_lost_with NAME [COPIES]: with a copy in a topic it is restored; else everything is folded again.
machine_lost_with() {
    local before=$violations i t0 ms times=()
    lab_live "$1" $((losses * 6000)) 3000
    [ $# -eq 1 ] || lab_copies
    lab_start
    for ((i = 0; i < losses; i++)); do
        sleep "$(random_s 3000)"
        kill_eddy
        rm -rf "$(lab_state)"
        t0=$(now_ms)
        lab_start
        if generating && ms=$(tool fault_wait "output=$1.scored" "since=$t0" seconds=60); then times+=("$ms"); fi
    done
    kill_eddy
    judge "$losses machines lost, $1" "$losses" lab_last
    row "machine lost, ${2:-without a state topic}" "$losses" $((violations - before)) \
        "$(grep -c event=restored "$scratch/$1.log") partitions restored, $(spread "${times[@]}") to the next output"
}
machine_lost() {
    machine_lost_with lost
    machine_lost_with copied "with a state topic"
    check "the topic was of use" grep -q event=restored "$scratch/copied.log"
}

# ---- three members, one of them killed or told to stop at a time ----
random_kills_of_three() {
    local before=$violations DYNAMIC=1 i k member=()
    lab_live three $((kills_three * 5000)) 3000
    for k in 1 2 3; do
        lab_start $k
        member[k]=$eddy_pid
    done
    for ((i = 0; i < kills_three; i++)); do
        sleep "$(random_s 2500)"
        k=$((1 + RANDOM % 3))
        if [ $((i % 4)) -eq 3 ]; then end_with TERM "${member[k]}"; else end_with KILL "${member[k]}"; fi
        lab_start $k
        member[k]=$eddy_pid
    done
    sleep 1
    for k in 1 2 3; do end_with KILL "${member[k]}"; done
    judge "three instances, $kills_three random kill -9 and stops" "$kills_three" lab_last
    row "random kill -9, three instances" "$kills_three" $((violations - before)) "rebalances included"
}

# ---- SIGTERM ----
terminate_once() {
    local before
    before=$(n_started)
    lab_start
    wait_for 20 started "${before:-0}" || return 1
    sleep "$(random_s 1000)"
    lab_stop
}
random_stops() {
    local before=$violations i slowest=0
    lab_live stopped $((terms * 1500)) 1500
    for ((i = 0; i < terms; i++)); do
        judge "SIGTERM $i ends it with 0 within 10 s" 1 terminate_once
        [ "$stop_ms" -le "$slowest" ] || slowest=$stop_ms
    done
    judge "after $terms stops" 0 lab_last
    row "SIGTERM at any time" "$terms" $((violations - before)) "slowest $slowest ms"
}

# ---- a member that stands still for longer than its session ----
zombie() {
    local before=$violations DYNAMIC=1 i other first
    lab_live zombie $((stops * 40000)) 2500
    lab_start 2
    other=$eddy_pid
    lab_start 1
    first=$eddy_pid
    for ((i = 0; i < stops; i++)); do
        sleep 2
        kill -STOP "$first"
        sleep 9
        kill -CONT "$first"
        sleep 2
    done
    check "the zombie lives on and is a member again" kill -0 "$first"
    end_with TERM "$other"
    end_with TERM "$first"
    judge "SIGSTOP for one and a half sessions" "$stops" lab_last
    row "SIGSTOP zombie" "$stops" $((violations - before)) "$GUARANTEE"
}

# ---- a turn that lasts longer than max.poll.interval.ms ----
slow_poll() {
    local before=$violations DYNAMIC=1
    lab_live slow 20000 3000
    lab_args+=(--set source.kafka.properties.max.poll.interval.ms=6000)
    lab_start 1 EDDY_FAILPOINT=after_turn:10,sleep:8000
    wait_for 30 grep -q 'event=failpoint' "$scratch/slow.log"
    sleep 11
    check "it lives on after max.poll.interval.ms" kill -0 "$eddy_pid"
    check "and has lost its partitions for a while" grep -q 'event=revoked.*lost' "$scratch/slow.log"
    end_with TERM "$eddy_pid"
    judge "max.poll.interval.ms exceeded" 1 lab_last
    unset 'lab_args[-1]' 'lab_args[-1]'
    row "max.poll.interval.ms exceeded" 1 $((violations - before))
}

# ---- members come and go all the time ----
storm() {
    local before=$violations DYNAMIC=1 until k turns=0 member=()
    lab_live storm $((storm_s * 2500)) 2500
    until=$((SECONDS + storm_s))
    while [ $SECONDS -lt $until ]; do
        k=$((1 + RANDOM % 4))
        if [ -n "${member[k]:-}" ]; then
            if [ $((RANDOM % 3)) -eq 0 ]; then end_with KILL "${member[k]}"; else end_with TERM "${member[k]}"; fi
            member[k]=''
        else
            lab_start $k
            member[k]=$eddy_pid
        fi
        turns=$((turns + 1))
        sleep "$(random_s 1500)"
    done
    for k in 1 2 3 4; do [ -z "${member[k]:-}" ] || end_with KILL "${member[k]}"; done
    judge "rebalance storm of $storm_s s" $turns lab_last
    row "rebalance storm" $turns $((violations - before)) "up to four members for $storm_s s"
}

for part in ${EDDY_PARTS:-random_kills machine_lost random_kills_of_three random_stops zombie slow_poll storm}; do
    echo "# $part"
    $part
done
eddy_pid=
suite_end
