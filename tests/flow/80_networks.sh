#!/bin/bash
# Every sample of config/networks: what it says of itself, and that it learns: on real series where ../shared/data lies
# beside the project, on a simulated one otherwise.
# shellcheck source=tests/flow/lib.sh
. "$(dirname "$0")/lib.sh"
rows=3000
[[ ${BUILD:-build} != */asan ]] || rows=700 # sanitizers are slow

# ---- the data: two series, with a site and a label, one line per reading ----
real=../shared/data/ett/ETTh1.csv.gz
[ -f $real ] || skip "real series: ../shared/data is not there; a simulated plant stands in"
if [ -f $real ]; then
    zcat $real | awk -F, -v rows=$rows 'NR > 1 && NR <= rows + 1 { print $1 "," $2 "," $4 }'
else
    awk -v rows=$rows 'BEGIN {
        srand(7)
        for (i = 0; i < rows; i++) {
            day = 6.2831853 * (i % 24) / 24
            level = .9 * level + rand() - .5
            printf "%d,%.3f,%.3f\n", 1700000000 + 3600 * i, 10 + 4 * sin(day) + level, 6 + 3 * sin(day + 1) + .5 * level
        }
    }'
fi >"$scratch/wide"
awk -F, 'BEGIN { print "ts,key,site,state,v" }
    { print $1 ",pump,north," ($2 > 8 ? "high" : "low") "," $2; print $1 ",fan,south," ($3 > 5 ? "high" : "low") "," $3 }' \
    "$scratch/wide" >"$scratch/readings.csv"
units=()
grep -q '^[0-9]*,' "$scratch/wide" && units=(--time-unit s)

# metrics NAME OPTIONS...: replays config/networks/NAME.yml, figures to $scratch/metrics.json.
metrics() {
    local name=$1 columns=()
    shift
    [ "$name" != classes ] || columns=(--label-column state)
    [ "$name" != categories ] || columns=(--category-columns site)
    run replay "config/networks/$name.yml" --input "$scratch/readings.csv" --values v "${units[@]}" "${columns[@]}" \
        --metrics "$scratch/metrics.json" --output "$scratch/scored.jsonl" --set state.path="$scratch/state" \
        --set forecast.calendar=false "$@"
}

# figure EXPRESSION: of the metrics m.
figure() {
    python3 -c 'import json, sys
m = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$scratch/metrics.json" "$1"
}

less() { python3 -c 'import math, sys; a, b = map(float, sys.argv[1:]); sys.exit(not (math.isfinite(a) and a < b))' "$1" "$2"; }

# What each sample is judged by, smaller is better: the mean error over its horizons unless another figure says more.
error='sum(h["mse"] for h in m["forecast"]["by_horizon"])'
judged_by() {
    case $1 in
    smoother | masked) echo 'm["smoothed"]["mse"]' ;;
    classes) echo 'm["classes"]["log_loss"]' ;;
    *) echo "$error" ;;
    esac
}

for sample in config/networks/*.yml; do
    name=$(basename "$sample" .yml)
    run check "$sample"
    expect 0 "$name: can be read"
    run model "$sample" summary --values v
    expect 0 "$name: says what it is made of" "parameters" "total"
    metrics "$name" --set train.mode=off
    expect 0 "$name: runs untrained"
    untrained=$(figure "$(judged_by "$name")")
    metrics "$name" --set train.mode=inline --set train.epoch=64
    expect 0 "$name: runs and learns"
    trained=$(figure "$(judged_by "$name")")
    check "$name: no number that is none" bash -c '! grep -qi "nan\|inf" "$1"' - "$scratch/scored.jsonl"
    check "$name: one result per event" test "$(lines "$scratch/scored.jsonl")" -eq $(($(lines "$scratch/readings.csv") - 1))
    if [[ ${BUILD:-build} != */asan ]]; then # too few events under a sanitizer
        check "$name: better than its untrained self: $trained against $untrained" less "$trained" "$untrained"
    fi
done

# ---- the counts of the textbooks ----
summary() {
    printf 'name: s\nforecast: {channels: joint, calendar: false, %s}\n' "$1" >"$scratch/s.yml"
    run model "$scratch/s.yml" summary --values "$2"
}
inputs='inputs: [level]'
summary "network: {$inputs, layers: [{dense: {units: 4}}]}, horizons: [1]" a,b,c
expect 0 "dense 3-4 has 16 parameters" " 16 "
summary "network: {$inputs, layers: [{rnn: {units: 3}}]}" a,b,c,d,e,f,g,h,i,j
expect 0 "a simple RNN of 3 units on 10 inputs has 42" " 42 "
summary "experts: [persistence], network: {$inputs, layers: [{bidirectional: {layer: {rnn: {units: 3}}, lag: 4}}]}" a,b,c,d,e,f,g,h,i,j
expect 0 "in both directions 84, and 6 outputs" " 84 " "10 -> 6"
finish
