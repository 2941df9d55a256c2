#!/bin/bash
# The demo does its job over the Kafka protocol, leaves nothing behind, and what it keeps replays to the same scores.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"
export TMPDIR=$scratch/tmp
mkdir "$TMPDIR"

run demo --keep "$scratch/kept" --report "$scratch/report.html"
expect 0 "the demo ends with its figures" "events        92736" "faults hit" "false alarms" "last quarter" "report        "
check "every reading has its score" test "$(lines "$scratch/kept/sensors.scored.jsonl")" -eq "$(lines "$scratch/kept/sensors.jsonl")"
check "every price has its score" test "$(lines "$scratch/kept/prices.scored.jsonl")" -eq "$(lines "$scratch/kept/prices.jsonl")"
check "the report is one page below 3 MB" test "$(stat -c %s "$scratch/report.html")" -lt 3145728
check "the kept state is whole" "$EDDY" state "$scratch/kept/sensors.yml" verify

without_source() { sed 's/,"src":{.*//' "$1"; }
run replay "$scratch/kept/sensors.yml" --input "$scratch/kept/sensors.jsonl" --output "$scratch/replayed.jsonl"
expect 0 "what was kept can be replayed"
check "a replay of the events gives the bytes of the live run" \
    cmp <(without_source "$scratch/replayed.jsonl") <(without_source "$scratch/kept/sensors.scored.jsonl")

run demo --keep "$scratch/kept"
expect 1 "a directory that exists is not written to" "$scratch/kept: File exists"
run demo --report "$scratch/none/report.html"
expect 1 "a report that cannot be written is named" "$scratch/none/report.html: No such file"
run demo --seed -1
expect 2 "a seed below 0 is a usage error" "--seed: 0 or more"

"$EDDY" demo --report "$scratch/never.html" >"$scratch/out" 2>"$scratch/err" &
demo=$!
for _ in $(seq 200); do # it is at work when it has made its directory
    [ -z "$(ls "$TMPDIR")" ] || break
    sleep .1
done
sleep 1
kill -INT $demo
wait $demo
rc=$?
expect 1 "an interrupted demo says so" stopped
check "an interrupted demo writes no report" test ! -e "$scratch/never.html"
check "no temporary directory is left" test -z "$(ls "$TMPDIR")"
finish
