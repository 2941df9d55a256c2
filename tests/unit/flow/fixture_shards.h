/* A topic of several partitions in memory that workers divide in turn, and a sink that keeps what it gets by partition.
 * Both survive drivers, as a broker would. */
#ifndef TESTS_UNIT_FLOW_FIXTURE_SHARDS_H
#define TESTS_UNIT_FLOW_FIXTURE_SHARDS_H

#include <stdatomic.h>

#include "eddy_buffer.h"
#include "engine/flow/workers.h"

enum { SHARDS = 4, SHARDS_RECORDS = 1500 };

struct shards {
    int n_records; /* of each partition */
    int64_t committed[SHARDS];
    int64_t die_at;                        /* the process ends when a partition has come so far; -1 = never */
    bool emptied[SHARDS];                  /* the partition was made anew, and holds nothing */
    int broken;                            /* the sink fails when it gets a result of this partition; -1 = none */
    bool endless;                          /* never ended */
    int late_ms;                           /* until workers but the first are given their partitions */
    volatile sig_atomic_t *stop_when_read; /* set by a worker with partitions that has read all it can; NULL = none */
    struct eddy_buffer out[SHARDS];        /* results in order, one a line */
    int n_out[SHARDS];
    atomic_int n_open; /* sources open */
};

extern const struct eddy_source shards_source; /* settings: struct shards */
extern const struct eddy_sink shards_sink;     /* settings: struct shards */

void shards_open(struct shards *, int n_records);
void shards_free(struct shards *);

#endif
