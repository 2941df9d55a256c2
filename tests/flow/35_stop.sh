#!/bin/bash
# Told to stop while it still waits for brokers that never answer, a daemon ends in order, at once.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"

# A server that takes connections and says nothing, and a port where nobody is.
python3 - "$scratch/port" <<'PY' &
import socket, sys, time
server = socket.create_server(("127.0.0.1", 0), backlog=64)
with open(sys.argv[1], "w") as file:
    file.write(str(server.getsockname()[1]))
time.sleep(120)
PY
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$scratch"' EXIT
for _ in $(seq 50); do [ -s "$scratch/port" ] || sleep .1; done
silent=$(cat "$scratch/port")

# stops NAME SERVERS ARGS...: SIGTERM a second after the start; exit 0 within 10 seconds, long before connect_timeout.
stops() {
    local name=$1 servers=$2 pid t0
    shift 2
    EDDY_BROKERS=$servers "$EDDY" run config/sensors.yml --set state.path="$scratch/state" "$@" \
        >"$scratch/out" 2>"$scratch/err" </dev/null &
    pid=$!
    sleep 1
    t0=$SECONDS
    kill -TERM $pid
    wait $pid
    rc=$?
    expect 0 "$name: SIGTERM while opening ends with 0" "stopped while opening"
    check "$name: within 10 seconds" test $((SECONDS - t0)) -lt 10
}

stops "nobody there" 127.0.0.1:1
stops "nobody there, exactly once" 127.0.0.1:1 --set guarantee=exactly_once
stops "a broker without a word" "127.0.0.1:$silent"
stops "a broker without a word, exactly once" "127.0.0.1:$silent" --set guarantee=exactly_once
stops "a broker without a word, four workers" "127.0.0.1:$silent" --set workers=4
finish
