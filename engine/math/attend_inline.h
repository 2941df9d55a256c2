/* Attention of one query in all heads, forward and back: see struct attention in kernels.h.  Included by each
 * kernels_*.c (through kernels_table.h), behind product_inline.h.
 *
 *   s_a = scale q . k_a - slope age_a    p = softmax(s)    o = sum_a p_a v_a          in each head, its columns of q k v o
 *   with g_a = d_o . v_a:  d_s_a = scale p_a (g_a - sum_b p_b g_b),  d_q += d_s_a k_a,  d_k_a += d_s_a q,  d_v_a += p_a d_o
 *
 * The sum of a score runs over the columns in order, those of the softmax and of o over the keys in order.  Vectors hold
 * what does not depend on each other: the scores of four keys, or columns. */
#ifndef ENGINE_MATH_ATTEND_INLINE_H
#define ENGINE_MATH_ATTEND_INLINE_H

#include "engine/math/kernels.h"

enum { QUAD = 4, ATTEND_HEADS = 4 /* whose sums run side by side */ };

/* The same column of four rows, or four columns of a row. */
typedef float quad __attribute__((vector_size(QUAD * sizeof(float)), aligned(sizeof(float)), may_alias));

/* sum + b . row of four rows, over d columns. */
static inline quad attend_quad(int d, const float *b, const float *const row[QUAD], int first, quad sum)
{
    const float *r0 = row[0] + first, *r1 = row[1] + first, *r2 = row[2] + first, *r3 = row[3] + first;
    int j = 0;
    for (; j + QUAD <= d; j += QUAD) {
        const quad x0 = *(const quad *)(r0 + j), x1 = *(const quad *)(r1 + j);
        const quad x2 = *(const quad *)(r2 + j), x3 = *(const quad *)(r3 + j);
        const quad low01 = __builtin_shufflevector(x0, x1, 0, 4, 1, 5);
        const quad high01 = __builtin_shufflevector(x0, x1, 2, 6, 3, 7);
        const quad low23 = __builtin_shufflevector(x2, x3, 0, 4, 1, 5);
        const quad high23 = __builtin_shufflevector(x2, x3, 2, 6, 3, 7);
        sum += b[j] * __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
        sum += b[j + 1] * __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
        sum += b[j + 2] * __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
        sum += b[j + 3] * __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
    }
    for (; j < d; j++) sum += b[j] * (quad){r0[j], r1[j], r2[j], r3[j]};
    return sum;
}

/* s[h, a] = b . rows[a] over the columns of head h, for the heads first .. end - 1; rows of s are `stride` apart. */
static inline void attend_dots(const struct attention *t, int first, int end, const float *b,
                               const float *const *rows, float *s, size_t stride)
{
    for (int a = 0; a < t->n; a += QUAD) {
        const int left = t->n - a < QUAD ? t->n - a : QUAD;
        const float *row[QUAD];
        for (int i = 0; i < QUAD; i++) row[i] = rows[a + (i < left ? i : 0)];
        for (int h = first; h < end; h++) {
            const quad sum = attend_quad(t->d, b + h * t->d, row, h * t->d, (quad){0});
            float *to = s + (size_t)(h - first) * stride + a;
            for (int i = 0; i < left; i++) to[i] = sum[i];
        }
    }
}

static inline float attend_most(int n, const float *s)
{
    float part[PANEL], most = s[0];
    int a = 0;
    for (int j = 0; j < PANEL; j++) part[j] = most;
    for (; a + PANEL <= n; a += PANEL)
        for (int j = 0; j < PANEL; j++) part[j] = s[a + j] > part[j] ? s[a + j] : part[j];
    for (; a < n; a++) most = s[a] > most ? s[a] : most;
    for (int j = 0; j < PANEL; j++) most = part[j] > most ? part[j] : most;
    return most;
}

/* Dot products become the powers that the softmax adds up. */
static inline void attend_powers(const struct attention *t, int head, float *restrict s)
{
    for (int a = 0; a < t->n; a++) s[a] *= t->scale;
    for (int a = 0; t->age && a < t->n; a++) s[a] -= t->slope[head] * t->age[a];
    const float most = attend_most(t->n, s);
    for (int a = 0; a < t->n; a++) s[a] = act_exp(s[a] - most);
}

/* Powers of some heads become shares that add up to 1. */
static inline void attend_shares(int n, int heads, float *p, size_t stride)
{
    float sum[ATTEND_HEADS] = {0};
    for (int h = 0; h < heads; h++)
        for (int a = 0; a < n; a++) sum[h] += p[(size_t)h * stride + (size_t)a];
    for (int h = 0; h < heads; h++) {
        const float share = 1 / sum[h];
        for (int a = 0; a < n; a++) p[(size_t)h * stride + (size_t)a] *= share;
    }
}

/* o = sum_a p[a] v[a] over `left` columns from `first` on, at most PANEL.  Where the row has as many, a whole panel of
 * columns is added up, which may begin before those that are wanted and end behind them. */
static inline void attend_mix(const struct attention *t, const float *p, int first, int left, float *o)
{
    const int width = t->heads * t->d, from = first + PANEL <= width ? first : width - PANEL;
    if (from < 0) {
        for (int j = first; j < first + left; j++) {
            o[j] = 0;
            for (int a = 0; a < t->n; a++) o[j] += p[a] * t->v[a][j];
        }
        return;
    }
    lanes sum[VECTORS] = {0};
    for (int a = 0; a < t->n; a++) {
        UNROLL
        for (int v = 0; v < VECTORS; v++) sum[v] += p[a] * *(const lanes *)(t->v[a] + from + v * LANES);
    }
    memcpy(o + first, (const float *)sum + (first - from), (size_t)left * sizeof(float));
}

static void kernel_attend(const struct attention *t, const float *q, float *o, float *p, size_t stride)
{
    attend_dots(t, 0, t->heads, q, t->k, p, stride);
    for (int h = 0; h < t->heads; h++) attend_powers(t, h, p + (size_t)h * stride);
    for (int h = 0; h < t->heads; h += ATTEND_HEADS)
        attend_shares(t->n, t->heads - h < ATTEND_HEADS ? t->heads - h : ATTEND_HEADS, p + (size_t)h * stride,
                      stride);
    for (int h = 0; h < t->heads; h++)
        for (int c = 0; c < t->d; c += PANEL)
            attend_mix(t, p + (size_t)h * stride, h * t->d + c, t->d - c < PANEL ? t->d - c : PANEL, o);
}

/* to += weight * row over the d columns of a head. */
static inline void attend_add(int d, float weight, const float *restrict row, float *restrict to)
{
    for (int j = 0; j < d; j++) to[j] += weight * row[j];
}

static void kernel_attend_back(const struct attention *t, const float *q, const float *p, size_t stride,
                               const float *d_o, float *d_q, float *const *d_k, float *const *d_v, float *d_s)
{
    for (int h = 0; h < t->heads; h++, p += stride) {
        const int first = h * t->d;
        float mean = 0;
        attend_dots(t, h, h + 1, d_o, t->v, d_s, 0);
        for (int a = 0; a < t->n; a++) mean += p[a] * d_s[a];
        for (int a = 0; a < t->n; a++) d_s[a] = t->scale * p[a] * (d_s[a] - mean);
        for (int a = 0; a < t->n; a++) {
            attend_add(t->d, d_s[a], t->k[a] + first, d_q + first);
            if (d_k[a]) attend_add(t->d, d_s[a], q + first, d_k[a] + first);
            if (d_v[a]) attend_add(t->d, p[a], d_o + first, d_v[a] + first);
        }
    }
}

#endif
