/* Elementary functions in double precision, for what is off the hot path: losses, quantiles, learning rates.  Only
 * + - * /, so the same bits on every machine.
 *
 * Accuracy   (tested against long double) precise_exp: relative 1e-15; precise_log: 1e-15 absolute or relative,
 *            whichever is larger; precise_cos: absolute 1e-15.
 * Range      precise_exp saturates at e^-708 and e^709; precise_log wants a positive number.
 * Threads    reentrant. */
#ifndef ENGINE_MATH_PRECISE_H
#define ENGINE_MATH_PRECISE_H

double precise_exp(double x);
double precise_log(double x);
double precise_cos(double half_turns); /* cos(pi half_turns), 0 <= half_turns <= 1 */

#endif
