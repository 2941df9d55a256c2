/* What a key's own past says: windows of hits, and a series against itself.  Included by each kernels_*.c (through
 * kernels_table.h); the same bits in every set, for nothing is fused and no sum is split. */
#ifndef ENGINE_MATH_HISTORY_INLINE_H
#define ENGINE_MATH_HISTORY_INLINE_H

#include <string.h>

#include "engine/math/kernels.h"

static inline __attribute__((always_inline)) void tails_some(const int n, const struct tail_windows *t, int w,
                                                             struct tail *restrict tails, double *restrict evidence)
{
    double share[TAIL_SIDE];
    for (int i = 0; i < n; i++) share[i] = tail_share(t->hit[0], t->length[w + i]);
    for (int list = 1; list < t->n_lists; list++)
        for (int i = 0; i < n; i++) share[i] += tail_share(t->hit[(size_t)list * t->stride], t->length[w + i]);
    if (t->n_lists > 1)
        for (int i = 0; i < n; i++) share[i] /= t->n_lists;
    tail_judge(n, tails + w, share, t->n_events, t->gain, t->decades, evidence + w);
}

static void kernel_tails(const struct tail_windows *t, struct tail *restrict tails, double *restrict evidence)
{
    int w = 0;
    for (; w + TAIL_SIDE <= t->n; w += TAIL_SIDE) tails_some(TAIL_SIDE, t, w, tails, evidence);
    for (; w < t->n; w++) tails_some(1, t, w, tails, evidence);
}

static void kernel_correlate(int n, const float *gain, const float *x, const float *past, int n_lags, float *r)
{
    float sums[CORRELATE_LAGS];
    for (int i = 0; i < n_lags; i += CORRELATE_LAGS) {
        memcpy(sums, r + i, sizeof(sums));
        for (int k = 0; k < n; k++) {
            const float *earlier = past + i - k;
            for (int j = 0; j < CORRELATE_LAGS; j++) sums[j] += gain[k] * (x[k] * earlier[j] - sums[j]);
        }
        memcpy(r + i, sums, sizeof(sums));
    }
}

#endif
