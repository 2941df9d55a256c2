#!/bin/bash
# guarantee: exactly_once against a real Kafka: killed at random moments, fenced, with poison among the events; what a
# reader of committed records sees is what a replay of the topic writes, each once and in order, dead letters too.
# EDDY_EVENTS (60,000), EDDY_KILLS (8) and EDDY_SEED (of the moments of the kills).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
pipeline_start

events=${EDDY_EVENTS:-60000} keys=500 kills=${EDDY_KILLS:-8}
RANDOM=${EDDY_SEED:-$$}
echo "# $events events of $keys keys, seed ${EDDY_SEED:-$$}"
config=config/sensors.yml
once=(--set name=once --set guarantee=exactly_once --set commit_interval=100ms --set state.checkpoint=700ms
    --set sink.kafka.topic=once.scored --set errors.dead_letter.kafka.topic=once.dlq)
create_topic sensors 4
create_topic once.scored 4
create_topic once.dlq 1

# feed FROM TO: these events, one in 500 of them broken, spread over about a second.
feed() {
    awk -f tests/kafka/generate.awk -v events="$2" -v keys=$keys -v from="$1" |
        awk -v pause=$((($2 - $1) / 10 + 1)) 'NR % 500 == 250 { sub(/[{]/, "[") } { print }
            NR % pause == 0 { fflush(); system("sleep 0.1") }' |
        kcat -b "$BROKERS" -P -t sensors -K '|'
}
n_committed() { kcat -b "$BROKERS" -C -q -e -t "$1" -o beginning -f '.\n' -X isolation.level=read_committed | wc -l; }
all_scored() { [ "$(n_committed once.scored)" -ge $((events - bad)) ]; }
n_assigned() { grep -c 'event=partition_assigned' "$scratch/once.log"; }
assigned_again() { [ "$(n_assigned)" -gt "$1" ]; }

kill_once() {
    local i=$1 before feeder
    before=$(n_assigned)
    start_eddy once "$config" "${once[@]}"
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
        records once.scored $p >"$scratch/live.$p"
        grep "\"src\":{\"topic\":\"sensors\",\"partition\":$p," "$scratch/replay.jsonl" | cmp - "$scratch/live.$p" || return 1
    done
}
# Each dead letter once: the offsets that their headers name.
letters_once() {
    kcat -b "$BROKERS" -C -q -e -t once.dlq -o beginning -f '%h\n' -X isolation.level=read_committed |
        sed 's/.*partition=\([0-9]*\),.*offset=\([0-9]*\),.*/\1 \2/' | sort | uniq -c |
        awk -v want="$bad" '$1 != 1 { print "twice: " $0; exit 1 } { n++ } END { exit n != want }'
}
state_hash() { "$EDDY" state "$config" hash --set name=once "$@"; }

: >"$scratch/once.log"
part=$((events / (kills + 1)))
bad=0
for ((i = 1; i <= kills; i++)); do kill_once "$i"; done
feed $((part * kills)) "$events"
bad=$(kcat -b "$BROKERS" -C -q -e -t sensors -o beginning -f '%s\n' | grep -c '^\[')
t0=$(now_ms)
start_eddy once "$config" "${once[@]}"
check "after $kills kill -9 it goes on to the end" wait_for 120 all_scored
echo "# all scored $(($(now_ms) - t0)) ms after the last start"
check "SIGTERM ends it with 0 within 10 s" stop_eddy

"$EDDY" replay "$config" --from earliest --set name=once --output "$scratch/replay.jsonl" --dead-letter "$scratch/replay.bad" \
    --metrics "$scratch/replay.json" >"$scratch/replay.out" 2>"$scratch/replay.log" || failed "replay: exit $?"
check "every input has one output, the same bytes as in a replay" same_as_replay
check "every one of $bad bad records has one dead letter" letters_once
check "the state is that of the replay" grep -q "\"state_hash\": *\"$(state_hash)\"" "$scratch/replay.json"
at_end() {
    "${BUILD:-build}/kafka_tool" "$BROKERS" positions once sensors latest |
        awk '$3 != $5 { print "behind: " $0; bad = 1 } END { exit bad || NR != 4 }'
}
check "positions stand at the end" at_end

# A second process with the same instance's name, as after a restore of a whole machine, fences the first.
feed "$events" $((events + 2000))
start_eddy once "$config" "${once[@]}"
wait_for 30 assigned_again "$(n_assigned)"
kill -STOP "$eddy_pid"
stopped=$eddy_pid
cp -r "$EDDY_STATE" "$scratch/copy"
start_eddy twin "$config" "${once[@]}" --set state.path="$scratch/copy"
events=$((events + 2000)) bad=$((bad + 4))
check "a twin takes over from a process that stands still" wait_for 120 all_scored
kill -CONT "$stopped"
sleep 2
kill -KILL "$stopped"
wait "$stopped" 2>/dev/null
check "SIGTERM ends the twin with 0 within 10 s" stop_eddy
"$EDDY" replay "$config" --from earliest --set name=once --output "$scratch/replay.jsonl" \
    >"$scratch/replay.out" 2>"$scratch/replay.log" || failed "replay: exit $?"
check "what the fenced process wrote is not seen" same_as_replay
suite_end
