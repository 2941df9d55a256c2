/* Kafka: a source and a sink over a consumer group, and a bounded reader of a topic's past.  The options of both are in
 * kafka_settings.c, the settings that they fill below.
 *
 * Source   cooperative-sticky group member.  Every assigned partition keeps its own fetch queue, which poll() drains in
 *          turn; pausing a partition is leaving its queue alone, so nothing that was fetched is thrown away, lost or
 *          read twice.  Where reading starts is said by the listener's assign(), never by auto.offset.reset.
 *          With `labels`, records of that topic are copied into the events' own partitions (kafka_labels.h).
 * Sink     idempotent producer, acks=all, no delivery timeout: brokers may be away for as long as they like.
 * Errors   broker away, coordinator moving, leader unknown: logged and waited out.  Wrong credentials, missing rights,
 *          a topic that is not there, an offset that is gone, a message the broker refuses: an error that ends the
 *          pipeline, naming topic, partition and reason. */
#ifndef CONNECTORS_KAFKA_KAFKA_H
#define CONNECTORS_KAFKA_KAFKA_H

#include "engine/flow/sink.h"
#include "engine/flow/source.h"
#include "engine/flow/state_topic.h"
#include "engine/flow/transaction.h"

enum tombstones { TOMBSTONES_SKIP, TOMBSTONES_FORGET };

struct kafka_source_settings {
    struct eddy_strings topics;
    const char *start; /* earliest | latest | RFC 3339: where a partition without a committed offset starts */
    struct eddy_map properties; /* librdkafka's own names */
    const char *instance_id;    /* static membership; NULL or "" = off */
    int tombstones;             /* enum tombstones; only carried here, the driver acts on it */
    int64_t connect_timeout;    /* ns */
    const char *labels;         /* topic whose records are copied into the one of `topics`; NULL or "" = none */
};

struct kafka_sink_settings {
    const char *topic;
    struct eddy_map properties; /* empty = the Kafka source's */
    int64_t connect_timeout;    /* ns */
};

/* What `replay --from --to` reads: no group membership, no commits, ends by itself. */
struct kafka_range_settings {
    struct eddy_strings topics;
    struct eddy_map properties;
    const char *from;        /* earliest | latest | RFC 3339; NULL = earliest */
    const char *to;          /* latest | RFC 3339, exclusive; NULL = latest: the end as it is when reading starts */
    int64_t connect_timeout; /* ns; 0 = 30 s */
};

/* EDDY_ECONFIG, with names and numbers, unless a label topic has as many partitions as the events. */
eddy_status kafka_labels_match(const char *labels, int n_labels, const char *events, int n_events,
                               struct eddy_error *);

extern const struct eddy_source source_kafka; /* settings: struct kafka_source_settings */
extern const struct eddy_sink sink_kafka;     /* settings: struct kafka_sink_settings */
/* For pipelines whose source and sinks are the above, on one cluster. */
extern const struct eddy_transactor transactor_kafka;
/* For pipelines whose source is the above. */
extern const struct eddy_state_topic state_topic_kafka;
/* EDDY_ECONFIG when a source with these settings cannot have that state topic. */
eddy_status kafka_state_topic_check(const struct kafka_source_settings *, const char *topic, struct eddy_error *);
/* The same when the brokers' settings of the topic cannot keep states; *record_bytes is the most that a record of it may
 * have.  Where the right to ask is missing that is logged, and taken to be well. */
struct kafka_admin;
eddy_status kafka_state_topic_settings(struct kafka_admin *, const char *topic, long long *record_bytes,
                                       struct eddy_error *);
/* Calls back for the first record of each of n partitions that has any, without becoming anybody's writer: whose copy is
 * this? */
eddy_status kafka_state_topic_firsts(const struct state_topic_request *, int n_partitions,
                                     eddy_status (*each)(void *context, int32_t partition,
                                                         const struct state_topic_record *, struct eddy_error *),
                                     void *context, struct eddy_error *);

/* The same calls over a fixed range; settings: struct kafka_range_settings, filled by the command. */
extern const struct eddy_source source_kafka_range;

#endif
