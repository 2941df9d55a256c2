/* A copy of every partition's state in a compacted topic (state.topic).  The driver (driver_topic.c) owns this interface;
 * connectors/kafka/kafka_state_topic.c implements it.  What the records say is engine/state/topic_record.h's.
 *
 * A partition's records go to the partition of the same number.  What is sent between begin() and commit() becomes visible
 * as a whole or not at all, and only while the source's membership of the group is good: with it the group learns the
 * offset behind the last record, which is where the next owner looks first.
 *
 * Owner    end() makes this process the partition's writer: what another one has left open, and can be dead for all we know,
 *          is ended first.  It is that until leave(), or until another process does the same.
 * Threads  one thread calls everything.
 * Errors   EDDY_EAGAIN: not now.  After one from begin(), send(), flushed() or commit(): recover(), then ask end() whether it
 *          happened, and send everything once more if it did not. */
#ifndef ENGINE_FLOW_STATE_TOPIC_H
#define ENGINE_FLOW_STATE_TOPIC_H

#include <signal.h>

#include "eddy_buffer.h"
#include "engine/flow/source.h"

struct state_topic_request {
    const char *name;                  /* settings.name */
    const char *topic;                 /* settings.state.topic */
    const struct eddy_choice *source;  /* whose topic, brokers and credentials */
    const volatile sig_atomic_t *stop; /* not 0: waiting gets short; may be NULL */
};

struct state_topic_record { /* borrowed until the next call */
    int64_t offset;
    const void *key, *value; /* value NULL: a tombstone */
    size_t key_len, len;
};

struct eddy_state_topic {
    /* Makes the topic when there is none; EDDY_ECONFIG when it has another policy or number of partitions. */
    eddy_status (*open)(const struct state_topic_request *, void **topic, struct eddy_error *);
    size_t (*piece_bytes)(void *topic); /* most bytes of a record's value */

    /* The offset behind what was last published of a partition, as the group knows it: -1 = it knows none.  Waits for a
     * publication that is being decided.  EDDY_ENOTFOUND: the topic has no partition of that number. */
    eddy_status (*end)(void *topic, int32_t partition, int timeout_ms, int64_t *end, struct eddy_error *);
    /* Reads from an offset (-1 = the first kept) up to another (-1 = the end as it is now); one partition at a time.
     * EDDY_ENOTFOUND: it does not reach that far, or not yet. */
    eddy_status (*seek)(void *topic, int32_t partition, int64_t from, int64_t to, int timeout_ms,
                        struct eddy_error *);
    /* 1: a record; 0: none now; EDDY_ENOTFOUND: that was the last. */
    eddy_status (*read)(void *topic, int timeout_ms, struct state_topic_record *, struct eddy_error *);

    eddy_status (*begin)(void *topic, int32_t partition, struct eddy_error *);
    /* 1: taken; 0: full for now.  value NULL: a tombstone. */
    eddy_status (*send)(void *topic, int32_t partition, const struct eddy_buffer *key,
                        const struct eddy_buffer *value, struct eddy_error *);
    /* 1: all that was sent is in the topic, at offsets *from and later, before *end; 0: not yet. */
    eddy_status (*flushed)(void *topic, int32_t partition, int64_t *from, int64_t *end, struct eddy_error *);
    eddy_status (*commit)(void *topic, void *source, int32_t partition, int64_t end, int timeout_ms,
                          struct eddy_error *);
    /* What is open is given up. */
    eddy_status (*recover)(void *topic, int32_t partition, int timeout_ms, struct eddy_error *);
    void (*leave)(void *topic, int32_t partition); /* the partition is another's, or nobody's */
    void (*close)(void *topic);                    /* NULL is fine */
};

#endif
