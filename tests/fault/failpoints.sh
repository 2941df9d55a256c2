#!/bin/bash
# The names of all failpoints in the sources, one a line (config/failpoint.h).
cd "$(dirname "$0")/../.." || exit 1
grep -rhoE --include='*.c' 'FAILPOINT(_ERROR)?\("[a-z_]+"' engine connectors plugin | sed 's/.*"\([a-z_]*\)"/\1/' | sort -u
