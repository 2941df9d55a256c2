#include "engine/model/causal.h"

#include <stdio.h>
#include <string.h>

#include "engine/math/activations.h"
#include "engine/math/kernels.h"
#include "engine/math/matmul.h"
#include "engine/model/attend.h"
#include "engine/model/initial.h"
#include "engine/model/ring.h"

const char *causal_wrong(const struct causal *c)
{
    if (c->heads > ATTEND_MAX_HEADS || c->window > ATTEND_MAX_WINDOW)
        return "has too many heads or too long a window";
    if (c->units > CAUSAL_MAX_UNITS) return "is wider than 1024";
    if (c->units % c->heads != 0) return "its units cannot be shared out evenly among its heads";
    return NULL;
}

/* ---- sizes and places ---- */

static size_t causal_in(const struct causal *c)
{
    return 3 * (size_t)c->units * (size_t)c->n_in;
}

static size_t causal_in_bias(const struct causal *c)
{
    return causal_in(c);
}

static size_t causal_out(const struct causal *c)
{
    return causal_in(c) + 3 * (size_t)c->units;
}

static size_t causal_out_bias(const struct causal *c)
{
    return causal_out(c) + (size_t)c->units * (size_t)c->units;
}

size_t causal_params(const struct causal *c)
{
    return causal_out_bias(c) + (size_t)c->units;
}

size_t causal_packed(const struct causal *c)
{
    return panels_floats(3 * c->units, c->n_in) + panels_floats(c->units, c->units);
}

static int causal_slot(const struct causal *c)
{
    return 2 * c->units + 1;
}

size_t causal_state(const struct causal *c)
{
    return 1 + ring_floats(c->window - 1, causal_slot(c));
}

size_t causal_tape(const struct causal *c)
{
    return 4 * (size_t)c->units + (size_t)c->heads * (size_t)c->window;
}

/* Sums of the projections, o, and the shares of one row. */
size_t causal_work(const struct causal *c)
{
    const size_t in = (size_t)panels_count(3 * c->units) * PANEL, out = (size_t)panels_count(c->units) * PANEL;
    return TILE_ROWS * (in + out + (size_t)c->units) + (size_t)c->heads * (size_t)c->window;
}

size_t causal_back_floats(const struct causal *c)
{
    return 4 * (size_t)c->units;
}

size_t causal_multiply_adds(const struct causal *c)
{
    return causal_in(c) + (size_t)c->units * (size_t)c->units + 2 * (size_t)c->window * (size_t)c->units;
}

void causal_init(const struct causal *c, uint64_t seed, float *params)
{
    initial_weights(seed, 0, causal_in(c), c->n_in, params);
    initial_constant(3 * (size_t)c->units, 0, params + causal_in_bias(c));
    initial_weights(seed, causal_in(c), (size_t)c->units * (size_t)c->units, c->units, params + causal_out(c));
    initial_constant((size_t)c->units, 0, params + causal_out_bias(c));
}

void causal_pack(const struct causal *c, const float *params, float *packed)
{
    const struct panels_source in = {
        .n_out = 3 * c->units, .n_x = c->n_in, .bias = params + causal_in_bias(c), .w = params};
    const struct panels_source out = {
        .n_out = c->units, .n_x = c->units, .bias = params + causal_out_bias(c), .w = params + causal_out(c)};
    panels_pack(&in, packed);
    panels_pack(&out, packed + panels_floats(3 * c->units, c->n_in));
}

void causal_tensors(const struct causal *c, const char *prefix, struct eddy_tensor_info out[4])
{
    static const char *const names[] = {"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"};
    const int rows[] = {3 * c->units, 3 * c->units, c->units, c->units}, cols[] = {c->n_in, 1, c->units, 1};
    for (int i = 0; i < 4; i++) {
        out[i] = (struct eddy_tensor_info){.rows = rows[i], .cols = cols[i]};
        (void)snprintf(out[i].name, sizeof(out[i].name), "%s%s", prefix, names[i]);
    }
}

/* ---- a step ---- */

/* How far back a step counts that lies `steps` and `seconds` in the past. */
static float causal_age(const struct causal *c, int steps, float seconds)
{
    return c->positions == POSITIONS_TIME ? math_log(1 + seconds) : (float)steps;
}

static void causal_no_keys(const struct causal *c, struct attend_keys *keys)
{
    keys->n = 0; /* the arrays are large: only what is in use is written */
    keys->ageless = c->positions == POSITIONS_NONE;
}

static void causal_key(const struct causal *c, struct attend_keys *keys, const float *kv, int steps, float seconds)
{
    keys->k[keys->n] = kv;
    keys->v[keys->n] = kv + c->units;
    keys->age[keys->n++] = causal_age(c, steps, seconds);
}

static void causal_row(const struct causal *c, const float *qkv, float elapsed_s, float *state, float *o, float *p)
{
    const int kept = ring_counter(state[0], c->window), width = causal_slot(c);
    float *ring = state + 1, seconds = elapsed_s, slot[2 * CAUSAL_MAX_UNITS + 1];
    struct attend_keys keys;
    causal_no_keys(c, &keys);
    causal_key(c, &keys, qkv + c->units, 0, 0);
    for (int age = 1; age <= kept; age++) {
        const float *then = ring_row(ring, c->window - 1, width, age);
        causal_key(c, &keys, then, age, seconds);
        seconds += then[2 * c->units];
    }
    attend(c->units, c->heads, qkv, &keys, o, p, c->window);
    memcpy(slot, qkv + c->units, 2 * (size_t)c->units * sizeof(float));
    slot[2 * c->units] = elapsed_s;
    ring_push(ring, c->window - 1, width, slot);
    if (kept < c->window - 1) state[0] = (float)(kept + 1);
}

void causal_step(const struct causal *c, const float *packed, int n, const float *const *u, float *const *state,
                 const float *elapsed_s, float *const *a, float *tape, size_t stride, float *work)
{
    const struct kernels *k = kernels_best();
    const struct product in = {c->n_in, 0, panels_count(3 * c->units), packed};
    const struct product out = {c->units, 0, panels_count(c->units), packed + panels_floats(3 * c->units, c->n_in)};
    const size_t in_width = (size_t)in.n_panels * PANEL, out_width = (size_t)out.n_panels * PANEL;
    const size_t units = (size_t)c->units;
    float *sums = work, *heads = work + TILE_ROWS * in_width, *final = heads + TILE_ROWS * units;
    float *shares = final + TILE_ROWS * out_width;
    const float *o[TILE_ROWS];
    k->product(&in, n, u, NULL, sums, in_width);
    for (int b = 0; b < n; b++) {
        float *row = tape ? tape + (size_t)b * stride : NULL, *qkv = sums + (size_t)b * in_width;
        float *own = heads + (size_t)b * units;
        causal_row(c, qkv, elapsed_s ? elapsed_s[b] : 0, state[b], own, row ? row + 4 * units : shares);
        o[b] = own;
        if (!row) continue;
        memcpy(row, qkv, 3 * units * sizeof(float));
        memcpy(row + 3 * units, own, units * sizeof(float));
    }
    k->product(&out, n, o, NULL, final, out_width);
    for (int b = 0; b < n; b++) memcpy(a[b], final + (size_t)b * out_width, units * sizeof(float));
}

/* ---- back ---- */

/* The keys that step t of a row saw, and where their gradients go: nowhere for those from before the window. */
static void causal_keys_of(const struct causal *c, const struct causal_window *w, int t, int row, float *d_qkv,
                           struct attend_keys *keys, float **d_k, float **d_v)
{
    const float *start = w->start + (size_t)row * w->n_state;
    const int kept = ring_counter(start[0], c->window), before = kept + t < c->window - 1 ? kept + t : c->window - 1;
    float seconds = 0;
    for (int age = 0; age <= before; age++) {
        const bool inside = age <= t;
        const size_t cell = inside ? (size_t)(t - age) * (size_t)w->n_rows + (size_t)row : 0;
        const float *then = inside ? w->tape + cell * w->stride + c->units
                                   : ring_row(start + 1, c->window - 1, causal_slot(c), age - t);
        d_k[keys->n] = inside ? d_qkv + cell * 3 * (size_t)c->units + c->units : NULL;
        d_v[keys->n] = inside ? d_k[keys->n] + c->units : NULL;
        causal_key(c, keys, then, age, seconds);
        seconds += inside ? w->elapsed_s[cell] : then[2 * c->units];
    }
}

void causal_backward(const struct causal *c, const float *params, const struct causal_window *w, float *d_params,
                     float *back)
{
    const int n = w->n_steps * w->n_rows, units = c->units, stride = (int)w->stride;
    const size_t cells = (size_t)n;
    float *d_qkv = back, *d_o = back + 3 * cells * (size_t)units;
    const struct matrix d_a = {w->d_a, units}, o = {w->tape + 3 * units, stride}, u = {w->u, (int)w->u_stride};
    const struct matrix out = {params + causal_out(c), units}, in = {params, c->n_in};
    matmul_tn(units, units, n, d_a, o, 1, d_params + causal_out(c), units);
    kernels_best()->add_rows(cells, units, w->d_a, (size_t)units, d_params + causal_out_bias(c));
    matmul(n, units, units, d_a, out, 0, d_o, units);
    memset(d_qkv, 0, 3 * cells * (size_t)units * sizeof(float));
    for (int t = 0; t < w->n_steps; t++)
        for (int row = 0; row < w->n_rows; row++) {
            const size_t cell = (size_t)t * (size_t)w->n_rows + (size_t)row;
            const float *tape = w->tape + cell * w->stride;
            struct attend_keys keys;
            float *d_k[ATTEND_MAX_WINDOW], *d_v[ATTEND_MAX_WINDOW];
            causal_no_keys(c, &keys);
            causal_keys_of(c, w, t, row, d_qkv, &keys, d_k, d_v);
            attend_back(units, c->heads, tape, &keys, tape + 4 * units, c->window, d_o + cell * (size_t)units,
                        d_qkv + cell * 3 * (size_t)units, d_k, d_v);
        }
    const struct matrix by_in = {d_qkv, 3 * units};
    matmul_tn(3 * units, c->n_in, n, by_in, u, 1, d_params, c->n_in);
    kernels_best()->add_rows(cells, 3 * units, d_qkv, 3 * (size_t)units, d_params + causal_in_bias(c));
    if (w->d_u) matmul(n, c->n_in, 3 * units, by_in, in, 0, w->d_u, c->n_in);
}
