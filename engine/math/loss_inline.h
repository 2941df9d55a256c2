/* Labels and Huber's loss, many at a time.  Included by each kernels_*.c (through kernels_table.h). */
#ifndef ENGINE_MATH_LOSS_INLINE_H
#define ENGINE_MATH_LOSS_INLINE_H

#include "engine/math/kernels.h"

static size_t kernel_known(size_t n, const float *a)
{
    unsigned known = 0; /* as wide as the floats are */
    for (size_t j = 0; j < n; j++) known += a[j] == a[j];
    return known;
}

static inline float huber_one(float delta, float weight, float y, float label, float *d)
{
    const float e = label == label ? y - label : 0, size = e < 0 ? -e : e;
    *d = (e > delta ? delta : e < -delta ? -delta : e) * weight;
    return size <= delta ? e * e / 2 : delta * (size - delta / 2);
}

static double kernel_huber(size_t n, float delta, float weight, const float *restrict y, const float *restrict label,
                           float *restrict d)
{
    double part[PANEL] = {0}, sum = 0;
    size_t first = 0;
    for (; first + PANEL <= n; first += PANEL)
        for (size_t j = 0; j < PANEL; j++)
            part[j] += (double)huber_one(delta, weight, y[first + j], label[first + j], &d[first + j]);
    for (size_t j = 0; first + j < n; j++)
        part[j] += (double)huber_one(delta, weight, y[first + j], label[first + j], &d[first + j]);
    for (size_t j = 0; j < PANEL; j++) sum += part[j];
    return sum;
}

#endif
