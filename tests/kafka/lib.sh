# What the suites against a real Kafka share.  Source it after broker.sh; BUILD is the build directory.
# shellcheck shell=bash
#
#   create_topic NAME [PARTITIONS]      1 partition by default
#   produce_topic NAME [kcat options]   keyed lines "key|value" from stdin (-p N for one partition)
#   read_topic NAME [kcat options]      everything that is there now, as "partition offset key value"
#   count_topic NAME                    number of records
#   group_members NAME                  number of live members

create_topic() { "${BUILD:-build}/kafka_tool" "$BROKERS" create "$1" "${2:-1}"; }
group_members() { "${BUILD:-build}/kafka_tool" "$BROKERS" members "$1"; }
produce_topic() {
    local topic=$1
    shift
    kcat -q -b "$BROKERS" -P -t "$topic" -K '|' -X acks=all "$@"
}
read_topic() {
    local topic=$1
    shift
    kcat -q -b "$BROKERS" -C -t "$topic" -o beginning -e -f '%p %o %k %s\n' -X isolation.level=read_committed "$@"
}
count_topic() { read_topic "$1" -f '.\n' | wc -l; }
