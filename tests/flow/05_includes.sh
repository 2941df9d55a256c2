#!/bin/bash
# `make layers` passes on the tree, and names file and line of every kind of violation when one is planted.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
n_passed=0 n_failed=0

ok() { echo "ok - $1"; n_passed=$((n_passed + 1)); }
not_ok() { echo "not ok - $1"; n_failed=$((n_failed + 1)); }

fresh() {
    rm -rf "$scratch/tree" && mkdir "$scratch/tree"
    cp -r config engine connectors plugin "$scratch/tree"
}

# plant FILE INCLUDE NAME: one more line at the end of FILE must be reported with its number.
plant() {
    local file=$1 include=$2 name=$3 line
    fresh
    echo "#include $include" >>"$scratch/tree/$file"
    line=$(wc -l <"$scratch/tree/$file")
    if tests/layers.sh "$scratch/tree" >"$scratch/out" 2>&1; then
        not_ok "$name: exit 0"
    elif ! grep -q "^$file:$line: " "$scratch/out"; then
        not_ok "$name: $file:$line is not named"
        cat "$scratch/out"
    elif [ "$(grep -c '^[a-z].*:[0-9]*: ' "$scratch/out")" -ne 1 ]; then
        not_ok "$name: more than the planted line is reported"
        cat "$scratch/out"
    else
        ok "$name"
    fi
}

if tests/layers.sh; then ok "every include of the tree points left"; else not_ok "every include of the tree points left"; fi
plant config/error.c '"engine/state/store.h"' "config must not include engine"
plant config/error.c '"eddy_codec.h"' "a flat public header counts for the directory that owns it"
plant engine/flow/plan.c '"connectors/kafka/kafka.h"' "engine must not include connectors"
plant engine/flow/plan.c '"eddy_plugin.h"' "engine must not include the public headers of plugin"
plant engine/state/store.h '"engine/model/network.h"' "state stands alone"
plant engine/forecast/scale.c '"engine/train/tbptt.h"' "forecast must not include train"
plant engine/forecast/scale.c '"engine/detect/rank.h"' "forecast and detect do not know each other"
plant engine/flow/plan.c '<sqlite3.h>' "sqlite3 belongs to the store"
plant engine/flow/plan.c '<librdkafka/rdkafka.h>' "librdkafka belongs to connectors/kafka"
plant engine/flow/plan.c '<cblas.h>' "cblas belongs to one file"
plant engine/flow/plan.c '<yaml.h>' "libyaml belongs to one file"
plant engine/flow/plan.c '<jansson.h>' "jansson belongs to one file"
plant engine/flow/plan.c '"lane.h"' "private headers are included by their path from the root"
plant engine/flow/plan.c '"engine/eddy_codec.h"' "public headers are included flat"
plant engine/flow/plan.c '"../state/store.h"' "no dots in paths"

echo "$n_passed passed, $n_failed failed"
[ $n_failed -eq 0 ]
