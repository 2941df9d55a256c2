/* One optimiser step, element by element, and what stands around it.  Included by each kernels_*.c (through
 * kernels_table.h).
 *
 *   adam      m' = b1 m + (1 - b1) g   v' = b2 v + (1 - b2) g^2   w' = w - lr c1 m' / (sqrt(c2 v') + eps)
 *   rmsprop   v' = b2 v + (1 - b2) g^2                            w' = w - lr g / (sqrt(v') + eps)
 *   sgd       m' = b1 m + g                                       w' = w - lr m'
 *   all       g = scale gradient,  e' = e + k (w' - e);  what a rule does not use goes on as it is */
#ifndef ENGINE_MATH_OPTIMISER_INLINE_H
#define ENGINE_MATH_OPTIMISER_INLINE_H

#include <string.h>

#include "engine/math/activations_inline.h"
#include "engine/math/kernels.h"

static void kernel_adam(const struct optimiser_step *s, size_t n, const struct optimiser_arrays *p)
{
    const float *restrict gradient = p->gradient, *restrict w = p->weight, *restrict m = p->moment;
    const float *restrict v = p->variance, *restrict e = p->average;
    float *restrict new_w = p->new_weight, *restrict new_m = p->new_moment, *restrict new_v = p->new_variance;
    float *restrict new_e = p->new_average;
    const struct optimiser_step k = *s;
    const float rest1 = 1 - k.beta1, rest2 = 1 - k.beta2, rate = k.learning_rate * k.correction1;
    for (size_t j = 0; j < n; j++) {
        float g = gradient[j] * k.gradient_scale;
        new_m[j] = k.beta1 * m[j] + rest1 * g;
        new_v[j] = k.beta2 * v[j] + rest2 * (g * g);
        new_w[j] = w[j] - rate * new_m[j] / (act_sqrt(k.correction2 * new_v[j]) + k.epsilon);
        new_e[j] = e[j] + k.ema * (new_w[j] - e[j]);
    }
}

static void kernel_rmsprop(const struct optimiser_step *s, size_t n, const struct optimiser_arrays *p)
{
    const float *restrict gradient = p->gradient, *restrict w = p->weight, *restrict v = p->variance;
    const float *restrict e = p->average;
    float *restrict new_w = p->new_weight, *restrict new_v = p->new_variance, *restrict new_e = p->new_average;
    const struct optimiser_step k = *s;
    const float rest2 = 1 - k.beta2;
    for (size_t j = 0; j < n; j++) {
        float g = gradient[j] * k.gradient_scale;
        new_v[j] = k.beta2 * v[j] + rest2 * (g * g);
        new_w[j] = w[j] - k.learning_rate * g / (act_sqrt(new_v[j]) + k.epsilon);
        new_e[j] = e[j] + k.ema * (new_w[j] - e[j]);
    }
    memcpy(p->new_moment, p->moment, n * sizeof(float));
}

static void kernel_sgd(const struct optimiser_step *s, size_t n, const struct optimiser_arrays *p)
{
    const float *restrict gradient = p->gradient, *restrict w = p->weight, *restrict m = p->moment;
    const float *restrict e = p->average;
    float *restrict new_w = p->new_weight, *restrict new_m = p->new_moment, *restrict new_e = p->new_average;
    const struct optimiser_step k = *s;
    for (size_t j = 0; j < n; j++) {
        new_m[j] = k.beta1 * m[j] + gradient[j] * k.gradient_scale;
        new_w[j] = w[j] - k.learning_rate * new_m[j];
        new_e[j] = e[j] + k.ema * (new_w[j] - e[j]);
    }
    memcpy(p->new_variance, p->variance, n * sizeof(float));
}

static void kernel_clip(size_t n, float most, const float *restrict a, float *restrict clipped)
{
    for (size_t j = 0; j < n; j++) {
        const float below = a[j] > most ? most : a[j];
        clipped[j] = below < -most ? -most : below;
    }
}

static double kernel_distance(size_t n, const float *a, const float *b)
{
    double part[PANEL] = {0}, sum = 0;
    for (size_t first = 0; first < n; first += PANEL)
        for (size_t j = 0; j < PANEL && first + j < n; j++) {
            const double d = (double)a[first + j] - (double)b[first + j];
            part[j] += d * d;
        }
    for (size_t j = 0; j < PANEL; j++) sum += part[j];
    return sum;
}

#endif
