/* A linear head that learns by recursive least squares: one row of inputs, a forecast for every horizon.
 *
 * Equations (FORECASTING, sections 4 and 9; p_t [n] the row at step t, u_t its unit, lambda `forgetting`)
 *     when x_t comes, for every horizon h with an origin s = t - h that has a row:
 *         e    = clip((x_t - x_s) / u_s, 1e6) - w_h . p_s, limited to +-huber S_h once S_h is known
 *         S_h += .005 (|e| - S_h), at least 1e-3; |e| + 1e-3 at first
 *         w_h += k_s e                               one gain for all horizons, each learnt as its label comes
 *     a row p_t:
 *         a = P p_t    l = p_t . a                   how far the row lies from what was seen
 *         o = min(1, leverage M / l)                 rows far out count less; M the usual l: mean over 50 rows at first,
 *                                                    after 400 rows over 200, of l limited to leverage M
 *         k_t = a / (lambda / o + l)      P = (P - k_t a^T) / lambda      P = I / 10 at first
 *         the last line's P is made at the next row, on the way to its a: s = a / sqrt(lambda / o + l) waits till then
 *         y_h = w_h . p_t                            xhat_{t+h} = x_t + u_t y_h
 * Where rows say nothing P would grow for ever: a diagonal above 1e6 is brought down with its row and column, one tile of
 * diagonals at a row.  Rounding
 * that makes l negative starts P anew.
 *
 * Layout   struct head_state in the key's row, then [ring] x_s | [ring] u_s | [H] S, doubles; then, from a multiple of 64
 *          bytes on, in the precision chosen and padded to `width`,  P, a triangle (recursive_row) | s [width] |
 *          w [H, width].  Apart from it, of each step,  k and p [ring, 2, width]: a step changes its own alone.
 * Memory   never allocates; the scratch is the caller's.
 * Numbers  nothing non-finite is kept. */
#ifndef ENGINE_FORECAST_HEAD_H
#define ENGINE_FORECAST_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEAD_MAX_WIDTH = 512 };

struct head_rule {
    int n; /* numbers in a row, at most HEAD_MAX_WIDTH */
    int n_horizons;
    const int *horizons;                /* [n_horizons] ascending */
    bool single;                        /* floats, half the memory */
    double forgetting, huber, leverage; /* huber, leverage: 0 = without */
};

struct head_state {
    int64_t n;       /* rows seen */
    double leverage; /* M; 0 = not known */
};

/* A head at work: its state [head_bytes], and what it keeps of the last steps [n_steps, head_kept_bytes]. */
struct head {
    const struct head_rule *rule;
    void *state, *kept;
};

static inline size_t head_on_line(size_t bytes) /* the next multiple of 64 */
{
    return (bytes + 63) & ~(size_t)63;
}
size_t head_bytes(const struct head_rule *);
size_t head_kept_bytes(const struct head_rule *, int *n_steps);
void head_init(const struct head *); /* the state; what is kept is all 0 for a new key */
/* Step t, at which `label` came (NULL: no value; no horizon learns at it, and none that begins there does later).
 * With the row of the step: forecasts in units, y [n_horizons]. */
void head_forecast(const struct head *, int64_t t, const double *label, const double *row, double x, double unit,
                   double *y);
/* A step without a row: horizons that begin there learn nothing. */
void head_skip(const struct head *, int64_t t, const double *label);

#endif
