#include "tests/fault/lab.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_MS = 20000, QUIET_MS = 90000 };

void lab_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    exit(2);
}

const char *lab_text(int argc, char **argv, const char *name, const char *otherwise)
{
    const size_t n = strlen(name);
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], name, n) == 0 && argv[i][n] == '=') return argv[i] + n + 1;
    if (!otherwise) lab_die("%s: %s=VALUE is missing", argv[0], name);
    return otherwise;
}

long lab_number(int argc, char **argv, const char *name, long otherwise)
{
    const char *text = lab_text(argc, argv, name, "");
    return *text ? strtol(text, NULL, 10) : otherwise;
}

void lab_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[300];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK) lab_die("%s", why);
}

rd_kafka_t *lab_open(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *servers)
{
    char why[300];
    lab_set(conf, "bootstrap.servers", servers);
    lab_set(conf, "log_level", "2");
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof(why));
    if (!rk) lab_die("%s", why);
    return rk;
}

int lab_partitions(rd_kafka_t *rk, const char *topic)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, rkt, &md, ASK_MS);
    if (!code) code = md->topics[0].err;
    if (code) lab_die("topic %s: %s", topic, rd_kafka_err2str(code));
    const int n = md->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(md);
    rd_kafka_topic_destroy(rkt);
    return n;
}

static rd_kafka_t *lab_consumer(const char *servers, const char *group, const char *isolation)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    lab_set(conf, "group.id", group);
    lab_set(conf, "enable.auto.commit", "false");
    lab_set(conf, "enable.partition.eof", "true");
    lab_set(conf, "isolation.level", isolation);
    lab_set(conf, "auto.offset.reset", "earliest");
    lab_set(conf, "fetch.wait.max.ms", "20");
    rd_kafka_t *rk = lab_open(RD_KAFKA_CONSUMER, conf, servers);
    (void)rd_kafka_poll_set_consumer(rk);
    return rk;
}

/* One partition after the other: their records come in the order of their offsets.  What lies behind a transaction that
 * nobody has ended yet is not to be seen, and is waited for. */
static void lab_read_one(rd_kafka_t *rk, rd_kafka_t *asker, const char *topic, int partition,
                         void (*each)(void *context, const rd_kafka_message_t *), void *context)
{
    int64_t low, high;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(asker, topic, partition, &low, &high, ASK_MS);
    if (code) lab_die("%s [%d]: %s", topic, partition, rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
    (void)rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    for (bool end = false; !end;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, QUIET_MS);
        if (!m)
            lab_die("%s [%d]: nothing for %d s before offset %lld", topic, partition, QUIET_MS / 1000,
                    (long long)high);
        end = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && m->partition == partition && m->offset >= high;
        if (!m->err) each(context, m);
        rd_kafka_message_destroy(m);
    }
}

void lab_read(const char *servers, const char *topic, void (*each)(void *context, const rd_kafka_message_t *),
              void *context)
{
    rd_kafka_t *rk = lab_consumer(servers, "fault-lab", "read_committed");
    rd_kafka_t *asker = lab_consumer(servers, "fault-lab",
                                     "read_uncommitted"); /* told the end, not the last stable */
    const int n = lab_partitions(rk, topic);
    for (int p = 0; p < n; p++) lab_read_one(rk, asker, topic, p, each, context);
    (void)rd_kafka_assign(rk, NULL);
    (void)rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    rd_kafka_destroy_flags(asker, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

int64_t lab_committed(const char *servers, const char *group, const char *topic, int partition)
{
    rd_kafka_t *rk = lab_consumer(servers, group, "read_committed");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    rd_kafka_resp_err_t code = rd_kafka_committed(rk, list, ASK_MS);
    if (code) lab_die("group %s: %s", group, rd_kafka_err2str(code));
    const int64_t at = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return at >= 0 ? at : -1;
}
