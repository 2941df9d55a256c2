#!/bin/bash
# Runs the fault suites and prints what they found as a table: BUILD=build/fault FAULT_TABLE=FILE tests/fault/run.sh SUITE...
set -uo pipefail
FAULT_TABLE=$(realpath -m "$FAULT_TABLE")
export FAULT_TABLE TEST_TIMEOUT=${TEST_TIMEOUT:-3600}
: >"$FAULT_TABLE"
"$(dirname "$0")/../run.sh" "$@"
rc=$?
printf '\n| fault | trials | violations | note |\n|---|---|---|---|\n'
cat "$FAULT_TABLE"
exit $rc
