/* Layer normalisation of one row (Ba, Kiros and Hinton 2016).
 *
 *   y = gain (x - mean) / sd + bias,  sd = sqrt(mean of (x - mean)^2 + 1e-5)         over the n features of the row
 *
 * Memory   the caller's; x and y may be the same array.
 * Order    sums run in one fixed order, so a row's result does not depend on its neighbours. */
#ifndef ENGINE_MODEL_LAYER_NORM_H
#define ENGINE_MODEL_LAYER_NORM_H

enum { LAYER_NORM_SAVED = 2 }; /* floats that the way back needs besides x: mean and 1 / sd */

/* x, gain, bias, y [n]; saved [LAYER_NORM_SAVED] or NULL when serving. */
void layer_norm(int n, const float *x, const float *gain, const float *bias, float *y, float *saved);
/* Writes d_x [n] (may alias d_y); adds to d_gain and d_bias [n]. */
void layer_norm_back(int n, const float *x, const float *gain, const float *saved, const float *d_y, float *d_x,
                     float *d_gain, float *d_bias);

#endif
