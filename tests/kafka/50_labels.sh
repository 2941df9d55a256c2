#!/bin/bash
# Labels in a topic of their own: copied into the events' topic, learned from, and there for every replay.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
pipeline_start
keys=20 rounds=40 per_round=12

cat >"$scratch/labels.yml" <<YML
name: machines
source: {kafka: {topics: [machines], labels: machines.labels, properties: {bootstrap.servers: "$BROKERS"}}}
codec: {json: {key: \$key, time: ts, time_unit: s, time_format: as_input, values: [load, heat], label: label}}
forecast:
  channels: joint
  networks:
    kind: {layers: [{gru: {units: 8}}], loss: softmax, classes: [ok, fault]}
    ahead: {layers: [{gru: {units: 8}}]}
train: {mode: inline, every: 4, window: 24}
state: {path: "$EDDY_STATE", checkpoint: 500ms}
sink: {kafka: {topic: machines.told}}
YML
config=$scratch/labels.yml

# says RC PATTERN ARGUMENTS...: eddy ends with RC and says PATTERN; its output is in $scratch/out.
says() {
    local want=$1 pattern=$2 rc=0
    shift 2
    timeout 60 "$EDDY" "$@" >"$scratch/out" 2>"$scratch/command.log" </dev/null || rc=$?
    [ $rc -eq "$want" ] && grep -q -- "$pattern" "$scratch/out" "$scratch/command.log" && return
    echo "exit $rc, wanted $want and \"$pattern\":"
    tail -qn 5 "$scratch/out" "$scratch/command.log"
    return 1
}
# A machine that runs hot under a small load has a fault.  round N events|labels: those of round N, as KEY|JSON.
round() {
    awk -v round="$1" -v what="$2" -v keys=$keys -v n=$per_round 'BEGIN {
        for (i = 0; i < n * keys; i++) {
            k = i % keys; step = round * n + int(i / keys)
            hash = (step * 7919 + k * 104729) % 1009
            fault = hash % 2; load = fault ? hash % 10 / 10 : 2 + hash % 10 / 10
            label = fault ? "fault" : "ok"; ts = 1767225600 + 60 * step
            if (what == "events") printf "m%02d|{\"ts\":%d,\"load\":%.1f,\"heat\":%.1f}\n", k, ts, load, 3 - load
            else printf "m%02d|{\"ts\":%d,\"label\":\"%s\"}\n", k, ts, label
        }
    }'
}
# The share of right answers, in per cent, to the events of the rounds from $1 to $2.
right() {
    for ((r = $1; r <= $2; r++)); do round "$r" labels; done >"$scratch/truth"
    read_topic machines.told -f '%k|%s\n' | awk -F'|' '
        NR == FNR { split($2, a, /[:,"}]+/); truth[$1 a[3]] = a[5]; next }
        match($2, /"class":"[a-z]*"/) {
            class = substr($2, RSTART + 9, RLENGTH - 10)
            match($2, /"ts":[0-9]*/); at = $1 substr($2, RSTART + 5, RLENGTH - 5)
            if (at in truth) { n++; right += class == truth[at] }
        }
        END { print n ? int(100 * right / n) : -1 }' "$scratch/truth" -
}

# ---- what a start needs ----
create_topic machines 3
create_topic machines.told 3
create_topic few.labels 2
check "a label topic that is not there is named" says 1 "machines.labels" check "$config" --connect
create_topic machines.labels 3
few=(--set source.kafka.labels=few.labels)
check "check --connect names unequal partitions" says 78 "few.labels has 2 partitions" check "$config" "${few[@]}" --connect
check "and so does a start" says 78 "few.labels has 2 partitions" run "$config" "${few[@]}"
check "two topics of events are refused" says 78 "exactly one, not 2" check "$config" --set 'source.kafka.topics=[machines, more]'
check "check --connect explains the copying" says 0 "copied into machines" check "$config" --connect

# ---- events now, labels later ----
start_eddy running "$config"
n=0
for ((r = 0; r < rounds; r++)); do
    round $r events | produce_topic machines
    n=$((n + keys * per_round))
    wait_for 30 eval '[ "$(topic_end machines.told)" -ge $n ]' || failed "round $r: events are answered"
    round $r labels | produce_topic machines.labels
    n=$((n + keys * per_round))
    wait_for 30 eval '[ "$(topic_end machines)" -ge $n ]' || failed "round $r: labels are copied"
    [ $r -ne $((rounds / 2)) ] || { check "SIGTERM in between ends it with 0" stop_eddy && start_eddy running "$config"; }
done
check "everything is answered" wait_for 30 eval '[ "$(topic_end machines.told)" -ge $n ]'
sleep 1
check "each label was copied once" test "$(topic_end machines)" -eq $n
early=$(right 0 1) late=$(right $((rounds - 5)) $((rounds - 1)))
check "the network learned from the labels: $early % right in the beginning, $late % in the end" test "$late" -ge 80

# ---- a crash ----
round $((rounds - 1)) labels | produce_topic machines.labels
kill_eddy
start_eddy running "$config"
check "after a crash the group's offsets get behind the last label" wait_for 60 eval '[ "$(lag machines machines.labels)" -eq 0 ]'
check "no label is lost" test "$(topic_end machines)" -ge $((n + keys * per_round))
check "SIGTERM ends it with 0" stop_eddy
check "the log counts the labels" grep -q "labels_revoked.*labels were copied into machines" "$scratch/running.log"
end=$(topic_end machines)

# ---- the events' topic is the only log ----
check "a replay needs no label topic" says 0 "events" replay "$config" --from earliest --output "$scratch/all.jsonl" --metrics "$scratch/all.json"
check "and ends in the same state" eval 'says 0 . state "$config" hash && grep -qF "$(cat "$scratch/out")" "$scratch/all.json"'
check "and copies nothing" test "$(topic_end machines)" -eq "$end"
suite_end
