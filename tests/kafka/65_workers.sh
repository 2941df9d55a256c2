#!/bin/bash
# Several workers in one process against a real Kafka: outputs and state are those of one, partitions move among them and
# to other processes while events come, and kill -9 with another number of workers each time changes nothing.
# EDDY_EVENTS (60,000) and EDDY_SEED (of the moments of the kills).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
pipeline_start

events=${EDDY_EVENTS:-60000} keys=500 n_partitions=4
RANDOM=${EDDY_SEED:-$$}
echo "# $events events of $keys keys, seed ${EDDY_SEED:-$$}"
config=config/sensors.yml
for topic in sensors one.scored many.scored; do create_topic "$topic" $n_partitions; done
create_topic sensors.dlq 1

feed() { awk -f tests/kafka/generate.awk -v events="$2" -v keys=$keys -v from="$1" | kcat -b "$BROKERS" -P -t sensors -K '|'; }
of() { echo "--set name=$1 --set sink.kafka.topic=$1.scored --set state.checkpoint=300ms --set source.kafka.properties.session.timeout.ms=6000"; }
read -ra one <<<"$(of one)"
read -ra many <<<"$(of many)"
hash_of() { "$EDDY" state "$config" hash --set name="$1" 2>/dev/null | tr -d ' '; }
same_outputs() {
    local p
    for ((p = 0; p < n_partitions; p++)); do
        cmp <(records one.scored $p) <(records many.scored $p | less_repeated) || return 1
    done
}
folded() { [ "$(lag many sensors)" -eq 0 ]; }
members() { [ "$(group_members many)" -eq "$1" ]; }
n_assigned() { [ "$(grep -c 'event=partition_assigned' "$scratch/many.log")" -ge "$1" ]; }

# ---- what one worker makes of it ----
feed 0 "$events"
start_eddy one "$config" "${one[@]}"
check "one worker scores all" wait_for 120 drained sensors one.scored
check "and stops" stop_eddy

# ---- three, killed, then two, then four ----
killed() {
    start_eddy many "$config" "${many[@]}" --set workers="$1"
    wait_for 60 n_assigned "$2" || return 1
    sleep "0.$((RANDOM % 9 + 1))"
    kill_eddy
}
check "three workers are assigned all partitions, and die" killed 3 $n_partitions
check "so do two, over the same state" killed 2 $((2 * n_partitions))
start_eddy many "$config" "${many[@]}" --set workers=4
check "four workers are four members of the group" wait_for 60 members 4
check "they score the rest" wait_for 120 drained sensors many.scored
check "and fold it" wait_for 60 folded
check "and stop together" stop_eddy
check "every partition has the outputs of one worker" same_outputs
check "and the state is that of one worker" test "$(hash_of one)" = "$(hash_of many)"
check "of which there is some" test -n "$(hash_of one)"

# ---- partitions that move: a second process comes and goes ----
feed "$events" $((events + events / 2)) &
feeder=$!
held() { echo $(($(grep -c event=partition_assigned "$scratch/many.log") - $(grep -c event=partition_revoked "$scratch/many.log"))); }
before=$(held) # killed members have revoked nothing
holds_all() { [ $(($(held) - before)) -eq $n_partitions ]; }
holds_fewer() { [ $(($(held) - before)) -lt $n_partitions ]; }
start_eddy many "$config" "${many[@]}" --set workers=2
first=$eddy_pid
check "two workers go on" wait_for 60 members 2
check "with all partitions" wait_for 60 holds_all
# A guest with a state of its own, which it makes anew from the topic.
start_eddy guest "$config" "${many[@]}" --set workers=2 --set state.path="$scratch/guest"
check "a second process with two more shares the partitions" wait_for 60 members 4
check "the first gives up some" wait_for 60 holds_fewer
check "the guest gets them" wait_for 60 grep -q "event=partition_assigned" "$scratch/guest.log"
wait $feeder
check "the guest stops" stop_eddy
eddy_pid=$first
check "the first has all partitions again" wait_for 60 holds_all # when the guest's sessions have ended
check "all is scored, by the first again" wait_for 120 drained sensors many.scored
check "and folded" wait_for 60 folded
check "and it stops" stop_eddy
start_eddy one "$config" "${one[@]}"
check "one worker scores the rest" wait_for 120 drained sensors one.scored
check "and stops too" stop_eddy
check "every partition still has the outputs of one worker" same_outputs
check "and its state" test "$(hash_of one)" = "$(hash_of many)"

# ---- a replay of the past ----
figures() {
    "$EDDY" replay "$config" --set name=past --set workers="$1" --from earliest --json 2>>"$scratch/replay.log" |
        grep -o '"state_hash": *"[0-9a-f]*"\|"events": *[0-9]*' | sort -u
}
check "a replay with three workers has the state of one" test "$(figures 3)" = "$(figures 1)"
check "and it is that of the live run" grep -q "$(hash_of many)" <(figures 3)
check "a replay into a file takes one worker and says so" eval '"$EDDY" replay "$config" --set workers=3 --from earliest \
    --output "$scratch/past.jsonl" >/dev/null 2>"$scratch/replay.log" && grep -q "one worker for this replay" "$scratch/replay.log"'

# ---- what several workers cannot do ----
refused() { ! "$EDDY" run "$config" --set workers=2 --set "sink={file: {path: $scratch/out.jsonl}}" 2>"$scratch/refused.log" &&
    grep -q "workers.*sink: file" "$scratch/refused.log"; }
check "several workers and one file are refused by name" refused
check "check --connect tells of idle workers" eval '"$EDDY" check "$config" "${many[@]}" --set workers=9 --connect >"$scratch/out" &&
    grep -q "9 for 4 partitions: some stand idle" "$scratch/out"'
suite_end
