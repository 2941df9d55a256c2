#include "engine/forecast/scale.h"

#include <math.h>

#include "engine/math/scalar.h"

static const double SCALE_MEMORY = 200, SLOW_GAIN = 2.0 / 673, LARGEST_STEP = 1e150;
enum { YOUNG = 6, GROWN = 20 }; /* values */

static double scale_limit(double d)
{
    return d > LARGEST_STEP ? LARGEST_STEP : d < -LARGEST_STEP ? -LARGEST_STEP : d;
}

double scale_update(struct scale *s, double x)
{
    if (s->n == 0) {
        *s = (struct scale){.n = 1, .last = x, .mean = x, .slow = x};
        return 0;
    }
    double n = (double)s->n, d = scale_limit(x - s->last);

    double d2 = d * d, limit = (s->n < GROWN ? 9 : 25) * s->v + 1e-4 * s->spread * s->spread;
    if (s->n >= YOUNG && d2 > limit) d2 = limit;
    s->v += (d2 - s->v) / scalar_least(n, SCALE_MEMORY);

    double gain = scalar_most(SLOW_GAIN, 1 / (n + 1));
    double off = scale_limit(x - s->slow);
    s->slow += gain * off;
    s->spread += gain * (fabs(off) - s->spread);
    s->mean += scale_limit(x - s->mean) / scalar_least(n + 1, SCALE_MEMORY);
    s->last = x;
    s->gap = 0;
    if (s->n < INT32_MAX) s->n++;
    return d;
}

void scale_miss(struct scale *s)
{
    if (s->n > 0 && s->gap < INT32_MAX) s->gap++;
}
