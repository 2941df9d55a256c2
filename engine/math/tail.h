/* Is a short window fuller of exceedances than this key's windows usually are?
 *
 * Equations (DETECTION, sections 4.5 and 9; A_k = share of exceedances among the last k events)
 *     z   = (A_k - M) / max(sqrt W, 1e-6)          M, W: long-run mean and variance of A_k before this event
 *     T_k = min(1, -log10 Q(z) / decades)          Q: upper tail of the normal distribution
 *     M  += g (A_k - M),  W += g ((A_k - M)^2 - W),  g = max(1/n, 1/memory)
 * Memory   plain data; all 0 when new.
 * Without branches, so that the kernels judge several windows side by side. */
#ifndef ENGINE_MATH_TAIL_H
#define ENGINE_MATH_TAIL_H

#include <math.h>
#include <stdint.h>

#include "engine/math/scalar.h"

struct tail {
    double mean, variance;
};

/* -log10 Q(z) at z = -1, -.75, .., 9, and the last once more: beyond it nothing changes. */
enum { TAIL_STEPS = 40 };
extern const double tail_table[TAIL_STEPS + 2];

enum { TAIL_SIDE = 4 }; /* windows that are judged side by side: the usual three and the long one */
/* Loops over them, step by step: each is a few instructions on a vector, unless the compiler takes it apart. */
#define TAIL_WHOLE _Pragma("GCC unroll 1")

/* -log10 Q(z), within 1 %, 0 below z = -1, of n <= TAIL_SIDE. */
static inline __attribute__((always_inline)) void tail_minus_log10(const int n, const double *z, double *found)
{
    double place[TAIL_SIDE], from[TAIL_SIDE], to[TAIL_SIDE];
    TAIL_WHOLE
    for (int i = 0; i < n; i++) place[i] = (z[i] + 1) * 4;
    TAIL_WHOLE
    for (int i = 0; i < n; i++) place[i] = place[i] < TAIL_STEPS ? place[i] : TAIL_STEPS;
    TAIL_WHOLE
    for (int i = 0; i < n; i++) place[i] = place[i] > 0 ? place[i] : 0;
    for (int i = 0; i < n; i++) {
        const double *at = tail_table + (int)place[i];
        from[i] = at[0];
        to[i] = at[1];
    }
    TAIL_WHOLE
    for (int i = 0; i < n; i++) found[i] = from[i] + (place[i] - (int)place[i]) * (to[i] - from[i]);
    TAIL_WHOLE
    for (int i = 0; i < n; i++) found[i] = z[i] > -1 ? found[i] : 0;
}

/* Of the last k events, 1 .. 64, newest in bit 0: the share of exceedances. */
static inline double tail_share(uint64_t hits, int k)
{
    return scalar_bits(hits << (64 - k)) / (double)k;
}

/* g, the same for all windows of an event, whose part of all events so far is `part`. */
static inline double tail_gain(double part, double memory)
{
    return scalar_most(part, 1 / memory);
}

/* T_k for the shares of n <= TAIL_SIDE windows, then takes them in (0 evidence while n_events <= 20: nothing is usual
 * before; that is no option, detect.warmup begins later). */
static inline __attribute__((always_inline)) void tail_judge(const int n, struct tail *t, const double *share,
                                                             int64_t n_events, double gain, double decades,
                                                             double *evidence)
{
    double mean[TAIL_SIDE], variance[TAIL_SIDE], off[TAIL_SIDE], z[TAIL_SIDE];
    TAIL_WHOLE
    for (int i = 0; i < n; i++) {
        mean[i] = t[i].mean;
        variance[i] = t[i].variance;
    }
    TAIL_WHOLE
    for (int i = 0; i < n; i++) {
        off[i] = share[i] - mean[i];
        z[i] = sqrt(variance[i]);
        z[i] = off[i] / (z[i] > 1e-6 ? z[i] : 1e-6);
    }
    TAIL_WHOLE
    for (int i = 0; i < n; i++) {
        t[i].mean = mean[i] + gain * off[i];
        t[i].variance = variance[i] + gain * (off[i] * off[i] - variance[i]);
    }
    tail_minus_log10(n, z, evidence);
    const double counts = n_events > 20 ? 1 : 0;
    TAIL_WHOLE
    for (int i = 0; i < n; i++) evidence[i] = evidence[i] / decades;
    TAIL_WHOLE
    for (int i = 0; i < n; i++) evidence[i] = counts * (evidence[i] > 1 ? 1 : evidence[i]);
}

#endif
