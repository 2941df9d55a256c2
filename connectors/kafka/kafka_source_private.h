/* The inside of the group member: kafka_source.c (records, commits, rebalances), kafka_settle.c (where partitions start) and
 * kafka_leave.c (the end of the membership). */
#ifndef CONNECTORS_KAFKA_KAFKA_SOURCE_PRIVATE_H
#define CONNECTORS_KAFKA_KAFKA_SOURCE_PRIVATE_H

#include "connectors/kafka/kafka_labels.h"
#include "connectors/kafka/kafka_offsets.h"
#include "connectors/kafka/kafka_partitions.h"

enum { WAIT_SLICE_MS = 100 /* the group is served at least so often */ };

struct kafka_source {
    struct kafka_client *client; /* another one after joining the group again */
    struct kafka_partitions partitions;
    struct kafka_labels *labels; /* NULL = off */
    const struct kafka_source_settings *settings;
    struct kafka_client_request request; /* to become a member again */
    int n_fenced;                        /* how often that was needed since fenced_ms */
    int64_t fenced_ms;
    struct source_listener listener;
    struct kafka_when start;
    rd_kafka_queue_t *group_queue;
    rd_kafka_topic_partition_list_t *pending; /* assigned by the group, not yet settled */
    rd_kafka_topic_partition_list_t *again;   /* restarted, not yet placed: librdkafka has them assigned already */
    int64_t settle_at_ms;
    int n_commits; /* on their way */
    bool was_assigned, closing;
    int session_ms;
};

/* kafka_source.c */
eddy_status source_failure(struct kafka_source *, struct eddy_error *); /* what was found to be final */
void source_fail(struct kafka_source *, const struct eddy_error *why);
void source_revoke_one(struct kafka_source *, struct kafka_partition *, bool lost);
void source_log_error(rd_kafka_error_t *, const char *what); /* takes it over; NULL is fine */
void source_forget_pending(struct kafka_source *);
void source_round(const struct kafka_source *, int round); /* enum source_round */

/* kafka_settle.c */
eddy_status source_settle(struct kafka_source *, struct eddy_error *);        /* asks and assigns what waits for it */
eddy_status kafka_source_restart(void *source, struct eddy_error *);          /* eddy_source.restart */
eddy_status kafka_source_again(void *source, void *tag, struct eddy_error *); /* eddy_source.again */

/* kafka_leave.c */
void source_end_membership(struct kafka_source *); /* takes it over */
void source_destroy(struct kafka_source *);        /* a source that is no member any more */
/* Ends a client on another thread: without a coordinator librdkafka's destroy call may wait for a session, or for ever. */
void kafka_client_abandon(struct kafka_client *);

#endif
