# Helpers of the suites that run the whole program against the broker; to be sourced after broker.sh and lib.sh.
# shellcheck shell=bash
#
# BROKERS (host:port) and EDDY (the program) are set; scratch is a directory that goes when the suite ends.

scratch=$(mktemp -d)
n_ok=0 n_not_ok=0
eddy_pid=

ok() { echo "ok - $1"; n_ok=$((n_ok + 1)); }
not_ok() {
    echo "not ok - $1"
    n_not_ok=$((n_not_ok + 1))
}
# check NAME COMMAND...: ok when the command succeeds.
check() {
    local name=$1
    shift
    if "$@"; then ok "$name"; else not_ok "$name"; fi
}
finish() {
    echo "$n_ok passed, $n_not_ok failed"
    [ $n_not_ok -eq 0 ]
}

now_ms() { date +%s%3N; }

# partitions TOPIC
partitions() {
    kcat -b "$BROKERS" -L -t "$1" 2>/dev/null | awk '$1 == "topic" { print $4 + 0; exit }'
}
# topic_end TOPIC: the sum of the partitions' ends, which is the number of records where none was removed.
topic_end() {
    local p ask=()
    for ((p = 0; p < $(partitions "$1"); p++)); do ask+=(-t "$1:$p:-1"); done
    kcat -b "$BROKERS" -Q "${ask[@]}" 2>/dev/null | awk '{ n += $NF } END { print n + 0 }'
}
# partition_end TOPIC PARTITION
partition_end() {
    kcat -b "$BROKERS" -Q -t "$1:$2:-1" 2>/dev/null | awk '{ print $NF }'
}
# last_source TOPIC PARTITION: the src.offset of the last record of an output partition, -1 when it is empty.
last_source() {
    local end
    end=$(partition_end "$1" "$2")
    if [ "${end:-0}" -eq 0 ]; then
        echo -1
    else
        kcat -b "$BROKERS" -C -q -e -t "$1" -p "$2" -o $((end - 1)) -c 1 -f '%s\n' |
            sed 's/.*"src":{[^}]*"offset":\([0-9]*\)}.*/\1/'
    fi
}
# drained INPUT OUTPUT: every partition's last output answers its last input.
drained() {
    local p
    for ((p = 0; p < $(partitions "$1"); p++)); do
        [ "$(last_source "$2" "$p")" -eq $(($(partition_end "$1" "$p") - 1)) ] || return 1
    done
}
# wait_for SECONDS COMMAND...: repeats the command until it succeeds; 1 when it never does.
wait_for() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.2
    done
}

# start_eddy NAME ARGUMENTS...: a pipeline in the background with a state directory shared by all of this suite.
start_eddy() {
    local name=$1
    shift
    EDDY_BROKERS=$BROKERS EDDY_STATE=${EDDY_STATE:-$scratch/state} \
        "$EDDY" run "$@" >>"$scratch/$name.out" 2>>"$scratch/$name.log" </dev/null &
    eddy_pid=$!
}
# stop_eddy: SIGTERM; 0 when it exited with 0 within 10 seconds.  stop_ms says how long it took.
stop_eddy() {
    local rc t0
    t0=$(now_ms)
    kill -TERM "$eddy_pid" 2>/dev/null
    (sleep 20 && kill -KILL "$eddy_pid" 2>/dev/null) &
    local guard=$!
    wait "$eddy_pid"
    rc=$?
    kill "$guard" 2>/dev/null && wait "$guard" 2>/dev/null
    stop_ms=$(($(now_ms) - t0))
    eddy_pid=
    [ $rc -eq 0 ] && [ $stop_ms -le 10000 ]
}
kill_eddy() {
    kill -KILL "$eddy_pid" 2>/dev/null
    wait "$eddy_pid" 2>/dev/null
    eddy_pid=
}
pipeline_end() {
    [ -z "$eddy_pid" ] || kill_eddy
    rm -rf "$scratch"
}
