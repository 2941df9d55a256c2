# A real Apache Kafka for the suites: one process, KRaft, data in a directory of its own, gone at the end.
#
#   . tests/kafka/broker.sh
#   broker_start        free ports; returns when it serves; sets and exports BROKERS (host:port).  After broker_stop_keep
#                       or broker_kill: the same ports and the same data again
#   broker_stop_keep    cleanly (SIGTERM), the data stays
#   broker_kill         kill -9, the data stays
#   broker_stop         for good: the data goes
#   broker_log [LINES]  the end of its log, for a suite that failed
# BROKER_SECURE=DIR, when a suite sets it: two listeners more, with TLS by DIR/server.pem (key and certificates):
# BROKERS_SSL, and with SASL PLAIN and SCRAM-SHA-256 (user eddy, password BROKER_PASSWORD) BROKERS_SASL.
# KAFKA_VERSION (4.1.1) says which.  BROKER_BEHIND, when a suite sets it: a second listener at a port of its own, whose
# clients are told to come to the port BROKER_BEHIND: a proxy of the suite.  broker_start sets BROKER_BEHIND_PORT.
# It ends with the shell that started it, however that ends; a suite that sets an EXIT trap of its own calls broker_stop
# there, others get one from broker_start.
#
# The jars come once through Maven, as Maven is configured here, into ${EDDY_CACHE:-${XDG_CACHE_HOME:-~/.cache}/eddy}.
# shellcheck shell=bash
# Needs: java (17), mvn (the first time only), flock.

KAFKA_VERSION=${KAFKA_VERSION:-4.1.1}
KAFKA_CACHE=${EDDY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/eddy}/kafka-$KAFKA_VERSION

broker_say() { echo "broker: $*" >&2; }

# A Maven project that needs this artifact of Apache Kafka, and these other dependencies, in XML.
kafka_pom() {
    cat <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>eddy.tests</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>$1</artifactId><version>$KAFKA_VERSION</version>
    </dependency>
${2:-}
  </dependencies>
</project>
POM
}

# All jars that the project POM needs, into DIRECTORY (which Maven would look for beside the POM).
kafka_jars() {
    mvn -q -B -f "$1" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$(realpath -m "$2")" </dev/null
}

# Before 4.0 Kafka logged through reload4j.
broker_pom_logging() {
    case $KAFKA_VERSION in
    [123].*)
        echo "    <dependency>"
        echo "      <groupId>org.slf4j</groupId><artifactId>slf4j-reload4j</artifactId><version>1.7.36</version>"
        echo "    </dependency>"
        ;;
    *)
        for artifact in log4j-slf4j-impl log4j-core; do
            echo "    <dependency>"
            echo "      <groupId>org.apache.logging.log4j</groupId><artifactId>$artifact</artifactId><version>2.25.1</version>"
            echo "    </dependency>"
        done
        ;;
    esac
}

# The jars, once per machine; `complete` is written last, so that a broken download is begun anew.
broker_fetch() {
    [ -e "$KAFKA_CACHE/complete" ] && return 0
    mkdir -p "$KAFKA_CACHE" || return 1
    (
        flock 9
        [ -e "$KAFKA_CACHE/complete" ] && exit 0
        broker_say "fetching Apache Kafka $KAFKA_VERSION into $KAFKA_CACHE (once)"
        rm -rf "$KAFKA_CACHE/lib"
        kafka_pom kafka_2.13 "$(broker_pom_logging)" >"$KAFKA_CACHE/pom.xml"
        kafka_jars "$KAFKA_CACHE/pom.xml" "$KAFKA_CACHE/lib" >"$KAFKA_CACHE/fetch.log" 2>&1 || {
            broker_say "Maven failed:"
            tail -20 "$KAFKA_CACHE/fetch.log" >&2
            exit 1
        }
        touch "$KAFKA_CACHE/complete"
    ) 9>"$KAFKA_CACHE/lock"
}

broker_java() { CLASSPATH="$KAFKA_CACHE/lib/*" java "$@"; }

# A port that nobody listens on now, below the range that the kernel hands out to clients.
broker_free_port() {
    local port
    for _ in $(seq 100); do
        port=$((10000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return 0; }
    done
    return 1
}

broker_properties() {
    local client=$1 controller=$2
    cat <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$client,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$client
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$KAFKA_DIR/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
num.network.threads=1
num.io.threads=2
log.cleaner.backoff.ms=1000
log.cleaner.dedupe.buffer.size=8388608
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=1000
file.delete.delay.ms=1000
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=200
controller.quorum.election.timeout.ms=300
controller.quorum.fetch.timeout.ms=500
PROPERTIES
}

broker_secure() {
    local ssl sasl
    ssl=$(broker_free_port) && sasl=$(broker_free_port) || return 1
    export BROKERS_SSL=127.0.0.1:$ssl BROKERS_SASL=127.0.0.1:$sasl
    local both="SSL://$BROKERS_SSL,SASL_SSL://$BROKERS_SASL"
    sed -i -e "s|^listeners=.*|&,$both|" -e "s|^advertised.listeners=.*|&,$both|" \
        -e "s|^listener.security.protocol.map=.*|&,SSL:SSL,SASL_SSL:SASL_SSL|" "$KAFKA_DIR/server.properties"
    cat >>"$KAFKA_DIR/server.properties" <<PROPERTIES
ssl.keystore.type=PEM
ssl.keystore.location=$BROKER_SECURE/server.pem
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_eddy="$BROKER_PASSWORD";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
PROPERTIES
}

# A listener more for clients that come through a proxy.
broker_behind() {
    BROKER_BEHIND_PORT=$(broker_free_port) || return 1
    sed -i -e "s|^listeners=.*|&,BEHIND://127.0.0.1:$BROKER_BEHIND_PORT|" \
        -e "s|^advertised.listeners=.*|&,BEHIND://127.0.0.1:$BROKER_BEHIND|" \
        -e "s|^listener.security.protocol.map=.*|&,BEHIND:PLAINTEXT|" "$KAFKA_DIR/server.properties"
}

broker_log_settings() {
    cat <<SETTINGS
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{1}: %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
logger.server.name=kafka.server
logger.server.level=info
SETTINGS
}

broker_launch() {
    local tied=()
    command -v setpriv >/dev/null && tied=(setpriv --pdeathsig KILL) # also when this shell is killed
    CLASSPATH="$KAFKA_CACHE/lib/*" "${tied[@]}" java -Xms128m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
        -Dlog4j2.configurationFile="$KAFKA_DIR/log4j2.properties" kafka.Kafka "$KAFKA_DIR/server.properties" \
        >>"$KAFKA_DIR/broker.log" 2>&1 </dev/null &
    KAFKA_PID=$!
    broker_wait
}

# Serves when it answers a metadata request.
broker_wait() {
    for _ in $(seq 240); do
        kill -0 "$KAFKA_PID" 2>/dev/null || return 1
        kcat -b "$BROKERS" -L -m 1 >/dev/null 2>&1 && return 0
        sleep 0.25
    done
    return 1
}

broker_format() {
    local client controller id
    KAFKA_DIR=$(mktemp -d "${TMPDIR:-/tmp}/eddy-kafka.XXXXXX") || return 1
    client=$(broker_free_port) && controller=$(broker_free_port) || return 1
    export BROKERS=127.0.0.1:$client
    broker_properties "$client" "$controller" >"$KAFKA_DIR/server.properties"
    local scram=()
    if [ -n "${BROKER_SECURE:-}" ]; then
        broker_secure || return 1
        scram=(--add-scram "SCRAM-SHA-256=[name=eddy,password=$BROKER_PASSWORD]")
    fi
    [ -z "${BROKER_BEHIND:-}" ] || broker_behind || return 1
    broker_log_settings >"$KAFKA_DIR/log4j2.properties"
    id=$(broker_java kafka.tools.StorageTool random-uuid 2>/dev/null) &&
        broker_java kafka.tools.StorageTool format -t "$id" -c "$KAFKA_DIR/server.properties" "${scram[@]}" \
            >"$KAFKA_DIR/broker.log" 2>&1
}

broker_start() {
    broker_fetch || return 1
    [ -n "$(trap -p EXIT)" ] || trap broker_stop EXIT
    if [ -n "${KAFKA_DIR:-}" ]; then
        broker_launch && return 0
        broker_log
        return 1
    fi
    for _ in 1 2 3; do # a port may be taken between the look and the use
        broker_format && broker_launch && return 0
        broker_say "did not start"
        broker_log
        broker_stop
    done
    return 1
}

broker_signal() {
    [ -n "${KAFKA_PID:-}" ] || return 0
    kill "-$1" "$KAFKA_PID" 2>/dev/null
    wait "$KAFKA_PID" 2>/dev/null
    KAFKA_PID=
    return 0
}
broker_stop_keep() { broker_signal TERM; }
broker_kill() { broker_signal KILL; }
broker_stop() {
    local rc=$?
    broker_kill
    [ -z "${KAFKA_DIR:-}" ] || rm -rf "$KAFKA_DIR"
    KAFKA_DIR=
    return $rc
}

broker_log() { [ ! -e "${KAFKA_DIR:-}/broker.log" ] || tail -n "${1:-40}" "$KAFKA_DIR/broker.log" >&2; }
