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
    const size_t keys = 3 * units * units, rest = units * units + 2 * units * (size_t)m->inner + 2 * window * units;
    return window * (units * (size_t)m->n_in + (size_t)m->blocks * keys + (size_t)(m->blocks - 1) * rest) +
           (size_t)m->stride * rest;
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

/* Hands out pieces of one memory; without any it only counts. */
struct masked_carver {
    float *memory;
    size_t used;
};

static float *masked_take(struct masked_carver *c, size_t floats)
{
    float *piece = c->memory ? c->memory + c->used : NULL;
    c->used += floats;
    return piece;
}

static struct masked_block masked_take_block(const struct masked *m, size_t shares, bool keep,
                                             struct masked_carver *c)
{
    const size_t w = (size_t)m->window, wu = w * (size_t)m->units;
    struct masked_block k;
    k.h = masked_take(c, wu);
    k.u = masked_take(c, wu);
    k.qkv = masked_take(c, 3 * wu);
    k.p = masked_take(c, keep ? w * shares : (size_t)m->heads * w);
    k.o = masked_take(c, wu);
    k.middle = masked_take(c, wu);
    k.v = masked_take(c, wu);
    k.r = masked_take(c, w * (size_t)m->inner);
    k.saved1 = masked_take(c, w * LAYER_NORM_SAVED);
    k.saved2 = masked_take(c, w * LAYER_NORM_SAVED);
    return k;
}

/* Returns the floats that it takes. */
static size_t masked_lay_out(const struct masked *m, struct masked_run *run, bool keep, float *memory)
{
    const size_t w = (size_t)m->window, wu = w * (size_t)m->units;
    struct masked_carver c = {memory, 0};
    run->shares = keep ? (size_t)m->heads * w : 0;
    for (int b = 0; b < m->blocks; b++)
        run->block[b] = keep || b == 0 ? masked_take_block(m, run->shares, keep, &c) : run->block[0];
    run->h = masked_take(&c, wu);
    run->y = masked_take(&c, wu);
    run->saved = masked_take(&c, w * LAYER_NORM_SAVED);
    run->sums = masked_take(&c, w * masked_widest(m));
    return c.used;
}

size_t masked_run_floats(const struct masked *m, bool keep)
{
    struct masked_run run;
    return masked_lay_out(m, &run, keep, NULL);
}

void masked_run_open(const struct masked *m, struct masked_run *run, int steps, bool keep, float *memory)
{
    const int first = m->window - 1 - m->lag;
    (void)masked_lay_out(m, run, keep, memory);
    run->known = (struct masked_span){m->window - steps, m->window};
    run->wanted = (struct masked_span){first, first + m->stride};
    if (run->wanted.first < run->known.first) run->wanted.first = run->known.first;
    if (run->wanted.end < run->wanted.first) run->wanted.end = run->wanted.first;
}

/* ---- forward ---- */

/* y [W, n_out] = g(x [W, n_x] W + b) for some places. */
static void masked_project(const struct masked_run *run, struct masked_span at, int n_out, int n_x,
                           const float *panels, enum activation g, const float *x, float *y)
{
    const struct product sums = {n_x, 0, panels_count(n_out), panels};
    const size_t width = (size_t)sums.n_panels * PANEL;
    const float *rows[ATTEND_MAX_WINDOW];
    const int n = at.end - at.first;
    for (int i = 0; i < n; i++) rows[i] = x + (size_t)(at.first + i) * (size_t)n_x;
    kernels_best()->product(&sums, n, rows, NULL, run->sums, width);
    for (int i = 0; i < n; i++)
        kernels_best()->activate(g, n_out, run->sums + (size_t)i * width, y + (size_t)(at.first + i) * (size_t)n_out);
}

static void masked_input(const struct masked *m, const float *packed, const struct masked_run *run, float *h)
{
    const size_t units = (size_t)m->units;
    const float *mask = packed + masked_packed(m).plain, *position = mask + units;
    const struct product sums = {m->n_in, 0, panels_count(m->units), packed};
    const size_t width = (size_t)sums.n_panels * PANEL;
    const float *x[ATTEND_MAX_WINDOW], *seen = run->sums;
    int n = 0;
    for (int i = run->known.first; i < run->known.end; i++)
        if (!run->hidden[i]) x[n++] = run->x[i];
    kernels_best()->product(&sums, n, x, NULL, run->sums, width);
    for (int i = run->known.first; i < run->known.end; i++) {
        const float *row = run->hidden[i] ? mask : seen;
        for (size_t j = 0; j < units; j++) h[(size_t)i * units + j] = row[j] + position[(size_t)i * units + j];
        if (!run->hidden[i]) seen += width;
    }
}

static void masked_norm(const struct masked *m, struct masked_span at, const float *norm, const float *x, float *y,
                        float *saved)
{
    const size_t units = (size_t)m->units;
    for (size_t i = (size_t)at.first; i < (size_t)at.end; i++)
        layer_norm(m->units, x + i * units, norm, norm + units, y + i * units, saved + i * LAYER_NORM_SAVED);
}

/* Every place `at` looks at all that are known. */
static void masked_attend(const struct masked *m, const struct masked_run *run, struct masked_span at,
                          const struct masked_block *k)
{
    const size_t units = (size_t)m->units;
    struct attend_keys keys;
    keys.n = 0;
    keys.ageless = 1;
    for (size_t i = (size_t)run->known.first; i < (size_t)run->known.end; i++) {
        keys.k[keys.n] = k->qkv + i * 3 * units + units;
        keys.v[keys.n++] = k->qkv + i * 3 * units + 2 * units;
    }
    for (size_t i = (size_t)at.first; i < (size_t)at.end; i++)
        attend(m->units, m->heads, k->qkv + i * 3 * units, &keys, k->o + i * units, k->p + i * run->shares,
               m->window);
}

/* sum += a */
static void masked_add(const struct masked *m, struct masked_span at, const float *a, float *sum)
{
    const size_t from = (size_t)at.first * (size_t)m->units, n = (size_t)(at.end - at.first) * (size_t)m->units;
    kernels_best()->add(n, a + from, sum + from);
}

/* From k->h to h_out at the places `at`; h_out may be k->h. */
static void masked_block_forward(const struct masked *m, const float *packed, const struct masked_run *run,
                                 const struct masked_block *k, struct masked_span at, float *h_out)
{
    const struct masked_packed in = masked_packed(m);
    const int units = m->units;
    const float *norms = packed + in.norms;
    masked_norm(m, run->known, norms, k->h, k->u, k->saved1);
    masked_project(run, run->known, 3 * units, units, packed, ACTIVATION_IDENTITY, k->u, k->qkv);
    masked_attend(m, run, at, k);
    masked_project(run, at, units, units, packed + in.out, ACTIVATION_IDENTITY, k->o, k->middle);
    masked_add(m, at, k->h, k->middle);
    masked_norm(m, at, norms + 2 * units, k->middle, k->v, k->saved2);
    masked_project(run, at, m->inner, units, packed + in.first, ACTIVATION_RELU, k->v, k->r);
    masked_project(run, at, units, m->inner, packed + in.second, ACTIVATION_IDENTITY, k->r, h_out);
    masked_add(m, at, k->middle, h_out);
}

void masked_forward(const struct masked *m, const float *packed, struct masked_run *run)
{
    const struct masked_packed at = masked_packed(m);
    masked_input(m, packed, run, run->block[0].h);
    for (int b = 0; b < m->blocks; b++) {
        const bool last = b + 1 == m->blocks;
        masked_block_forward(m, packed + at.blocks + (size_t)b * at.block, run, &run->block[b],
                             last ? run->wanted : run->known, last ? run->h : run->block[b + 1].h);
    }
    masked_norm(m, run->wanted, packed + at.norm, run->h, run->y, run->saved);
}
