/* A mock cluster inside the test's process, records whose contents say where they belong, and a reader that checks them.
 *
 * Record i of a partition has offset i, key "k<i mod 7>" and payload "<partition>:<i>". */
#ifndef TESTS_UNIT_KAFKA_FIXTURE_H
#define TESTS_UNIT_KAFKA_FIXTURE_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "connectors/kafka/kafka.h"

enum { FIXTURE_PARTITIONS = 8, FIXTURE_PROPERTIES = 16 };

struct cluster {
    rd_kafka_t *rk; /* hosts the mock, and produces */
    rd_kafka_mock_cluster_t *mock;
    const char *servers;
    struct eddy_pair pairs[FIXTURE_PROPERTIES];
    struct eddy_map properties; /* bootstrap.servers and what makes tests quick */
};

void cluster_open(struct cluster *);
void cluster_close(struct cluster *);
void cluster_topic(struct cluster *, const char *topic, int n_partitions);
void cluster_property(struct cluster *, const char *name, const char *value);
/* Records first .. first + n - 1 of one partition, confirmed. */
void cluster_produce(struct cluster *, const char *topic, int partition, int64_t first, int64_t n);

/* Some answers of a broker are errors, and what must come of it. */
struct trial {
    int request; /* number in the Kafka protocol: whose answers .. */
    int times;   /* .. so many of them */
    int code;    /* .. are this error */
    int outcome; /* as the test counts them */
    const char *name;
};
void cluster_inject(struct cluster *, const struct trial *);
/* A plain consumer of committed records, to see what was left behind; the caller destroys it. */
rd_kafka_t *cluster_consumer(struct cluster *, const char *group);

/* What a driver would know about the partitions; several readers may share it. */
struct positions {
    int64_t next[FIXTURE_PARTITIONS]; /* next offset wanted; records must come exactly in this order */
    int owner[FIXTURE_PARTITIONS];    /* number of the reader that holds it; 0 = none */
    int64_t n_records, n_wrong;       /* n_wrong: out of order, repeated, of another partition, damaged */
    int n_assigned, n_revoked, n_lost;
};

struct reader {
    const struct eddy_source *part;
    void *source;
    struct positions *at;
    int number;            /* 1, 2, .. */
    struct claims *claims; /* all partitions are claimed there, and refused, as driver number - 1; NULL = no */
    int n_ends;            /* moments right after a revoke at which the claims say that nobody has anything to do */
    bool taking;
    int worker, workers;          /* as the source is told */
    int64_t forced;               /* >= 0: assign() returns this */
    bool from_start;              /* assign() returns `start`, or the committed offset when there is one */
    struct source_partition last; /* as the last assign() saw it; texts are not kept */
    char last_metadata[64];
    int tags[FIXTURE_PARTITIONS];
    struct eddy_error err;
};

/* Settings with the cluster's properties and one topic. */
struct kafka_source_settings fixture_source(struct cluster *, const struct eddy_strings *topics);
eddy_status reader_open(struct reader *, const struct eddy_source *, const void *settings);
/* One poll, checked and released; returns how many records it gave, or the error. */
int reader_poll(struct reader *, int timeout_ms, int max_records);
/* Polls until the positions hold `n` records, or `limit_ms` have passed; returns the time in ms, -1 = limit or error. */
int reader_until(struct reader *, int64_t n, int limit_ms);
void reader_close(struct reader *);
void *reader_tag(struct reader *, int partition);

int64_t fixture_now_ms(void);

#endif
