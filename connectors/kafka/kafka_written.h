/* What an earlier life has written: the newest results in an output partition. */
#ifndef CONNECTORS_KAFKA_KAFKA_WRITTEN_H
#define CONNECTORS_KAFKA_KAFKA_WRITTEN_H

#include "connectors/kafka/kafka_settings.h"

/* Looks back through `output`[partition] for results of `topic`[partition] from source offset `from` on, by their "src",
 * until it meets an older one, the beginning, or WRITTEN_MOST records.  What has no "src" (another codec, fields left
 * out) is not found.  Errors are EDDY_EIO and EDDY_ENOMEM. */
eddy_status kafka_written(const struct eddy_map *properties, const char *name, const char *output, const char *topic,
                          int32_t partition, int64_t from, struct sink_written *, struct eddy_error *);

#endif
