/* Numbers converted side by side: what number_write() finds out about a double, for several at once.
 *
 * Exactly what the scalar code finds: the same additions, multiplications and divisions in the same order, rounded the same, on
 * every processor; only which of them run at the same time differs.
 * Memory   nothing is allocated.
 * Threads  reentrant. */
#ifndef CONNECTORS_CODEC_NUMBER_LANES_H
#define CONNECTORS_CODEC_NUMBER_LANES_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "connectors/codec/number.h"

enum { NUMBER_LANES = 8 };
enum { NUMBER_LANES_ODD = 99 }; /* e10 of what is left to number_write() */

/* What *x[i] is made of, |*x[i]| = d.dddddddd * 10^e10, without the sign.  The numbers are read where they are: copied side by
 * side, the wide load would have to wait for the copies.
 *   first  [NUMBER_LANES] the first digit, 1..9
 *   eight  [NUMBER_LANES] the other eight, 0..9, the second one in the lowest byte
 *   e10    [NUMBER_LANES] -13..9; NUMBER_LANES_ODD unless it lies in 1e-13 .. 1e9 */
typedef void number_lanes_convert(const double *const x[NUMBER_LANES], uint64_t *first, uint64_t *eight,
                                  int64_t *e10);

/* What there is; x86-64 only. */
number_lanes_convert number_lanes_avx2, number_lanes_avx512;
/* By instruction set; NULL where it was not built or the processor lacks it, or the name is none. */
number_lanes_convert *number_lanes_named(const char *name);
/* The fastest that this processor runs; NULL: number after number is faster. */
number_lanes_convert *number_lanes_best(void);

/* The numbers of a result, in the order in which they will be written: borrowed until they have been.  One with n = 0 is empty;
 * those above its room are not kept, and are converted one by one. */
/* 100 horizons of one value; no power of two, which would put like places of the arrays where caches take them for one. */
enum { NUMBER_BATCH_MAX = 328 };
struct number_batch {
    int n, n_single, at; /* at: the next to be written; the first n_single are converted one by one */
    const double *x[NUMBER_BATCH_MAX];
    uint64_t first[NUMBER_BATCH_MAX], eight[NUMBER_BATCH_MAX];
    int64_t e10[NUMBER_BATCH_MAX];
};

/* Leaves out what no lane is needed for: a score is mostly 0, and a young key has no bands. */
static inline void number_batch_add(struct number_batch *b, const double *x, int n)
{
    for (int i = 0; i < n && b->n < NUMBER_BATCH_MAX; i++) {
        b->x[b->n] = x + i;
        b->n += fabs(x[i]) >= 1e-13;
    }
}

/* After the last one was added. */
void number_batch_convert(struct number_batch *);

/* As number_write(): the text of any number, and quickly so when it is the next one of the batch, which it then leaves. */
size_t number_batch_write(struct number_batch *, const double *x, char *out);

#endif
