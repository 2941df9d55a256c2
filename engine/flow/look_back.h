/* What a network with a lag needs of the last steps, besides its own state: the values as they came, to compare them
 * with what the network makes of them once it has seen what followed.
 *
 * Equations   at step t the network answers for s = t - lag:   xhat_s = base_s + sigma_s clip(y, 20)
 *             base_s the last value before s, sigma_s its scale then: nothing in them knows x_s
 * Layout      a ring of lag + 1 steps per channel; all 0 when new. */
#ifndef ENGINE_FLOW_LOOK_BACK_H
#define ENGINE_FLOW_LOOK_BACK_H

#include <stddef.h>
#include <stdint.h>

struct look_back_step {
    int64_t time_ns;
};
struct look_back_value {
    double actual; /* NaN = missing */
    double base;   /* NaN: no value came before */
    double sigma;
};

static inline size_t look_back_step_bytes(int n_dims)
{
    return sizeof(struct look_back_step) + (size_t)n_dims * sizeof(struct look_back_value);
}
static inline size_t look_back_bytes(int n_dims, int lag)
{
    return (size_t)(lag + 1) * look_back_step_bytes(n_dims);
}

#endif
