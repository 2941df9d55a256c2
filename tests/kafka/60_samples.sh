#!/bin/bash
# Every sample of config/ and config/networks/ live against a real Kafka: killed in the middle, restored, and at the end the same state
# and the same bytes as a run that nobody disturbed, and as a replay of the topic.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
pipeline_start

events=${EDDY_NETWORK_EVENTS:-1200}
# feed TOPIC FROM TO: these events of the stream.
feed() {
    awk -v from="$2" -v to="$3" 'BEGIN {
        srand(11)
        for (i = 0; i < to; i++) {
            t = int(i / 3); key = "k" i % 3; v = 10 + 4 * sin(t / 4 + i % 3) + rand()
            if (i < from) continue
            printf "%s|{\"ts\":\"2026-03-%02dT%02d:%02d:00Z\",\"v\":%.3f,\"site\":\"s%d\",\"label\":\"%s\"}\n", key,
                1 + t / 1440, t / 60 % 24, t % 60, v, i % 2, (v > 10 ? "high" : "low")
        }
    }' | produce_topic "$1"
}
create_topic readings 1
feed readings 0 "$events"

state_hash() { "$EDDY" state "$config" hash "$@"; }
some_output() { [ "$(topic_end "$1")" -ge $((events / 4)) ]; }

# The records less their repetitions, in order.
once() {
    kcat -b "$BROKERS" -C -q -e -t "$1" -o beginning -f '%s\n' | awk '
        { match($0, /"offset":[0-9]+}/); offset = substr($0, RSTART + 9, RLENGTH - 10)
          if (!(offset in seen)) { seen[offset] = $0; print }
          else if (seen[offset] != $0) { print "differs: " $0; exit 1 } }'
}

for config in config/*.yml config/networks/*.yml; do
    name=$(basename "$config" .yml)
    common=(--set train.epoch=128 --set train.window=24 --set codec.json.values=[v]
        --set codec.json.time_unit=iso8601 --set "errors={tolerance: all}" --set source.kafka.start=earliest)
    quiet=("${common[@]}" --set "source.kafka.topics=[readings]" --set "sink.kafka.topic=$name.quiet" --set "name=$name-quiet")
    killed=("${common[@]}" --set "source.kafka.topics=[$name.readings]" --set "sink.kafka.topic=$name.killed" --set "name=$name-killed" --set state.checkpoint=50ms
        --set source.kafka.properties.session.timeout.ms=6000 --set "source.kafka.instance_id=$name")
    create_topic "$name.readings" 1
    create_topic "$name.quiet" 1
    create_topic "$name.killed" 1
    feed "$name.readings" 0 $((events / 2)) # the rest comes when it has been killed: it must go on, not only start again
    start_eddy killed "$config" "${killed[@]}"
    wait_for 60 some_output "$name.killed" || failed "$name: nothing came"
    kill_eddy
    start_eddy killed "$config" "${killed[@]}"
    feed "$name.readings" $((events / 2)) "$events"
    check "$name: goes on after kill -9" wait_for 60 drained "$name.readings" "$name.killed"
    check "$name: ends when told" stop_eddy
    start_eddy quiet "$config" "${quiet[@]}"
    wait_for 60 drained readings "$name.quiet" || failed "$name: not drained"
    stop_eddy || failed "$name: not ended"
    check "$name: the same state, killed or not" \
        [ "$(state_hash "${killed[@]}")" = "$(state_hash "${quiet[@]}")" ]
    once "$name.killed" | sed "s/\"topic\":\"$name.readings\"/\"topic\":\"readings\"/" >"$scratch/killed.jsonl"
    once "$name.quiet" >"$scratch/quiet.jsonl"
    check "$name: the same bytes, killed or not" cmp "$scratch/killed.jsonl" "$scratch/quiet.jsonl"
    "$EDDY" replay "$config" --from earliest "${quiet[@]}" --output "$scratch/replay.jsonl" >/dev/null 2>>"$scratch/replay.log"
    check "$name: the same bytes as a replay" cmp "$scratch/replay.jsonl" "$scratch/quiet.jsonl"
done
suite_end
