/* A block of a Transformer encoder (Vaswani et al. 2017), causal over the last W steps; its width is that of its input.
 *
 *   norm: before    u = LN1(x)    h = x + attention(u)         v = LN2(h)    y = h + W_2 relu(W_1 v + b_1) + b_2
 *   norm: after     u = x         h = LN1(x + attention(u))    v = h         y = LN2(h + W_2 relu(W_1 v + b_1) + b_2)
 *
 * The attention is that of causal.h.  Back from the top, over all steps at once: each sum hands its gradient to both of
 * its terms.
 *
 * Parameters  self_attn.* (causal.h) | linear1.weight W_1 [F, U], bias | linear2.weight W_2 [U, F], bias
 *             | norm1.weight, bias | norm2.weight, bias [U]
 * State       that of the attention
 * Tape        the attention's | u | s, what LN1 saw | h | v | t, what LN2 saw [U] each | relu's output [F] | what the two
 *             normalisations saved */
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/math/matmul.h"
#include "engine/model/attend.h"
#include "engine/model/causal.h"
#include "engine/model/initial.h"
#include "engine/model/layer_norm.h"
#include "engine/model/layers.h"

enum { NORM_BEFORE, NORM_AFTER };

struct transformer_settings {
    int64_t heads, window, feed_forward;
    int norm, positions; /* NORM_BEFORE ..; enum causal_positions */
};

static const struct eddy_option transformer_options[] = {
    {"heads", EDDY_OPT_INT, offsetof(struct transformer_settings, heads), "4", 1, ATTEND_MAX_HEADS, "",
     "How many questions are asked side by side; the width of the layer below must be a multiple of it.", NULL, 0,
     false},
    {"window", EDDY_OPT_INT, offsetof(struct transformer_settings, window), "32", 2, ATTEND_MAX_WINDOW, "steps",
     "How many steps are looked at, this one among them. Each costs time, and twice the width plus 1 numbers per "
     "key.",
     NULL, 0, false},
    {"feed_forward", EDDY_OPT_INT, offsetof(struct transformer_settings, feed_forward), "64", 1, 4096, "",
     "Width of the layer inside, behind the attention.", NULL, 0, false},
    {"norm", EDDY_OPT_ENUM, offsetof(struct transformer_settings, norm), "before", 0, 0, "before|after",
     "Where layers are normalised: before attention and feed-forward layer, which trains more easily, or after them.",
     NULL, 0, false},
    {"positions", EDDY_OPT_ENUM, offsetof(struct transformer_settings, positions), "steps", 0, 0, "steps|time|none",
     "What makes a step older and count less: the steps since, the logarithm of the seconds since, or nothing.", NULL,
     0, false},
    {0}};

struct transformer {
    struct causal attention;
    int units, inner, norm;
};

static struct transformer transformer_make(const struct transformer_settings *s, int n_in)
{
    return (struct transformer){
        {n_in, n_in, (int)s->heads, (int)s->window, s->positions}, n_in, (int)s->feed_forward, s->norm};
}

static struct transformer transformer_of(const struct eddy_layer_plan *plan)
{
    return transformer_make(plan->settings, plan->n_in);
}

struct transformer_params {
    size_t w1, b1, w2, b2, norm1, norm2, end; /* a norm's gain, then its bias */
};

static struct transformer_params transformer_places(const struct transformer *t)
{
    const size_t units = (size_t)t->units, inner = (size_t)t->inner;
    struct transformer_params at = {.w1 = causal_params(&t->attention)};
    at.b1 = at.w1 + inner * units;
    at.w2 = at.b1 + inner;
    at.b2 = at.w2 + units * inner;
    at.norm1 = at.b2 + units;
    at.norm2 = at.norm1 + 2 * units;
    at.end = at.norm2 + 2 * units;
    return at;
}

/* In a row's tape. */
struct transformer_tape {
    size_t u, s, h, v, t, r, saved1, saved2, end;
};

static struct transformer_tape transformer_tape(const struct transformer *t)
{
    const size_t units = (size_t)t->units;
    struct transformer_tape at = {.u = causal_tape(&t->attention)};
    at.s = at.u + units;
    at.h = at.s + units;
    at.v = at.h + units;
    at.t = at.v + units;
    at.r = at.t + units;
    at.saved1 = at.r + (size_t)t->inner;
    at.saved2 = at.saved1 + LAYER_NORM_SAVED;
    at.end = at.saved2 + LAYER_NORM_SAVED;
    return at;
}

/* In packed, behind the attention's: panels of both layers, then the norms as they are. */
struct transformer_packed {
    size_t first, second, norms, end;
};

static struct transformer_packed transformer_packed(const struct transformer *t)
{
    struct transformer_packed at = {.first = causal_packed(&t->attention)};
    at.second = at.first + panels_floats(t->inner, t->units);
    at.norms = at.second + panels_floats(t->units, t->inner);
    at.end = at.norms + 4 * (size_t)t->units;
    return at;
}

/* In work: the attention's, then tiles of u, a, h, v, the inner sums and the outer ones. */
struct transformer_work {
    size_t u, a, h, v, inner, outer, end, inner_width, outer_width;
};

static struct transformer_work transformer_work(const struct transformer *t)
{
    const size_t tile = TILE_ROWS * (size_t)t->units;
    struct transformer_work at = {.u = causal_work(&t->attention),
                                  .inner_width = (size_t)panels_count(t->inner) * PANEL,
                                  .outer_width = (size_t)panels_count(t->units) * PANEL};
    at.a = at.u + tile;
    at.h = at.a + tile;
    at.v = at.h + tile;
    at.inner = at.v + tile;
    at.outer = at.inner + TILE_ROWS * at.inner_width;
    at.end = at.outer + TILE_ROWS * at.outer_width;
    return at;
}

static eddy_status transformer_plan(const void *settings, const struct eddy_layer_place *place,
                                    struct eddy_layer_plan *out, struct eddy_error *err)
{
    const struct transformer_settings *s = settings;
    const struct transformer t = transformer_make(s, place->n_in);
    if (place->n_in < 1 || s->heads < 1 || s->window < 2 || s->feed_forward < 1)
        return eddy_fail(err, EDDY_ECONFIG, "transformer: %lld heads over %lld steps of %d inputs cannot be",
                         (long long)s->heads, (long long)s->window, place->n_in);
    if (causal_wrong(&t.attention))
        return eddy_fail(
            err, EDDY_ECONFIG,
            "transformer: %s (it is as wide as its input, %d, and has %d heads): a dense layer below can give "
            "it another width",
            causal_wrong(&t.attention), t.units, (int)s->heads);
    *out = (struct eddy_layer_plan){
        .n_in = place->n_in,
        .n_out = place->n_in,
        .n_params = transformer_places(&t).end,
        .n_packed = transformer_packed(&t).end,
        .n_state = causal_state(&t.attention),
        .n_tape = transformer_tape(&t).end,
        .n_work = transformer_work(&t).end,
        .n_back = causal_back_floats(&t.attention) + 4 * (size_t)t.units + (size_t)t.inner,
        .stride = 1,
        .multiply_adds = causal_multiply_adds(&t.attention) + 2 * (size_t)t.units * (size_t)t.inner,
        .settings = settings};
    return EDDY_OK;
}

static void transformer_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    const struct transformer t = transformer_of(plan);
    const struct transformer_params at = transformer_places(&t);
    const size_t units = (size_t)t.units;
    causal_init(&t.attention, seed, params);
    initial_weights(seed, at.w1, at.b1 - at.w1, t.units, params + at.w1);
    initial_constant((size_t)t.inner, 0, params + at.b1);
    initial_weights(seed, at.w2, at.b2 - at.w2, t.inner, params + at.w2);
    initial_constant(units, 0, params + at.b2);
    initial_constant(units, 1, params + at.norm1);
    initial_constant(units, 0, params + at.norm1 + units);
    initial_constant(units, 1, params + at.norm2);
    initial_constant(units, 0, params + at.norm2 + units);
}

static void transformer_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    const struct transformer t = transformer_of(plan);
    const struct transformer_params at = transformer_places(&t);
    const struct transformer_packed to = transformer_packed(&t);
    const struct panels_source first = {
        .n_out = t.inner, .n_x = t.units, .bias = params + at.b1, .w = params + at.w1};
    const struct panels_source second = {
        .n_out = t.units, .n_x = t.inner, .bias = params + at.b2, .w = params + at.w2};
    causal_pack(&t.attention, params, packed);
    panels_pack(&first, packed + to.first);
    panels_pack(&second, packed + to.second);
    memcpy(packed + to.norms, params + at.norm1, 4 * (size_t)t.units * sizeof(float));
}

/* ---- a step ---- */

static void add_rows(int n, const float *a, const float *b, float *sum)
{
    for (int j = 0; j < n; j++) sum[j] = a[j] + b[j];
}

/* The inner layer for n rows of v: [n, outer_width] sums, relu's output to the tape. */
static void transformer_inner(const struct transformer *t, const float *packed, int n, float *work, float *tape,
                              size_t n_tape)
{
    const struct kernels *k = kernels_best();
    const struct transformer_work at = transformer_work(t);
    const struct transformer_packed from = transformer_packed(t);
    const struct product first = {t->units, 0, panels_count(t->inner), packed + from.first};
    const struct product second = {t->inner, 0, panels_count(t->units), packed + from.second};
    const float *rows[TILE_ROWS];
    for (int b = 0; b < n; b++) rows[b] = work + at.v + (size_t)b * (size_t)t->units;
    k->product(&first, n, rows, NULL, work + at.inner, at.inner_width);
    for (int b = 0; b < n; b++) {
        float *r = work + at.inner + (size_t)b * at.inner_width;
        for (int j = 0; j < t->inner; j++) r[j] = r[j] > 0 ? r[j] : 0;
        if (tape) memcpy(tape + (size_t)b * n_tape + transformer_tape(t).r, r, (size_t)t->inner * sizeof(float));
        rows[b] = r;
    }
    k->product(&second, n, rows, NULL, work + at.outer, at.outer_width);
}

/* u of one row, before the attention. */
static void transformer_enter(const struct transformer *t, const float *norms, const float *x, float *u, float *tape)
{
    const struct transformer_tape to = transformer_tape(t);
    const size_t bytes = (size_t)t->units * sizeof(float);
    if (t->norm == NORM_BEFORE)
        layer_norm(t->units, x, norms, norms + t->units, u, tape ? tape + to.saved1 : NULL);
    else
        memcpy(u, x, bytes);
    if (tape) memcpy(tape + to.u, u, bytes);
}

/* h and v of one row, between attention and inner layer. */
static void transformer_middle(const struct transformer *t, const float *norms, const float *x, const float *a,
                               float *h, float *v, float *tape)
{
    const struct transformer_tape to = transformer_tape(t);
    const size_t units = (size_t)t->units, bytes = units * sizeof(float);
    add_rows(t->units, x, a, h);
    if (tape) memcpy(tape + to.s, h, bytes);
    if (t->norm == NORM_BEFORE) {
        layer_norm(t->units, h, norms + 2 * units, norms + 3 * units, v, tape ? tape + to.saved2 : NULL);
    } else {
        layer_norm(t->units, h, norms, norms + units, h, tape ? tape + to.saved1 : NULL);
        memcpy(v, h, bytes);
    }
    if (tape) memcpy(tape + to.h, h, bytes), memcpy(tape + to.v, v, bytes);
}

static void transformer_leave(const struct transformer *t, const float *norms, const float *h, const float *f,
                              float *y, float *tape)
{
    const struct transformer_tape to = transformer_tape(t);
    const size_t units = (size_t)t->units;
    add_rows(t->units, h, f, y);
    if (t->norm == NORM_BEFORE) return;
    if (tape) memcpy(tape + to.t, y, units * sizeof(float));
    layer_norm(t->units, y, norms + 2 * units, norms + 3 * units, y, tape ? tape + to.saved2 : NULL);
}

/* n <= TILE_ROWS rows from `first` on. */
static void transformer_step_tile(const struct transformer *t, const struct eddy_layer_plan *plan,
                                  const float *packed, const struct eddy_rows *rows, int first, int n, float *work)
{
    const struct transformer_work at = transformer_work(t);
    const float *norms = packed + transformer_packed(t).norms;
    const size_t units = (size_t)t->units;
    float *tape = rows->tape ? rows->tape + (size_t)first * plan->n_tape : NULL, *a[TILE_ROWS];
    const float *u[TILE_ROWS];
    for (int b = 0; b < n; b++) {
        u[b] = work + at.u + (size_t)b * units;
        a[b] = work + at.a + (size_t)b * units;
        transformer_enter(t, norms, rows->x[first + b], work + at.u + (size_t)b * units,
                          tape ? tape + (size_t)b * plan->n_tape : NULL);
    }
    causal_step(&t->attention, packed, n, u, rows->state + first, rows->elapsed_s ? rows->elapsed_s + first : NULL, a,
                tape, plan->n_tape, work);
    for (int b = 0; b < n; b++)
        transformer_middle(t, norms, rows->x[first + b], a[b], work + at.h + (size_t)b * units,
                           work + at.v + (size_t)b * units, tape ? tape + (size_t)b * plan->n_tape : NULL);
    transformer_inner(t, packed, n, work, tape, plan->n_tape);
    for (int b = 0; b < n; b++)
        transformer_leave(t, norms, work + at.h + (size_t)b * units, work + at.outer + (size_t)b * at.outer_width,
                          rows->y[first + b], tape ? tape + (size_t)b * plan->n_tape : NULL);
}

static void transformer_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                             float *work)
{
    const struct transformer t = transformer_of(plan);
    for (int first = 0; first < rows->n; first += TILE_ROWS)
        transformer_step_tile(&t, plan, packed, rows, first,
                              rows->n - first < TILE_ROWS ? rows->n - first : TILE_ROWS, work);
}

/* ---- back ---- */

struct transformer_back {
    float *d_h, *d_f, *d_v, *d_u, *d_r, *attention; /* [T, B, U] each, d_r [T, B, F] */
};

/* Through the inner layer: from d_f to d_v. */
static void transformer_inner_back(const struct transformer *t, const float *params, const struct eddy_tape *tape,
                                   int n_tape, const struct transformer_back *d, float *d_params)
{
    const struct kernels *k = kernels_best();
    const struct transformer_params at = transformer_places(t);
    const struct transformer_tape in = transformer_tape(t);
    const int n = tape->n_steps * tape->n_rows, units = t->units, inner = t->inner;
    const struct matrix d_f = {d->d_f, units}, r = {tape->tape + in.r, n_tape}, v = {tape->tape + in.v, n_tape};
    const struct matrix w2 = {params + at.w2, inner}, w1 = {params + at.w1, units}, d_r = {d->d_r, inner};
    matmul_tn(units, inner, n, d_f, r, 1, d_params + at.w2, inner);
    k->add_rows((size_t)n, units, d->d_f, (size_t)units, d_params + at.b2);
    matmul(n, inner, units, d_f, w2, 0, d->d_r, inner);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < inner; j++)
            if (!(r.data[(size_t)i * (size_t)n_tape + (size_t)j] > 0))
                d->d_r[(size_t)i * (size_t)inner + (size_t)j] = 0;
    matmul_tn(inner, units, n, d_r, v, 1, d_params + at.w1, units);
    k->add_rows((size_t)n, inner, d->d_r, (size_t)inner, d_params + at.b1);
    matmul(n, units, inner, d_r, w1, 0, d->d_v, units);
}

/* Gradient by what a normalisation said -> by what it saw, row by row; may be in place. */
static void transformer_norm_back(const struct transformer *t, const float *params, size_t norm, const float *seen,
                                  size_t seen_stride, const float *saved, size_t stride, int n, const float *d_said,
                                  float *d_seen, float *d_params)
{
    const size_t units = (size_t)t->units;
    for (size_t i = 0; i < (size_t)n; i++)
        layer_norm_back(t->units, seen + i * seen_stride, params + norm, saved + i * stride, d_said + i * units,
                        d_seen + i * units, d_params + norm, d_params + norm + units);
}

/* Through the attention: from d_h to d_u, what it saw. */
static void transformer_attention_back(const struct transformer *t, const float *params, const struct eddy_tape *tape,
                                       const struct eddy_layer_plan *plan, const struct transformer_back *d,
                                       float *d_params)
{
    const struct causal_window w = {.n_steps = tape->n_steps,
                                    .n_rows = tape->n_rows,
                                    .u = tape->tape + transformer_tape(t).u,
                                    .u_stride = plan->n_tape,
                                    .tape = tape->tape,
                                    .stride = plan->n_tape,
                                    .start = tape->start,
                                    .n_state = plan->n_state,
                                    .elapsed_s = tape->elapsed_s,
                                    .d_a = d->d_h,
                                    .d_u = d->d_u};
    causal_backward(&t->attention, params, &w, d_params, d->attention);
}

static void transformer_backward(const struct eddy_layer_plan *plan, const float *params,
                                 const struct eddy_tape *tape, float *d_params, float *back)
{
    const struct transformer t = transformer_of(plan);
    const struct transformer_params at = transformer_places(&t);
    const struct transformer_tape in = transformer_tape(&t);
    const int n = tape->n_steps * tape->n_rows;
    const size_t units = (size_t)t.units, floats = (size_t)n * units, stride = plan->n_tape;
    const float *saved1 = tape->tape + in.saved1, *saved2 = tape->tape + in.saved2;
    const bool before = t.norm == NORM_BEFORE;
    const struct transformer_back d = {.d_h = back,
                                       .d_f = back + floats,
                                       .d_v = back + 2 * floats,
                                       .d_u = back + 3 * floats,
                                       .d_r = back + 4 * floats,
                                       .attention = back + 4 * floats + (size_t)n * (size_t)t.inner};
    if (before)
        memcpy(d.d_f, tape->d_y, floats * sizeof(float));
    else
        transformer_norm_back(&t, params, at.norm2, tape->tape + in.t, stride, saved2, stride, n, tape->d_y, d.d_f,
                              d_params);
    memcpy(d.d_h, d.d_f, floats * sizeof(float));
    transformer_inner_back(&t, params, tape, (int)stride, &d, d_params);
    if (before)
        transformer_norm_back(&t, params, at.norm2, tape->tape + in.h, stride, saved2, stride, n, d.d_v, d.d_v,
                              d_params);
    kernels_best()->add(floats, d.d_v, d.d_h);
    if (!before)
        transformer_norm_back(&t, params, at.norm1, tape->tape + in.s, stride, saved1, stride, n, d.d_h, d.d_h,
                              d_params);
    transformer_attention_back(&t, params, tape, plan, &d, d_params);
    if (before)
        transformer_norm_back(&t, params, at.norm1, tape->x, units, saved1, stride, n, d.d_u, d.d_u, d_params);
    for (size_t i = 0; tape->d_x && i < floats; i++) tape->d_x[i] = d.d_h[i] + d.d_u[i];
}

static bool transformer_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    const struct transformer s = transformer_of(plan);
    struct eddy_tensor_info t[12] = {
        [4] = {.name = "linear1.weight", .rows = s.inner, .cols = s.units},
        [5] = {.name = "linear1.bias", .rows = s.inner, .cols = 1},
        [6] = {.name = "linear2.weight", .rows = s.units, .cols = s.inner},
        [7] = {.name = "linear2.bias", .rows = s.units, .cols = 1},
        [8] = {.name = "norm1.weight", .rows = s.units, .cols = 1},
        [9] = {.name = "norm1.bias", .rows = s.units, .cols = 1},
        [10] = {.name = "norm2.weight", .rows = s.units, .cols = 1},
        [11] = {.name = "norm2.bias", .rows = s.units, .cols = 1},
    };
    causal_tensors(&s.attention, "self_attn.", t);
    return tensor_of(t, 12, i, out);
}

const struct eddy_layer layer_transformer = {
    .part = {.struct_size = sizeof(struct eddy_layer),
             .kind = EDDY_PART_LAYER,
             .name = "transformer",
             .summary =
                 "Block of a Transformer encoder: causal attention and a feed-forward layer, with residual paths.",
             .options = transformer_options,
             .settings_size = sizeof(struct transformer_settings)},
    .plan = transformer_plan,
    .init = transformer_init,
    .pack = transformer_pack,
    .step = transformer_step,
    .backward = transformer_backward,
    .tensor = transformer_tensor,
};
