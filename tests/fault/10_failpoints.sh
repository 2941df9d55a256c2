#!/bin/bash
# kill -9 at every named step of the recovery protocol, then a restart: outputs, dead letters, incidents, state and the
# group's offset must be what an undisturbed run gives.
#   short       every step once, six to a trial
#   FAULT_FULL  every step at its 1st, 2nd and 3rd pass, at once and 30 ms later, each step a trial of its own
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
. tests/fault/lib.sh
pipeline_start
events=12000 fed=0
missed=()

# In the order in which a chain of kills can reach them: those that need input left, those that need a large log, those
# for which the pipeline has to come to the end.
# Steps that the other guarantee has alone; `recovered` follows a failed transaction, which 30_crashes.sh brings about.
case $GUARANTEE in
exactly_once) others='^(before_offset_commit|after_offset_commit|offset_confirmed|delivered|recovered)$' ;;
*) others='^(transaction_begun|before_commit|after_commit|recovered)$' ;;
esac
in_order() {
    tests/fault/failpoints.sh | grep -vE "$others" | awk '
        { rank = 0 }
        /log_truncation/ { rank = 1 }
        /publication/ { rank = 1.5 }
        /restore/ { rank = 4 }
        /leave|close|revoke|last_checkpoint/ { rank = 2 }
        /silent_replay/ { rank = 3 }
        { print rank, $0 }' | sort | cut -d ' ' -f 2
}
read -ra points < <(in_order | tr '\n' ' ')

needs_input() { ! grep -qE 'publication|restore|leave|close|revoke|last_checkpoint|silent_replay' <<<"$1"; }

# Input in parts, however fast the program is: feed TO.  With the last one goes what a replay makes of it all.
feed() {
    [ "$1" -gt "$fed" ] || return 0
    tool fault_generate "topic=$input" "from=$fed" "to=$1" seed="${EDDY_SEED:-1}"
    fed=$1
    [ "$fed" -lt $events ] || lab_reference "$input" || failed "the reference"
}

# Only a state that lies behind the group's offset is replayed silently; only one that is gone is restored from its copy.
prepare() {
    case $1 in
    silent_replay | restore_*) ;;
    publication_*) lab_copies; return ;;
    *) return 0 ;;
    esac
    [ "$1" = silent_replay ] || lab_copies
    lab_start
    wait_for 20 lab_assigned && lab_settled && lab_stop && rm -rf "$(lab_state)"
}

# strike POINT N ACTION: 0 when the program died there.
strike() {
    prepare "$1" || return 1
    lab_start 1 "EDDY_FAILPOINT=$1:$2,$3"
    lab_died && return 0
    [ -n "$eddy_pid" ] || return 1
    wait_for 10 lab_assigned
    kill -TERM "$eddy_pid" # steps of the end
    wait "$eddy_pid"
    local rc=$?
    eddy_pid=
    [ $rc -eq 137 ]
} 2>/dev/null

ends_exact() {
    lab_start
    lab_settled || { kill_eddy; return 1; }
    lab_stop && lab_exact
}

each_alone() {
    local point n kills
    lab_input events $events
    lab_reference events || failed "the reference"
    for point in "${points[@]}"; do
        lab_trial "fp.$point" events
        kills=0
        for n in 1 2 3; do
            if strike "$point" $n kill; then kills=$((kills + 1)); elif [ $n -eq 1 ]; then missed+=("$point"); fi
            strike "$point" $n kill:30 && kills=$((kills + 1))
        done
        judge "kill -9 at $point, $kills times" $kills ends_exact
    done
}

some_together() {
    local i k kills chain n=$(((${#points[@]} + 5) / 6))
    for ((i = 0; i < n; i++)); do
        create_topic "fp.$i.in" $partitions_n
        lab_trial "fp.$i" "fp.$i.in"
        kills=0 chain=() fed=0
        for ((k = i; k < ${#points[@]}; k += n)); do
            chain+=("${points[k]}")
            if needs_input "${points[k]}"; then feed $(((k / n + 1) * events / 6)); else feed $events; fi
            if strike "${points[k]}" 1 kill:5; then kills=$((kills + 1)); else missed+=("${points[k]}"); fi
        done
        feed $events
        judge "kill -9 at ${chain[*]}" $kills ends_exact
    done
}

if full; then each_alone; else some_together; fi
check "every step was passed (${missed[*]})" [ ${#missed[@]} -eq 0 ]
row "each failpoint, kill -9, restart" $trials $violations "${#points[@]} steps, $GUARANTEE"
suite_end
