/* The built-in experts that forecast by themselves.  Each file states its equations at the head; all follow
 * eddy_expert.h.  A new one is a file beside ses.c, which holds its settings, its options and the calls of
 * eddy_expert.h; a row in the table below; and a row in tests/unit/forecast/experts_cases.h, which runs all that must
 * hold for an expert.
 * `make options` writes its options into config/OPTIONS.md.
 *
 * What the built-in ones have in common: they keep doubles or floats, reckon with values no larger than
 * EXPERT_LARGEST, and a missing value is a step on which the season moves on and nothing is learnt. */
#ifndef ENGINE_FORECAST_EXPERTS_H
#define ENGINE_FORECAST_EXPERTS_H

#include <math.h>

#include "eddy_expert.h"

/* The table of the built-in experts: expert_NAME for each row. */
#define EXPERTS(row)                                                                                                 \
    row(persistence) row(seasonal_naive) row(wma) row(ses) row(holt) row(holt_winters) row(arima) row(rls) row(fleet)

/* For lists of parts. */
#define EXPERTS_PART(name)    &expert_##name.part,
#define EXPERTS_DECLARE(name) extern const struct eddy_expert expert_##name;
EXPERTS(EXPERTS_DECLARE)

extern const struct eddy_part *const experts_built_in[]; /* the same as a list; the last entry is NULL */

/* Sums of a few such values stay finite. */
#define EXPERT_LARGEST 1e300

/* v within [-limit, limit]; NaN becomes -limit. */
static inline double expert_limit(double v, double limit)
{
    return v > limit ? limit : v >= -limit ? v : -limit;
}

/* The season of those that have one: their own option, else the pipeline's. */
static inline int expert_season(int64_t own, const struct eddy_expert_shape *shape)
{
    return own ? (int)own : shape->season;
}
/* Refuses when neither says it. */
eddy_status expert_season_check(const char *expert, int64_t own, const struct eddy_expert_shape *,
                                struct eddy_error *);

#endif
