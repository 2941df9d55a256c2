# Helpers of the suites that run the whole program against the broker; to be sourced after broker.sh and lib.sh.
# shellcheck shell=bash
#
# EDDY is the program (default: in BUILD); scratch is a directory that goes when the suite ends.

EDDY=${EDDY:-${BUILD:-build}/eddy}
n_passed=0 n_failed=0
scratch=$(mktemp -d "${TMPDIR:-/tmp}/eddy-suite.XXXXXX")
eddy_pid=
export EDDY_STATE=$scratch/state

# Starts the broker, or ends the suite as one that cannot run here.
pipeline_start() {
    broker_start || {
        echo "cannot run: no Kafka broker could be started"
        rm -rf "$scratch"
        exit 77
    }
    trap 'pipeline_end; broker_stop' EXIT
    export EDDY_BROKERS=$BROKERS
}
pipeline_end() {
    [ -z "$eddy_pid" ] || kill_eddy
    rm -rf "$scratch"
}
# check NAME COMMAND...: "ok - NAME" when the command succeeds, else "not ok - NAME".
check() {
    local name=$1
    shift
    if "$@"; then
        echo "ok - $name"
        n_passed=$((n_passed + 1))
    else
        echo "not ok - $name"
        n_failed=$((n_failed + 1))
    fi
}
failed() { check "$1" false; }
# suite_end: shows the logs when something failed, and gives the suite's exit status.
suite_end() {
    echo "$n_passed passed, $n_failed failed"
    [ $n_failed -ne 0 ] || return 0
    tail -n 15 "$scratch"/*.log
    broker_log
    return 1
}

now_ms() { date +%s%3N; }

# A broker that does not answer gives an empty text or -1 here, never a number that looks right.
# partitions TOPIC
partitions() {
    kcat -b "$BROKERS" -L -t "$1" 2>/dev/null | awk '$1 == "topic" { print $4 + 0; exit }'
}
# topic_end TOPIC: the sum of the partitions' ends, which is the number of records where none was removed.
topic_end() {
    local p n ask=()
    n=$(partitions "$1")
    for ((p = 0; p < ${n:-0}; p++)); do ask+=(-t "$1:$p:-1"); done
    [ ${#ask[@]} -gt 0 ] || { echo -1; return; }
    kcat -b "$BROKERS" -Q "${ask[@]}" 2>/dev/null | awk -v want="$n" '{ n += $NF } END { print NR == want ? n : -1 }'
}
# partition_end TOPIC PARTITION
partition_end() {
    local end
    end=$(kcat -b "$BROKERS" -Q -t "$1:$2:-1" 2>/dev/null | awk '{ print $NF }')
    echo "${end:--1}"
}
# records TOPIC PARTITION: the payloads of committed records, in order.
records() { kcat -b "$BROKERS" -C -q -e -t "$1" -p "$2" -o beginning -f '%s\n' -X isolation.level=read_committed; }
# less_repeated: results without byte-equal repetitions of an offset; one that differs is an error.
less_repeated() {
    awk '{ match($0, /"offset":[0-9]+}/); offset = substr($0, RSTART + 9, RLENGTH - 10)
           if (!(offset in seen)) { seen[offset] = $0; print }
           else if (seen[offset] != $0) { print "differs: " $0 > "/dev/stderr"; exit 1 } }'
}
# last_source TOPIC PARTITION: the src.offset of the last record of an output partition, -1 when it is empty.
last_source() {
    local end last=
    end=$(partition_end "$1" "$2")
    [ "$end" -le 0 ] || last=$(kcat -b "$BROKERS" -C -q -e -t "$1" -p "$2" -o $((end - 1)) -c 1 -f '%s\n' 2>/dev/null |
        sed 's/.*"src":{[^}]*"offset":\([0-9]*\)}.*/\1/')
    echo "${last:--1}"
}
# drained INPUT OUTPUT: every partition's last output answers its last input.
drained() {
    local p n last
    n=$(partitions "$1")
    for ((p = 0; p < ${n:-0}; p++)); do
        last=$(last_source "$2" "$p")
        [ "$last" -ge 0 ] && [ "$last" -eq $(($(partition_end "$1" "$p") - 1)) ] || return 1
    done
    [ "${n:-0}" -gt 0 ]
}
# lag GROUP TOPIC: records that the group has not committed; -1: nobody says.  Behind a crash results may all be there already,
# which are not written twice, while the state still has to follow.
lag() { "${BUILD:-build}/kafka_tool" "$BROKERS" positions "$1" "$2" earliest | awk '{ n += $3 - $5 } END { print NR ? n : -1 }'; }
# wait_for SECONDS COMMAND...: repeats the command until it succeeds; 1 when it never does.
wait_for() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.1
    done
}

# start_eddy NAME ARGUMENTS...: a pipeline in the background; NAME.log is its stderr.
start_eddy() {
    local name=$1
    shift
    "$EDDY" run "$@" >>"$scratch/$name.out" 2>>"$scratch/$name.log" </dev/null &
    eddy_pid=$!
}
# gone PID: the process has ended (bash has taken its exit status by then).
gone() { ! kill -0 "$1" 2>/dev/null; }
# listens PID: it is eddy, and has a handler for SIGTERM: before that, on a busy machine, a signal finds a shell or a loader.
listens() {
    local caught
    [ "$(cat "/proc/$1/comm" 2>/dev/null)" = eddy ] || return 1
    caught=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null)
    [ $((0x${caught:-0} >> 14 & 1)) = 1 ]
}
listens_or_gone() { listens "$1" || gone "$1"; }
# stop_eddy: SIGTERM; 0 when it exited with 0 within 10 seconds.  stop_ms says how long it took.
stop_eddy() {
    local rc t0
    wait_for 20 listens_or_gone "$eddy_pid"
    t0=$(now_ms)
    kill -TERM "$eddy_pid"
    wait_for 20 gone "$eddy_pid" || kill -KILL "$eddy_pid"
    wait "$eddy_pid"
    rc=$?
    stop_ms=$(($(now_ms) - t0))
    eddy_pid=
    [ $rc -eq 0 ] && [ $stop_ms -le 10000 ] && return
    echo "exit $rc after $stop_ms ms"
    return 1
}
# ends_with STATUS: it ends by itself, or by a signal that it was sent, within 30 seconds and with this exit status.
ends_with() {
    local rc
    wait_for 30 gone "$eddy_pid" || { kill_eddy; return 1; }
    wait "$eddy_pid"
    rc=$?
    eddy_pid=
    [ $rc -eq "$1" ]
}
# says PATTERN NAME: the log of the pipeline started as NAME does.
says() { grep -q "$1" "$scratch/$2.log"; }
# n_results TOPIC: records that readers of committed ones see.
n_results() { read_topic "$1" -f '.\n' | wc -l; }
kill_eddy() {
    kill -KILL "$eddy_pid" 2>/dev/null
    wait "$eddy_pid" 2>/dev/null
    eddy_pid=
}
