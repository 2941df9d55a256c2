/* Where a partition begins and ends, and which offset a time means.
 * Errors   EDDY_EAGAIN when the brokers did not answer in time: ask again. */
#ifndef CONNECTORS_KAFKA_KAFKA_OFFSETS_H
#define CONNECTORS_KAFKA_KAFKA_OFFSETS_H

#include "connectors/kafka/kafka_client.h"

enum kafka_when_kind { KAFKA_EARLIEST, KAFKA_LATEST, KAFKA_TIME };

struct kafka_when {
    int kind;        /* enum kafka_when_kind */
    int64_t time_ms; /* since 1970, for KAFKA_TIME */
};

/* earliest | latest | RFC 3339 (2026-11-21T05:33:05.25+01:00).  `option` is named in the error. */
eddy_status kafka_when_parse(const char *text, const char *option, struct kafka_when *, struct eddy_error *);

/* Fills offsets (negative = none) and metadata of what the client's group has committed; an empty list is fine. */
eddy_status kafka_committed(struct kafka_client *, rd_kafka_topic_partition_list_t *, int timeout_ms,
                            struct eddy_error *);

/* Adds what is to be committed for a partition; metadata may be NULL or "". */
void kafka_add_position(rd_kafka_topic_partition_list_t *, const char *topic, int32_t partition, int64_t next,
                        const char *metadata);

struct kafka_place {
    const char *topic; /* borrowed */
    int32_t partition;
    int64_t low, high; /* first offset kept; the offset the next record will get */
    int64_t at;        /* what the question was about */
};

/* Fills low, high and at (= where `when` points; a time behind the last record is the end). */
eddy_status kafka_places(struct kafka_client *, struct kafka_place *, int n, const struct kafka_when *,
                         int timeout_ms, struct eddy_error *);

#endif
