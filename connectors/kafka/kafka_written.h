/* What an earlier life has written: the newest results in an output partition say how far it had come. */
#ifndef CONNECTORS_KAFKA_KAFKA_WRITTEN_H
#define CONNECTORS_KAFKA_KAFKA_WRITTEN_H

#include "connectors/kafka/kafka_settings.h"

/* Looks through the last records of `output`[partition] for results of `topic`[partition], by their "src".  Results of one
 * source partition lie in order, so the largest offset among them is the last that was written; -1 = none was found
 * (another codec, fields left out, other topics behind it).  Errors are EDDY_EIO. */
eddy_status kafka_written(const struct eddy_map *properties, const char *name, const char *output, const char *topic,
                          int32_t partition, int64_t *last, struct eddy_error *);

#endif
