/* The same functions as activations_single.h from the C library in double precision, for the build that proves the
 * gradients (float defined as double): there the approximations' own wiggles would hide what is to be measured. */
#ifndef ENGINE_MATH_ACTIVATIONS_EXACT_H
#define ENGINE_MATH_ACTIVATIONS_EXACT_H

#include <math.h>

#define ACT_INLINE static inline __attribute__((always_inline, unused))

ACT_INLINE double act_exp(double x)
{
    return exp(x);
}

ACT_INLINE double act_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

ACT_INLINE double act_tanh(double x)
{
    return tanh(x);
}

ACT_INLINE double act_log_normal(double x)
{
    return log(x);
}

ACT_INLINE double act_sqrt(double x)
{
    return sqrt(x);
}

#endif
