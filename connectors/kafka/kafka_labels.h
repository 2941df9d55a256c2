/* Labels in a topic of their own, copied into the events' topic.
 *
 * Who owns partition p of the events reads partition p of the label topic too and produces each record as it is (key,
 * payload, headers, time) into partition p of the events.  There it has an offset and is a late label like any other
 * (engine/eddy_codec.h), so that the partition stays the only log and state a pure function of it.
 *
 * Reading   a consumer of its own, which joins no group: it only ever reads what it is assigned here.
 * Writing   an idempotent producer; a bounded number of records is on its way at a time, and while that many are,
 *           nothing is read.  Brokers may be away for as long as they like.
 * Commits   what the brokers acknowledged, in the pipeline's group.  Brokers take commits only from a group's members, and
 *           a commit in the middle of a rebalance may cost the assignment: so they go along with the source's own.  After a crash labels may be copied again:
 *           folding one twice changes nothing.
 * Threads   the source's.
 * Errors    as kafka.h says; passing trouble is logged and retried inside. */
#ifndef CONNECTORS_KAFKA_KAFKA_LABELS_H
#define CONNECTORS_KAFKA_KAFKA_LABELS_H

#include "connectors/kafka/kafka_partitions.h"

struct kafka_labels;

/* Waits for brokers as kafka_client_topic() does.  EDDY_ECONFIG when the label topic has not exactly `n_partitions`, as
 * many as the events.  The settings, with exactly one topic of events, are borrowed until close; `wake` is woken by new
 * labels and acknowledgements. */
eddy_status kafka_labels_open(const struct kafka_source_settings *, const struct source_request *, int n_partitions,
                              struct kafka_partitions *wake, struct kafka_labels **, struct eddy_error *);
/* Gives up what is on its way.  After the last positions were confirmed, before `wake` is freed; NULL is fine. */
void kafka_labels_close(struct kafka_labels *);

/* The partition of the events is ours: its labels are read from where the group committed, else from `start`.  Only takes
 * a note. */
eddy_status kafka_labels_start(struct kafka_labels *, int32_t partition, struct eddy_error *);
/* It is no longer: stops reading the listed partitions (NULL = all), which need not have been started.  Waits a bounded
 * time for what is on its way; then, and at once when `lost`, gives it up.  NULL labels are fine, here and below. */
void kafka_labels_stop(struct kafka_labels *, const rd_kafka_topic_partition_list_t *events, bool lost);

/* Copies what is there, without waiting for more (but for an answer of the brokers when partitions are new). */
eddy_status kafka_labels_serve(struct kafka_labels *, struct eddy_error *);

/* Adds to a commit what the group does not have yet; positions of stopped partitions only once, as others may go on
 * there. */
void kafka_labels_due(struct kafka_labels *, rd_kafka_topic_partition_list_t *);
/* The group has it.  Positions of other topics are ignored. */
void kafka_labels_confirm(struct kafka_labels *, const rd_kafka_topic_partition_t *);

#endif
