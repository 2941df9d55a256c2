/* Prediction bands by online quantiles of the scaled error, one tracker per value and horizon.
 *
 * Equations (FORECASTING, sections 4 and 9; e = x - xhat when the label arrives; s0 and q0 are the scale and the quantile
 *            by which the forecast's band was written out)
 *     q_tau += r (tau - [e < s0 q0_tau])                   for both edges of every band; r the rate of quantiles
 *     s     += max(r_s, 1/(n+1)) (min(|e|, 20 s) - s)         r_s the rate of the scale; with gain .0001 where |e| < s / 1000: the series stands
 *                                                            still, which does not say how far it moves when it moves
 *     band   = xhat + s q_tau                                q_tau in steps of 1/256, edges in order
 * A label is compared with the edge that was written out: so the share of values inside is what is steered, however long
 * labels take to come.  (Against today's quantile the bands of far horizons come out too narrow.)
 * The quantiles start at those of a normal error, so that the first bands are sane.  Before the first error s may be what
 * somebody expects of it, which then counts as 8 errors.
 *
 * Layout   one tracker is [bands_floats(n_bands)] floats in the key's row, all 0 for a new key:
 *          n | s | lower quantile per band | upper quantile per band (bands in ascending coverage)
 * n is kept as a float and stops at 1e6. */
#ifndef ENGINE_FORECAST_BANDS_H
#define ENGINE_FORECAST_BANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eddy_option.h"

/* A band's edge as it was written out: a quantile in steps of BANDS_STEP scales. */
typedef int16_t bands_edge;
#define BANDS_STEP (1. / 256)

struct bands_rates {
    double quantile, scale; /* per label */
};

size_t bands_floats(int n_bands);
enum { BANDS_N, BANDS_S, BANDS_Q };                   /* where in a tracker they lie */
static inline float bands_scale(const float *tracker) /* s; 0 = not known yet */
{
    return tracker[BANDS_S];
}
/* Before the first error: its mean size will be about this. */
void bands_expect(float *tracker, const struct eddy_reals *coverages, double size);
/* The edges of all bands now: lower [n_bands], then upper [n_bands]; false (and all 0) while nothing is known. */
bool bands_write(const float *tracker, int n_bands, bands_edge *edges);
/* How far an edge lies from the forecast, when the scale was s0. */
static inline double bands_offset(float s0, bands_edge edge)
{
    return (double)s0 * ((double)edge * BANDS_STEP);
}
/* Takes in the error of a forecast that was written out with the scale s0 (0 = not known then) and these edges. */
void bands_update(float *tracker, const struct eddy_reals *coverages, struct bands_rates, double error, float s0,
                  const bands_edge *edges);

#endif
