/* What an earlier life has written: the newest results in an output partition. */
#ifndef CONNECTORS_KAFKA_KAFKA_WRITTEN_H
#define CONNECTORS_KAFKA_KAFKA_WRITTEN_H

#include "connectors/kafka/kafka_client.h"

/* The consumer that looks, one for all partitions that begin: made at the first look, and gone when none has come for a
 * while.  Zeroed at first. */
struct kafka_look {
    struct kafka_client client;
    int64_t looked_ms; /* the last time */
};

/* Looks back through `output`[partition] for results of `topic`[partition] from source offset `from` on, by their "src",
 * until it meets an older one, the beginning, the place in `output` that the caller named (unless the topic ends before
 * it: it was made anew), or WRITTEN_MOST records.  What has no "src" (another codec, fields left out) is not found.
 * Errors are EDDY_EIO and EDDY_ENOMEM. */
eddy_status kafka_look_at(struct kafka_look *, const struct eddy_map *properties, const char *name,
                          const char *output, const char *topic, int32_t partition, int64_t from,
                          struct sink_written *, struct eddy_error *);
void kafka_look_rest(struct kafka_look *); /* now and then */
void kafka_look_close(struct kafka_look *);

#endif
