/* Events for the benchmarks, built before the clock starts: `n` JSON records of `n_keys` keys in a shuffled order, each
 * key's time advancing by a minute, with a daily rhythm, noise and a few missing values.  The same ones for the same
 * arguments.
 *
 * Memory   records point into the set; records_close() frees all. */
#ifndef TESTS_BENCH_RECORDS_H
#define TESTS_BENCH_RECORDS_H

#include "eddy_codec.h"

struct records {
    int n, n_keys;
    struct eddy_record *record; /* [n] offsets 0..n-1 of partition 0 of topic "bench" */
    char *text;
    size_t text_bytes;
};

/* Ends the program when memory runs out: a benchmark has nobody to tell. */
void records_open(struct records *, int n, int n_keys);
void records_close(struct records *);

#endif
