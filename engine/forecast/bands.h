/* Prediction bands by online quantiles of the scaled error, one tracker per value and horizon.
 *
 * Equations (FORECASTING, section 4; e = x - xhat when the label arrives, s0 = s when the forecast was made)
 *     r      = e / s0
 *     s     += max(.01, 1/(n+1)) (min(|e|, 20 s) - s)
 *     q_tau += max(.03, 1/(n+10)) (tau - [r < q_tau])        for both edges of every band
 *     band   = xhat + s q_tau
 * The quantiles start at those of a normal error, so that the first bands are sane.
 *
 * Layout   one tracker is [bands_floats(n_bands)] floats in the key's row, all 0 for a new key:
 *          n | s | lower quantile per band | upper quantile per band (bands in ascending coverage)
 * n is kept as a float and stops at 1e6. */
#ifndef ENGINE_FORECAST_BANDS_H
#define ENGINE_FORECAST_BANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "eddy_option.h"

size_t bands_floats(int n_bands);
/* Takes the error of a forecast in, made when the scale was s0 (0 = not known then). */
void bands_update(float *tracker, const struct eddy_reals *coverages, double error, float s0);
/* Offsets from the forecast to the edges of the i-th band; false while nothing is known. */
bool bands_edges(const float *tracker, int n_bands, int i, double *lower, double *upper);
float bands_scale(const float *tracker);

#endif
