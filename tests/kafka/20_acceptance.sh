#!/bin/bash
# The main job against a real Kafka: every input is scored once, in order, with the same bytes as a replay of the topic,
# and ten kill -9 change neither state nor output.  EDDY_EVENTS (200,000) and EDDY_SEED (of the moments of the kills).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
trap 'pipeline_end; broker_stop' EXIT
broker_start || exit 77

events=${EDDY_EVENTS:-200000} keys=2000 kills=10
RANDOM=${EDDY_SEED:-$$}
echo "# $events events of $keys keys, seed ${EDDY_SEED:-$$}"
config=config/sensors.yml
killed=(--set name=killed --set sink.kafka.topic=killed.scored --set state.checkpoint=300ms
    --set source.kafka.properties.session.timeout.ms=6000) # the group notices a killed member sooner
for topic in sensors sensors.scored killed.scored; do create_topic "$topic" 4; done
create_topic sensors.dlq 1

generate() { awk -f tests/kafka/generate.awk -v events="$1" -v keys=$keys -v from="$2"; }
produce() { kcat -b "$BROKERS" -P -t sensors -K '|'; }
# Feeds all but the last round slowly enough that there is something to do while the program is being killed; the last
# round comes after the last kill, so that its outputs tell that the last run got to the end.
feed() {
    generate $((events - keys)) 0 |
        awk -v pause=$((events / 100)) '{ print } NR % pause == 0 { fflush(); system("sleep 0.4") }' | produce
}

grown() { [ "$(topic_end killed.scored)" -gt "$1" ]; }

# Kills at a random moment after the first new output; also before it, one time in five.
kill_once() {
    local before
    before=$(topic_end killed.scored)
    start_eddy killed $config "${killed[@]}"
    if [ $((RANDOM % 5)) -gt 0 ] && ! wait_for 60 grown "$before"; then
        return 1
    fi
    sleep "$(printf '0.%03d' $((RANDOM % 900)))"
    kill -0 "$eddy_pid" && kill_eddy
}

# records TOPIC PARTITION: the payloads in order.
records() { kcat -b "$BROKERS" -C -q -e -t "$1" -p "$2" -o beginning -f '%s\n'; }

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
          last[$2] = offset; home[$2] = $1 }'
}

# What the killed runs wrote, less byte-equal repetitions, is what the quiet run wrote.
same_but_repeated() {
    local p
    for p in 0 1 2 3; do
        records killed.scored $p | awk '
            { match($0, /"offset":[0-9]+}/); offset = substr($0, RSTART + 9, RLENGTH - 10)
              if (!(offset in seen)) { seen[offset] = $0; print }
              else if (seen[offset] != $0) { print "differs: " $0 > "/dev/stderr"; exit 1 } }' |
            cmp - "$scratch/live.$p" || return 1
    done
}

state_hash() { EDDY_STATE=$scratch/state "$EDDY" state $config hash "$@"; }

feed &
feeder=$!
for ((i = 1; i <= kills; i++)); do kill_once || not_ok "run $i did not live until it was killed"; done
wait $feeder
generate "$events" $((events - keys)) | produce
check "every event is in the input topic" [ "$(topic_end sensors)" -eq "$events" ]
start_eddy killed $config "${killed[@]}"
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
EDDY_BROKERS=$BROKERS "$EDDY" replay $config --from earliest --output "$scratch/replay.jsonl" \
    --metrics "$scratch/replay.json" >"$scratch/replay.out" 2>"$scratch/replay.log" || not_ok "replay: exit $?"
check "a replay of the topic gives the same bytes" same_as_replay
check "a replay of the topic gives the same state" grep -q "\"state_hash\": *\"$(state_hash)\"" "$scratch/replay.json"
check "killed runs wrote the same bytes, some of them twice" same_but_repeated
echo "# $(topic_end killed.scored) outputs of $events events with $kills kills"
check "killed and quiet runs end in the same state and positions" \
    [ "$(state_hash --positions --set name=killed)" = "$(state_hash --positions)" ]
check "nothing went to the dead letters" [ "$(topic_end sensors.dlq)" -eq 0 ]

[ $n_not_ok -eq 0 ] || tail -n 20 "$scratch"/*.log
finish
