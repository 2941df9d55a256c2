#!/bin/bash
# The Kafka source, sink and bounded reader by themselves, against a real Kafka.  EDDY_EVENTS (200,000).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
broker_start || exit 77
"${BUILD:-build}/connector_check" "$BROKERS" "${EDDY_EVENTS:-200000}" || { broker_log; exit 1; }
