#!/bin/bash
# Weights as files: what is exported can be imported, gives the same forecasts, and nothing else is taken.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"
conf=$scratch/flow.yml
config "$conf"
series 1200 3 >"$scratch/in.jsonl"
off=(--set train.mode=off)

# ---- before there is state ----
run model "$conf" export "$scratch/drawn.safetensors" --values v
expect 0 "without state export writes what a run would start from" "start from"
run model "$conf" export "$scratch/drawn.safetensors" --values v
expect 1 "and does not overwrite a file" drawn.safetensors
check "its header lists torch's names and shapes" python3 - "$scratch/drawn.safetensors" <<'PY'
import json, struct, sys
b = open(sys.argv[1], "rb").read()
n, = struct.unpack("<Q", b[:8])
h = json.loads(b[8:8 + n])
assert n % 8 == 0 and h["__metadata__"]["format"] == "eddy" and h["__metadata__"]["values"] == "v", h
assert h["layers.0.weight_hh_l0"]["shape"] == [24, 8] and h["layers.0.bias_ih_l0"]["shape"] == [24]
assert h["head.weight"]["shape"] == [2, 8] and h["head.weight"]["dtype"] == "F32"
assert max(t["data_offsets"][1] for k, t in h.items() if k[0] != "_") == len(b) - 8 - n
PY
run replay "$conf" --input "$scratch/in.jsonl" --output "$scratch/a.jsonl" --json
expect 0 "a replay from the seed" state_hash
cp "$scratch/out" "$scratch/a.json"
run replay "$conf" --input "$scratch/in.jsonl" --output "$scratch/b.jsonl" --json --model "$scratch/drawn.safetensors"
expect 0 "a replay from the exported weights"
check "gives the same results" cmp "$scratch/a.jsonl" "$scratch/b.jsonl"
hash_of() { python3 -c "import json; print(json.load(open('$1'))['state_hash'])"; }
check "and the same state" test "$(hash_of "$scratch/out")" = "$(hash_of "$scratch/a.json")"

# ---- after training ----
run run "$conf"
expect 0 "a run that trains"
run model "$conf" export "$scratch/trained.safetensors"
expect 0 "export of the version in use" "trained.safetensors: version"
run replay "$conf" --input "$scratch/in.jsonl" --output "$scratch/c.jsonl" "${off[@]}" --model "$scratch/trained.safetensors"
expect 0 "a replay from trained weights"
check "which forecast otherwise" bash -c "! cmp -s '$scratch/a.jsonl' '$scratch/c.jsonl'"
run model "$conf" import "$scratch/trained.safetensors" --values v --set state.path="$scratch/other"
expect 0 "import into a configuration without state" "partitions without state start from"
run run "$conf" "${off[@]}" --set state.path="$scratch/other" --set sink.file.path="$scratch/d.jsonl"
expect 0 "a run that starts from it"
check "forecasts as the replay does" cmp "$scratch/c.jsonl" "$scratch/d.jsonl"
run model "$conf" export "$scratch/again.safetensors" "${off[@]}" --set state.path="$scratch/other"
check "and exports the same file" cmp "$scratch/again.safetensors" "$scratch/trained.safetensors"

# ---- into a state ----
before=$(awk -F'\t' '/in use/ { print substr($3, 2) }' <("$EDDY" model "$conf" list))
run model "$conf" import "$scratch/drawn.safetensors"
expect 0 "import into a state makes a new version" "version $((before + 1)) is in use now"
run model "$conf" list
expect 0 "which is the one in use" "v$((before + 1))"
check "and the others are kept" grep -q "v$before" "$scratch/out"
run state "$conf" verify
expect 0 "the state is sound" "3 keys"
run model "$conf" export "$scratch/back.safetensors"
check "its weights are the file's" cmp "$scratch/back.safetensors" "$scratch/drawn.safetensors"
run model "$conf" export "$scratch/old.safetensors" --version "v$before"
check "older versions can be exported" cmp "$scratch/old.safetensors" "$scratch/trained.safetensors"
run model "$conf" export "$scratch/none.safetensors" --version 999
expect 1 "one that is not kept is named" 999
run model "$conf" export "$scratch/none.safetensors" --partition 7
expect 1 "a partition without state too" "partition 7"
series 1500 3 >"$scratch/in.jsonl"
run run "$conf"
expect 0 "the pipeline goes on from it"

# ---- what does not fit ----
run model "$conf" import "$scratch/drawn.safetensors" --set 'forecast.network.layers=[{gru: {units: 9}}]' --set state.path="$scratch/none" --values v
expect 1 "other shapes are named, and several at once" "layers.0.weight_hh_l0 is [24, 8], the configured network has [27, 9]" "head.weight is"
run model "$conf" import "$scratch/drawn.safetensors" --set 'forecast.network.layers=[{gru: {units: 8}}, {dense: {units: 4}}]' --set state.path="$scratch/none" --values v
expect 1 "and missing tensors" "it lacks layers.1.weight"
run model "$conf" export "$scratch/none.safetensors" --set 'forecast.network.layers=[{gru: {units: 9}}]'
expect 1 "a state of another network is refused" "another network"
head -c 900 "$scratch/drawn.safetensors" >"$scratch/cut.safetensors"
run model "$conf" import "$scratch/cut.safetensors"
expect 1 "a truncated file is refused" cut.safetensors
run model "$conf" import "$scratch/in.jsonl"
expect 1 "and a foreign one" "no safetensors file"
run model "$conf" import "$scratch/nowhere.safetensors"
expect 1 "and none" nowhere.safetensors
run replay "$conf" --input "$scratch/in.jsonl" --model "$scratch/cut.safetensors"
expect 1 "a replay refuses it as well" cut.safetensors
run model "$conf" import
expect 2 "import wants a file" FILE

# ---- while a pipeline runs ----
sed "s|file: {paths: .*}}|stdin: }|" "$conf" >"$scratch/pipe.yml"
mkfifo "$scratch/pipe"
"$EDDY" run "$scratch/pipe.yml" --set state.path="$scratch/busy" <"$scratch/pipe" >/dev/null 2>&1 &
pid=$!
exec 7>"$scratch/pipe"
for _ in $(seq 50); do [ -s "$scratch/busy/flow/lock" ] && break || sleep 0.1; done
run model "$conf" import "$scratch/drawn.safetensors" --values v --set state.path="$scratch/busy"
expect 1 "import wants to be alone" "$pid"
kill -TERM $pid
wait $pid
exec 7>&-
finish
