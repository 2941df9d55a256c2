/* librdkafka's mock cluster in a child process on 127.0.0.1, for the demo and for tests.
 *
 * It keeps at most 5 MiB per partition, forgets everything when it ends, knows no transactions, no lookup by time and no
 * access rights, and dies of malformed requests: never a place for data.
 *
 * Order    open it before anything in this process has made a librdkafka handle: the child is a fork, and threads do not
 *          survive a fork.
 * Memory   closed by who opened it.  The child also ends when the thread that opened it does. */
#ifndef CONNECTORS_KAFKA_KAFKA_MOCK_H
#define CONNECTORS_KAFKA_KAFKA_MOCK_H

#include <stdint.h>

#include "eddy_error.h"

struct kafka_mock;

struct kafka_mock_topic {
    const char *name;
    int n_partitions;
};

eddy_status kafka_mock_open(const struct kafka_mock_topic *, int n_topics, struct kafka_mock **, struct eddy_error *);
const char *kafka_mock_servers(const struct kafka_mock *); /* for bootstrap.servers */
void kafka_mock_close(struct kafka_mock *);                /* NULL is fine */

#endif
