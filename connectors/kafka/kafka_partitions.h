/* The partitions a consumer holds, and how their records are taken out.
 *
 * Each started partition keeps its own fetch queue (nothing is forwarded to a shared one).  A drain visits the queues in
 * turn and copies what it takes into memory of its own, so that no librdkafka object outlives it and a run of records
 * lies in one piece.  A paused partition is not visited: what was fetched stays in its queue, and librdkafka stops
 * fetching when that is full.
 *
 * Order    within a started partition offsets only ascend; anything else is dropped.
 * Memory   records and their bytes are good until the next drain or kafka_partitions_release().  Partition objects,
 *          and with them topic names, live until kafka_partitions_free().
 * Threads  one. */
#ifndef CONNECTORS_KAFKA_KAFKA_PARTITIONS_H
#define CONNECTORS_KAFKA_KAFKA_PARTITIONS_H

#include "connectors/kafka/kafka_client.h"

struct kafka_partition {
    char *topic;
    int32_t partition;
    void *tag;
    bool live, paused;
    bool ended;              /* reached `end` */
    bool was_placed;         /* `placed` holds */
    int64_t placed;          /* where `start` pointed when it was ours for the first time */
    int64_t next;            /* next offset to deliver */
    int64_t end;             /* first offset not wanted; INT64_MAX = none */
    rd_kafka_queue_t *queue; /* NULL unless live */
    int64_t commit_next;     /* position to commit, and what goes with it */
    char *commit_metadata;
    bool commit_due; /* not yet confirmed by the group */
};

struct kafka_partitions {
    struct kafka_client *client;
    struct kafka_partition **item;
    int n, cap, n_live;
    int cursor;                          /* whose turn it is */
    int wake_fd;                         /* an eventfd that librdkafka writes to when an empty queue fills */
    int64_t nudge_at_ms, behind_ms;      /* behind_ms: when a queue was last found full */
    int64_t queue_messages, queue_bytes; /* how much librdkafka keeps ready of a partition */
    struct eddy_record *records;
    int records_cap;
    struct eddy_arena bytes;
};

eddy_status kafka_partitions_init(struct kafka_partitions *, struct kafka_client *, struct eddy_error *);
void kafka_partitions_free(struct kafka_partitions *); /* stops all; before the client is closed; {0} is fine */

struct kafka_partition *kafka_partitions_find(const struct kafka_partitions *, const char *topic, int32_t partition);
struct kafka_partition *kafka_partitions_by_tag(const struct kafka_partitions *, const void *tag); /* live ones */

/* Takes the partition's queue.  Call before it is assigned to librdkafka, so that no record takes another way. */
eddy_status kafka_partitions_start(struct kafka_partitions *, const char *topic, int32_t partition, void *tag,
                                   int64_t next, int64_t end, struct kafka_partition **, struct eddy_error *);
/* Gives the queue back and drops what lies in it. */
void kafka_partitions_stop(struct kafka_partitions *, struct kafka_partition *);

/* Takes what is there, without waiting.  Returns the number of runs.  An error event in a queue that is final is an
 * error here; others are logged. */
eddy_status kafka_partitions_drain(struct kafka_partitions *, int max_records, struct source_batch *, int max_batches,
                                   struct eddy_error *);
void kafka_partitions_release(struct kafka_partitions *);

/* Also wakes up for this queue (the group's). */
void kafka_partitions_watch(struct kafka_partitions *, rd_kafka_queue_t *);
void kafka_partitions_unwatch(rd_kafka_queue_t *);
void kafka_partitions_wait(struct kafka_partitions *, int timeout_ms);

/* What an error event says, as this project says it. */
eddy_status kafka_event_error(struct kafka_client *, const rd_kafka_message_t *, const struct kafka_partition *,
                              struct eddy_error *);

#endif
