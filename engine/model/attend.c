#include "engine/model/attend.h"

#include "engine/math/activations.h"
#include "engine/math/activations_inline.h"
#include "engine/math/kernels.h"

static const float LN2 = 0.693147180559945f;

/* slope [heads]: each is the one before it times 2^(-8 / heads). */
static struct attention attend_heads(int units, int heads, const struct attend_keys *keys, float *slope)
{
    const float ratio = keys->ageless ? 0 : math_exp(-8 * LN2 / (float)heads);
    const int d = units / heads;
    slope[0] = ratio;
    for (int h = 1; h < heads; h++) slope[h] = ratio * slope[h - 1];
    return (struct attention){.n = keys->n,
                              .heads = heads,
                              .d = d,
                              .scale = 1 / act_sqrt((float)d),
                              .slope = slope,
                              .k = keys->k,
                              .v = keys->v,
                              .age = keys->ageless ? NULL : keys->age};
}

void attend(int units, int heads, const float *q, const struct attend_keys *keys, float *o, float *p, int stride)
{
    float slope[ATTEND_MAX_HEADS];
    const struct attention a = attend_heads(units, heads, keys, slope);
    kernels_best()->attend(&a, q, o, p, (size_t)stride);
}

void attend_back(int units, int heads, const float *q, const struct attend_keys *keys, const float *p, int stride,
                 const float *d_o, float *d_q, float *const *d_k, float *const *d_v)
{
    float slope[ATTEND_MAX_HEADS], scratch[ATTEND_MAX_WINDOW];
    const struct attention a = attend_heads(units, heads, keys, slope);
    kernels_best()->attend_back(&a, q, p, (size_t)stride, d_o, d_q, d_k, d_v, scratch);
}
