/* Quantiles of distributions: where a share `p` of all values lies below, 0 < p < 1.
 *
 * Accuracy   relative 1e-9 (tested against tables and scipy).   Same bits on every machine.
 * Range      levels below 1e-100 and above 1 - 2^-53 count as these.
 * Threads    reentrant. */
#ifndef ENGINE_MATH_QUANTILES_H
#define ENGINE_MATH_QUANTILES_H

double normal_quantile(double p);
double normal_probability(double z);                 /* its inverse; absolute 1e-15 */
double student_t_quantile(double p, double freedom); /* freedom >= 1, whole or not */

#endif
