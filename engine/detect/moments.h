/* Means and covariances of the values of one key, and what each value is beyond the others.
 *
 * Equations (x less the first value seen, so that floats suffice; n records so far, with this one)
 *     d_i   = x_i - mean_i, limited to 5 sd_i after 32 records;  g = max(1/n, 1/memory)
 *     mean += g d,   C_ij += g ((1 - g) d_i d_j - C_ij)         values that are missing move nothing
 *     z_i   = (x_i - mean_i) / sqrt(C_ii)                        0 where missing, or while unknown
 *     P     = (R + ridge I)^-1, R = correlations                 by Cholesky: R + ridge I = L L^T, P = L^-T L^-1
 *     r_i   = (P z)_i / P_ii                                     z_i less its regression on the other values
 *     T^2   = e . P e                                            Hotelling, for standardised e
 * Memory   a view of caller-owned bytes, all 0 when new, aligned to 8; never allocates. */
#ifndef ENGINE_DETECT_MOMENTS_H
#define ENGINE_DETECT_MOMENTS_H

#include <stddef.h>
#include <stdint.h>

enum { MOMENTS_MAX = 64 };

struct moments {
    int n_values;      /* D <= MOMENTS_MAX */
    double *first;     /* [D] */
    int32_t *seen;     /* [D] whether `first` is known */
    float *mean;       /* [D] of x - first */
    float *covariance; /* [D (D + 1) / 2] lower triangle, row by row */
    float *inverse;    /* the same of P; all 0 until moments_invert() */
};

size_t moments_bytes(int n_values);
struct moments moments_at(void *bytes, int n_values);

/* x - first, within +-1e18; NaN where missing.  Takes the first values. */
void moments_centre(const struct moments *, const double *x, double *centred /* [D] */);
void moments_standardise(const struct moments *, const double *centred, int64_t n, double *z /* [D] finite */);
void moments_residuals(const struct moments *, const double *z, double *r /* [D]; NaN before moments_invert() */);
double moments_distance(const struct moments *, const double *e /* [D] finite */); /* T^2 */
void moments_learn(const struct moments *, const double *centred, int64_t n, double memory);
void moments_invert(const struct moments *, double ridge);

#endif
