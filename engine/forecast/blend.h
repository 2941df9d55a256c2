/* What several experts say becomes one forecast of a value: Hedge (mix.h), a non-negative stack, or the mean of both; then
 * it is shrunk towards the last value as far as it has not proven to be better.
 *
 * Equations (FORECASTING, section 9; d_ij = xhat_ij - x_s of expert i at horizon j from origin s, y_j = x - x_s when the
 *            label comes, E experts, groups k of horizons as in mix.h; sums lose 1 - `stack_discount` a step)
 *     stack    S_j += .005 (min(m, 20 S_j) - S_j), m = mean_i (y_j - d_ij)^2
 *              v = min(1, jump^2 S_j / m) / S_j                     so that a jump does not decide
 *              A_k += v d_j d_j^T     b_k += v y_j d_j
 *              a_k = argmin a'(A_k + r I) a - 2 (b_k + r / E)' a,  a >= 0, sum a <= 1,  r = ridge (1 - stack_discount) tr A_k / E
 *              (what is missing to 1 is the last value's; coordinate descent, then exchange between pairs, from where the
 *              last time left off, every fourth step)
 *     Hedge    over the experts and, for stack and both, the last value itself as one more; with `prior`, times what keys
 *              of this age have shown (prior.h)
 *     mixed    D_j = sum_i w_ij d_ij,  w = Hedge's, a, or the mean of both; Hedge's alone before stack_start steps
 *     shrink   G_j, as S_j, of (y_j - D_j)^2;  v likewise;  g_k = c g_k + v D_j y_j   h_k = c h_k + v D_j^2,
 *              c = shrink_discount
 *              f_k = clip(g / h max(0, 1 - shrink^2 O_k h / g^2), 0, 1), 0 where g <= 0; 1 before shrink_start steps
 *              O_k = max(1, 2/3 sum of the horizons in k): labels of a group and of neighbouring steps overlap
 *     xhat_j = x_s + f_k D_j
 * Rows far from the exponential means of 97 and 673 steps (beyond `extreme` and 1.5 `extreme` scales) have tables of their
 * own, for stack and both; their f begins with extreme_prior steps' worth of the usual rows', and before the first label of one of
 * them they have the usual rows' weights.
 * An expert that is silent stands for the last value in the stack.
 *
 * Layout   struct blend_state in the key's row, per value, all 0 for a new key; then the arrays of blend.c.
 * Memory   never allocates.
 * Numbers  what is not finite counts as unknown. */
#ifndef ENGINE_FORECAST_BLEND_H
#define ENGINE_FORECAST_BLEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/forecast/mix.h"
#include "engine/forecast/prior.h"

enum {
    BLEND_MAX_EXPERTS = MIX_MAX_EXPERTS - 1,
    BLEND_LAYOUT = 3 /* raise it when bytes change their meaning */
};

struct blend {
    const struct mix_settings *settings;
    int n_experts, n_horizons;
    const int *horizons; /* [n_horizons] ascending */
    const size_t *first; /* [n_horizons + 1] sum of the horizons before the j-th */
    const struct mix_groups *groups;
};

size_t blend_bytes(const struct blend *);                  /* per value, a multiple of 8 */
bool blend_sound(const struct blend *, const void *state); /* false: stored bytes that lead beyond its tables */
/* The value of step t has come (NaN: not): errors [n_experts, n_horizons] of what was said for it, NaN where nothing. */
void blend_learn(const struct blend *, void *state, int64_t t, double x, double *errors);
/* At step t the last known value is x, its scale sigma: forecasts [n_experts, n_horizons] -> mixed [n_horizons].  prior: what
 * the keys share (prior.h), or NULL. */
void blend_forecast(const struct blend *, void *state, const void *prior, int64_t t, double x, double sigma,
                    const double *forecasts, double *mixed);
/* The weights of step t's forecast, the last one, at the j-th horizon, shrinkage included: weights [n_experts]; the last
 * value has what is missing to 1. */
void blend_weights(const struct blend *, const void *state, const void *prior, int64_t t, int j, double *weights);
/* Whose weights the prior is about. */
struct prior_shape blend_prior(const struct blend *);
/* What the value x of step t, of scale sigma, says to other keys; after blend_learn() and before blend_forecast(). */
void blend_contribute(const struct blend *, const void *state, int64_t t, double x, double sigma, void *contribution);

#endif
