#!/bin/bash
# TLS, PLAIN and SCRAM against a real broker: what connects, and how a wrong certificate, host name or password is told, without
# the secret.  Keys, certificates and passwords are made here.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
keys=$scratch/keys
mkdir "$keys"

# authority NAME; certificate NAME ALTERNATIVE-NAMES: signed by the authority "ours".
authority() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -keyout "$keys/$1.key" -out "$keys/$1.pem" \
        -addext "basicConstraints=critical,CA:TRUE" 2>>"$scratch/openssl.log"
}
certificate() {
    openssl req -newkey rsa:2048 -nodes -subj "/CN=broker" -keyout "$keys/$1.key" -out "$keys/$1.csr" 2>>"$scratch/openssl.log" &&
        openssl x509 -req -days 2 -in "$keys/$1.csr" -CA "$keys/ours.pem" -CAkey "$keys/ours.key" -CAcreateserial \
            -extfile <(echo "subjectAltName=$2") -out "$keys/$1.crt" 2>>"$scratch/openssl.log" &&
        cat "$keys/$1.key" "$keys/$1.crt" "$keys/ours.pem" >"$keys/$1.pem"
}
# The certificate names the address, not "localhost": that makes the wrong host name below.
authority ours && authority theirs && certificate server IP:127.0.0.1 || {
    cat "$scratch/openssl.log"
    echo "cannot run: openssl made no certificates"
    exit 77
}
export BROKER_SECURE=$keys BROKER_PASSWORD=planted-scram-1b7f
pipeline_start
create_topic sensors 2
create_topic sensors.scored 2
create_topic sensors.dlq 2
events=2000
awk -f tests/kafka/generate.awk -v events=$events -v keys=20 -v from=0 | kcat -b "$BROKERS" -P -t sensors -K '|'
export KAFKA_SECRET=$BROKER_PASSWORD

# sample NAME PROPERTY..: config/sensors.yml with these properties, each a line of YAML, as $scratch/NAME.yml
sample() {
    local name=$1 properties
    shift
    properties=$(printf '      %s\n' "$@")
    awk -v more="$properties" '{ print } /bootstrap.servers:/ { print more }' config/sensors.yml >"$scratch/$name.yml"
}
(umask 077 && echo "$BROKER_PASSWORD" >"$keys/password")
tls=("security.protocol: SSL" "ssl.ca.location: $keys/ours.pem")
sasl=("security.protocol: SASL_SSL" "ssl.ca.location: $keys/ours.pem" "sasl.username: eddy")
sample tls "${tls[@]}"
sample plain "${sasl[@]}" "sasl.mechanism: PLAIN" "sasl.password: \"\${KAFKA_SECRET}\""
sample scram "${sasl[@]}" "sasl.mechanism: SCRAM-SHA-256" "sasl.password: \"\${KAFKA_SECRET}\""
sample password_file "${sasl[@]}" "sasl.mechanism: PLAIN" "sasl.password: \"\${file:$keys/password}\""
sample unverified "security.protocol: SSL" "enable.ssl.certificate.verification: false"
sample unnamed "security.protocol: SSL"
short=(--set source.kafka.connect_timeout=6s)

# refused NAME PATTERN SAMPLE ARGUMENTS...: check --connect fails, says PATTERN, and shows no secret.
refused() {
    local name=$1 pattern=$2 config=$scratch/$3.yml rc=0
    shift 3
    timeout 60 "$EDDY" check "$config" --connect "${short[@]}" "$@" >"$scratch/$name.out" 2>"$scratch/$name.log" </dev/null || rc=$?
    [ $rc -ne 0 ] && [ $rc -ne 124 ] && grep -qi -- "$pattern" "$scratch/$name.out" "$scratch/$name.log" && return
    echo "exit $rc, wanted \"$pattern\":"
    tail -qn 5 "$scratch/$name.out" "$scratch/$name.log"
    return 1
}
# through SAMPLE: a pipeline answers every event, and ends well.
through() {
    local name=$1
    start_eddy "$name" "$scratch/$name.yml" --set name="$name" --set state.checkpoint=300ms
    check "$name: every event is answered" wait_for 30 eval '[ "$(topic_end sensors.scored)" -ge '$((answered += events))' ]'
    check "$name: and it ends with 0" stop_eddy
}
answered=0

EDDY_BROKERS=$BROKERS_SSL through tls
EDDY_BROKERS=$BROKERS_SASL through plain
EDDY_BROKERS=$BROKERS_SASL through password_file
EDDY_BROKERS=$BROKERS_SSL through unverified
check "and that nobody is verified is said at the start" grep -q event=insecure "$scratch/unverified.log"
check "and not where everybody is" eval '! grep -q event=insecure "$scratch/tls.log"'

export EDDY_BROKERS=$BROKERS_SSL
check "another authority is refused" refused authority "certificate verify failed" tls \
    --set "source.kafka.properties.ssl.ca.location=$keys/theirs.pem"
EDDY_BROKERS=localhost:${BROKERS_SSL#*:} check "another host name is refused" refused host "certificate verify failed" tls
check "no authority at all is refused" refused nobody "certificate verify failed" unnamed
export EDDY_BROKERS=$BROKERS_SASL
# SCRAM with Kafka 4 works from librdkafka 2.6.1 on; before that the broker refuses its proof, and eddy says so at the start.
if [ "$(printf '%s\n' 2.6.1 "$(pkg-config --modversion rdkafka)" | sort -V | head -1)" = 2.6.1 ]; then
    through scram
else
    start_eddy scram "$scratch/scram.yml" --set name=scram
    check "SCRAM with an old librdkafka ends" wait_for 30 gone "$eddy_pid"
    wait "$eddy_pid" && failed "and not with 0"
    eddy_pid=
    check "and the reason was told before" grep -q "event=scram.*2.6.1" "$scratch/scram.log"
    check "and the broker's words too" grep -q "level=error.*_AUTHENTICATION" "$scratch/scram.log"
fi
check "a wrong password is refused" refused password "authentication" plain \
    --set source.kafka.properties.sasl.password=planted-wrong-9c2e
KAFKA_SECRET=planted-other-33d0 check "and one of the environment" refused variable "authentication" plain
check "no secret is in any output or log, nor in the state" eval '! grep -raq "planted-" "$scratch" --exclude-dir=keys'
suite_end
