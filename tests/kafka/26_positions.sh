#!/bin/bash
# Where partitions start when state, group and output disagree: results that were written before a crash are not written
# again, after eddy reset all are, and once, a group that was moved back is a matter for a person, and one partition's trouble is not the others'.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
pipeline_start

config=config/sensors.yml tool=${BUILD:-build}/kafka_tool fed=0
create_topic sensors 2
for topic in once.scored least.scored; do create_topic $topic 2; done
create_topic sensors.dlq 1
once=(--set name=once --set guarantee=exactly_once --set commit_interval=100ms --set sink.kafka.topic=once.scored
    --set source.kafka.properties.session.timeout.ms=6000) # a stopped process is missed sooner
least=(--set name=least --set state.checkpoint=1h --set sink.kafka.topic=least.scored
    --set source.kafka.properties.session.timeout.ms=6000) # reset waits for the session of a stopped process

# feed N: the next N events of the stream.
feed() {
    awk -f tests/kafka/generate.awk -v events=$((fed + $1)) -v keys=50 -v from=$fed | kcat -b "$BROKERS" -P -t sensors -K '|'
    fed=$((fed + $1))
}
has() { [ "$(n_results "$1")" -eq "$2" ]; }
state_hash() { "$EDDY" state $config hash "$@"; }

# ---- results since the checkpoint are there already ----
start_eddy least $config "${least[@]}"
feed 2000
check "everything is scored" wait_for 60 has least.scored 2000
kill_eddy
start_eddy least $config "${least[@]}"
feed 2000
check "after a kill -9 before the first checkpoint it goes on" wait_for 60 drained sensors least.scored
check "and repeats nothing" has least.scored 4000
stop_eddy
start_eddy least $config "${least[@]}"
feed 4000
check "more is scored, behind the last checkpoint" wait_for 60 has least.scored 8000
kill_eddy
feed 1000
start_eddy least $config "${least[@]}"
check "after kill -9 it goes on" wait_for 60 has least.scored 9000
sleep 1
check "and repeats nothing (2)" has least.scored 9000
check "SIGTERM ends it" stop_eddy
start_eddy least $config "${least[@]}"
feed 500
check "more is scored, behind what the group has committed" wait_for 60 has least.scored 9500
kill_eddy
rm -f "$EDDY_STATE"/least/sensors-*.db*
start_eddy least $config "${least[@]}" --set state.missing=rebuild
feed 500
check "without its state it goes on" wait_for 60 drained sensors least.scored
check "and repeats nothing (3)" has least.scored 10000
stop_eddy
for p in 0 1; do # somebody else's results, from further on in the same topic
    echo "x|{\"key\":\"x\",\"src\":{\"topic\":\"sensors\",\"partition\":$p,\"offset\":999999}}" | produce_topic least.scored -p $p
done
start_eddy least $config "${least[@]}"
feed 500
check "what others wrote there hides nothing" wait_for 60 has least.scored 10502
stop_eddy

# ---- the group is moved back ----
start_eddy once $config "${once[@]}"
check "exactly once: everything is scored" wait_for 60 has once.scored 10500
stop_eddy
hash=$(state_hash --set name=once)
wait_for 60 [ "$("$tool" "$BROKERS" members once)" = 0 ]
moved_back() { wait_for 60 "$tool" "$BROKERS" set once sensors earliest 2>/dev/null; }
check "the group is moved back" moved_back
start_eddy once $config "${once[@]}"
check "a state ahead of its group is refused" ends_with 1
check "by name, with what can be done" says 'state.ahead' once
moved_back
start_eddy once $config "${once[@]}" --set workers=3
check "by several workers too, one of which is given nothing" ends_with 1
moved_back
start_eddy once $config "${once[@]}" --set state.ahead=rebuild
check "rebuild writes results again from the group's position" wait_for 60 has once.scored 21000
stop_eddy
check "and ends in the same state" [ "$(state_hash --set name=once)" = "$hash" ]
moved_back
start_eddy once $config "${once[@]}" --set state.ahead=trust
feed 500
check "trust goes on from the state" wait_for 60 has once.scored 21500
check "SIGTERM ends it (2)" stop_eddy

# ---- somebody under the same name ----
: >"$scratch/once.log"
start_eddy once $config "${once[@]}"
feed 500
check "it goes on" wait_for 60 has once.scored 22000
timeout 4 kcat -b "$BROKERS" -q -G once sensors -X group.instance.id="$(cat "$EDDY_STATE/once/instance")" \
    -X session.timeout.ms=6000 -X partition.assignment.strategy=cooperative-sticky >/dev/null 2>&1
feed 500
check "a member that was fenced joins again and repeats nothing" wait_for 60 has once.scored 22500
check "and says so" says 'joining the group again' once
check "SIGTERM ends it (3)" stop_eddy

# ---- one partition's trouble ----
rm -f "$EDDY_STATE"/once/sensors-1.db*
cp "$EDDY_STATE/once/sensors-0.db" "$EDDY_STATE/once/sensors-1.db"
before=$(partition_end once.scored 0)
: >"$scratch/once.log"
start_eddy once $config "${once[@]}"
feed 500
grew() { [ "$(partition_end once.scored 0)" -gt "$before" ]; }
check "the other partition goes on" wait_for 60 grew
check "the one with a foreign state is refused by name" says 'event=partition_refused.*sensors-1.db' once
kill -TERM "$eddy_pid"
check "and the end does not hide it" ends_with 1

# ---- eddy reset ----
reset() { "$EDDY" reset $config "${least[@]}" "$@" --execute >>"$scratch/reset.log" 2>&1; }
written=$(n_results least.scored)
# now_has N: since the reset so many more.
now_has() { has least.scored $((written + $1)); }
check "reset moves the group to the beginning" reset --to-earliest
start_eddy least $config "${least[@]}"
check "all of it is written again" wait_for 60 now_has $fed
kill_eddy
feed 500
start_eddy least $config "${least[@]}"
check "after kill -9 before the first commit it goes on" wait_for 60 drained sensors least.scored
check "and repeats nothing (4)" now_has $fed
kill_eddy
rm -rf "$EDDY_STATE/least"
feed 500
start_eddy least $config "${least[@]}"
check "nor where another machine goes on" wait_for 60 drained sensors least.scored
check "and repeats nothing (5)" now_has $fed
stop_eddy
check "reset moves the group back by some" reset --shift-by -100
written=$((written + fed + 200))
start_eddy least $config "${least[@]}"
check "they are written again" wait_for 60 now_has 0
kill_eddy
feed 500
start_eddy least $config "${least[@]}"
check "after kill -9 it goes on" wait_for 60 drained sensors least.scored
check "and repeats nothing (6)" now_has 500
check "SIGTERM ends it (4)" stop_eddy
suite_end
