#!/bin/bash
# Replays: one line out per line in, the same bytes every time, figures that add up, bad records in every position.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"
conf=$scratch/flow.yml
config "$conf"
series 600 3 >"$scratch/in.jsonl"

run replay "$conf" --input "$scratch/in.jsonl" --output "$scratch/a.jsonl" --metrics "$scratch/a.json"
expect 0 "a replay prints its figures" "events     600" horizon
check "one line out per line in" test "$(lines "$scratch/a.jsonl")" -eq 600
check "every line is the agreed JSON" python3 - "$scratch/a.jsonl" <<'PY'
import json, sys
members = ["key", "ts", "y", "yhat", "yhat_lower", "yhat_upper", "score", "score_ratio", "anomaly", "state", "model", "forecast", "src"]
for i, line in enumerate(open(sys.argv[1])):
    r = json.loads(line)
    assert all(m in r for m in members), (i, line)
    assert r["src"]["offset"] == i and r["src"]["partition"] == 0
    assert [f["h"] for f in r["forecast"]] == [1, 3]
PY
check "the figures add up with the output" python3 - "$scratch/a.json" "$scratch/a.jsonl" <<'PY'
import json, sys
m = json.load(open(sys.argv[1]))
rows = [json.loads(l) for l in open(sys.argv[2])]
assert m["events"] == 600 and m["keys"] == 3 and m["bad"] == 0
assert len(m["state_hash"]) == 32 and len(m["config_sha256"]) == 64
# One step ahead by hand: yhat of each row against y, persistence is the key's last y.
last, n, se, pe = {}, 0, 0.0, 0.0
for r in rows:
    if r["yhat"] is not None and r["key"] in last:
        n, se, pe = n + 1, se + (r["y"] - r["yhat"]) ** 2, pe + (r["y"] - last[r["key"]]) ** 2
    last[r["key"]] = r["y"]
h = m["forecast"]["by_horizon"][0]
assert h["h"] == 1 and h["n"] == n, (h, n)
assert abs(h["mse"] - se / n) < 1e-6 * max(1, se / n), (h["mse"], se / n)
assert abs(h["persistence_mse"] - pe / n) < 1e-6
PY

run replay "$conf" --input "$scratch/in.jsonl" --output "$scratch/b.jsonl" --metrics "$scratch/b.json"
check "a second replay gives the same bytes" cmp "$scratch/a.jsonl" "$scratch/b.jsonl"
hash_of() { python3 -c "import json; print(json.load(open('$1'))['state_hash'])"; }
check "and the same state hash" test "$(hash_of "$scratch/a.json")" = "$(hash_of "$scratch/b.json")"
run replay "$conf" --input "$scratch/in.jsonl" --output "$scratch/b.jsonl" --metrics "$scratch/b.json" --set train.mode=background
check "background training gives the same bytes" cmp "$scratch/a.jsonl" "$scratch/b.jsonl"
run replay "$conf" --input "$scratch/in.jsonl" --output "$scratch/b.jsonl" --metrics "$scratch/b.json" --set state.max_keys=1
check "evicting all but one key gives the same bytes" cmp "$scratch/a.jsonl" "$scratch/b.jsonl"
check "and the same state hash" test "$(hash_of "$scratch/a.json")" = "$(hash_of "$scratch/b.json")"
run replay "$conf" --input "$scratch/in.jsonl" --json --set train.mode=off
check "--json prints the figures" python3 -c "import json; assert json.load(open('$scratch/out'))['train']['updates'] == 0"
run replay "$conf" --input "$scratch/in.jsonl" --output -
check "--output - writes the results to stdout" cmp "$scratch/a.jsonl" "$scratch/out"
gzip -k "$scratch/in.jsonl"
run replay "$conf" --input "$scratch/in.jsonl.gz" --output "$scratch/b.jsonl"
check "a .gz gives the same but for its name" cmp <(sed 's/"src".*//' "$scratch/a.jsonl") <(sed 's/"src".*//' "$scratch/b.jsonl")

# ---- CSV ----
mkdir "$scratch/dir"
for s in one two; do
    awk -v s=$s 'BEGIN { print "timestamp,temp,note,load"; for (i = 0; i < 200; i++)
        printf "2024-01-01 %02d:%02d:00,%s,text,%d\n", i / 60, i % 60, i % 10 ? i : "", i % 7 }' >"$scratch/dir/$s.csv"
done
run replay "$conf" --input "$scratch/dir" --output "$scratch/c.jsonl" --metrics "$scratch/c.json"
expect 0 "a directory of CSV files is replayed"
check "each file is a series of its own, numeric columns are values, empty cells are null" python3 - "$scratch/c.jsonl" <<'PY'
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
assert len(rows) == 400 and {r["key"] for r in rows} == {"one", "two"}
assert list(rows[0]["y"]) == ["temp", "load"] and rows[0]["y"]["temp"] is None and rows[1]["y"]["temp"] == 1
assert rows[0]["src"]["topic"].endswith("one.csv") and rows[399]["src"]["offset"] == 399
PY
check "figures by value are there when there are several" grep -q '"by_value":{"temp":' "$scratch/c.json"
run replay "$conf" --input "$scratch/dir" --output "$scratch/c.csv"
check "--output X.csv writes columns" bash -c "head -1 '$scratch/c.csv' | grep -q 'y_temp' && test \$(wc -l <'$scratch/c.csv') -eq 401"
run replay "$conf" --input "$scratch/dir/one.csv" --values load --output "$scratch/c.jsonl"
check "--values chooses" bash -c "head -1 '$scratch/c.jsonl' | grep -q '\"y\":0,'"
cut -d, -f2,4 "$scratch/dir/one.csv" | tail -n +2 >"$scratch/bare.csv"
run replay "$conf" --input "$scratch/bare.csv" --no-header --time none --start 2020-02-01 --interval 1d --output "$scratch/c.jsonl"
expect 0 "rows without a header and a time are numbered"
check "from --start on by --interval" bash -c "sed -n 2p '$scratch/c.jsonl' | grep -q '2020-02-02T00:00:00Z'"
run replay "$conf" --input "$scratch/dir/one.csv" --time-column nothing
expect 1 "a column that is not there is named" nothing one.csv
run replay "$conf" --input "$scratch/dir/one.csv" --interval 5
expect 2 "--interval wants --time none"
run replay "$conf" --input "$scratch/dir/one.csv" --time none --interval 5x
expect 2 "a bad interval is a usage error" --interval
run replay "$conf" --input "$scratch/nothing.csv"
expect 1 "a missing input is named" nothing.csv
mkdir "$scratch/empty"
run replay "$conf" --input "$scratch/empty"
expect 1 "a directory without data is named" "$scratch/empty"
head -c 700 "$scratch/in.jsonl.gz" >"$scratch/cut.jsonl.gz"
run replay "$conf" --input "$scratch/cut.jsonl.gz"
expect 1 "a truncated .gz is named" cut.jsonl.gz
run replay "$conf" --input "$scratch/in.jsonl" --output /nowhere/x.jsonl
expect 1 "an output that cannot be written is named" /nowhere/x.jsonl
run replay "$conf" --input "$scratch/in.jsonl" --metrics /nowhere/m.json
expect 1 "a metrics file that cannot be written is named" /nowhere/m.json
run replay "$conf" --from earliest
expect 2 "--from wants a Kafka source" "source is file"
run replay "$conf" --from yesterday
expect 2 "--from wants a time" "RFC 3339"
run replay "$conf" --input x --from earliest
expect 2 "--input and --from exclude each other"

# ---- inputs are read, never written ----
cp "$scratch/in.jsonl" "$scratch/before.jsonl"
ln -s in.jsonl "$scratch/soft.jsonl"
ln "$scratch/in.jsonl" "$scratch/hard.jsonl"
for option in --output --metrics --report --dead-letter; do
    for path in in.jsonl soft.jsonl hard.jsonl; do
        run replay "$conf" --input "$scratch/in.jsonl" $option "$scratch/$path"
        expect 2 "$option into the input, called $path, is refused" $option "$scratch/$path" "($scratch/in.jsonl)"
    done
done
rc=0
# shellcheck disable=SC2094 # the point of it
"$EDDY" replay "$conf" --input - --output "$scratch/in.jsonl" <"$scratch/in.jsonl" >"$scratch/out" 2>"$scratch/err" || rc=$?
expect 2 "a file that comes by standard input is an input too" "$scratch/in.jsonl" "standard input"
check "the input is unchanged" cmp "$scratch/in.jsonl" "$scratch/before.jsonl"
cat "$scratch/dir/one.csv" "$scratch/dir/two.csv" >"$scratch/before.csv"
run replay "$conf" --input "$scratch/dir" --output "$scratch/dir/two.csv"
expect 2 "neither is a file of an input directory written to" "$scratch/dir/two.csv" "($scratch/dir)"
run replay "$conf" --input "$scratch/dir" --output "$scratch/dir/new.jsonl"
expect 2 "nor is one made that the next replay would read" "$scratch/dir/new.jsonl" "($scratch/dir)"
check "the directory is unchanged" cmp <(cat "$scratch"/dir/*) "$scratch/before.csv"
run replay "$conf" --input "$scratch/dir" --output - --metrics "$scratch/dir/m.json"
expect 0 "a file that is no data may lie beside the data"
rm "$scratch/dir/m.json"
run replay "$conf" --input "$scratch/in.jsonl" --output /dev/null --dead-letter /dev/null --metrics /dev/null
expect 0 "a device may be named more than once"

# ---- options that only the data can judge ----
run replay "$conf" --input "$scratch/in.jsonl" --set forecast.missing.w=last
expect 78 "a policy for a value that the series does not have names the option and the values" \
    "forecast.missing.w: " "only v"
run check "$conf" --set forecast.missing.w=last
expect 0 "check cannot know the values of the first record"

# ---- state that is kept ----
run replay "$conf" --input "$scratch/in.jsonl" --state "$scratch/kept" --metrics "$scratch/k.json"
expect 0 "--state keeps the state"
run state "$conf" hash --set state.path="$scratch/kept"
check "eddy state hash equals the replay's" test "$(cat "$scratch/out")" = "$(hash_of "$scratch/k.json")"
check "and that of a replay that kept nothing" test "$(cat "$scratch/out")" = "$(hash_of "$scratch/a.json")"
run replay "$conf" --input "$scratch/in.jsonl" --state "$scratch/kept"
expect 1 "a replay does not go on top of older state" kept
check "scratch state is gone" bash -c "! compgen -G '${TMPDIR:-/tmp}/eddy-??????/flow'"

# ---- poison ----
head -8 "$scratch/in.jsonl" >"$scratch/eight"
poison='{"key":"k0","ts":1,"v":' # cut off
reference=$("$EDDY" replay "$conf" --input "$scratch/eight" --output - 2>/dev/null | sed 's/,"src".*//' | md5sum)
all_good=1
for at in 1 2 3 4 5 6 7 8 9; do
    { head -$((at - 1)) "$scratch/eight"; echo "$poison"; tail -n +$at "$scratch/eight"; } >"$scratch/poisoned"
    run replay "$conf" --input "$scratch/poisoned" --output "$scratch/p.jsonl" --dead-letter "$scratch/dead.jsonl"
    [ "$rc" -eq 0 ] && [ "$(sed 's/,"src".*//' "$scratch/p.jsonl" | md5sum)" = "$reference" ] &&
        [ "$(lines "$scratch/dead.jsonl")" -eq 1 ] && grep -q '"code":"not_json"' "$scratch/dead.jsonl" &&
        grep -q "poisoned:$at: " "$scratch/err" || { all_good=0; echo "# position $at"; }
done
check "a poison record in every position: one dead letter, neighbours unaffected" test $all_good -eq 1
check "the dead letter holds the original bytes" python3 - "$scratch/dead.jsonl" "$poison" <<'PY'
import json, sys
d = json.loads(open(sys.argv[1]).read())
assert d["payload"] == sys.argv[2] and d["stage"] == "decode" and d["topic"].endswith("poisoned") and int(d["offset"]) == 8
PY

# bad NAME CODE RECORD: between two good records, RECORD becomes a dead letter with CODE.
bad() {
    { head -1 "$scratch/eight"; printf '%b\n' "$3"; sed -n 2p "$scratch/eight"; } >"$scratch/b.in"
    run replay "$conf" --input "$scratch/b.in" --output "$scratch/p.jsonl" --dead-letter "$scratch/dead.jsonl" --set limits.record=4kB
    [ "$(lines "$scratch/p.jsonl")" = 2 ] || echo "# $(lines "$scratch/p.jsonl") results"
    if [ "$rc" -eq 0 ] && [ "$(lines "$scratch/p.jsonl")" = 2 ] && grep -q "\"code\":\"$2\"" "$scratch/dead.jsonl"; then
        ok "$1"
    else
        not_ok "$1" "exit $rc, $(head -c 200 "$scratch/dead.jsonl")"
    fi
}
bad "NaN is not JSON" not_json '{"key":"k0","ts":1700000001,"v":NaN}'
bad "1e400 is not finite" not_finite '{"key":"k0","ts":1700000001,"v":1e400}'
bad "text where a number belongs" wrong_type '{"key":"k0","ts":1700000001,"v":"high"}'
bad "an object where a number belongs" wrong_type '{"key":"k0","ts":1700000001,"v":{"a":1}}'
bad "a key that is not UTF-8" not_utf8 '{"key":"\0377","ts":1700000001,"v":1}'
bad "no key" missing_key '{"ts":1700000001,"v":1}'
bad "no time" missing_time '{"key":"k0","v":1}'
bad "a time that is none" bad_time '{"key":"k0","ts":"soon","v":1}'
bad "a field twice" duplicate_field '{"key":"k0","key":"k1","ts":1700000001,"v":1}'
bad "nesting without end" too_deep "{\"key\":\"k0\",\"ts\":1700000001,\"v\":1,\"x\":$(printf '[%.0s' {1..100})$(printf ']%.0s' {1..100})}"
bad "a record beyond limits.record" too_large "{\"key\":\"k0\",\"ts\":1700000001,\"v\":1,\"x\":\"$(head -c 9000 /dev/zero | tr '\0' x)\"}"
bad "a key beyond limits.key" key_too_long "{\"key\":\"$(head -c 2000 /dev/zero | tr '\0' k)\",\"ts\":1700000001,\"v\":1}"
run replay "$conf" --input "$scratch/poisoned" --set errors.tolerance=none
expect 1 "errors.tolerance: none stops at the first bad record" "offset 8" "ends too early"
run replay "$conf" --input "$scratch/poisoned"
expect 0 "without a dead-letter output bad records are logged and counted" "1 bad" bad_record
finish
