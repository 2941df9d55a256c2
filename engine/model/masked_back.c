/* Back through one run of a masked encoder: see masked_run.h. */
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/math/matmul.h"
#include "engine/model/layer_norm.h"
#include "engine/model/masked_run.h"

/* Scratch, all [W, ..]: gradients by a block's output and by its middle, by the sums inside. */
struct masked_slopes {
    float *d_h, *d_u, *d_qkv, *d_o, *d_r;
};

size_t masked_back_floats(const struct masked *m)
{
    return (size_t)m->window * (6 * (size_t)m->units + (size_t)m->inner);
}

static struct masked_slopes masked_slopes(const struct masked *m, float *scratch)
{
    const size_t wu = (size_t)m->window * (size_t)m->units;
    return (struct masked_slopes){scratch, scratch + wu, scratch + 2 * wu, scratch + 5 * wu, scratch + 6 * wu};
}

/* y = x W^T + b at some places, from d_y to dW, db and d_x (written). */
static void masked_project_back(struct masked_span at, int n_out, int n_x, const float *w, const float *x,
                                const float *d_y, float *d_w, float *d_bias, float *d_x)
{
    const int n = at.end - at.first;
    const size_t by_out = (size_t)at.first * (size_t)n_out, by_x = (size_t)at.first * (size_t)n_x;
    const struct matrix d_out = {d_y + by_out, n_out}, in = {x + by_x, n_x}, weights = {w, n_x};
    matmul_tn(n_out, n_x, n, d_out, in, 1, d_w, n_x);
    kernels_best()->add_rows((size_t)n, n_out, d_out.data, (size_t)n_out, d_bias);
    matmul(n, n_x, n_out, d_out, weights, 0, d_x + by_x, n_x);
}

/* d_h += what comes back through y = LN(x) from d_y. */
static void masked_norm_back(const struct masked *m, struct masked_span at, const float *gain, const float *x,
                             const float *saved, float *d_y, float *d_gain, float *d_h)
{
    const size_t units = (size_t)m->units;
    for (size_t i = (size_t)at.first; i < (size_t)at.end; i++) {
        float *row = d_y + i * units;
        layer_norm_back(m->units, x + i * units, gain, saved + i * LAYER_NORM_SAVED, row, row, d_gain,
                        d_gain + units);
        kernels_best()->add(units, row, d_h + i * units);
    }
}

static void masked_attend_back(const struct masked *m, const struct masked_run *run, struct masked_span at,
                               const struct masked_block *k, const float *d_o, float *d_qkv)
{
    const size_t units = (size_t)m->units;
    struct attend_keys keys;
    float *d_k[ATTEND_MAX_WINDOW], *d_v[ATTEND_MAX_WINDOW];
    keys.n = 0;
    keys.ageless = 1;
    for (size_t i = (size_t)run->known.first; i < (size_t)run->known.end; i++) {
        keys.k[keys.n] = k->qkv + i * 3 * units + units;
        keys.v[keys.n] = k->qkv + i * 3 * units + 2 * units;
        d_k[keys.n] = d_qkv + i * 3 * units + units;
        d_v[keys.n++] = d_qkv + i * 3 * units + 2 * units;
    }
    for (size_t i = (size_t)at.first; i < (size_t)at.end; i++)
        attend_back(m->units, m->heads, k->qkv + i * 3 * units, &keys, k->p + i * run->shares, m->window,
                    d_o + i * units, d_qkv + i * 3 * units, d_k, d_v);
}

/* d->d_h: in by the block's output at the places `on`, 0 elsewhere; out by its input. */
static void masked_block_back(const struct masked *m, const float *params, const struct masked_run *run,
                              const struct masked_block *k, struct masked_span on, const struct masked_slopes *d,
                              float *d_params)
{
    const struct masked_params at = masked_places(m);
    const int units = m->units, inner = m->inner;
    masked_project_back(on, units, inner, params + at.w2, k->r, d->d_h, d_params + at.w2, d_params + at.b2, d->d_r);
    for (size_t i = (size_t)on.first * (size_t)inner; i < (size_t)on.end * (size_t)inner; i++)
        if (!(k->r[i] > 0)) d->d_r[i] = 0;
    masked_project_back(on, inner, units, params + at.w1, k->v, d->d_r, d_params + at.w1, d_params + at.b1, d->d_u);
    masked_norm_back(m, on, params + at.norm2, k->middle, k->saved2, d->d_u, d_params + at.norm2, d->d_h);
    masked_project_back(on, units, units, params + at.out, k->o, d->d_h, d_params + at.out, d_params + at.out_bias,
                        d->d_o);
    memset(d->d_qkv, 0, 3 * (size_t)m->window * (size_t)units * sizeof(float));
    masked_attend_back(m, run, on, k, d->d_o, d->d_qkv);
    masked_project_back(run->known, 3 * units, units, params, k->u, d->d_qkv, d_params, d_params + at.qkv_bias,
                        d->d_u);
    masked_norm_back(m, run->known, params + at.norm1, k->h, k->saved1, d->d_u, d_params + at.norm1, d->d_h);
}

/* To mask, positions, the input's weights and x. */
static void masked_input_back(const struct masked *m, const float *params, const struct masked_run *run,
                              const float *d_h, float *d_params)
{
    const struct masked_params at = masked_places(m);
    const size_t units = (size_t)m->units, n_in = (size_t)m->n_in;
    for (int i = run->known.first; i < run->known.end; i++) {
        const float *row = d_h + (size_t)i * units;
        for (size_t j = 0; j < units; j++) d_params[at.position + (size_t)i * units + j] += row[j];
        for (size_t j = 0; run->hidden[i] && j < units; j++) d_params[at.mask + j] += row[j];
        if (run->hidden[i]) continue;
        for (size_t j = 0; j < units; j++) {
            d_params[at.in_bias + j] += row[j];
            for (size_t k = 0; k < n_in; k++) d_params[j * n_in + k] += row[j] * run->x[i][k];
            for (size_t k = 0; run->d_x[i] && k < n_in; k++) run->d_x[i][k] += row[j] * params[j * n_in + k];
        }
    }
}

void masked_descend(const struct masked *m, const float *params, const struct masked_run *run, float *d_params,
                    float *scratch)
{
    const struct masked_params at = masked_places(m);
    const struct masked_slopes d = masked_slopes(m, scratch);
    const size_t units = (size_t)m->units;
    memset(d.d_h, 0, (size_t)m->window * units * sizeof(float));
    for (size_t i = (size_t)run->wanted.first; i < (size_t)run->wanted.end; i++)
        if (run->d_y[i])
            layer_norm_back(m->units, run->h + i * units, params + at.norm, run->saved + i * LAYER_NORM_SAVED,
                            run->d_y[i], d.d_h + i * units, d_params + at.norm, d_params + at.norm + units);
    for (int b = m->blocks - 1; b >= 0; b--) {
        const size_t base = at.blocks + (size_t)b * at.block;
        masked_block_back(m, params + base, run, &run->block[b], b + 1 == m->blocks ? run->wanted : run->known, &d,
                          d_params + base);
    }
    masked_input_back(m, params, run, d.d_h, d_params);
}
