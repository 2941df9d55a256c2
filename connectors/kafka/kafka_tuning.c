#include "connectors/kafka/kafka_tuning.h"

#include <stdio.h>

enum {
    MEMBER = 1 << KAFKA_MEMBER,
    READER = 1 << KAFKA_READER,
    PRODUCER = 1 << KAFKA_PRODUCER,
    TRANSACTOR = 1 << KAFKA_TRANSACTOR,
    PUBLISHER = 1 << KAFKA_PUBLISHER,
    ASKER = 1 << KAFKA_ASKER,
    CONSUMERS = MEMBER | READER,
    PRODUCERS = PRODUCER | TRANSACTOR | PUBLISHER,
    ALL = CONSUMERS | PRODUCERS | ASKER
};

struct tuning {
    unsigned roles;
    const char *name;
    const char *value[3]; /* by enum latency: balanced, low, throughput */
};

/* Bounds are there because librdkafka's own (64 MB and 1 GiB of queues) assume a machine to itself; socket.keepalive finds
 * a broker that vanished behind a firewall.  A consumer that waits for more bytes gets them in fewer answers, each of which
 * costs as much as dozens of records; a producer that lingers writes fewer batches.  Nagle's algorithm holds back small
 * requests until the last one was acknowledged, up to 40 ms.  A reader goes from one place to another, and the brokers hold
 * its last request so long. */
static const struct tuning tunings[] = {
    {ALL, "socket.keepalive.enable", {"true", "true", "true"}},
    {ALL, "socket.nagle.disable", {"true", "true", "true"}},
    {CONSUMERS, "check.crcs", {"true", "true", "true"}},
    {CONSUMERS, "fetch.max.bytes", {"16777216", "16777216", "16777216"}},
    {CONSUMERS, "fetch.min.bytes", {"1", "1", "262144"}},
    {MEMBER, "fetch.wait.max.ms", {"500", "500", "100"}},
    {READER, "fetch.wait.max.ms", {"20", "20", "20"}},
    {CONSUMERS, "fetch.error.backoff.ms", {"500", "50", "500"}},
    {PRODUCERS, "linger.ms", {"5", "0", "50"}},
    {PRODUCERS, "queue.buffering.max.messages", {"20000", "20000", "50000"}},
    {PRODUCERS, "queue.buffering.max.kbytes", {"65536", "65536", "65536"}},
};

/* What all assigned partitions together may hold ready.  Measured with 4 partitions of 80-byte records: 16 MB of queues
 * are read as fast as 48 MB, with a quarter of the memory. */
enum { PREFETCH_MESSAGES = 64000, PREFETCH_KBYTES = 16384, PREFETCH_MIN_MESSAGES = 2000, PREFETCH_MIN_KBYTES = 512 };

eddy_status kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct eddy_error *err)
{
    char text[512];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK) return EDDY_OK;
    return eddy_fail(err, EDDY_EUNSUPPORTED, "this librdkafka (%s) does not take %s=%s: %s", rd_kafka_version_str(),
                     name, value, text);
}

static eddy_status tuning_share(rd_kafka_conf_t *conf, const char *name, int total, int n_partitions, int min,
                                struct eddy_error *err)
{
    char value[24];
    const int share = total / (n_partitions > 0 ? n_partitions : 4);
    (void)snprintf(value, sizeof(value), "%d", share < min ? min : share);
    return kafka_conf_set(conf, name, value, err);
}

eddy_status kafka_tune(rd_kafka_conf_t *conf, enum kafka_role role, enum latency latency, int n_partitions,
                       struct eddy_error *err)
{
    for (size_t i = 0; i < sizeof(tunings) / sizeof(*tunings); i++) {
        const struct tuning *t = &tunings[i];
        if (!(t->roles & 1u << role)) continue;
        eddy_status rc = kafka_conf_set(conf, t->name, t->value[latency], err);
        if (rc < 0) return rc;
    }
    if (!(CONSUMERS & 1u << role)) return EDDY_OK;
    /* Known since librdkafka 2.2; before, kafka_partitions.c does what it can. */
    (void)rd_kafka_conf_set(conf, "fetch.queue.backoff.ms", "20", NULL, 0);
    eddy_status rc = tuning_share(conf, "queued.min.messages", PREFETCH_MESSAGES, n_partitions, PREFETCH_MIN_MESSAGES,
                                  err);
    if (rc < 0) return rc;
    return tuning_share(conf, "queued.max.messages.kbytes", PREFETCH_KBYTES, n_partitions, PREFETCH_MIN_KBYTES, err);
}
