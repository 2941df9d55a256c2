/* Exponential smoothing with an optional damped trend and an optional additive season: what ses, holt and
 * holt_winters have in common.
 *
 * Equations (Holt 1957, Winters 1960, Gardner and McKenzie 1985, in error-correction form; the carried error: Taylor
 * 2003.  Season m, phase p = t mod m, sigma the value's scale)
 *     f   = l + phi b + s_p                     e = x - f          u = e limited to 10 sigma
 *     l   = l + phi b + alpha e                 the level follows at once, however far x has jumped,
 *     b   = phi b + alpha beta u                but neither trend nor season are learnt from a jump
 *     s_p = s_p + (1 - alpha) gamma u
 *     r   = mean(u_t u_{t-1}) / mean(u_{t-1}^2)         of about 500 steps, within [0, .99]; 0 without `carry`
 *     xhat_{t+h} = l + clip((phi + .. + phi^h) b, h sigma / 3) + s_{(t+h) mod m} + r^h e_t
 * Start     l = the first known value, b = 0.  With a season the first m steps are smoothed without trend and season;
 *           then l = their mean, b = 0, s_i = x_i - l.  With `warm` no gamma is below 1 / (seasons seen + 1): the
 *           first seasons are averaged.
 * Missing   e = 0: the trend goes on, the phase as well; in the first season the last known value stands in.
 * Choice    every combination of alpha, beta, gamma and phi runs along as a candidate; forecasts are those of the one
 *           with the smallest discounted loss,  loss = .995 loss + min((x - xhat)^2 / sigma^2, 9)  one step ahead.
 *
 * Layout    per value, all 0 for a new key: a head of 24 bytes | candidates [C] of 40 bytes | seasons [C, m] floats
 * Numbers   finite for every finite x. */
#ifndef ENGINE_FORECAST_SMOOTHING_H
#define ENGINE_FORECAST_SMOOTHING_H

#include "eddy_expert.h"

struct smoothing {
    struct eddy_reals alpha, beta, gamma, phi; /* n = 0: 1, 0 (no trend), 0, 1 */
    int season;                                /* m; 0 = none */
    bool warm, carry;                          /* see above */
};

/* For part.check: so many combinations are nobody's intention. */
enum { SMOOTHING_MAX_CANDIDATES = 256 };
eddy_status smoothing_check(const struct smoothing *, struct eddy_error *);

size_t smoothing_bytes(const struct smoothing *);
void smoothing_fold(const struct smoothing *, const struct eddy_expert_shape *, void *state,
                    const struct eddy_expert_event *, double *forecast /* [n_horizons] */);

/* False: a stored state whose count would run over or lead beyond the season's places. */
bool smoothing_sound(const void *state);

#endif
