#include "engine/forecast/volatility.h"

#include <math.h>

#include "engine/math/scalar.h"

static const double FAST = .06, SLOW = .005, LEAST = 1e-12, LIMIT = 1e30;

static void volatility_follow(float *mean, double size, double gain)
{
    *mean += (float)(gain * (size - (double)*mean));
}

void volatility_update(struct volatility *v, double x, int64_t n_missing)
{
    const double n = (double)v->n, size = scalar_least(fabs(x - v->last) / sqrt((double)n_missing + 1), LIMIT);
    v->last = x;
    if (v->n++ == 0) return;
    volatility_follow(&v->fast, size, scalar_most(FAST, 1 / n));
    volatility_follow(&v->slow, size, scalar_most(SLOW, 1 / n));
}

float volatility_scale(const struct volatility *v, int h)
{
    if (v->n < 2) return 0;
    return (float)(((double)v->fast + (double)v->slow) / 2 * sqrt(h) + LEAST);
}
