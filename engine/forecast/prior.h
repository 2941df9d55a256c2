/* What a key's mix begins with: the weights that experts have deserved in all keys of its age.  A young key has had no time
 * to find out who is good, but other keys were as young once.
 *
 * Equations (u_i error of expert i at horizon j when its label comes, in scales of the key; E experts, the last value among
 *            them where the mix has it; groups k of horizons as in mix.h; c the age of the key at the forecast's origin)
 *     m     = mean_i u_i^2
 *     S_cj += max(.002, 1/(n+1)) (min(m, jump^2 S_cj) - S_cj)        m itself at first
 *     v     = min(1, jump^2 S_cj / m) / S_cj                          so that a jump does not decide
 *     G_ck  = (1 - prior_rate / |k|) G_ck + v u u^T                    for each label
 *     p_ck  = argmin p'(G + r I)p,  p >= 0, sum p = 1,  r = prior_ridge tr G / (n E)
 * In a key that has had n labels of its own, the mix weighs expert i by Hedge's weight times (A p_i + n / E) / (A + n),
 * A = `prior`: what is known of all keys counts as much as A labels of its own.
 * Ages       of a key with t steps: t < 1, < 3, < 7, .. < 255, the others.
 * Layout     model: struct prior_group [PRIOR_AGES, groups], then S [PRIOR_AGES, H]; part of what the keys of a lane
 *            share (lane_share.h).  Contribution: int64_t t, then u [H, E] float, the first of a horizon NaN = no label.
 * Memory     never allocates.   Threads  reentrant.
 * Numbers    a label counts only if every expert had spoken; u are limited to 1e6. */
#ifndef ENGINE_FORECAST_PRIOR_H
#define ENGINE_FORECAST_PRIOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/forecast/mix.h"

enum { PRIOR_AGES = 9, PRIOR_LAYOUT = 2 /* raise it when bytes change their meaning */ };

/* What the sums are about. */
struct prior_shape {
    const struct mix_settings *settings;
    int n_experts, n_horizons;
    const int *horizons; /* [n_horizons] ascending */
    const struct mix_groups *groups;
};

size_t prior_bytes(const struct prior_shape *); /* of the model, a multiple of 8 */
void prior_init(const struct prior_shape *, void *model);
bool prior_sound(const struct prior_shape *,
                 const void *model);                         /* false: stored bytes that no prior_learn() leaves */
size_t prior_contribution_bytes(const struct prior_shape *); /* a multiple of 8 */
/* Step t is going to say something; then, for each horizon of which it is the label, the errors [n_experts] in scales. */
void prior_begin(const struct prior_shape *, int64_t t, void *contribution);
void prior_contribute(const struct prior_shape *, int j, const double *errors, void *contribution);
void prior_learn(const struct prior_shape *, void *model, const void *const *contributions, int n);
/* p [n_experts] of the j-th horizon for a key with t steps before this one. */
const float *prior_weights(const struct prior_shape *, const void *model, int64_t t, int j);

#endif
