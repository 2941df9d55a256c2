/* Numbers written side by side: what number_write() makes of a double, for several at once.
 *
 * Exactly what the scalar code makes: the same additions, multiplications and divisions in the same order, rounded the same, on
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
enum { NUMBER_LANE_BYTES = 16 }; /* the longest text: -0.0000123456789 */

/* Writes *x[i], i < n.  The numbers are read where they are: copied side by side, the wide load would have to wait for the
 * copies.  All three have room up to the next multiple of NUMBER_LANES, where x points to any numbers.
 *   text  [n] without a NUL
 *   len   [n] 0: not written, which is what number_write() does with an e, what rounds to more than 999999999, and what is 0
 *             or no number */
typedef void number_lanes_write(const double *const *x, int n, char (*text)[NUMBER_LANE_BYTES], int64_t *len);

/* What there is; x86-64 only. */
number_lanes_write number_lanes_avx2, number_lanes_avx512;
/* By instruction set; NULL where it was not built or the processor lacks it, or the name is none. */
number_lanes_write *number_lanes_named(const char *name);
/* The fastest that this processor runs; NULL: number after number is faster. */
number_lanes_write *number_lanes_best(void);

/* The numbers of a result, in the order in which they will be written: borrowed until they have been.  One with n = 0 is empty;
 * those above its room are not kept, and are converted one by one. */
/* 100 horizons of one value; no power of two, which would put like places of the arrays where caches take them for one. */
enum { NUMBER_BATCH_MAX = 328 };
struct number_batch {
    int n, at;                             /* at: the next one that has a text */
    const double *x[NUMBER_BATCH_MAX + 1]; /* behind the last one NULL */
    char text[NUMBER_BATCH_MAX][NUMBER_LANE_BYTES];
    int64_t len[NUMBER_BATCH_MAX];
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

/* What the next one of the batch has no text for, and any other number; apart, so that the others need not make room for it. */
size_t number_batch_write_odd(struct number_batch *, const double *x, char *out);

/* As number_write(): the text of any number, and quickly so when it is the next one of the batch, which it then leaves. */
static inline size_t number_batch_write(struct number_batch *b, const double *x, char *out)
{
    const int i = b->at;
    if (b->x[i] != x || b->len[i] == 0) return number_batch_write_odd(b, x, out);
    memcpy(out, b->text[i], NUMBER_LANE_BYTES);
    b->at = i + 1;
    return (size_t)b->len[i];
}

#endif
