#!/bin/bash
# One process that goes through every kind of trouble for half an hour: broker deaths, networks that delay, throttle, cut and
# fall silent, standing still for longer than its session, other members that come and die.  At the end everything is exact,
# and it holds no more memory, files and threads than it did at first.
#   FAULT_SOAK=1 runs it; SOAK_S=1800 for so many seconds; EDDY_SEED of the moments
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
. tests/fault/lib.sh
soak_s=${SOAK_S:-1800} rate=500
if [ "${FAULT_SOAK:-0}" != 1 ]; then
    echo "skip - the soak of $soak_s s is for FAULT_SOAK=1"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
BROKER_BEHIND=$(broker_free_port) || exit 1
pipeline_start
trap 'kill "${proxy_pid:-}" "${generator:-}" 2>/dev/null; pipeline_end; broker_stop' EXIT
RANDOM=${EDDY_SEED:-$$}
echo "# seed ${EDDY_SEED:-$$}"
path=$scratch/network main_pid='' faults=0
declare -a kb=() files=() threads=()

broker_dies() {
    broker_kill
    sleep "$(random_s 6000)"
    broker_start || failed "the broker does not come back"
}
network_fails() {
    local modes=("delay 300" "throttle 20000" cut half)
    echo "${modes[RANDOM % 4]}" >"$path"
    sleep "$(random_s 8000)"
    echo through >"$path"
}
stands_still() {
    kill -STOP "$main_pid"
    sleep "$(random_s 10000)"
    kill -CONT "$main_pid"
}
guest_dies() {
    local DYNAMIC=1
    lab_start 2
    sleep "$(random_s 9000)"
    end_with KILL "$eddy_pid"
    eddy_pid=$main_pid
}

sample() {
    kb+=("$(resident_kb)") files+=("$(n_files)") threads+=("$(n_threads)")
}

# flat NAME MARGIN VALUES...: the greatest of the last third is no more than that of the first third and MARGIN.
flat() {
    local name=$1 margin=$2
    shift 2
    printf '%s\n' "$@" | awk -v margin="$margin" '{ v[NR] = $1 }
        END { third = int((NR + 2) / 3)
              for (i = 1; i <= NR; i++) {
                  if (i <= third && v[i] > first) first = v[i]
                  if (i > NR - third && v[i] > last) last = v[i]
              }
              printf "%d at first, %d at the end, %d samples\n", first, last, NR
              exit !(NR >= 3 && last <= first + margin) }' >"$scratch/flat" && rc=0 || rc=1
    check "$name stay flat ($(cat "$scratch/flat"))" [ $rc -eq 0 ]
    [ $rc -eq 0 ]
}

echo through >"$path"
python3 tests/fault/proxy.py "$BROKER_BEHIND" "$BROKER_BEHIND_PORT" "$path" 2>"$scratch/proxy.log" &
proxy_pid=$!
lab_live soak $((soak_s * rate)) $rate
export EDDY_BROKERS=127.0.0.1:$BROKER_BEHIND
DYNAMIC=1 lab_start
main_pid=$eddy_pid
wait_for 30 grep -qs event=partition_assigned "$scratch/soak.log" || failed "no partitions through the proxy"
sleep 10
until=$((SECONDS + soak_s - 20))
while [ $SECONDS -lt $until ] && kill -0 "$main_pid" 2>/dev/null; do
    kinds=(broker_dies network_fails stands_still guest_dies)
    kind=${kinds[RANDOM % 4]}
    echo "# $((until - SECONDS)) s left: $kind"
    $kind
    faults=$((faults + 1))
    sleep $((8 + RANDOM % 10))
    sample
done
before=$violations
judge "everything is exact after $faults faults in $soak_s s" "$faults" survived 180
# A third of the samples is taken young: caches fill, librdkafka has met few brokers.
flat "kilobytes in memory" 16384 "${kb[@]}" || violations=$((violations + 1))
flat "open files" 16 "${files[@]}" || violations=$((violations + 1))
flat "threads" 4 "${threads[@]}" || violations=$((violations + 1))
check "the proxy has nothing to complain of" [ ! -s "$scratch/proxy.log" ]
row "$((soak_s / 60)) minutes of mixed faults" "$faults" $((violations - before)) "memory, files and threads flat"
suite_end
