#!/bin/bash
# Incidents in a topic of their own: the same after a crash, and the same as a replay of the past tells.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
pipeline_start
events=2400

cat >"$scratch/incidents.yml" <<YML
name: incidents
source: {kafka: {topics: [plant], properties: {bootstrap.servers: "$BROKERS"}}}
codec: {json: {key: \$key, time: ts, time_unit: s, values: [load]}}
forecast: {horizons: [1], experts: [persistence]}
detect: {detectors: [exceedance, stuck], incidents: {sink: {kafka: {topic: plant.incidents}}}}
train: {mode: off}
state: {path: "$EDDY_STATE", checkpoint: 200ms}
sink: {kafka: {topic: plant.told}}
YML
config=$scratch/incidents.yml

# Four machines; each jumps once and stands still once.
awk -v n=$events 'BEGIN {
    for (i = 0; i < n; i++) {
        k = i % 4; s = int(i / 4)
        x = 10 + (s * 7919 % 101) / 101 + (s >= 320 + 20 * k && s < 325 + 20 * k ? 50 : 0)
        if (s >= 500 && s < 560) x = 3
        printf "m%d|{\"ts\":%d,\"load\":%.4f}\n", k, 1700000000 + 60 * s, x
    }
}' >"$scratch/events"

create_topic plant 3
create_topic plant.told 3
create_topic plant.incidents 2
check "check --connect names the topic" eval '"$EDDY" check "$config" --connect 2>&1 | grep -q plant.incidents'
start_eddy running "$config"
head -$((events / 2)) "$scratch/events" | produce_topic plant
wait_for 30 eval '[ "$(topic_end plant.told)" -ge $((events / 2)) ]' || failed "the first half is answered"
kill_eddy
tail -n +$((events / 2 + 1)) "$scratch/events" | produce_topic plant
start_eddy running "$config"
check "after a crash everything is answered" wait_for 60 eval '[ "$(topic_end plant.told)" -ge $events ]'
check "SIGTERM ends it with 0" stop_eddy

read_topic plant.incidents -f '%s\n' | sort -u >"$scratch/live.jsonl"
check "a replay of the past is done" eval \
    '"$EDDY" replay "$config" --from earliest --incidents "$scratch/past.jsonl" >"$scratch/replay.log" 2>&1'
check "and tells of the same incidents, byte for byte" cmp "$scratch/live.jsonl" <(sort -u "$scratch/past.jsonl")
check "each machine has stood still once" test "$(grep -c '"kind":"stuck","state":"open"' "$scratch/live.jsonl")" -eq 4
check "the replay wrote into no topic" test "$(read_topic plant.incidents -f '%s\n' | sort -u | wc -l)" -eq \
    "$(wc -l <"$scratch/live.jsonl")"
check "results carry ids and no lists" eval \
    'read_topic plant.told -f "%s\n" >"$scratch/told" && grep -q "\"incident\":" "$scratch/told" && ! grep -q "\"incidents\":" "$scratch/told"'
suite_end
