/* The non-negative stack: weights a >= 0 with sum <= 1 that minimise a'Ma - 2 b'a.
 *
 * Two sweeps of coordinate descent, then one exchange between every pair (where the sum's bound holds, single steps get
 * stuck), each from where the last call left off: the sums change little from one step to the next.
 *
 * Memory   never allocates. */
#ifndef ENGINE_FORECAST_STACK_H
#define ENGINE_FORECAST_STACK_H

/* M [n, n] symmetric with a positive diagonal, b [n]; a [n] is moved on. */
void stack_descend(int n, const double *M, const double *b, double *a);
/* Weights a >= 0 of a given sum that minimise a'Ma, by exchanges alone. */
void stack_divide(int n, const double *M, double *a);

#endif
