/* The parts of the quotients of a cell's gates, for a vector of lanes; included by gates_inline.h.
 *
 *   lanes_gate(x)    = 1 + e^-x             so that sigmoid(x) = 1 / it;  |x| <= 22, or the product of four overflows
 *   lanes_gate_d(x)  = d = e^-2x - 1        so that tanh(x) = -d / (d + 2);  |x| <= 10
 *                      both by 2^t, t = -x log2 e = n + r,  2^r = 1 + r R(r)
 * R is a minimax fit (tests/golden/coefficients.py).  NaN stays NaN. */
#ifndef ENGINE_MATH_ACTIVATIONS_LANES_H
#define ENGINE_MATH_ACTIVATIONS_LANES_H

#include "engine/math/activations_inline.h"
#include "engine/math/product_inline.h"

#define LANES_INLINE static inline __attribute__((always_inline))

#ifdef MATH_DOUBLE

LANES_INLINE lanes lanes_gate(lanes x)
{
    for (int i = 0; i < LANES; i++) x[i] = 1 + exp(-x[i]);
    return x;
}

LANES_INLINE lanes lanes_gate_d(lanes x)
{
    for (int i = 0; i < LANES; i++) x[i] = expm1(-2 * x[i]);
    return x;
}

#else

#define GATE_MOST 22.0f
#define TANH_MOST 10.0f

typedef uint32_t lanes_bits __attribute__((vector_size(LANES * sizeof(uint32_t))));

/* To -most .. most. */
LANES_INLINE lanes lanes_clamp(lanes x, float most)
{
#ifdef LANES_MIN
    return LANES_MAX(LANES_ALL(-most), LANES_MIN(LANES_ALL(most), x)); /* both return x where x is not a number */
#else
    const lanes_bits over = (lanes_bits)(x > LANES_ALL(most)), under = (lanes_bits)(x < LANES_ALL(-most));
    const lanes_bits high = (lanes_bits)LANES_ALL(most), low = (lanes_bits)LANES_ALL(-most);
    return (lanes)((over & high) | (under & low) | (~(over | under) & (lanes_bits)x));
#endif
}

/* t = x scale = n + r; returns r, writes the bits of n for an exponent. */
LANES_INLINE lanes lanes_reduce(lanes x, float scale, lanes_bits *n_bits)
{
    const lanes shifted = LANES_FMA(x, LANES_ALL(scale), LANES_ALL(ACT_ROUND));
    *n_bits = (lanes_bits)shifted << 23;
    return LANES_FMA(x, LANES_ALL(scale), LANES_ALL(ACT_ROUND) - shifted);
}

LANES_INLINE lanes lanes_gate(lanes x)
{
    lanes_bits n;
    const lanes r = lanes_reduce(lanes_clamp(x, GATE_MOST), -ACT_LOG2_E, &n);
    lanes p = LANES_FMA(LANES_ALL(0.0013333538081496954f), r, LANES_ALL(0.009666438214480877f));
    p = LANES_FMA(p, r, LANES_ALL(0.05550500750541687f));
    p = LANES_FMA(p, r, LANES_ALL(0.2402234822511673f));
    p = LANES_FMA(p, r, LANES_ALL(0.6931471228599548f));
    p = LANES_FMA(p, r, LANES_ALL(1.0f));
    return LANES_ALL(1.0f) + (lanes)((lanes_bits)p + n);
}

LANES_INLINE lanes lanes_gate_d(lanes x)
{
    lanes_bits n;
    const lanes r = lanes_reduce(lanes_clamp(x, TANH_MOST), -2.0f * ACT_LOG2_E, &n);
    const lanes power = (lanes)((lanes_bits)LANES_ALL(1.0f) + n);
    lanes p = LANES_FMA(LANES_ALL(0.00015403512225020677f), r, LANES_ALL(0.0013390964595600963f));
    p = LANES_FMA(p, r, LANES_ALL(0.009618238545954227f));
    p = LANES_FMA(p, r, LANES_ALL(0.055503569543361664f));
    p = LANES_FMA(p, r, LANES_ALL(0.24022649228572845f));
    p = LANES_FMA(p, r, LANES_ALL(0.6931471824645996f));
    return LANES_FMA(power, p * r, power - LANES_ALL(1.0f));
}

#endif
#endif
