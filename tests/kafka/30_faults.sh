#!/bin/bash
# What bad input and failing surroundings get from the running pipeline: a clear error, and nothing lost.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
pipeline_start
config=config/sensors.yml

# Each test has topics of its own: fresh NAME PARTITIONS makes them, and `args` for the program.
fresh() {
    create_topic "$1" "$2"
    create_topic "$1.scored" "$2"
    create_topic "$1.dlq" 1
    args=("$config" --set "name=$1" --set "source.kafka.topics=[$1]" --set "sink.kafka.topic=$1.scored"
        --set "errors.dead_letter={kafka: {topic: $1.dlq}}" --set state.checkpoint=500ms)
}
# feed TOPIC EVENTS [FROM]
feed() {
    awk -f tests/kafka/generate.awk -v events="$2" -v keys=100 -v from="${3:-0}" | kcat -b "$BROKERS" -P -t "$1" -K '|'
}
# complete TOPIC: every input offset of every partition has an output, and outputs of the same input are the same bytes.
complete() {
    local p
    for ((p = 0; p < $(partitions "$1"); p++)); do
        kcat -b "$BROKERS" -C -q -e -t "$1.scored" -p $p -o beginning -f '%s\n' | awk -v end="$(partition_end "$1" $p)" '
            { match($0, /"offset":[0-9]+}/); offset = substr($0, RSTART + 9, RLENGTH - 10)
              if (!(offset in seen)) { seen[offset] = $0; n++ }
              else if (seen[offset] != $0) { print "differs: " seen[offset]; print "     and: " $0; exit 1 } }
            END { if (n != end) { print n " of " end " answered"; exit 1 } }' || return 1
    done
}
# fails STATUS PATTERN ARGUMENTS...: `eddy run` ends by itself with STATUS within 60 s and says PATTERN on stderr.
fails() {
    local status=$1 pattern=$2 rc
    shift 2
    timeout 60 "$EDDY" run "$@" >"$scratch/fails.out" 2>"$scratch/fails.log" </dev/null
    rc=$?
    [ $rc -eq "$status" ] && grep -q -- "$pattern" "$scratch/fails.log" && return
    echo "exit $rc, wanted $status and \"$pattern\":"
    tail -5 "$scratch/fails.log"
    return 1
}
state_hash() { "$EDDY" state "${args[@]}" hash --positions; }

missing_things() {
    fresh missing 1
    args+=(--set source.kafka.connect_timeout=3s --set sink.kafka.connect_timeout=3s)
    check "a missing input topic is named, with the broker" \
        fails 1 "nowhere.*$BROKERS\|$BROKERS.*nowhere" "${args[@]}" --set 'source.kafka.topics=[nowhere]'
    check "a missing output topic is named" fails 1 "elsewhere" "${args[@]}" --set sink.kafka.topic=elsewhere
    EDDY_BROKERS=127.0.0.1:1 check "a refused connection is named" \
        fails 1 "127.0.0.1:1" "${args[@]}"
    create_topic narrow 1
    create_topic wide 3
    check "an output topic with too few partitions is refused" \
        fails 78 "narrow" "${args[@]}" --set 'source.kafka.topics=[wide]' --set sink.kafka.topic=narrow
}

broker_away() {
    fresh away 2
    feed away 5000
    start_eddy away "${args[@]}"
    wait_for 60 drained away away.scored || failed "before the broker goes: not drained"
    broker_stop_keep
    sleep "${EDDY_AWAY_S:-15}"
    check "it lives while the broker is away" kill -0 "$eddy_pid"
    broker_start || failed "the broker does not come back"
    feed away 10000 5000
    check "it goes on when the broker returns" wait_for 120 drained away away.scored
    check "SIGTERM ends it after the broker was away" stop_eddy
    check "nothing was lost while the broker was away" complete away

    start_eddy away "${args[@]}"
    wait_for 30 grep -q assign "$scratch/away.log"
    sleep 1
    broker_stop_keep
    sleep 1
    check "SIGTERM ends it within 10 s while the broker is away" stop_eddy
    broker_start || failed "the broker does not come back"
}

full_queue() {
    fresh full 2
    feed full 20000
    start_eddy full "${args[@]}" \
        --set "sink.kafka.properties={bootstrap.servers: \"$BROKERS\", queue.buffering.max.messages: 20}"
    check "an output queue of 20 messages holds the input back" wait_for 120 drained full full.scored
    check "SIGTERM ends it with a small queue" stop_eddy
    check "nothing was lost to the full queue" complete full
    check "nothing was repeated" [ "$(topic_end full.scored)" -eq "$(topic_end full)" ]
}

two_processes() {
    fresh shared 1
    feed shared 100
    start_eddy shared "${args[@]}"
    wait_for 60 drained shared shared.scored || failed "the first process does not run"
    check "a second process on the same state is refused, naming the first" \
        fails 1 "$eddy_pid" "${args[@]}"
    check "the first goes on" kill -0 "$eddy_pid"
    stop_eddy
}

# A bad record in each position of a batch of five: one dead letter each, with the original bytes; neighbours scored.
poison() {
    local bad=('not json' '{"ts":"2026-01-01T00:00:00Z","temperature":1e400}' '{"ts":"2026-01-01T00:00:00Z","temperature":NaN}'
        '{"ts":"yesterday","temperature":1}' $'{"ts":"2026-01-01T00:00:00Z","temperature":1,"x":"\xff"}')
    local i j n
    fresh poison 1
    for ((i = 0; i < 5; i++)); do
        for ((j = 0; j < 5; j++)); do
            if [ $j -eq $i ]; then
                printf 'k|%s\n' "${bad[i]}"
            else
                printf 'k|{"ts":"2026-01-01T00:%02d:00Z","temperature":%d}\n' $((5 * i + j)) "$j"
            fi
        done
    done | tee "$scratch/poison.in" | kcat -b "$BROKERS" -P -t poison -K '|'
    start_eddy poison "${args[@]}"
    check "bad records do not stop it" wait_for 60 [ "$(topic_end poison.scored)" -ge 0 ]
    wait_for 60 answered poison.scored 20
    wait_for 60 answered poison.dlq 5
    stop_eddy
    n=$(topic_end poison.dlq)
    check "one dead letter per bad record ($n)" [ "$n" -eq 5 ]
    check "every good neighbour is scored" [ "$(topic_end poison.scored)" -eq 20 ]
    kcat -b "$BROKERS" -C -q -e -t poison.dlq -o beginning -f '%s\n' >"$scratch/letters"
    check "dead letters hold the original bytes" cmp "$scratch/letters" <(printf '%s\n' "${bad[@]}")
    kcat -b "$BROKERS" -C -q -e -t poison.dlq -o beginning -f '%k %h\n' >"$scratch/headers"
    check "dead letters say where they come from and why" said_why
}
answered() { [ "$(topic_end "$1")" -ge "$2" ]; }
said_why() {
    local name
    for name in topic partition offset timestamp stage code message; do
        [ "$(grep -c "__eddy.errors.$name=" "$scratch/headers")" -eq 5 ] || return 1
    done
    awk '!/__eddy.errors.topic=poison,/ || !/__eddy.errors.partition=0,/ { exit 1 }
         { want = (NR - 1) * 6; if ($0 !~ "__eddy.errors.offset=" want ",") exit 1 }' "$scratch/headers" &&
        grep -q 'code=not_json' "$scratch/headers" && grep -q 'code=not_finite' "$scratch/headers" &&
        grep -q 'code=bad_time' "$scratch/headers" && grep -q 'code=not_utf8' "$scratch/headers"
}

missing_state() {
    local before outputs
    fresh gone 2
    feed gone 20000
    start_eddy gone "${args[@]}"
    wait_for 60 drained gone gone.scored || failed "gone: not drained"
    stop_eddy
    before=$(state_hash) outputs=$(topic_end gone.scored)
    rm -rf "$scratch/state/gone"
    check "state.missing: refuse names the partition and starts nothing" \
        fails 1 "gone" "${args[@]}" --set state.missing=refuse
    start_eddy gone "${args[@]}" --set state.missing=rebuild
    feed gone 20100 20000
    check "state.missing: rebuild goes on" wait_for 60 drained gone gone.scored
    stop_eddy
    check "rebuilt from the topic, in silence" [ "$(topic_end gone.scored)" -eq $((outputs + 100)) ]
    rm -rf "$scratch/state/gone"
    start_eddy gone "${args[@]}" --set name=gone-fresh # the same events, never interrupted
    wait_for 60 answered gone.scored $((outputs + 100 + 20100))
    stop_eddy
    check "the rebuilt outputs are those of an uninterrupted run" complete gone
    [ -n "$before" ] || failed "no state hash"
}

two_members() {
    local first second
    fresh members 4
    feed members 20000
    EDDY_STATE=$scratch/state-a start_eddy members-a "${args[@]}"
    first=$eddy_pid
    wait_for 60 answered members.scored 1000
    EDDY_STATE=$scratch/state-b start_eddy members-b "${args[@]}"
    second=$eddy_pid
    sleep 4
    feed members 40000 20000
    wait_for 90 drained members members.scored || failed "members: not drained by two"
    check "both members had partitions" grep -q assign "$scratch/members-b.log"
    eddy_pid=$second
    check "a member leaves with 0" stop_eddy
    feed members 50000 40000
    check "the other goes on alone" wait_for 90 drained members members.scored
    eddy_pid=$first
    check "the last member leaves with 0" stop_eddy
    check "nothing was lost between members, and repetitions are byte-equal" complete members
}

for part in ${EDDY_PARTS:-missing_things broker_away full_queue two_processes poison missing_state two_members}; do
    echo "# $part"
    $part
done
suite_end
