# What the fault suites share.  Source it after tests/kafka/{broker,lib,pipeline}.sh; BUILD is a build with failpoints.
# shellcheck shell=bash disable=SC2154
#
# A trial is a pipeline NAME (tests/fault/lab.yml) over an input topic: something happens to it, it ends, and the verifier
# looks at everything it wrote.  Input and reference are made once and shared by trials.
#
#   lab_input TOPIC EVENTS [generate options]   a topic of 3 partitions with seeded events
#   lab_reference TOPIC                         what a replay makes of it: outputs, incidents, state hash
#   lab_trial NAME TOPIC                        output topics of a new trial; sets `trial` and `input`
#   lab_copies                                  .. and a copy of its state in a topic, from its next start on
#   lab_start [INSTANCE] [VAR=VALUE...]         the pipeline in the background; its pid in eddy_pid.  A static member,
#                                               unless DYNAMIC is set
#   lab_drained [SECONDS]                       the group has come to the end of the input
#   lab_settled [INSTANCE [SECONDS]]            and the state of INSTANCE is the reference's
#   lab_died [SECONDS]                          0: it was killed; 1: it has settled, or ended by itself (eddy_pid is empty)
#   lab_stop                                    SIGTERM, exit 0 within 10 s
#   lab_exact [INSTANCE]                        verifier, and the state of INSTANCE against the reference
#   row NAME TRIALS VIOLATIONS [NOTE]           a line of the table
# GUARANTEE=exactly_once (default) or at_least_once; FAULT_FULL=1 for the whole of each suite.

GUARANTEE=${GUARANTEE:-exactly_once}
FAULT_FULL=${FAULT_FULL:-0}
partitions_n=3
trial='' input='' trials=0 violations=0 generator='' assigned_before=0
lab_args=(tests/fault/lab.yml --set "guarantee=$GUARANTEE")
tool() { "${BUILD:-build}/$1" "$BROKERS" "${@:2}"; }
full() { [ "$FAULT_FULL" = 1 ]; }

lab_input() {
    create_topic "$1" $partitions_n
    tool fault_generate "topic=$1" from=0 "to=$2" seed="${EDDY_SEED:-1}" "${@:3}"
}

lab_reference() {
    LAB_INPUT=$1 LAB_NAME=reference "$EDDY" replay "${lab_args[@]}" --from earliest --state "$scratch/reference.$1" \
        --output "$scratch/$1.reference" --incidents "$scratch/$1.incidents" >"$scratch/reference.out" \
        2>"$scratch/reference.log" || { tail -5 "$scratch/reference.log"; return 1; }
    LAB_INPUT=$1 LAB_NAME=reference EDDY_STATE=$scratch/reference.$1 "$EDDY" state "${lab_args[@]}" hash --positions \
        >"$scratch/$1.hash"
}

lab_trial() {
    trial=$1 input=$2
    create_topic "$trial.scored" $partitions_n
    create_topic "$trial.incidents" 1
    create_topic "$trial.dlq" 1
    export LAB_NAME=$trial LAB_INPUT=$input LAB_COPY=
}

# From now on the trial's state is copied into a topic.
lab_copies() { LAB_COPY=$trial.copy; }

lab_state() { echo "$scratch/state.$trial.${1:-1}"; }

lab_start() {
    local instance=${1:-1} member=(--set "source.kafka.instance_id=lab-${1:-1}")
    [ $# -eq 0 ] || shift
    [ -z "${DYNAMIC:-}" ] || member=()
    assigned_before=$(n_assigned)
    env EDDY_STATE="$(lab_state "$instance")" "$@" \
        "$EDDY" run "${lab_args[@]}" "${member[@]}" >>"$scratch/$trial.out" 2>>"$scratch/$trial.log" </dev/null &
    eddy_pid=$!
}

n_assigned() { grep -cs event=partition_assigned "$scratch/$trial.log" || true; }
# The instance that was started last has its partitions, all being alone.
lab_assigned() { [ "$(n_assigned)" -ge $((${assigned_before:-0} + partitions_n)) ]; }

lab_drained() { tool fault_wait "input=$input" "group=$trial" "seconds=${1:-60}"; }

# The stored state is the reference's.  It also works while the pipeline runs, and sees its last checkpoint.
lab_hash() { EDDY_STATE=$(lab_state "${1:-1}") "$EDDY" state "${lab_args[@]}" hash --positions 2>/dev/null; }
lab_same_state() { [ -s "$scratch/$input.hash" ] && [ "$(lab_hash "${1:-1}")" = "$(cat "$scratch/$input.hash")" ]; }

# The group has come to the end, and so has what INSTANCE folds silently behind it.
lab_settled() {
    lab_drained "${2:-60}" || { echo "not drained within ${2:-60} s"; return 1; }
    wait_for "${SETTLE_S:-20}" lab_same_state "${1:-1}" || echo "the state did not become the reference's"
}

# Waits until the process has ended or its work is done, whichever is first; 0 when it was killed.
lab_died() {
    local waiter rc=0
    lab_settled 1 "${1:-60}" >/dev/null 2>&1 &
    waiter=$!
    while ! gone "$eddy_pid" && ! gone $waiter; do sleep 0.02; done
    gone "$eddy_pid" || return 1
    wait "$eddy_pid" || rc=$?
    kill $waiter
    wait $waiter
    eddy_pid=
    [ $rc -eq 137 ]
} 2>/dev/null

lab_stop() { stop_eddy; }

# Prints what is wrong; 0 when nothing is.
lab_exact() {
    local once=${ONCE:-0}
    [ "$GUARANTEE" = exactly_once ] && once=1
    tool fault_verify "input=$input" "output=$trial.scored" "letters=$trial.dlq" "incidents=$trial.incidents" \
        "reference=$scratch/$input.reference" "incidents_reference=$scratch/$input.incidents" "group=$trial" \
        once=$once || return 1
    lab_same_state "${1:-1}" && return 0
    echo "state $(lab_hash "${1:-1}"), reference $(cat "$scratch/$input.hash")"
    return 1
}

# judge NAME TRIALS COMMAND...: counts the trials, and a violation when the command fails.
judge() {
    local name=$1 n=$2
    shift 2
    trials=$((trials + n))
    if "$@" >"$scratch/judge" 2>&1; then
        echo "ok - $name ($(tail -1 "$scratch/judge"))"
        n_passed=$((n_passed + 1))
        return 0
    fi
    echo "not ok - $name"
    sed 's/^/    /' "$scratch/judge"
    tail -n 12 "$scratch/$trial.log" | sed 's/^/    | /'
    violations=$((violations + 1)) n_failed=$((n_failed + 1))
    return 1
}

row() {
    printf '| %s | %d | %d | %s |\n' "$1" "$2" "$3" "${4:-}" | tee -a "${FAULT_TABLE:-/dev/null}"
}

# ---- live trials: the input grows while things happen -------------------------------------------------------------------

# lab_live NAME EVENTS RATE: a trial with an input of its own, which a generator in the background fills.
lab_live() {
    create_topic "$1.in" $partitions_n
    lab_trial "$1" "$1.in"
    tool fault_generate "topic=$1.in" from=0 "to=$2" "rate=$3" "seed=${EDDY_SEED:-1}" 2>>"$scratch/generate.log" &
    generator=$!
}
generating() { kill -0 "$generator" 2>/dev/null; }

# lab_last: one instance on state 1 comes to the end of the whole input, leaves, and everything is right.
lab_last() {
    wait "$generator" || { echo "the generator failed"; tail -2 "$scratch/generate.log"; return 1; }
    lab_reference "$input" || return 1
    lab_start 1 "$@"
    lab_settled 1 45 || { kill_eddy; return 1; }
    lab_stop && lab_exact
}

# survived [SECONDS]: the process that went through it all comes to the end by itself, with 0, and everything is right.
survived() {
    wait "$generator" || { echo "the generator failed"; tail -2 "$scratch/generate.log"; return 1; }
    lab_reference "$input" || return 1
    kill -0 "$eddy_pid" || { echo "it has ended"; return 1; }
    lab_settled 1 "${1:-90}" || { kill_eddy; return 1; }
    lab_stop && lab_exact
}

resident_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$eddy_pid/status"; }
n_files() { find "/proc/$eddy_pid/fd" -mindepth 1 2>/dev/null | wc -l; }
n_threads() { awk '/^Threads/ { print $2 }' "/proc/$eddy_pid/status"; }

# random_s MAX_MS: a time in seconds.
random_s() { printf '%d.%03d' $((RANDOM * $1 / 32768 / 1000)) $((RANDOM * $1 / 32768 % 1000)); }
# A signal to a process that may be gone already, and its end.
end_with() { kill "-$1" "$2" && wait "$2"; } 2>/dev/null
n_started() { grep -cs event=start "$scratch/$trial.log" || true; }
started() {
    local n
    n=$(n_started)
    [ "${n:-0}" -gt "$1" ]
}
# of MS...: the median and the greatest.
spread() { printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { if (NR) printf "median %d ms, greatest %d ms", v[int((NR + 1) / 2)], v[NR] }'; }
