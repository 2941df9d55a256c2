/* What a linear head sees of a value's past, in one row of numbers.
 *
 * Equations (FORECASTING, section 9; u the unit: sigma for `scaled`, a fixed scale of the value for `raw`)
 *     1
 *     (x - x_{t-l}) / u                          the lags
 *     (x - m_r) / u                              exponential means, r = 12, 25, 97, 673 steps:
 *                                                m_r += max(2 / r, 1 / (n + 1)) (x - m_r)
 *     (x - m_97 - level) / u                     how far from its usual place in the season
 *     ahead_j / u, j = 1 .. 23                   how the season goes on
 *     excess = clip(g, 40) - clip(g, 4), g = (x - m_25) / u      a far jump, of which the others see the limit alone
 *     the hidden outputs of a network            as they are
 * In `scaled` units lags to ahead are limited to +-4; in raw units to +-1e6, a guard alone.
 *
 * Layout   struct regressors_state in the key's row, then the last values [span] doubles, newest at (n - 1) mod span.
 * Numbers  values up to EXPERT_LARGEST; the row is finite. */
#ifndef ENGINE_FORECAST_REGRESSORS_H
#define ENGINE_FORECAST_REGRESSORS_H

#include "engine/forecast/experts.h"

enum { REGRESSORS_MEANS = 4, REGRESSORS_AHEAD = 23 };

struct regressors_shape {
    bool raw;
    int n_lags;
    const int *lags; /* ascending */
    int n_features;  /* of a network */
};

struct regressors_state {
    int64_t n; /* steps since the first known value */
    double mean[REGRESSORS_MEANS];
    double spread; /* mean distance from the slowest of them */
    double unit;   /* of `raw`: follows the spread for 200 steps from the first move on, then stands still */
    int64_t still; /* steps before the value first moved */
    double last[]; /* [span] */
};

int regressors_span(const struct regressors_shape *); /* the largest lag + 1 */
int regressors_count(const struct regressors_shape *);
size_t regressors_bytes(const struct regressors_shape *); /* a multiple of 8 */
/* Takes a step in: a known value, or at a missing one the last value again. */
void regressors_learn(const struct regressors_shape *, struct regressors_state *, double x);
double regressors_unit(const struct regressors_shape *, const struct regressors_state *, double sigma); /* > 0 */
bool regressors_ready(const struct regressors_shape *, const struct regressors_state *);
/* The row after the newest step, whose season, sigma and features `in` tells: row [count]; only when ready. */
void regressors_write(const struct regressors_shape *, const struct regressors_state *,
                      const struct eddy_expert_event *in, double *row);
/* Lowest and highest of the last values. */
void regressors_range(const struct regressors_shape *, const struct regressors_state *, double *low, double *high);

#endif
