#!/bin/bash
# Writes the man page eddy(1) from what the program says about itself, so that both always agree.
# Usage: plugin/man.sh build/eddy > eddy.1
set -euo pipefail
eddy=$1

roff() { sed -e 's/\\/\\e/g' -e "s/^\([.']\)/\\\\\&\1/" -e 's/-/\\-/g'; }

printf '.TH EDDY 1 "" "eddy %s" "User commands"\n' "$("$eddy" version | awk 'NR == 1 { print $2 }')"
printf '.SH NAME\neddy \\- forecasts and anomaly scores for keyed time series while they stream\n'
printf '.SH SYNOPSIS\n.B eddy\n.I COMMAND\n[\n.I CONFIG\n] [\n.I OPTIONS\n]\n'
printf '.SH COMMANDS\n'
"$eddy" help | awk '/^Commands:/ { on = 1; next } on && /^  [a-z]/ { print $1 } on && /^$/ { exit }' | while read -r name; do
    [ "$name" = help ] && continue
    printf '.SS %s\n.nf\n' "$name"
    "$eddy" help "$name" | roff
    printf '.fi\n'
done
printf '.SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 78 bad configuration.\n'
