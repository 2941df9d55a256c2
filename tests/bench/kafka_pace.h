/* Records into a topic at a steady rate, and how long until each one's result is in the other topic.
 *
 * Partitions keep their order, so the i-th result of a partition belongs to its i-th record.  A prelude of records is sent
 * first, and the clock starts when all of them have come back: whoever answers is there by then.
 *
 * Errors   a result that is missing for 20 seconds ends the program. */
#ifndef TESTS_BENCH_KAFKA_PACE_H
#define TESTS_BENCH_KAFKA_PACE_H

#include "tests/bench/kafka_load.h"

enum { PACE_PRELUDE = 200 };

struct kafka_pace {
    struct kafka_load load; /* n_warm: the records that are not measured, the prelude among them */
    double rate;            /* records per second */
};

/* For bench_in_child(): p50, p99, and output_bytes: the mean payload of a result. */
struct bench_run kafka_pace(const void *pace);

#endif
