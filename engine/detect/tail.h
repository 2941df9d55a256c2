/* Is a short window fuller of exceedances than this key's windows usually are?
 *
 * Equations (DETECTION, sections 4.5 and 9; A_k = share of exceedances among the last k events)
 *     z   = (A_k - M) / max(sqrt W, 1e-6)          M, W: long-run mean and variance of A_k before this event
 *     T_k = min(1, -log10 Q(z) / decades)          Q: upper tail of the normal distribution
 *     M  += g (A_k - M),  W += g ((A_k - M)^2 - W),  g = max(1/n, 1/memory)
 * Memory   plain data; all 0 when new. */
#ifndef ENGINE_DETECT_TAIL_H
#define ENGINE_DETECT_TAIL_H

#include <math.h>
#include <stdint.h>

#include "engine/math/scalar.h"

struct tail {
    double mean, variance;
};

/* -log10 Q(z) at z = -1, -.75, .., 9. */
extern const double tail_table[41];

/* -log10 Q(z), within 1 %, 0 below z = -1. */
static inline double tail_minus_log10(double z)
{
    if (!(z > -1)) return 0;
    if (z >= 9) return tail_table[40];
    double place = (z + 1) * 4;
    int i = (int)place;
    return tail_table[i] + (place - i) * (tail_table[i + 1] - tail_table[i]);
}

/* g, the same for all windows of an event, whose part of all events so far is `part`. */
static inline double tail_gain(double part, double memory)
{
    return scalar_most(part, 1 / memory);
}

/* T_k for `share`, then takes it in (0 evidence while n <= 20). */
static inline double tail_judge(struct tail *t, double share, int64_t n, double gain, double decades)
{
    const double off = share - t->mean;
    /* 20: before so many events nothing is usual; that is no option, detect.warmup begins later. */
    const double evidence = n > 20 ? tail_minus_log10(off / scalar_most(sqrt(t->variance), 1e-6)) / decades : 0;
    t->mean += gain * off;
    t->variance += gain * (off * off - t->variance);
    return evidence > 1 ? 1 : evidence;
}

#endif
