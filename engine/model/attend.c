#include "engine/model/attend.h"

#include "engine/math/activations.h"
#include "engine/math/activations_inline.h"

static const float LN2 = 0.693147180559945f;

static float attend_slope(int head, int heads)
{
    return math_exp(-8 * LN2 * (float)(head + 1) / (float)heads);
}

static float attend_dot(int n, const float *a, const float *b)
{
    float sum = 0;
    for (int j = 0; j < n; j++) sum += a[j] * b[j];
    return sum;
}

/* Scores become shares that add up to 1. */
static void attend_softmax(int n, float *p)
{
    float most = p[0], sum = 0;
    for (int a = 1; a < n; a++)
        if (p[a] > most) most = p[a];
    for (int a = 0; a < n; a++) sum += p[a] = math_exp(p[a] - most);
    const float share = 1 / sum;
    for (int a = 0; a < n; a++) p[a] *= share;
}

void attend(int units, int heads, const float *q, const struct attend_keys *keys, float *o, float *p, int stride)
{
    const int d = units / heads;
    const float scale = 1 / act_sqrt((float)d);
    for (int h = 0; h < heads; h++, q += d, o += d, p += stride) {
        const float slope = attend_slope(h, heads);
        const int first = h * d;
        for (int a = 0; a < keys->n; a++)
            p[a] = scale * attend_dot(d, q, keys->k[a] + first) - (keys->ageless ? 0 : slope * keys->age[a]);
        attend_softmax(keys->n, p);
        for (int j = 0; j < d; j++) o[j] = 0;
        for (int a = 0; a < keys->n; a++)
            for (int j = 0; j < d; j++) o[j] += p[a] * keys->v[a][first + j];
    }
}

/* With g_a = d_o . v_a:  d_s_a = p_a (g_a - sum_b p_b g_b) */
void attend_back(int units, int heads, const float *q, const struct attend_keys *keys, const float *p, int stride,
                 const float *d_o, float *d_q, float *const *d_k, float *const *d_v)
{
    const int d = units / heads;
    const float scale = 1 / act_sqrt((float)d);
    float g[ATTEND_MAX_WINDOW];
    for (int h = 0; h < heads; h++, p += stride) {
        const int first = h * d;
        float mean = 0;
        for (int a = 0; a < keys->n; a++) {
            g[a] = attend_dot(d, d_o + first, keys->v[a] + first);
            mean += p[a] * g[a];
        }
        for (int a = 0; a < keys->n; a++) {
            const float d_s = scale * p[a] * (g[a] - mean);
            for (int j = first; j < first + d; j++) d_q[j] += d_s * keys->k[a][j];
            for (int j = first; d_k[a] && j < first + d; j++) d_k[a][j] += d_s * q[j];
            for (int j = first; d_v[a] && j < first + d; j++) d_v[a][j] += p[a] * d_o[j];
        }
    }
}
