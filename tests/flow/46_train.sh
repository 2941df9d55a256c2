#!/bin/bash
# eddy train: a model from the past serves new partitions better than none, and nothing that exists is written over.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"
conf=$scratch/flow.yml
config "$conf"
series 3000 3 >"$scratch/past.jsonl"
series 900 3 >"$scratch/in.jsonl"
past=(train "$conf" --input "$scratch/past.jsonl" --epochs 4)
off=(--set train.mode=off)

run "${past[@]}" --output "$scratch/a.safetensors"
expect 0 "a file of weights" "epoch 1 " "a.safetensors: the model of epoch"
cp "$scratch/out" "$scratch/said"
run "${past[@]}" --output "$scratch/b.safetensors" --json
expect 0 "the same as JSON"
check "losses of every epoch, the best of them the least on what is held out" python3 - "$scratch/out" <<'PY'
import json, sys
said = json.load(open(sys.argv[1]))
held = [e["held_out"] for e in said["epochs"]]
assert len(held) >= 2 and said["windows"] > 100, said
assert held.index(min(held)) == said["best"] > 0, said
PY
# Steps that get smaller average the noise of single windows out; a schedule of one's own goes before that.
last() { python3 -c "import json; e = json.load(open('$1'))['epochs']; print(len(e), e[-1]['held_out'])"; }
awk 'BEGIN {
    srand(7)
    for (i = 0; i < 18000; i++) {
        k = i % 3; e[k] = .9 * e[k] + rand() + rand() - 1
        printf "{\"key\":\"k%d\",\"ts\":%d,\"v\":%.4f}\n", k, 1700000000 + 60 * int(i / 3), e[k]
    }
}' >"$scratch/noise.jsonl"
noise=(train "$conf" --input "$scratch/noise.jsonl" --epochs 10 --json
    --set train.learning_rate=0.03 --set train.ema=0)
run "${noise[@]}" --output "$scratch/calm.safetensors"
expect 0 "a course whose steps get smaller"
read -r n calm <<<"$(last "$scratch/out")"
check "all of them" [ "$n" = 11 ]
run "${noise[@]}" --output "$scratch/restless.safetensors" --set train.schedule=warmup --set train.schedule_steps=1
expect 0 "one whose steps stay as large"
read -r n restless <<<"$(last "$scratch/out")"
check "ends after three epochs in vain" [ "$n" -lt 11 ]
check "the smaller steps end nearer to what is held out: $calm, $restless" \
    python3 -c "import sys; sys.exit(not $calm < .99 * $restless)"
check "the same history gives the same bytes" cmp "$scratch/a.safetensors" "$scratch/b.safetensors"
run "${past[@]}" --output "$scratch/a.safetensors"
expect 1 "a file is not written over" "there is a file already"

mse() { python3 -c "import json; print(json.load(open('$1'))['forecast']['by_horizon'][0]['mse'])"; }
run replay "$conf" --input "$scratch/in.jsonl" "${off[@]}" --json
cp "$scratch/out" "$scratch/cold.json"
run replay "$conf" --input "$scratch/in.jsonl" "${off[@]}" --json --model "$scratch/a.safetensors"
expect 0 "a replay from the model"
check "errs less than one without" python3 -c "import sys; sys.exit(not $(mse "$scratch/out") < 0.9 * $(mse "$scratch/cold.json"))"

run "${past[@]}"
expect 0 "into the pipeline's state" "what partitions without state start from"
run run "$conf"
expect 0 "a run that starts from it"
run "${past[@]}"
expect 1 "existing state is left alone" "there is state already" "--adopt"
run "${past[@]}" --adopt
expect 0 "unless asked" "is in use now"
run state "$conf" verify
expect 0 "the state is sound" "3 keys"

# Retraining: a rhythm that changes half-way is followed sooner when drift makes training harder, and event time spares.
awk 'BEGIN {
    srand(3)
    for (i = 0; i < 8000; i++) {
        t = int(i / 2); p = i < 5000 ? sin(t * .2618) : sin(t * .9) * (t % 14 < 7 ? 1 : .3)
        printf "{\"key\":\"k%d\",\"ts\":%d,\"v\":%.4f}\n", i % 2, 1700000000 + 60 * t, 5 * p + .1 * rand()
    }
}' >"$scratch/change.jsonl"
retrained() { # NAME OPTION..: the figures of a replay to NAME.json
    local name=$1
    shift
    run replay "$conf" --input "$scratch/change.jsonl" --json --score-rows 2500: --set train.epoch=64 \
        --set train.windows=16 "$@"
    cp "$scratch/out" "$scratch/$name.json"
}
figure() { python3 -c "import json; m = json.load(open('$scratch/$1.json')); print($2)"; }
retrained plain
expect 0 "a replay over a change of rhythm"
retrained pressed --set train.drift_rounds=4 --set train.drift_epochs=32
expect 0 "the same with an eye on drift" "train_drift" "the network's error has grown for good by offset 5"
check "drift is counted once" test "$(figure pressed "m['train']['drifts']") $(figure plain "m['train']['drifts']")" = "1 0"
check "and the error after it is less: $(mse "$scratch/pressed.json") against $(mse "$scratch/plain.json")" \
    python3 -c "import sys; sys.exit(not $(mse "$scratch/pressed.json") < 0.95 * $(mse "$scratch/plain.json"))"
retrained timed --set train.every_time=8h
check "a round every 8 hours of 67 makes fewer steps than one an epoch" \
    test "$(figure timed "0 < 5 * m['train']['updates'] < $(figure plain "m['train']['updates']")")" = True

# What keys share through their experts is for keys that nobody has seen.
sed 's/^forecast:.*/forecast: {horizons: [1], profile: fleet, season: none}/; s/^state:.*//' "$conf" >"$scratch/fleet.yml"
# devices NAME N SEED: autoregressions around levels of their own
devices() {
    awk -v name="$1" -v n="$2" -v seed="$3" 'BEGIN {
        srand(seed)
        for (t = 0; t < n; t++) for (k = 0; k < 20; k++) {
            e[k] = 1.5 * d[k] - .7 * c[k] + rand() - .5; c[k] = d[k]; d[k] = e[k]
            printf "{\"key\":\"%s%d\",\"ts\":%d,\"v\":%.4f}\n", name, k, 1700000000 + 60 * t, 10 * k + (1 + k % 3) * e[k]
        }
    }'
}
devices old 200 1 >"$scratch/old.jsonl"
devices new 25 2 >"$scratch/new.jsonl"
run train "$scratch/fleet.yml" --input "$scratch/old.jsonl" --output "$scratch/fleet"
expect 0 "without a network what keys share is all there is" "fleet.shared: what keys share"
run replay "$scratch/fleet.yml" --input "$scratch/new.jsonl" --json
cp "$scratch/out" "$scratch/cold.json"
run replay "$scratch/fleet.yml" --input "$scratch/new.jsonl" --json --model "$scratch/fleet"
expect 0 "a replay that begins with it"
check "keys that nobody has seen are forecast better" python3 -c "import sys; sys.exit(not $(mse "$scratch/out") < 0.9 * $(mse "$scratch/cold.json"))"
run replay "$scratch/fleet.yml" --input "$scratch/new.jsonl" --model "$scratch/nothing"
expect 1 "a model that is not there is missed" "nothing.shared"
run replay "$scratch/fleet.yml" --input "$scratch/new.jsonl" --model "$scratch/fleet" --set forecast.horizons=[1,2]
expect 1 "what was learnt for other horizons is refused" "other horizons"

run train "$conf"
expect 2 "without a history" "--input PATH is needed"
run train "$conf" --input "$scratch/past.jsonl" --epochs 0
expect 2 "no epochs" "--epochs takes a number above 0"
series 100 2 >"$scratch/short.jsonl"
run train "$conf" --input "$scratch/short.jsonl" --output "$scratch/c.safetensors"
expect 1 "a history that is too short says so" "no training windows"
finish
