#!/bin/bash
# filter: one record in, one record out, at once.  run over files: SIGTERM, restart, kill -9, full and closed outputs.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"
shopt -s lastpipe # `.. | filter` sets $rc in this shell
conf=$scratch/flow.yml
config "$conf"
series 3000 5 >"$scratch/in.jsonl"

# ---- filter ----
# filter NAME: stdin through the filter into $scratch/filtered.
filter() {
    rc=0
    timeout 60 "$EDDY" filter "$conf" "$@" >"$scratch/filtered" 2>"$scratch/err" || rc=$?
    : >"$scratch/out"
}
head -200 "$scratch/in.jsonl" | filter
expect 0 "filter ends with its input"
check "one record out per record in" test "$(lines "$scratch/filtered")" -eq 200
"$EDDY" replay "$conf" --input "$scratch/in.jsonl" --output - 2>/dev/null | head -200 | sed 's/,"src".*//' >"$scratch/replayed"
check "the same answers as a replay's" cmp <(sed 's/,"src".*//' "$scratch/filtered") "$scratch/replayed"

coproc FILTER { "$EDDY" filter "$conf" 2>/dev/null; }
filter_pid=$FILTER_PID
answered=0
while read -r line; do
    echo "$line" >&"${FILTER[1]}"
    read -r -t 10 answer <&"${FILTER[0]}" || break
    [ "$(jq -r .key <<<"$answer" 2>/dev/null || grep -o '"key":"[^"]*"' <<<"$answer" | cut -d'"' -f4)" = \
        "$(grep -o '"key":"[^"]*"' <<<"$line" | cut -d'"' -f4)" ] && answered=$((answered + 1))
done < <(head -20 "$scratch/in.jsonl")
eval "exec ${FILTER[1]}>&-"
wait "$filter_pid"
check "each record is answered before the next one comes" test "$answered" -eq 20

{
    sed -n 1p "$scratch/in.jsonl"
    echo 'not json'
    sed -n 2p "$scratch/in.jsonl"
    echo '{"ts":1700000000,"v":1}'
} | filter
expect 0 "bad records do not end a filter"
check "a bad record is answered in its place" python3 - "$scratch/filtered" <<'PY'
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
assert [("error" in r) for r in rows] == [False, True, False, True], rows
assert rows[1]["error"]["code"] == "not_json" and rows[3]["error"]["code"] == "missing_key"
assert [r["src"]["offset"] for r in rows] == [0, 1, 2, 3]
PY
printf 'not json\n' | filter --set errors.tolerance=none
expect 1 "errors.tolerance: none ends it" "offset 0" "tolerance: none"
filter </dev/null
expect 0 "an empty input gives an empty output"
rc=0
{ timeout 60 "$EDDY" filter "$conf" <"$scratch/in.jsonl" 2>"$scratch/err"; echo $? >"$scratch/rc"; } | head -1 >/dev/null
rc=$(cat "$scratch/rc")
: >"$scratch/out"
expect 1 "a reader that goes away is a plain error" "closed the pipe"
if [ -w /dev/full ]; then
    rc=0
    timeout 60 "$EDDY" filter "$conf" <"$scratch/in.jsonl" >/dev/full 2>"$scratch/err" || rc=$?
    expect 1 "a full stdout is a plain error" "No space left"
fi

# ---- what is read is never written ----
cp "$scratch/in.jsonl" "$scratch/before.jsonl"
run run "$conf" --set sink.file.path="$scratch/./in.jsonl"
expect 78 "run does not append to its own input" sink.file "$scratch/./in.jsonl" "($scratch/in.jsonl)"
run run "$conf" --set errors.dead_letter.file.path="$scratch/in.jsonl"
expect 78 "nor do its dead letters" errors.dead_letter.file "$scratch/in.jsonl"
check "and makes no state or results on the way" test ! -e "$scratch/state" -a ! -e "$scratch/scored.jsonl"
filter --set errors.dead_letter.file.path="$scratch/in.jsonl" <"$scratch/in.jsonl"
expect 78 "nor do the dead letters of a filter" errors.dead_letter.file "standard input"
rc=0
# shellcheck disable=SC2094 # the point of it
timeout 60 "$EDDY" filter "$conf" <"$scratch/in.jsonl" >>"$scratch/in.jsonl" 2>"$scratch/err" || rc=$?
: >"$scratch/out"
expect 78 "a filter does not feed itself" "standard output" "standard input"
check "the input is unchanged" cmp "$scratch/in.jsonl" "$scratch/before.jsonl"

# ---- run over a file ----
run run "$conf"
expect 0 "run over a file ends with it"
check "every record has its result" test "$(lines "$scratch/scored.jsonl")" -eq 3000
run state "$conf" hash --positions
expect 0 "its state has a hash"
whole=$(cat "$scratch/out")
run run "$conf"
expect 0 "run again has nothing to do"
run state "$conf" hash --positions
check "and leaves the state alone" test "$(cat "$scratch/out")" = "$whole"

# interrupted SIGNAL NAME: runs over a slow pipe, interrupts, runs again to the end, compares.
rm -rf "$scratch/state"
sed "s|file: {paths: .*}}|stdin: }|" "$conf" >"$scratch/pipe.yml"
mkfifo "$scratch/pipe"
"$EDDY" run "$scratch/pipe.yml" <"$scratch/pipe" 2>"$scratch/err" &
pid=$!
exec 7>"$scratch/pipe"
head -500 "$scratch/in.jsonl" >&7
for _ in $(seq 50); do
    sleep 0.1
    [ "$(cat "$scratch/scored.jsonl" 2>/dev/null | wc -l)" -eq 500 ] && break
done
kill -TERM $pid
t0=$SECONDS
rc=0
wait $pid || rc=$?
exec 7>&-
: >"$scratch/out"
expect 0 "SIGTERM drains and ends with 0"
check "within 10 seconds" test $((SECONDS - t0)) -le 10
run state "$scratch/pipe.yml" list
check "what was read is saved" test "$(awk 'NR > 1 { n += $4 } END { print n }' "$scratch/out")" -eq 500

rm -rf "$scratch/state" "$scratch/scored.jsonl"
series 60000 20 >"$scratch/in.jsonl"
kills=0
for _ in 1 2 3 4 5 6; do
    "$EDDY" run "$conf" --set state.checkpoint=50ms --set sink.file.append=true 2>"$scratch/err" &
    pid=$!
    sleep 0.$((RANDOM % 4 + 1))
    kill -9 $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null
done
run run "$conf" --set sink.file.append=true
expect 0 "after $kills times kill -9 it runs to the end"
run state "$conf" hash --positions
killed=$(cat "$scratch/out")
sort -u "$scratch/scored.jsonl" >"$scratch/unique.jsonl"
rm -rf "$scratch/state"
run run "$conf" --set sink.file.path="$scratch/whole.jsonl"
run state "$conf" hash --positions
check "the state equals an uninterrupted run's" test "$killed" = "$(cat "$scratch/out")"
check "every record has a result, and repeated ones are equal" cmp "$scratch/unique.jsonl" <(sort -u "$scratch/whole.jsonl")
finish
