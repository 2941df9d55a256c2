#!/bin/bash
# What the command line says about small mistakes, and that it says it.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"

conf=$scratch/flow.yml
config "$conf"
series 600 3 >"$scratch/in.jsonl"

# ---- labels ----
cat >"$scratch/labels.json" <<'JSON'
{"k0": [[1700000060, 1700000600], [1800000000, 1800000600]], "k1": [], "elsewhere": [[1700000060, 1700000600]]}
JSON
run replay "$conf" --input "$scratch/in.jsonl" --labels "$scratch/labels.json"
expect 0 "labels of no series and of no row are told" "elsewhere: the data has no such series" "k0: 1 of its 2 windows hold no row"
check "and no others" test "$(grep -c event=labels "$scratch/err")" -eq 2
run replay "$conf" --input "$scratch/in.jsonl" --labels "$scratch/nope"
expect 1 "labels that are not there" "labels $scratch/nope: No such file"

# ---- standard output ----
cd "$scratch" || exit 1
run replay "$conf" --input "$scratch/in.jsonl" --metrics -
expect 0 "figures on standard output"
check "are all that is there" python3 -c 'import json,sys; json.load(open(sys.argv[1]))["forecast"]' "$scratch/out"
run replay "$conf" --input "$scratch/in.jsonl" --dead-letter -
expect 0 "so are dead letters"
check "of which there are none" test ! -s "$scratch/out"
run replay "$conf" --input "$scratch/in.jsonl" --metrics - --output -
expect 2 "one of them" "only one of"
run replay "$conf" --input "$scratch/in.jsonl" --report -
expect 2 "a page is a file" "--report"
run model "$conf" export - --values v
expect 0 "a model on standard output"
check "is all that is there" python3 -c 'import json,sys; b=open(sys.argv[1],"rb").read(); json.loads(b[8:8+int.from_bytes(b[:8],"little")])' "$scratch/out"
run train "$conf" --input "$scratch/in.jsonl" --output -
expect 2 "a trained model is a file" "--output"
check "no file is called -" test ! -e "$scratch/-"
cd - >/dev/null || exit 1

# ---- keys ----
printf '{"key":"","ts":1,"v":1}\n{"key":"a","ts":2,"v":1}\n' >"$scratch/empty.jsonl"
printf 'ts,key,v\n1,"",1\n2,a,1\n' >"$scratch/empty.csv"
run replay "$conf" --input "$scratch/empty.jsonl"
expect 0 "an empty key is none in JSON" "$scratch/empty.jsonl:1: " "is empty"
run replay "$conf" --input "$scratch/empty.csv" --time-unit s
expect 0 "nor in CSV" "$scratch/empty.csv:2: the line has no key"

# ---- asking for what is not there ----
run run "$conf"
run model "$conf" list --topic nope
expect 1 "no state of such a topic" "no state of nope"
run model "$conf" list
check "the columns have names" test "$(head -1 "$scratch/out" | awk -F'\t' '{ print NF }')" -eq "$(sed -n 2p "$scratch/out" | awk -F'\t' '{ print NF }')"
check "all of them" test -z "$(head -1 "$scratch/out" | grep -P '\t$')"
run model "$conf" summary --json
expect 2 "a summary is for people" "summary has no --json"
run state "$conf" list --limit -1
expect 2 "fewer than none are not listed" "--limit"
run state "$conf" list --limit 2
check "two are" test "$(lines "$scratch/out")" -eq 3
run options forecast.season
expect 0 "an option by the name under which it is listed" "forecast.season"
run options forecast.nope
expect 2 "and none by another" "forecast.nope"

# ---- values of the command line ----
sed "s|source: .*|source: {kafka: {topics: [a], properties: {bootstrap.servers: 127.0.0.1:1}}}|" "$conf" >"$scratch/kafka.yml"
run reset "$scratch/kafka.yml" --to-datetime x
expect 2 "a time that is none is a usage error" "--to-datetime"
sed "s|properties: {.*}}}|properties: {group.id: x, nope.nope: 1}}}|" "$scratch/kafka.yml" >"$scratch/bad.yml"
run check "$scratch/bad.yml"
expect 78 "all mistakes among the properties at once" group.id nope.nope bootstrap.servers

# ---- a directory that cannot be written ----
if [ "$(id -u)" -eq 0 ]; then
    skip "root writes everywhere"
else
    chmod 500 "$scratch/state/flow"
    run state "$conf" forget k0
    expect 1 "state in a directory that is read only" "$scratch/state/flow"
    check "nobody sees SQL" test -z "$(grep -E 'PRAGMA|BEGIN' "$scratch/err")"
    chmod 700 "$scratch/state/flow"
fi

finish
