/* Several experts become one forecast: discounted Hedge, one mix per value.  blend.h builds on it.
 *
 * Equations (FORECASTING, section 4; e_ij = error of expert i at horizon j, as the label arrives; E experts)
 *     m_j   = mean of e_ij^2 over the experts that had spoken, each counted 1 / (1 + (rate (L_ik - min_i L_ik))^2):
 *             what the good ones err.  (Over all alike, a bad expert makes the differences of the good ones small,
 *             and after a change it takes hundreds of steps to see who is good now.)
 *     N_j  += max(.005, 1/(n+1)) (min(m_j, 20 N_j) - N_j)    how hard horizon j is; m_j itself while N_j = 0
 *     l_ij  = min(e_ij^2 / N_j, loss_limit)                   so that a jump says nothing about who is better
 *     L_ik += (l_ij - (1 - g) L_ik) / |k|                     after a step's labels:  g L_ik + mean_{j in k} l_ij
 *     w_ik  = (1 - floor) exp(-rate (L_ik - min_i L_ik)) / sum + floor / E
 *     xhat_j = sum_i w_ik xhat_ij / sum_i w_ik                over the experts that know xhat_ij
 * The horizons of a group k share weights: with `grouped` those that lie as far ahead as each other, 1 | 2 | 3-4 | 5-8 |
 * 9-16 and so on, whichever of them are forecast (who is best one step ahead is often bad a day ahead); with `together`
 * all of them.  Weights are equal before `start` labels of the first horizon.
 * Who was silent about a label is charged the loss of those who spoke, by their weights: silence neither pays nor
 * costs.
 *
 * Layout   in the key's row, per value, all 0 for a new key: n | L [groups, E] | r [H] with r_j = sqrt N_j, floats
 *          (the root, because squares of honest values can leave a float's range).
 * Memory   never allocates.
 * Numbers  errors and forecasts that are not finite count as unknown. */
#ifndef ENGINE_FORECAST_MIX_H
#define ENGINE_FORECAST_MIX_H

#include <stddef.h>
#include <stdint.h>

#include "config/settings.h"

enum { MIX_MAX_EXPERTS = 64, MIX_MAX_HORIZONS = 512, MIX_MAX_GROUPS = 32 }; /* whoever plans a mix sees to it */

/* Which horizons share weights; groups that no horizon belongs to are not counted.  of[j]: the group of the j-th horizon, 0
 * at first, never less than that of the one before. */
struct mix_groups {
    int n_horizons, n;
    uint8_t of[MIX_MAX_HORIZONS];
    uint16_t members[MIX_MAX_GROUPS]; /* horizons of a group */
};
void mix_group(const struct mix_settings *, const int *horizons /* [n_horizons] ascending */, int n_horizons,
               struct mix_groups *);

size_t mix_bytes(int n_experts, const struct mix_groups *); /* per value, a multiple of 8 */
/* A label of the j-th horizon has arrived: errors [n_experts]. */
void mix_learn(const struct mix_settings *, int n_experts, const struct mix_groups *, void *state, int j,
               const double *errors);
/* The weights of a group: weights [n_experts], they add up to 1. */
void mix_weights(const struct mix_settings *, int n_experts, const void *state, int group, double *weights);
/* forecasts [n_experts, n_horizons] -> mixed [n_horizons]; NaN where nobody knows. */
void mix_combine(const struct mix_settings *, int n_experts, const struct mix_groups *, const void *state,
                 const double *forecasts, double *mixed);

#endif
