/* From a `properties:` map to a librdkafka configuration.
 *
 * Order: eddy's defaults for the role (kafka_tuning.h), then the user's properties, then what eddy owns.  A property that eddy owns, that
 * loads or runs code, or that librdkafka does not know is refused by name and line.  Secrets appear in no text.
 * Threads  reentrant. */
#ifndef CONNECTORS_KAFKA_KAFKA_SETTINGS_H
#define CONNECTORS_KAFKA_KAFKA_SETTINGS_H

#include <librdkafka/rdkafka.h>

#include "config/settings.h"
#include "connectors/kafka/kafka.h"

enum kafka_role {
    KAFKA_MEMBER,     /* consumer in a group */
    KAFKA_READER,     /* consumer of fixed ranges: joins no group, commits nothing, is told of partition ends */
    KAFKA_PRODUCER,   /* idempotent producer */
    KAFKA_TRANSACTOR, /* producer with a transactional.id */
    KAFKA_PUBLISHER,  /* the same for the state topic, whose transactions may take minutes */
    KAFKA_ASKER       /* metadata, offsets, group administration */
};

extern const struct eddy_option kafka_source_options[];
extern const struct eddy_option kafka_sink_options[];

bool kafka_id_is_drawn(
    const struct kafka_source_settings *); /* instance_id: the driver's name for the process is used */

/* What `eddy check` can say without a broker: each property is known, allowed and well-formed, and, when asked for,
 * bootstrap.servers is there. */
eddy_status kafka_properties_check(const struct eddy_map *, bool need_servers, struct eddy_error *);

/* Names that Kafka allows, and none twice; patterns are refused. */
eddy_status kafka_topics_check(const struct eddy_strings *topics, struct eddy_error *);

/* A label topic goes with exactly one topic of events, and another one; NULL and "" are none. */
eddy_status kafka_labels_check(const char *labels, const struct eddy_strings *topics, struct eddy_error *);

/* A new configuration for `role`; the caller hands it to rd_kafka_new() or destroys it.  `name` gives client.id and
 * group.id; `n_partitions` (0 = unknown) divides the prefetch budget. */
eddy_status kafka_conf(enum kafka_role role, enum latency latency, const char *name, const char *instance_id,
                       const struct eddy_map *, int n_partitions, rd_kafka_conf_t **, struct eddy_error *);

/* Of several clients of one kind in a process: client.id, and with `ids_too` group.instance.id and transactional.id, where
 * set, get the worker's number at their end. */
eddy_status kafka_conf_worker(rd_kafka_conf_t *, int worker, bool ids_too, struct eddy_error *);

/* A producer's messages, and what it sends together, are no longer than this, whatever the user's properties say. */
eddy_status kafka_conf_batch(rd_kafka_conf_t *, int bytes, struct eddy_error *);

/* Logs a warning for each property that weakens the connection's security; called at every start. */
void kafka_properties_warn(const struct eddy_map *);

/* The value of bootstrap.servers, for messages; "(no bootstrap.servers)" when it is not set. */
const char *kafka_servers(const struct eddy_map *);

/* Masks every secret of the map that occurs in `text`, in place. */
void kafka_mask(const struct eddy_map *, char *text);

#endif
