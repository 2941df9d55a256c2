/* Scaled dot-product attention of one query over a list of keys, in several heads (Vaswani et al. 2017).
 *
 *   head h:  s_a = q_h . k_a,h / sqrt(d) - slope_h age_a;   p = softmax(s);   o_h = sum_a p_a v_a,h       d = units / heads
 *   slope_h = 2^(-8 (h+1) / heads): far keys count less, some heads looking further than others (Press et al. 2022)
 *
 * Keys are given as pointers, in the order of their sums: the same history gives the same bits wherever it lies.
 * Memory   the caller's; the projections are the caller's too. */
#ifndef ENGINE_MODEL_ATTEND_H
#define ENGINE_MODEL_ATTEND_H

enum { ATTEND_MAX_WINDOW = 512, ATTEND_MAX_HEADS = 64 };

struct attend_keys {
    int n;                             /* 1 .. ATTEND_MAX_WINDOW */
    const float *k[ATTEND_MAX_WINDOW]; /* [units] each */
    const float *v[ATTEND_MAX_WINDOW]; /* [units] each */
    float age[ATTEND_MAX_WINDOW];      /* >= 0; not read when `ageless` */
    int ageless;
};

/* o [units]; p [heads, stride]: the first n of each row are written, for the way back. */
void attend(int units, int heads, const float *q, const struct attend_keys *, float *o, float *p, int stride);

/* From d_o [units]: adds to d_q [units] and, where the pointer is not NULL, to d_k[a] and d_v[a] [units]. */
void attend_back(int units, int heads, const float *q, const struct attend_keys *, const float *p, int stride,
                 const float *d_o, float *d_q, float *const *d_k, float *const *d_v);

#endif
