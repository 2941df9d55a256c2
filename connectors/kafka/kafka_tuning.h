/* What eddy sets of librdkafka beneath the user's properties, by role and by the option `latency`: one table.
 * Threads  reentrant. */
#ifndef CONNECTORS_KAFKA_KAFKA_TUNING_H
#define CONNECTORS_KAFKA_KAFKA_TUNING_H

#include "config/settings.h"
#include "connectors/kafka/kafka_settings.h"

/* Fills a fresh configuration.  `n_partitions` (0 = unknown) divides the prefetch budget.  EDDY_EUNSUPPORTED, with the
 * name, when this librdkafka does not know one. */
eddy_status kafka_tune(rd_kafka_conf_t *, enum kafka_role role, enum latency latency, int n_partitions,
                       struct eddy_error *);

/* Sets a property of eddy's own; errors as above. */
eddy_status kafka_conf_set(rd_kafka_conf_t *, const char *name, const char *value, struct eddy_error *);

#endif
