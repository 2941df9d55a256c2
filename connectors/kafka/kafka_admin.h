/* Questions and changes outside of the stream: `eddy check --connect`, `eddy reset`, topics for demo and tests.
 *
 * Threads  one.
 * Errors   EDDY_EIO naming the servers when nobody answers, EDDY_ENOTFOUND for a topic that is not there. */
#ifndef CONNECTORS_KAFKA_KAFKA_ADMIN_H
#define CONNECTORS_KAFKA_KAFKA_ADMIN_H

#include "eddy_option.h"
#include "engine/flow/position_mark.h"

struct kafka_admin;

/* `name` becomes the client.id; properties must outlive the admin; timeout_ms bounds each call below. */
eddy_status kafka_admin_open(const char *name, const struct eddy_map *properties, int timeout_ms,
                             struct kafka_admin **, struct eddy_error *);
void kafka_admin_close(struct kafka_admin *); /* NULL is fine */

/* Number of partitions (> 0), or the error that a pipeline would meet. */
eddy_status kafka_admin_topic(struct kafka_admin *, const char *topic, struct eddy_error *);
/* Makes a topic; EDDY_EBUSY when there is one of that name. */
eddy_status kafka_admin_create(struct kafka_admin *, const char *topic, int n_partitions, struct eddy_error *);

/* The same with cleanup.policy=compact, which keeps the newest record of every key. */
eddy_status kafka_admin_create_compacted(struct kafka_admin *, const char *topic, int n_partitions,
                                         struct eddy_error *);
/* Removes a topic with all that it holds; EDDY_ENOTFOUND when there is none. */
eddy_status kafka_admin_delete(struct kafka_admin *, const char *topic, struct eddy_error *);
/* What the brokers have set for a topic, as text. */
eddy_status kafka_admin_topic_setting(struct kafka_admin *, const char *topic, const char *setting, char *out,
                                      size_t size, struct eddy_error *);

struct kafka_group_position {
    const char *topic; /* borrowed from the caller's list */
    int32_t partition;
    int64_t low, high;                  /* first offset kept, and the end */
    int64_t at;                         /* where `when` points */
    int64_t committed;                  /* -1 = none */
    char metadata[POSITION_MARK_BYTES]; /* that goes with `committed` when it is set */
};

/* Live members of the consumer group (0 = none, or no such group). */
eddy_status kafka_admin_members(struct kafka_admin *, const char *group, struct eddy_error *);
/* Every partition of the topics, ascending, with what the group has committed.  `when` as in `start`: earliest, latest
 * or RFC 3339.  *out is freed by the caller with free(). */
eddy_status kafka_admin_positions(struct kafka_admin *, const char *group, const struct eddy_strings *topics,
                                  const char *when, struct kafka_group_position **out, int *n, struct eddy_error *);
/* Commits `committed` of each position for the group, with its metadata.  EDDY_EBUSY while the group has members. */
eddy_status kafka_admin_set_positions(struct kafka_admin *, const char *group, const struct kafka_group_position *,
                                      int n, struct eddy_error *);

#endif
