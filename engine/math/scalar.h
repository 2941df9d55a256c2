/* What the C library and the compiler's make a call of, in a few instructions in place. */
#ifndef ENGINE_MATH_SCALAR_H
#define ENGINE_MATH_SCALAR_H

#include <stdint.h>

/* fmin and fmax, to the bit: of a number and NaN, the number. */
static inline double scalar_least(double a, double b)
{
    return a < b || b != b ? a : b;
}
static inline double scalar_most(double a, double b)
{
    return a > b || b != b ? a : b;
}

/* How many bits are set. */
static inline int scalar_bits(uint64_t x)
{
#ifdef __POPCNT__
    return __builtin_popcountll(x);
#else
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    return (int)(((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56);
#endif
}

#endif
