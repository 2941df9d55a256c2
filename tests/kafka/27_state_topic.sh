#!/bin/bash
# state.topic against a real Kafka: a partition whose state directory is gone, or that moves to a machine with a directory
# of its own, goes on from the copy; outputs and states are those of a process that nobody disturbed.
# EDDY_KILLS (5) and EDDY_SEED (of the moments of the kills).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
pipeline_start

config=config/sensors.yml tool=${BUILD:-build}/kafka_tool fed=0 kills=${EDDY_KILLS:-5}
RANDOM=${EDDY_SEED:-$$}
echo "# seed ${EDDY_SEED:-$$}"
create_topic sensors 2
for topic in reference.scored copy.scored least.scored; do create_topic $topic 2; done
create_topic sensors.dlq 1
reference=(--set name=reference --set guarantee=exactly_once --set commit_interval=100ms --set sink.kafka.topic=reference.scored)
topic=(--set state.topic_interval=200ms --set state.checkpoint=150ms --set source.kafka.properties.session.timeout.ms=6000)
copy=(--set name=copy --set guarantee=exactly_once --set commit_interval=100ms --set sink.kafka.topic=copy.scored
    --set state.topic=copy.state "${topic[@]}")
least=(--set name=least --set sink.kafka.topic=least.scored --set state.topic=least.state "${topic[@]}")

# feed N: the next N events of the stream.
feed() {
    awk -f tests/kafka/generate.awk -v events=$((fed + $1)) -v keys=300 -v from=$fed | kcat -b "$BROKERS" -P -t sensors -K '|'
    fed=$((fed + $1))
}
has() { [ "$(n_results "$1")" -ge "$2" ]; }
n_said() { grep -c "$1" "$scratch/$2.log"; }
said_more() { [ "$(n_said "$1" "$2")" -gt "$3" ]; }
hash_of() { "$EDDY" state $config hash --set name="$1" --set state.path="$2" 2>/dev/null; }
# The last state of each partition, whichever directory has it.
same_state() { [ -n "$(hash_of reference "$EDDY_STATE")" ] && [ "$(hash_of copy "$1")" = "$(hash_of reference "$EDDY_STATE")" ]; }
same_outputs() {
    local p
    for p in 0 1; do cmp <(records reference.scored $p) <(records copy.scored $p) || return 1; done
}
# The group's position in a partition of the state topic: behind the last publication.
published() {
    "$tool" "$BROKERS" positions "$1" "$1.state" latest | awk -v p="$2" '$1 == p { print $5 }'
}
no_members() { [ "$(group_members "$1")" = 0 ]; }
published_more() { [ "$(published "$1" "$2")" -gt "$3" ]; }
wipe() { rm -rf "$scratch/a"; }
run_copy() { start_eddy copy $config "${copy[@]}" --set state.path="$scratch/${1:-a}" "${@:2}"; }
# The undisturbed process scores what there is.
follow() {
    start_eddy reference $config "${reference[@]}"
    wait_for 60 has reference.scored $fed && stop_eddy
}

# ---- made, written, restored ----
: >"$scratch/copy.log"
feed 4000
run_copy
check "everything is scored" wait_for 60 has copy.scored 4000
check "the topic was made, compacted" [ "$("$tool" "$BROKERS" setting copy.state cleanup.policy)" = compact ]
check "with as many partitions as the source" [ "$(partitions copy.state)" = 2 ]
check "partition 0 is published" wait_for 20 published_more copy 0 0
check "partition 1 is published" wait_for 20 published_more copy 1 0
kill_eddy
wipe
feed 500
run_copy
check "kill -9, and the state directory is gone: it goes on" wait_for 60 has copy.scored 4500
check "from the topic" [ "$(n_said 'event=restored ' copy)" = 2 ]
check "and folds nothing from the beginning" [ "$(n_said 'event=state_missing' copy)" = 0 ]

# ---- killed at any moment, a publication in the midst of it included ----
for ((i = 1; i <= kills; i++)); do
    before=$(n_said 'event=restored ' copy)
    feed 1500 &
    feeder=$!
    sleep "$(printf '0.%03d' $((200 + RANDOM % 800)))"
    kill_eddy
    wait $feeder
    fed=$((fed + 1500))
    wipe
    run_copy
    wait_for 60 said_more 'event=restored ' copy $((before + 1)) || failed "nothing was restored after kill $i"
done
feed 200 # whose results come when all that was restored has been folded
check "after $kills kill -9 without a state directory it goes on to the end" wait_for 60 has copy.scored $fed
check "SIGTERM ends it with 0 within 10 s" stop_eddy
check "a process that nobody disturbs scores all" follow
check "outputs are the same bytes, each once and in order" same_outputs
check "and so is the state" same_state "$scratch/a"

# ---- the source no longer keeps what was folded ----
run_copy
feed 500
check "it goes on where it was" wait_for 60 has copy.scored $fed
stop_eddy
follow
wipe
for p in 0 1; do "$tool" "$BROKERS" trim sensors $p "$(partition_end sensors $p)" || failed "trim"; done
before=$(n_said 'event=restored ' copy)
run_copy
feed 500
check "restored although the source has dropped it all" wait_for 60 has copy.scored $fed
check "from the topic, both partitions" [ "$(n_said 'event=restored ' copy)" = $((before + 2)) ]
stop_eddy
follow
check "outputs are still the same" same_outputs
check "and so is the state (2)" same_state "$scratch/a"

# ---- a partition moves between machines with directories of their own ----
dynamic=(--set 'source.kafka.instance_id=""')
run_copy a "${dynamic[@]}"
first=$eddy_pid
feed 1000
check "one machine has both" wait_for 60 has copy.scored $fed
cp "$scratch/copy.log" "$scratch/copy.before"
start_eddy other $config "${copy[@]}" --set state.path="$scratch/b" "${dynamic[@]}"
second=$eddy_pid
check "another one takes a partition over, from the topic" wait_for 60 says 'event=restored ' other
feed 2000
check "both score" wait_for 60 has copy.scored $fed
eddy_pid=$first
check "the first ends" stop_eddy
eddy_pid=$second
feed 1000
check "and the second has all" wait_for 60 has copy.scored $fed
check "the second ends" stop_eddy
follow
check "outputs are the same as of one that never moved" same_outputs
check "and so is the state (3)" same_state "$scratch/b"

# ---- at least once ----
start_eddy least $config "${least[@]}" --set state.path="$scratch/l"
kept=$(($(read_topic sensors -f '.\n' | wc -l)))
check "at_least_once: what the source keeps is scored" wait_for 60 has least.scored $kept
check "and published" wait_for 20 published_more least 0 0
wait_for 20 published_more least 1 0
kill_eddy
rm -rf "$scratch/l"
feed 300
start_eddy least $config "${least[@]}" --set state.path="$scratch/l"
check "without its directory it goes on from the topic" wait_for 60 has least.scored $((kept + 300))
check "both partitions" [ "$(n_said 'event=restored ' least)" = 2 ]
sleep 1
check "and repeats nothing" [ "$(n_results least.scored)" = $((kept + 300)) ]
check "SIGTERM ends it" stop_eddy

# ---- what cannot be ----
rm -rf "$scratch/l"
start_eddy least $config "${least[@]}" --set state.path="$scratch/l" --set name=stranger
check "another pipeline's copy is refused" ends_with 1
check "by its name" says 'holds the state of another pipeline.*not of pipeline stranger over topic sensors' least
"$tool" "$BROKERS" compacted wide.state 3
start_eddy narrow $config "${least[@]}" --set state.path="$scratch/n" --set name=narrow --set state.topic=wide.state
check "a topic with more partitions is refused" ends_with 78
check "by name and numbers" says 'wide.state has 3 partitions and sensors has 2' narrow

# ---- a topic with fewer partitions, one that goes, and one that comes back ----
create_topic narrow.scored 2
narrow=("${least[@]}" --set name=narrow --set state.path="$scratch/n" --set sink.kafka.topic=narrow.scored
    --set state.topic=narrow.state)
kept=$((kept + 300))
"$tool" "$BROKERS" compacted narrow.state 1
start_eddy narrow $config "${narrow[@]}"
check "one with fewer, as the source got more: partition 0 is published" wait_for 20 published_more narrow 0 0
check "partition 1 goes on without, by name" says 'narrow.state has 1 partitions, none for sensors.1..*goes on without a copy' narrow
check "and is scored all the same" wait_for 60 has narrow.scored $kept
"$tool" "$BROKERS" delete narrow.state || failed "delete"
feed 300
check "the topic has gone: scoring goes on" wait_for 60 has narrow.scored $((kept + 300))
"$tool" "$BROKERS" compacted narrow.state 2
check "it is made again: all of partition 0 is written anew" wait_for 60 says 'sensors.0.*all of it is written anew' narrow
check "and published" wait_for 30 published_more narrow 0 0
check "partition 1, which has a place now, too, without being assigned again" wait_for 30 published_more narrow 1 0
feed 300
check "and scored on" wait_for 60 has narrow.scored $((kept + 600))
check "SIGTERM ends it with 0 (2)" stop_eddy
rm -rf "$scratch/n"
start_eddy narrow $config "${narrow[@]}"
check "both can be restored" wait_for 30 eval '[ "$(n_said "event=restored " narrow)" = 2 ]'
stop_eddy
start_eddy narrow $config "${least[@]}" --set state.path="$scratch/n" --set name=narrow --set state.topic=reference.scored
check "one that is not compacted is refused" ends_with 78
check "with its policy" says 'cleanup.policy=delete' narrow

# ---- reset ----
reset() { "$EDDY" reset $config "${least[@]}" --set state.path="$scratch/l" --to-earliest "$@" >"$scratch/reset.log" 2>&1; }
wait_for 20 no_members least || failed "the session of least does not end"
check "another pipeline's copy is not deleted" eval '! reset --execute --set name=stranger &&
    grep -q "the state of another pipeline.*not of pipeline stranger.*not deleted" "$scratch/reset.log"'
check "and is there" [ "$(partitions least.state)" = 2 ]
"$tool" "$BROKERS" compacted strange.state 2
echo "key|value" | kcat -b "$BROKERS" -P -t strange.state -K '|'
check "nor what is none of eddy's" eval '! reset --execute --set state.topic=strange.state &&
    grep -q "is none of eddy.s state; it is not deleted" "$scratch/reset.log" && [ "$(partitions strange.state)" = 2 ]'
check "reset tells that the copy would go" eval 'reset && grep -q "least.state would be deleted" "$scratch/reset.log"'
check "with --execute it goes" eval 'reset --execute && grep -q "deleted the copy.*least.state" "$scratch/reset.log"'
: >"$scratch/least.log"
start_eddy least $config "${least[@]}" --set state.path="$scratch/l"
check "the copy is made anew" wait_for 20 published_more least 0 0
check "from a state that was folded from the first record on" eval '! says event=restored least'
wait_for 20 published_more least 1 0
stop_eddy
rm -rf "$scratch/l"
start_eddy least $config "${least[@]}" --set state.path="$scratch/l"
check "which can be restored" wait_for 20 says 'event=restored ' least
stop_eddy
check "a topic that is no copy is left alone" eval '! reset --execute --set state.topic=reference.scored &&
    grep -q "not deleted" "$scratch/reset.log" && has reference.scored 1'
suite_end
