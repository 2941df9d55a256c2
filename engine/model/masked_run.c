#include "engine/model/masked_run.h"

#include <stdio.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/model/initial.h"
#include "engine/model/layer_norm.h"

/* ---- places ---- */

struct masked_params masked_places(const struct masked *m)
{
    const size_t units = (size_t)m->units, inner = (size_t)m->inner;
    struct masked_params at = {.in_bias = units * (size_t)m->n_in};
    at.mask = at.in_bias + units;
    at.position = at.mask + units;
    at.blocks = at.position + (size_t)m->window * units;
    at.qkv_bias = 3 * units * units;
    at.out = at.qkv_bias + 3 * units;
    at.out_bias = at.out + units * units;
    at.w1 = at.out_bias + units;
    at.b1 = at.w1 + inner * units;
    at.w2 = at.b1 + inner;
    at.b2 = at.w2 + units * inner;
    at.norm1 = at.b2 + units;
    at.norm2 = at.norm1 + 2 * units;
    at.block = at.norm2 + 2 * units;
    at.norm = at.blocks + (size_t)m->blocks * at.block;
    at.end = at.norm + 2 * units;
    return at;
}

/* Panels of the input; mask and positions; per block panels of q k v, out and both inner layers, then its norms; the
 * last norm. */
struct masked_packed masked_packed(const struct masked *m)
{
    const size_t units = (size_t)m->units;
    struct masked_packed at = {.plain = panels_floats(m->units, m->n_in)};
    at.blocks = at.plain + units + (size_t)m->window * units;
    at.out = panels_floats(3 * m->units, m->units);
    at.first = at.out + panels_floats(m->units, m->units);
    at.second = at.first + panels_floats(m->inner, m->units);
    at.norms = at.second + panels_floats(m->units, m->inner);
    at.block = at.norms + 4 * units;
    at.norm = at.blocks + (size_t)m->blocks * at.block;
    at.end = at.norm + 2 * units;
    return at;
}

size_t masked_multiply_adds(const struct masked *m)
{
    const size_t units = (size_t)m->units, window = (size_t)m->window;
    return window * (units * (size_t)m->n_in +
                     (size_t)m->blocks * (4 * units * units + 2 * units * (size_t)m->inner + 2 * window * units));
}

void masked_weights(const struct masked *m, uint64_t seed, float *params)
{
    const struct masked_params at = masked_places(m);
    const size_t units = (size_t)m->units;
    initial_constant(at.end, 0, params);
    initial_weights(seed, 0, at.in_bias, m->n_in, params);
    initial_weights(seed, at.mask, at.blocks - at.mask, 16,
                    params + at.mask); /* small: they are added, not multiplied */
    for (size_t b = 0; b < (size_t)m->blocks; b++) {
        const size_t base = at.blocks + b * at.block;
        float *block = params + base;
        initial_weights(seed, base, at.qkv_bias, m->units, block);
        initial_weights(seed, base + at.out, units * units, m->units, block + at.out);
        initial_weights(seed, base + at.w1, at.b1 - at.w1, m->units, block + at.w1);
        initial_weights(seed, base + at.w2, at.b2 - at.w2, m->inner, block + at.w2);
        initial_constant(units, 1, block + at.norm1);
        initial_constant(units, 1, block + at.norm2);
    }
    initial_constant(units, 1, params + at.norm);
}

static void masked_panel(int n_out, int n_x, const float *w, const float *bias, float *to)
{
    panels_pack(&(struct panels_source){.n_out = n_out, .n_x = n_x, .bias = bias, .w = w}, to);
}

void masked_panels(const struct masked *m, const float *params, float *packed)
{
    const struct masked_params at = masked_places(m);
    const struct masked_packed to = masked_packed(m);
    masked_panel(m->units, m->n_in, params, params + at.in_bias, packed);
    memcpy(packed + to.plain, params + at.mask, (at.blocks - at.mask) * sizeof(float));
    for (size_t b = 0; b < (size_t)m->blocks; b++) {
        const float *from = params + at.blocks + b * at.block;
        float *block = packed + to.blocks + b * to.block;
        masked_panel(3 * m->units, m->units, from, from + at.qkv_bias, block);
        masked_panel(m->units, m->units, from + at.out, from + at.out_bias, block + to.out);
        masked_panel(m->inner, m->units, from + at.w1, from + at.b1, block + to.first);
        masked_panel(m->units, m->inner, from + at.w2, from + at.b2, block + to.second);
        memcpy(block + to.norms, from + at.norm1, 4 * (size_t)m->units * sizeof(float));
    }
    memcpy(packed + to.norm, params + at.norm, 2 * (size_t)m->units * sizeof(float));
}

static bool masked_tensor_of_block(const struct masked *m, int block, int i, struct eddy_tensor_info *out)
{
    static const char *const names[] = {"self_attn.in_proj_weight",
                                        "self_attn.in_proj_bias",
                                        "self_attn.out_proj.weight",
                                        "self_attn.out_proj.bias",
                                        "linear1.weight",
                                        "linear1.bias",
                                        "linear2.weight",
                                        "linear2.bias",
                                        "norm1.weight",
                                        "norm1.bias",
                                        "norm2.weight",
                                        "norm2.bias"};
    const struct masked_params at = masked_places(m);
    const size_t first[] = {0,        at.qkv_bias,
                            at.out,   at.out_bias,
                            at.w1,    at.b1,
                            at.w2,    at.b2,
                            at.norm1, at.norm1 + (size_t)m->units,
                            at.norm2, at.norm2 + (size_t)m->units};
    const int u = m->units, f = m->inner;
    const int rows[] = {3 * u, 3 * u, u, u, f, f, u, u, u, u, u, u}, cols[] = {u, 1, u, 1, u, 1, f, 1, 1, 1, 1, 1};
    *out = (struct eddy_tensor_info){.rows = rows[i], .cols = cols[i]};
    out->first = at.blocks + (size_t)block * at.block + first[i];
    (void)snprintf(out->name, sizeof(out->name), "blocks.%d.%s", block, names[i]);
    return true;
}

bool masked_tensor_of(const struct masked *m, int i, struct eddy_tensor_info *out)
{
    enum { BEFORE = 4, OF_BLOCK = 12 };
    const struct masked_params at = masked_places(m);
    const struct eddy_tensor_info outer[] = {
        {.name = "input.weight", .first = 0, .rows = m->units, .cols = m->n_in},
        {.name = "input.bias", .first = at.in_bias, .rows = m->units, .cols = 1},
        {.name = "mask", .first = at.mask, .rows = m->units, .cols = 1},
        {.name = "position", .first = at.position, .rows = m->window, .cols = m->units},
        {.name = "norm.weight", .first = at.norm, .rows = m->units, .cols = 1},
        {.name = "norm.bias", .first = at.norm + (size_t)m->units, .rows = m->units, .cols = 1}};
    const int of_blocks = OF_BLOCK * m->blocks;
    if (i < 0 || i >= BEFORE + of_blocks + 2) return false;
    if (i >= BEFORE && i < BEFORE + of_blocks)
        return masked_tensor_of_block(m, (i - BEFORE) / OF_BLOCK, (i - BEFORE) % OF_BLOCK, out);
    *out = outer[i < BEFORE ? i : i - of_blocks];
    return true;
}

/* ---- the memory of a run ---- */

static size_t masked_widest(const struct masked *m)
{
    const int widest = 3 * m->units > m->inner ? 3 * m->units : m->inner;
    return (size_t)panels_count(widest) * PANEL;
}

/* Lays the arrays out from `memory` on, or with NULL counts only. */
static size_t masked_lay_out(const struct masked *m, struct masked_run *run, float *memory)
{
    const size_t w = (size_t)m->window, wu = w * (size_t)m->units;
    size_t used = 0;
#define MASKED_TAKE(floats) (memory ? memory + used : NULL), used += (floats)
    for (int b = 0; b < m->blocks; b++) {
        struct masked_block *k = &run->block[b];
        k->h = MASKED_TAKE(wu);
        k->u = MASKED_TAKE(wu);
        k->qkv = MASKED_TAKE(3 * wu);
        k->p = MASKED_TAKE(w * w * (size_t)m->heads);
        k->o = MASKED_TAKE(wu);
        k->middle = MASKED_TAKE(wu);
        k->v = MASKED_TAKE(wu);
        k->r = MASKED_TAKE(w * (size_t)m->inner);
        k->saved1 = MASKED_TAKE(w * LAYER_NORM_SAVED);
        k->saved2 = MASKED_TAKE(w * LAYER_NORM_SAVED);
    }
    run->h = MASKED_TAKE(wu);
    run->y = MASKED_TAKE(wu);
    run->saved = MASKED_TAKE(w * LAYER_NORM_SAVED);
    run->sums = MASKED_TAKE(w * masked_widest(m));
#undef MASKED_TAKE
    return used;
}

size_t masked_run_floats(const struct masked *m)
{
    struct masked_run run;
    return masked_lay_out(m, &run, NULL);
}

void masked_run_open(const struct masked *m, struct masked_run *run, int first, float *memory)
{
    (void)masked_lay_out(m, run, memory);
    run->first = first;
}

/* ---- forward ---- */

/* y [W, n_out] = x [W, n_x] W + b for the places that exist. */
static void masked_project(const struct masked *m, const struct masked_run *run, int n_out, int n_x,
                           const float *panels, const float *x, float *y)
{
    const struct product sums = {n_x, 0, panels_count(n_out), panels};
    const size_t width = (size_t)sums.n_panels * PANEL;
    const float *rows[ATTEND_MAX_WINDOW];
    const int n = m->window - run->first;
    for (int i = 0; i < n; i++) rows[i] = x + (size_t)(run->first + i) * (size_t)n_x;
    kernels_best()->product(&sums, n, rows, NULL, run->sums, width);
    for (int i = 0; i < n; i++)
        memcpy(y + (size_t)(run->first + i) * (size_t)n_out, run->sums + (size_t)i * width,
               (size_t)n_out * sizeof(float));
}

static void masked_input(const struct masked *m, const float *packed, const struct masked_run *run, float *h)
{
    const struct masked_packed at = masked_packed(m);
    const size_t units = (size_t)m->units;
    const float *mask = packed + at.plain, *position = mask + units;
    const struct product sums = {m->n_in, 0, panels_count(m->units), packed};
    for (int i = run->first; i < m->window; i++) {
        float *row = h + (size_t)i * units;
        if (run->hidden[i]) {
            memcpy(row, mask, units * sizeof(float));
        } else {
            kernels_best()->product(&sums, 1, &run->x[i], NULL, run->sums, (size_t)sums.n_panels * PANEL);
            memcpy(row, run->sums, units * sizeof(float));
        }
        for (size_t j = 0; j < units; j++) row[j] += position[(size_t)i * units + j];
    }
}

static void masked_norm(const struct masked *m, const struct masked_run *run, const float *norm, const float *x,
                        float *y, float *saved)
{
    const size_t units = (size_t)m->units;
    for (size_t i = (size_t)run->first; i < (size_t)m->window; i++)
        layer_norm(m->units, x + i * units, norm, norm + units, y + i * units, saved + i * LAYER_NORM_SAVED);
}

static void masked_keys(const struct masked *m, const struct masked_run *run, const float *qkv,
                        struct attend_keys *keys)
{
    const size_t units = (size_t)m->units;
    keys->n = 0;
    keys->ageless = 1;
    for (size_t i = (size_t)run->first; i < (size_t)m->window; i++) {
        keys->k[keys->n] = qkv + i * 3 * units + units;
        keys->v[keys->n++] = qkv + i * 3 * units + 2 * units;
    }
}

static void masked_add(const struct masked *m, const struct masked_run *run, const float *a, const float *b,
                       float *sum)
{
    const size_t units = (size_t)m->units;
    for (size_t i = (size_t)run->first * units; i < (size_t)m->window * units; i++) sum[i] = a[i] + b[i];
}

static void masked_block_forward(const struct masked *m, const float *packed, const struct masked_run *run,
                                 const struct masked_block *k, float *h_out)
{
    const struct masked_packed at = masked_packed(m);
    const size_t units = (size_t)m->units, shares = (size_t)m->heads * (size_t)m->window;
    const float *norms = packed + at.norms;
    struct attend_keys keys;
    masked_norm(m, run, norms, k->h, k->u, k->saved1);
    masked_project(m, run, 3 * m->units, m->units, packed, k->u, k->qkv);
    masked_keys(m, run, k->qkv, &keys);
    for (size_t i = (size_t)run->first; i < (size_t)m->window; i++)
        attend(m->units, m->heads, k->qkv + i * 3 * units, &keys, k->o + i * units, k->p + i * shares, m->window);
    masked_project(m, run, m->units, m->units, packed + at.out, k->o, k->middle);
    masked_add(m, run, k->h, k->middle, k->middle);
    masked_norm(m, run, norms + 2 * units, k->middle, k->v, k->saved2);
    masked_project(m, run, m->inner, m->units, packed + at.first, k->v, k->r);
    for (size_t i = (size_t)run->first * (size_t)m->inner; i < (size_t)m->window * (size_t)m->inner; i++)
        k->r[i] = k->r[i] > 0 ? k->r[i] : 0;
    masked_project(m, run, m->units, m->inner, packed + at.second, k->r, h_out);
    masked_add(m, run, k->middle, h_out, h_out);
}

void masked_forward(const struct masked *m, const float *packed, struct masked_run *run)
{
    const struct masked_packed at = masked_packed(m);
    masked_input(m, packed, run, run->block[0].h);
    for (int b = 0; b < m->blocks; b++)
        masked_block_forward(m, packed + at.blocks + (size_t)b * at.block, run, &run->block[b],
                             b + 1 < m->blocks ? run->block[b + 1].h : run->h);
    masked_norm(m, run, packed + at.norm, run->h, run->y, run->saved);
}
