/* Recursive least squares with forgetting: the n weights w of  y = w . x + error,  one observation after the other.
 *
 * Equations (lambda forgetting, v weight of the observation, 0 < v <= 1; P is symmetric)
 *     a   = P x          g = a / (lambda / v + x . a)
 *     w  += g (y - w . x)                              the caller gives the error, limited as it likes
 *     P   = (P - g a^T) / lambda                       P = I / ridge at first, and again when rounding has broken it
 * Where the inputs say nothing P would grow for ever: its diagonal is kept below LEAST_SQUARES_WIND_UP.
 *
 * Layout   plain doubles: w [n] | P [n (n+1) / 2], the lower triangle row by row.
 * Memory   never allocates. */
#ifndef ENGINE_FORECAST_LEAST_SQUARES_H
#define ENGINE_FORECAST_LEAST_SQUARES_H

#include <stddef.h>

enum { LEAST_SQUARES_MAX = 64 };
#define LEAST_SQUARES_WIND_UP 1e6

size_t least_squares_doubles(int n); /* n <= LEAST_SQUARES_MAX */
void least_squares_init(int n, double ridge, double *state);
struct least_squares_step {
    const double *x; /* [n] finite */
    double error;    /* y - w . x */
    double lambda, weight, ridge;
};
void least_squares_learn(int n, double *state, const struct least_squares_step *);

#endif
