# Three Kafka brokers on this machine, everything three times: for the failure of one.  Source it after broker.sh.
# shellcheck shell=bash
#   cluster_start       sets and exports BROKERS (all three)
#   cluster_kill I      kill -9 of broker I (1..3); cluster_back I starts it again on its data
#   cluster_stop        the end of all, and of their data
cluster_pid=() cluster_port=() cluster_inner=()

cluster_properties() {
    local i=$1 voters='' k
    for k in 1 2 3; do voters+=${voters:+,}$k@127.0.0.1:${cluster_inner[k]}; done
    KAFKA_DIR=$cluster_dir/$i broker_properties "${cluster_port[i]}" "${cluster_inner[i]}" |
        sed -e "s|^node.id=.*|node.id=$i|" -e "s|^controller.quorum.voters=.*|controller.quorum.voters=$voters|" \
            -e 's|replication.factor=1|replication.factor=3|' -e 's|^transaction.state.log.min.isr=.*|transaction.state.log.min.isr=2|' \
            -e '/^controller.quorum.*timeout.ms=/d' # of one broker: three that start on a busy machine would vote for ever
    echo default.replication.factor=3
    echo min.insync.replicas=2
}

cluster_back() {
    local tied=()
    command -v setpriv >/dev/null && tied=(setpriv --pdeathsig KILL)
    CLASSPATH="$KAFKA_CACHE/lib/*" "${tied[@]}" java -Xms64m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
        -Dlog4j2.configurationFile="$cluster_dir/log4j2.properties" kafka.Kafka "$cluster_dir/$1/server.properties" \
        >>"$cluster_dir/$1/broker.log" 2>&1 </dev/null &
    cluster_pid[$1]=$!
}

cluster_serves() { kcat -b "127.0.0.1:${cluster_port[$1]}" -L -m 1 >/dev/null 2>&1; }

# All three answer, and know of each other.
cluster_ready() {
    [ "$(kcat -b "$BROKERS" -L -m 2 2>/dev/null | grep -c '^  broker ')" -eq 3 ]
}

cluster_start() {
    local i id
    broker_fetch || return 1
    cluster_dir=$(mktemp -d "${TMPDIR:-/tmp}/eddy-kafka.XXXXXX") || return 1
    for i in 1 2 3; do
        mkdir "$cluster_dir/$i"
        cluster_port[i]=$(broker_free_port) && cluster_inner[i]=$(broker_free_port) || return 1
    done
    export BROKERS=127.0.0.1:${cluster_port[1]},127.0.0.1:${cluster_port[2]},127.0.0.1:${cluster_port[3]}
    KAFKA_DIR=$cluster_dir broker_log_settings >"$cluster_dir/log4j2.properties"
    id=$(broker_java kafka.tools.StorageTool random-uuid 2>/dev/null) || return 1
    for i in 1 2 3; do
        cluster_properties "$i" >"$cluster_dir/$i/server.properties"
        broker_java kafka.tools.StorageTool format -t "$id" -c "$cluster_dir/$i/server.properties" \
            >"$cluster_dir/$i/broker.log" 2>&1 || return 1
        cluster_back "$i"
    done
    wait_for 60 cluster_ready
}

cluster_kill() {
    kill -KILL "${cluster_pid[$1]}" && wait "${cluster_pid[$1]}"
    cluster_pid[$1]=''
} 2>/dev/null

cluster_stop() {
    local i
    for i in 1 2 3; do [ -z "${cluster_pid[i]:-}" ] || cluster_kill "$i"; done
    rm -rf "${cluster_dir:?}"
}
