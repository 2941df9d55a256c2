#!/bin/bash
# The main job against a real Kafka: every input is scored once, in order, with the same bytes as a replay of the topic,
# and ten kill -9 change neither state nor output.  EDDY_EVENTS (200,000) and EDDY_SEED (of the moments of the kills).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
pipeline_start

events=${EDDY_EVENTS:-200000} keys=2000 kills=10
RANDOM=${EDDY_SEED:-$$}
echo "# $events events of $keys keys, seed ${EDDY_SEED:-$$}"
config=config/sensors.yml
killed=(--set name=killed --set sink.kafka.topic=killed.scored --set state.checkpoint=300ms
    --set source.kafka.properties.session.timeout.ms=6000) # the group notices a killed member sooner
for topic in sensors sensors.scored killed.scored; do create_topic "$topic" 4; done
create_topic sensors.dlq 1

# feed FROM TO: these events of the stream, spread over about a second.
feed() {
    awk -f tests/kafka/generate.awk -v events="$2" -v keys=$keys -v from="$1" |
        awk -v pause=$((($2 - $1) / 10 + 1)) '{ print } NR % pause == 0 { fflush(); system("sleep 0.1") }' |
        kcat -b "$BROKERS" -P -t sensors -K '|'
}

n_assigned() { grep -c 'event=partition_assigned' "$scratch/killed.log"; }
assigned_again() { [ "$(n_assigned)" -gt "$1" ]; }

# The i-th run gets the i-th part of the events and is killed at a random moment of it; one in five before it has begun.
kill_once() {
    local i=$1 before feeder
    before=$(n_assigned)
    start_eddy killed "$config" "${killed[@]}"
    if [ $((RANDOM % 5)) -eq 0 ]; then
        sleep "$(printf '0.%03d' $((RANDOM % 900)))"
    else
        wait_for 60 assigned_again "$before" || failed "run $i was assigned nothing"
    fi
    feed $((part * (i - 1))) $((part * i)) &
    feeder=$!
    sleep "$(printf '0.%03d' $((RANDOM % 999)))"
    kill_eddy
    wait $feeder
}

same_as_replay() {
    local p
    for p in 0 1 2 3; do
        records sensors.scored $p >"$scratch/live.$p"
        grep "\"src\":{\"topic\":\"sensors\",\"partition\":$p," "$scratch/replay.jsonl" | cmp - "$scratch/live.$p" || return 1
    done
}

# Each key's offsets ascend, and the record's key is the message's key.
in_order() {
    kcat -b "$BROKERS" -C -q -e -t sensors.scored -o beginning -f '%p|%k|%s\n' | awk -F'|' '
        { match($3, /"offset":[0-9]+/); offset = substr($3, RSTART + 9, RLENGTH - 9) + 0
          if (index($3, "{\"key\":\"" $2 "\"") != 1) { print "key differs: " $0; exit 1 }
          if (($2 in last) && (offset <= last[$2] || $1 != home[$2])) { print "out of order: " $0; exit 1 }
          last[$2] = offset; home[$2] = $1; n++ }
        END { exit n == 0 }'
}

# What the killed runs wrote, less byte-equal repetitions, is what the quiet run wrote.
same_but_repeated() {
    local p
    for p in 0 1 2 3; do
        records killed.scored $p | less_repeated |
            cmp - "$scratch/live.$p" || return 1
    done
}

state_hash() { "$EDDY" state "$config" hash "$@"; }

: >"$scratch/killed.log"
part=$((events / (kills + 1)))
for ((i = 1; i <= kills; i++)); do kill_once "$i"; done
feed $((part * kills)) "$events" # the last run's own part: its outputs tell that it got to the end
check "every event is in the input topic" [ "$(topic_end sensors)" -eq "$events" ]
start_eddy killed "$config" "${killed[@]}"
check "after $kills kill -9 it goes on to the end" wait_for 180 drained sensors killed.scored
check "SIGTERM ends it with 0 within 10 s" stop_eddy

t0=$(now_ms)
start_eddy quiet $config
check "an uninterrupted run scores everything" wait_for 180 drained sensors sensors.scored
echo "# drained after $(($(now_ms) - t0)) ms"
check "SIGTERM ends it with 0 within 10 s (2)" stop_eddy
echo "# stopped after $stop_ms ms"

n=$(kcat -b "$BROKERS" -C -q -e -t sensors.scored -o beginning -f '.\n' | wc -l)
check "every input has one output ($n of $events)" [ "$n" -eq "$events" ]
check "outputs are in order per key" in_order
"$EDDY" replay "$config" --from earliest --output "$scratch/replay.jsonl" \
    --metrics "$scratch/replay.json" >"$scratch/replay.out" 2>"$scratch/replay.log" || failed "replay: exit $?"
check "a replay of the topic gives the same bytes" same_as_replay
check "a replay of the topic gives the same state" grep -q "\"state_hash\": *\"$(state_hash)\"" "$scratch/replay.json"
check "killed runs wrote the same bytes, some of them twice" same_but_repeated
check "hardly any of them: what was written is looked up" [ "$(topic_end killed.scored)" -le $((events + events / 100)) ]
echo "# $(topic_end killed.scored) outputs of $events events with $kills kills"
check "killed and quiet runs end in the same state and positions" \
    [ "$(state_hash --positions --set name=killed)" = "$(state_hash --positions)" ]
check "nothing went to the dead letters" [ "$(topic_end sensors.dlq)" -eq 0 ]
suite_end
