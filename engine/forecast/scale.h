/* Robust scale of one value: how far it moves from one event to the next, whatever its level.
 *
 * Equations (FORECASTING, section 9; n = events with a value so far)
 *     d      = x - last, limited to d^2 <= 25 v + 1e-4 w^2, and before the 20th event to 9 v + .., so that a jump is not a
 *              new scale: the fewer values, the more it would weigh.  Before the 6th event nothing is known well enough
 *     v     += (d^2 - v) / min(n, 200)
 *     slow  += max(2/673, 1/(n+1)) (x - slow)
 *     w     += max(2/673, 1/(n+1)) (|x - slow| - w)
 *     mean  += (x - mean) / min(n + 1, 200)
 *     sigma  = 3 sqrt(v) + .05 w + 1e-6 |x| + 1e-30
 * A scale of differences, not of levels: a level's deviation stays blown up for hundreds of events after a jump.
 *
 * Memory   plain data in the key's row; all 0 for a new key.
 * Numbers  finite for every finite x: differences are limited to 1e150 before they are squared. */
#ifndef ENGINE_FORECAST_SCALE_H
#define ENGINE_FORECAST_SCALE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct scale {
    int32_t n;     /* values seen; stops at the largest number */
    int32_t gap;   /* events without a value since the last one; likewise */
    double last;   /* the last known value */
    double mean;   /* of about the last 200 values */
    double v;      /* mean squared difference */
    double slow;   /* mean of about the last 673 values */
    double spread; /* w: mean distance from `slow` */
};

/* Takes one known value in; returns its difference to the last one (0 for the first). */
double scale_update(struct scale *, double x);
void scale_miss(struct scale *); /* an event without one */

/* > 0.  No unit is as small as what is added, and a float holds what is divided by it. */
static inline double scale_sigma(const struct scale *s)
{
    return 3 * sqrt(s->v) + .05 * s->spread + 1e-6 * fabs(s->last) + 1e-30;
}

/* All values so far were 0: nothing tells their size, sigma least of all. */
static inline bool scale_rests(const struct scale *s)
{
    return s->v == 0 && s->spread == 0 && s->last == 0;
}

#endif
