#!/bin/bash
# A position in files is a row number: run goes on there only where the rows before it are those that its state was made of.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"

conf=$scratch/flow.yml
dir=$scratch/in
sed_config() { config "$conf" && sed -i "s|paths: \[.*\]}}|paths: [$dir]}}|; s|key: key|key: \$key|" "$conf"; }
rows() { # FROM TO: values by which one file's rows differ from another's
    echo ts,v
    for i in $(seq "$1" "$2"); do echo "$((1700000000 + i)),$i.5"; done
}
sed_config
sed -i 's|file: {paths|file: {csv: {time_unit: s}, paths|' "$conf"
begin() { # one file of 61 rows, read
    rm -rf "$scratch/state" "$scratch/scored.jsonl" "$dir"
    mkdir "$dir"
    rows 1 61 >"$dir/m.csv"
    run run "$conf"
    [ $rc -eq 0 ] && [ "$(lines "$scratch/scored.jsonl")" -eq 61 ]
}
untouched() { # nothing more was written and the state is the one of 61 rows
    [ "$(lines "$scratch/scored.jsonl")" -eq 61 ] && "$EDDY" state "$conf" list 2>/dev/null | grep -q "61$"
}

# ---- what may change ----
check "the first 61 rows are read" begin
run run "$conf"
expect 0 "run again has nothing to do" "0 events"
rows 62 70 | tail -n +2 >>"$dir/m.csv"
run run "$conf"
expect 0 "rows that are added are read" "9 events"
rows 1 5 >"$dir/n.csv"
run run "$conf"
expect 0 "so is a file that sorts later" "5 events"
check "and every row has one result" test "$(lines "$scratch/scored.jsonl")" -eq 75
gzip "$dir/m.csv"
run run "$conf"
expect 0 "a file that was compressed since is the same" "0 events"

# ---- what may not ----
begin
rows 101 170 >"$dir/m.csv"
run run "$conf"
expect 1 "another file by the same name is refused" "$dir: its first 61 rows" "$dir/m.csv:62" "state.path"
check "and neither read nor written" untouched
begin
rows 1 4 >"$dir/m.csv"
run run "$conf"
expect 1 "so is a file that was cut off" "the state goes on at row 61" "ends at row 4"
check "and neither read nor written either" untouched
begin
rows 201 220 >"$dir/a.csv"
run run "$conf"
expect 1 "so is a file that sorts before what was read" "its first 61 rows" "sorts before"
check "none of it is taken for something else" untouched
rm "$dir/a.csv"
run run "$conf"
expect 0 "without it run goes on" "0 events"
begin
mv "$dir/m.csv" "$dir/k.csv"
run run "$conf"
expect 1 "so are the rows of another series" "its first 61 rows"
check "which would have been scored as the first one's" untouched

# ---- at any moment ----
# The position of a run that was killed or stopped in the middle has the trace of just these rows.
begin
rows 62 20000 | tail -n +2 >>"$dir/m.csv"
n=0
for _ in 1 2 3 4 5 6; do
    "$EDDY" run "$conf" --set state.checkpoint=50ms 2>"$scratch/err" &
    pid=$!
    sleep 0.$((RANDOM % 3 + 1))
    kill "-$((RANDOM % 2 ? 9 : 15))" $pid 2>/dev/null
    wait $pid
    grep -q "are not those" "$scratch/err" && n=$((n + 1))
done
check "a run that was broken off goes on" test $n -eq 0
run run "$conf"
expect 0 "to the end"
run state "$conf" list
check "with every row folded once" grep -q "20000$" "$scratch/out"

# ---- bad rows alone have a position too ----
rm -rf "$scratch/state" "$scratch/scored.jsonl"
printf 'x\ny\nz\n' >"$scratch/bad.jsonl"
sed "s|paths: \[.*\]|paths: [$scratch/bad.jsonl]|" "$conf" >"$scratch/bad.yml"
run run "$scratch/bad.yml"
expect 0 "bad rows are passed over" "3 bad"
printf 'x\nQ\nz\nz\n' >"$scratch/bad.jsonl"
run run "$scratch/bad.yml"
expect 1 "and were others when they changed" "its first 3 rows"

# ---- a row that is too long is the same row under another limit ----
rm -rf "$scratch/state" "$scratch/scored.jsonl"
long() { # BYTES LAST
    printf '{"key":"a","ts":1,"v":1}\n{"key":"a","ts":2,"v":2,"x":"'
    head -c "$1" /dev/zero | tr '\0' x
    printf '%s"}\r\n{"key":"a","ts":3,"v":3}\n' "$2"
}
long 700000 y >"$scratch/long.jsonl"
sed "s|paths: \[.*\]|paths: [$scratch/long.jsonl]|" "$conf" >"$scratch/long.yml"
run run "$scratch/long.yml" --set limits.record=1000
expect 0 "a row that is too long is bad" "1 bad" "limits.record = 1000"
echo '{"key":"a","ts":4,"v":4}' >>"$scratch/long.jsonl"
run run "$scratch/long.yml"
expect 0 "with a limit that it keeps run goes on" "1 events"
echo '{"key":"a","ts":5,"v":5}' >>"$scratch/long.jsonl"
run run "$scratch/long.yml" --set limits.record=300KiB
expect 0 "and with one that it does not" "1 events"
long 700000 z >"$scratch/long.jsonl"
for i in 4 5; do echo "{\"key\":\"a\",\"ts\":$i,\"v\":$i}"; done >>"$scratch/long.jsonl"
run run "$scratch/long.yml" --set limits.record=1000
expect 1 "its end counts, though it is beyond the limit" "its first 5 rows"

# ---- a file that is caught while a row is written ----
begin
printf '1700000062,6' >>"$dir/m.csv"
run run "$conf"
expect 0 "a last row without a line end is a row" "1 events"
run run "$conf"
expect 0 "once" "0 events"
check "and nothing is wrong with it" bash -c '! grep -q "has grown" "$1"' _ "$scratch/err"
printf '2.5\n1700000063,63.5\n' >>"$dir/m.csv"
run run "$conf"
expect 0 "when it was longer after all run goes on, and says so" "1 events" "$dir/m.csv:63: the last row" "has grown" "3 bytes"
echo 1700000064,64.5 >>"$dir/m.csv"
run run "$conf"
expect 0 "that was once" "1 events"
check "the rows have grown no more" bash -c '! grep -q "has grown" "$1"' _ "$scratch/err"
check "every row has one result" test "$(lines "$scratch/scored.jsonl")" -eq 64
begin
printf '1700000062,6' >>"$dir/m.csv"
run run "$conf"
sed -i '$s/.*/1700000062,72.5/' "$dir/m.csv"
run run "$conf"
expect 1 "a last row that is another is refused like others" "its first 62 rows"

finish
