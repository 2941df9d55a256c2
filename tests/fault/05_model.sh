#!/bin/bash
# The recovery protocol as a model (model.py), walked at random, and its deliberate mistakes, each of which must be caught.
# FAULT_FULL=1: 60,000 walks.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
python3 -B tests/fault/model.py --walks "${FAULT_WALKS:-$([ -n "${FAULT_FULL:-}" ] && echo 60000 || echo 3000)}"
