/* How restless a value is now: what the width of its bands follows under `forecast.volatility: ewma`.
 *
 * Equations (d = (x - last) / sqrt(steps from the last value), n changes so far, with this one; h steps ahead)
 *     fast += max(.06, 1/n) (|d| - fast)        about the last 16 changes, as RiskMetrics has it
 *     slow += max(.005, 1/n) (|d| - slow)       about the last 200: restless times pass
 *     s_h   = (fast + slow) / 2 sqrt(h) + 1e-12  in mean absolute changes; changes add up like a random walk's
 * Absolute changes and not their squares: one jump must not make bands wide for weeks.
 *
 * Memory   plain data in the key's row; all 0 for a new key.
 * Numbers  changes are limited to 1e30. */
#ifndef ENGINE_FORECAST_VOLATILITY_H
#define ENGINE_FORECAST_VOLATILITY_H

#include <stdint.h>

struct volatility {
    int64_t n; /* values seen */
    double last;
    float fast, slow;
};

/* A value behind n_missing steps without one. */
void volatility_update(struct volatility *, double x, int64_t n_missing);
float volatility_scale(const struct volatility *, int h); /* s_h; 0 before the first change */

#endif
