#!/bin/bash
# The commands that ask or change a broker: check --connect, replay --from, reset; and state beside a running pipeline.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
pipeline_start
config=config/sensors.yml
events=6000

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
feed() { awk -f tests/kafka/generate.awk -v events=$(($1 + ${2:-0})) -v keys=50 -v from="${2:-0}" | kcat -b "$BROKERS" -P -t sensors -K '|'; }

# ---- check --connect ----
check "check --connect names a topic that is not there" says 1 "sensors" check $config --connect
create_topic sensors 3
create_topic sensors.scored 2
create_topic sensors.dlq 1
check "and an output with too few partitions" says 78 "sensors.scored has 2 partitions" check $config --connect
create_topic wide.scored 3
args=("$config" --set sink.kafka.topic=wide.scored --set state.checkpoint=300ms
    --set source.kafka.properties.session.timeout.ms=6000) # reset waits for the session of a stopped process
check "and explains what is right" says 0 "sensors (source): 3 partitions" check "${args[@]}" --connect
check "and the group" grep -q "group      sensors: 0 members" "$scratch/out"
check "a state topic that would forget is refused before the start" eval 'create_topic forgetful 3 &&
    says 78 "cleanup.policy=delete" check "${args[@]}" --set state.topic=forgetful --connect'
check "a copy's topic that is not there yet is told to programs too" says 0 '{"topic":"remembering","role":"state","partitions":null}' \
    check "${args[@]}" --set state.topic=remembering --connect --json
check "one that is not there yet is fine" says 0 "remembering (state): not there" check "${args[@]}" --set state.topic=remembering --connect
check "and tells programs" says 0 '"topics":\[{"topic":"sensors","role":"source","partitions":3},.*"group_members":0}' check "${args[@]}" --connect --json
EDDY_BROKERS=127.0.0.1:1 check "a broker that does not answer is named" says 1 "127.0.0.1:1" check "${args[@]}" --connect

# ---- replay of a topic's past ----
feed $events
middle=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ -d '+1 second')
sleep 1.2
feed 600 $events
replay() { says 0 "$1" replay "${args[@]}" "${@:2}"; }
check "replay --from earliest reads all there is" replay "events     $((events + 600)) " --from earliest --output "$scratch/all.jsonl" --metrics "$scratch/all.json"
check "one line each" test "$(wc -l <"$scratch/all.jsonl")" -eq $((events + 600))
check "again the same bytes per partition" eval 'replay events --from earliest --output "$scratch/again.jsonl" &&
    for p in 0 1 2; do cmp <(grep "\"partition\":$p," "$scratch/all.jsonl") <(grep "\"partition\":$p," "$scratch/again.jsonl") || exit 1; done'
check "--to ends before its time" replay "events     $events " --from earliest --to "$middle"
check "--from begins at its time" replay "events     600 " --from "$middle"
check "a time from the future reads nothing" replay "events     0 " --from 2090-01-01T00:00:00Z
check "a time that is none is a usage error" says 2 "RFC 3339" replay "${args[@]}" --from yesterday
check "a replay joins no group and commits nothing" says 0 "group      sensors: 0 members" check "${args[@]}" --connect

# ---- state beside a running pipeline ----
start_eddy running "${args[@]}"
check "the pipeline answers everything" wait_for 60 eval '[ "$(topic_end wide.scored)" -ge $((events + 600)) ]'
sleep 1
check "state list works beside it" says 0 "sensors" state "${args[@]}" list
check "and sees every event" eval '[ "$(awk "NR > 1 { n += \$4 } END { print n }" "$scratch/out")" -eq $((events + 600)) ]'
check "state verify too" says 0 "all sound" state "${args[@]}" verify
check "reset refuses while it runs" says 1 "1 member" reset "${args[@]}" --to-earliest --execute
check "a second process is refused" says 1 "$eddy_pid" run "${args[@]}"
check "SIGTERM ends it with 0" stop_eddy
check "its state equals the replay's" eval 'says 0 . state "${args[@]}" hash && grep -qF "$(cat "$scratch/out")" "$scratch/all.json"'

# ---- reset ----
check "reset prints the plan" says 0 "nothing was changed" reset "${args[@]}" --to-earliest
# shellcheck disable=SC2034 # the evals below use it
before=$("$EDDY" state "${args[@]}" hash --positions)
check "and changes nothing" eval '[ "$("$EDDY" state "${args[@]}" hash --positions)" = "$before" ]'
check "--shift-by works from where the group is" eval 'says 0 . reset "${args[@]}" --shift-by -100 &&
    [ "$(awk "\$1 == \"sensors\" { n += \$3 - \$4 } END { print n }" "$scratch/out")" -eq 300 ]'
check "--execute moves offsets and state together" says 0 "moved the offsets of 3 partitions" reset "${args[@]}" --to-earliest --execute
check "the old state lies aside" compgen -G "$EDDY_STATE/sensors.reset-*"
check "and not in its place" eval '! says 0 . state "${args[@]}" list'
start_eddy again "${args[@]}"
check "everything is answered again" wait_for 60 eval '[ "$(topic_end wide.scored)" -ge $((2 * (events + 600))) ]'
sleep 1
check "SIGTERM ends it with 0 again" stop_eddy
check "into the same state" eval '[ "$("$EDDY" state "${args[@]}" hash --positions)" = "$before" ]'
check "--to-datetime points into the past" eval 'says 0 . reset "${args[@]}" --to-datetime "$middle" &&
    [ "$(awk "\$1 == \"sensors\" { n += \$5 } END { print n }" "$scratch/out")" -eq 600 ]'
check "and --shift-by executes too" says 0 "moved the offsets of 3 partitions" reset "${args[@]}" --shift-by -100 --execute
start_eddy back "${args[@]}"
check "what lies behind the new offsets is answered again" wait_for 60 eval \
    '[ "$(topic_end wide.scored)" -eq $((2 * (events + 600) + 300)) ]'
sleep 1
check "and nothing else" eval '[ "$(topic_end wide.scored)" -eq $((2 * (events + 600) + 300)) ]'
check "SIGTERM ends it with 0 once more" stop_eddy
check "into the same state again" eval '[ "$("$EDDY" state "${args[@]}" hash --positions)" = "$before" ]'
suite_end
