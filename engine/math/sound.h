/* What may be believed of numbers that were stored: who can write a state file or a state topic can write any. */
#ifndef ENGINE_MATH_SOUND_H
#define ENGINE_MATH_SOUND_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of events, steps and the like: it can go on counting for ever, and is exact as a double. */
static inline bool sound_count(int64_t n)
{
    return n >= 0 && n <= (int64_t)1 << 52;
}

static inline bool sound_span(int64_t n, int64_t least, int64_t most)
{
    return n >= least && n <= most;
}

static inline bool sound_reals(const double *x, size_t n)
{
    bool finite = true;
    for (size_t i = 0; i < n; i++) finite &= isfinite(x[i]) != 0;
    return finite;
}

static inline bool sound_floats(const float *x, size_t n)
{
    bool finite = true;
    for (size_t i = 0; i < n; i++) finite &= isfinite(x[i]) != 0;
    return finite;
}

#endif
