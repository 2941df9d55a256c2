/* Means and covariances of the values of one key, and what each value is beyond the others.
 *
 * Equations (x less the first value seen, so that floats suffice; n records so far, with this one)
 *     d_i   = x_i - mean_i, limited to 5 sd_i after 32 records;  g = max(1/n, 1/memory), g_i = g / w_i
 *     w_i  += g (1 - w_i) from the record on in which x_i first moves: then w_i = g, or 1 if it was the second record
 *     mean += g_i d_i,   C_ij += g (b_i b_j - C_ij), b_i = d_i sqrt(1 - g_i)      values that are missing move nothing
 *     sd_i  = sqrt(C_ii / w_i)
 *     z_i   = (x_i - mean_i) / sd_i                              0 where missing, or while fewer than 8 are known
 *     P     = (R + ridge I)^-1, R = correlations                 by Cholesky: R + ridge I = L L^T, P = L^-T L^-1
 *     r_i   = (P z)_i / P_ii                                     z_i less its regression on the other values
 *     T^2   = e . P e                                            Hotelling, for standardised e
 * How long a value stood still at first says nothing of how it moves: its records count from its first move, and its
 * share w_i of what C knows is 1 for values that move at once.  As all C_ij have one gain, they stay a covariance.
 * Memory   a view of caller-owned bytes, all 0 when new, aligned to 8; never allocates. */
#ifndef ENGINE_DETECT_MOMENTS_H
#define ENGINE_DETECT_MOMENTS_H

#include <stddef.h>
#include <stdint.h>

enum { MOMENTS_MAX = 64 };

struct moments {
    int n_values;      /* D <= MOMENTS_MAX */
    double *first;     /* [D] */
    int32_t *count;    /* [D] records from the first move on; 0: never seen, -1: seen, but it stands still */
    float *weight;     /* [D] w; 0 until the first move */
    float *mean;       /* [D] of x - first */
    float *covariance; /* [D (D + 1) / 2] lower triangle, row by row */
    float *inverse;    /* the same of P; all 0 until moments_invert() */
};

size_t moments_bytes(int n_values);
struct moments moments_at(void *bytes, int n_values);

/* x - first, within +-1e18; NaN where missing.  Takes the first values. */
void moments_centre(const struct moments *, const double *x, double *centred /* [D] */);
void moments_standardise(const struct moments *, const double *centred, double *z /* [D] finite */);
void moments_residuals(const struct moments *, const double *z, double *r /* [D]; NaN before moments_invert() */);
double moments_distance(const struct moments *, const double *e /* [D] finite */); /* T^2 */
void moments_learn(const struct moments *, const double *centred, int64_t n, double memory);
void moments_invert(const struct moments *, double ridge);

#endif
