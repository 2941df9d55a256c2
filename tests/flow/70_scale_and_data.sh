#!/bin/bash
# A million keys with memory for ten thousand; and, where ../shared/data lies beside the project, real series.
# shellcheck source=tests/flow/lib.sh
. "$(dirname "$0")/lib.sh"
keys=${EDDY_KEYS:-1000000}
sanitized=no
[[ ${BUILD:-build} != */asan ]] || sanitized=yes
[ $sanitized = no ] || keys=50000 # sanitizers are slow, and their memory says nothing

# peak_mib COMMAND...: runs it and prints the most memory it held.
peak_mib() {
    python3 -c 'import resource, subprocess, sys
rc = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
sys.exit(rc)' "$@"
}

# member FILE PATH: one member of a JSON file, such as forecast.by_horizon.0.mse
member() {
    python3 -c 'import json, sys
at = json.load(open(sys.argv[1]))
for name in sys.argv[2].split("."): at = at[int(name)] if name.isdigit() else at[name]
print(at)' "$1" "$2"
}

# ---- many keys ----
awk -v n="$keys" 'BEGIN {
    print "ts,key,power"
    for (i = 0; i < n; i++) printf "%d,k%07d,%d.%d\n", 1700000000 + i, i, i % 97, i % 10
    for (i = 0; i < n / 10; i++) printf "%d,k%07d,%d.%d\n", 1700000000 + n + i, (i * 7919) % n, i % 89, i % 10
}' >"$scratch/many.csv"
fleet() {
    local name=$1
    shift
    peak_mib "$EDDY" replay config/fleet.yml --input "$scratch/many.csv" --time-unit s --output "$scratch/$name.jsonl" "$@" \
        >"$scratch/$name.out" 2>"$scratch/$name.err"
}
check "$keys keys with memory for 10,000" fleet few --set state.max_keys=10000
check "every event is scored" test "$(lines "$scratch/few.jsonl")" -eq $((keys + keys / 10))
peak=$(tail -n 1 "$scratch/few.out")
echo "# $peak MiB at the most"
[ $sanitized = yes ] || check "memory stays below 600 MiB, of which replay's own figures may take 256" test "$peak" -lt 600
check "the same with every key in memory" fleet all --set state.max_keys=0 --set state.memory=8GiB
check "keys that came back from disk are as they were: same outputs" cmp "$scratch/few.jsonl" "$scratch/all.jsonl"
check "and the same state" test "$(grep '^state' "$scratch/few.out")" = "$(grep '^state' "$scratch/all.out")"
rm -f "$scratch"/*.jsonl "$scratch/many.csv"

# ---- real series ----
data=../shared/data
if [ ! -d "$data/nab" ] || [ ! -f "$data/ett/ETTh1.csv.gz" ]; then
    skip "real series: $data is not there"
    finish
    exit
fi
for k in 1 2; do
    run replay config/sensors.yml --input "$data/nab" --output "$scratch/nab$k.jsonl" --metrics "$scratch/nab$k.json"
    expect 0 "all NAB files, run $k"
done
rows=$(find "$data/nab" -name '*.csv' -exec awk 'END { print NR - 1 }' {} ';' | awk '{ n += $1 } END { print n }')
check "one line out per line in ($rows)" test "$(lines "$scratch/nab1.jsonl")" -eq "$rows"
check "two runs give the same bytes" cmp "$scratch/nab1.jsonl" "$scratch/nab2.jsonl"
check "no bad record" test "$(member "$scratch/nab1.json" bad)" -eq 0

run replay config/sensors.yml --input "$data/ett/ETTh1.csv.gz" --metrics "$scratch/ett.json"
expect 0 "ETTh1"
relative=$(member "$scratch/ett.json" forecast.by_horizon.0.relative_mse)
echo "# ETTh1: one-step error is $relative of persistence's"
check "its one-step error is below persistence's" awk -v r="$relative" 'BEGIN { exit !(r > 0 && r < 1) }'
finish
