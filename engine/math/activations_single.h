/* exp, log, tanh and the logistic function in single precision, as straight-line code that a compiler can turn into
 * vector instructions of any width with the same result in every lane: only + - * / and bit moves, no branch, no
 * library call.  ACT_FMA says whether multiply and add are fused; an instruction set that has it sets it beforehand.
 * Private to engine/math; others call activations.h.
 *
 * exp(x)      = 2^n e^r,  n = round(x / ln 2),  r = x - n ln 2 in two parts,  e^r = 1 + r + r^2 P(r)
 * tanh(|x|)   = d / (d + 2),  d = e^2|x| - 1 = 2^n (e^r - 1) + (2^n - 1), so small arguments keep all their digits
 * sigmoid(x)  = 1 / (1 + e^-x)
 * log(x)      = e ln 2 + 2 s + s^3 Q(s^2),  x = 2^e m,  m in [sqrt(1/2), sqrt 2),  s = (m - 1) / (m + 1)
 * P and Q are minimax fits: tests/golden/coefficients.py prints them.
 *
 * NaN in gives NaN out; beyond the ranges below results saturate instead of overflowing. */
#ifndef ENGINE_MATH_ACTIVATIONS_SINGLE_H
#define ENGINE_MATH_ACTIVATIONS_SINGLE_H

#include <stdint.h>
#include <string.h>

#ifndef ACT_FMA
#define ACT_FMA(a, b, c) ((a) * (b) + (c))
#endif

#define ACT_INLINE static inline __attribute__((always_inline, unused))

/* 1.5 * 2^23: adding it rounds a float to an integer in its low bits. */
#define ACT_ROUND      12582912.0f
#define ACT_ROUND_BITS 0x4B400000u
#define ACT_ONE_BITS   0x3F800000u
#define ACT_SIGN_BIT   0x80000000u

#define ACT_LOG2_E   1.44269504f
#define ACT_LN2_HIGH 0.693359375f /* 9 significant bits: n * this is exact */
#define ACT_LN2_LOW  -2.12194440e-4f

ACT_INLINE uint32_t act_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof(u));
    return u;
}

ACT_INLINE float act_from_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof(x));
    return x;
}

/* (e^r - 1) for |r| <= ln 2 / 2. */
ACT_INLINE float act_expm1_reduced(float r)
{
    float p = 0.0013814539415761828f;
    p = ACT_FMA(p, r, 0.00836874544620514f);
    p = ACT_FMA(p, r, 0.04166838899254799f);
    p = ACT_FMA(p, r, 0.1666652113199234f);
    p = ACT_FMA(p, r, 0.4999999403953552f);
    return ACT_FMA(p, r * r, r);
}

/* x = n ln 2 + r; returns r, writes 2^n.  -87 <= x <= 88. */
ACT_INLINE float act_reduce(float x, float *power)
{
    float shifted = ACT_FMA(x, ACT_LOG2_E, ACT_ROUND);
    float n = shifted - ACT_ROUND;
    *power = act_from_bits(((act_bits(shifted) - ACT_ROUND_BITS) << 23) + ACT_ONE_BITS);
    return ACT_FMA(-n, ACT_LN2_LOW, ACT_FMA(-n, ACT_LN2_HIGH, x));
}

ACT_INLINE float act_exp(float x)
{
    float power;
    x = x > 88.0f ? 88.0f : x;
    x = x < -87.0f ? -87.0f : x;
    float r = act_reduce(x, &power);
    return ACT_FMA(power, act_expm1_reduced(r), power);
}

ACT_INLINE float act_sigmoid(float x)
{
    return 1.0f / (1.0f + act_exp(-x));
}

ACT_INLINE float act_tanh(float x)
{
    float power;
    uint32_t sign = act_bits(x) & ACT_SIGN_BIT;
    float a = act_from_bits(act_bits(x) & ~ACT_SIGN_BIT);
    a = a > 10.0f ? 10.0f : a; /* tanh is 1 from 9.01 on */
    float r = act_reduce(a + a, &power);
    float d = ACT_FMA(power, act_expm1_reduced(r), power - 1.0f);
    return act_from_bits(act_bits(d / (d + 2.0f)) | sign);
}

/* x > 0 and normal. */
ACT_INLINE float act_log_normal(float x)
{
    uint32_t u = act_bits(x) - 0x3F3504F3u; /* sqrt(1/2): the exponent of what is left is that of x / m */
    float e = (float)((int32_t)u >> 23);
    float m = act_from_bits((u & 0x007FFFFFu) + 0x3F3504F3u);
    float s = (m - 1.0f) / (m + 1.0f), z = s * s;
    float q = 0.29962706565856934f;
    q = q * z + 0.3997354805469513f;
    q = q * z + 0.666668176651001f;
    return e * ACT_LN2_HIGH + ((s + s) + (q * (z * s) + e * ACT_LN2_LOW));
}

ACT_INLINE float act_sqrt(float x)
{
    return __builtin_sqrtf(x); /* correctly rounded everywhere */
}

#endif
