/* A decoder (Sutskever et al. 2014; Cho et al. 2014): the top of a sequence-to-sequence network.  What the layers below
 * have made of the sequence so far starts a recurrent layer, which is rolled out over the horizons j = 0 .. J-1.
 *
 *   s_0 = [tanh(W_s x + b_s) | 0]        u_0 = 0: "no change"        u_j = o_{j-1}
 *   h_j, s_{j+1} = layer(u_j, s_j), no time between them        o_j = W_o h_j + b_o        y = [o_0 | .. | o_{J-1}]
 *
 * In training a roll-out step takes the label of horizon j-1 as u_j, where that is known, with the probability
 * teacher_forcing, independently for each step (Williams and Zipser 1989; Bengio et al. 2015).
 *
 *   backward, from the last horizon to the first, over all steps of all rows at once (d_: gradients):
 *   d_o_j = d_y_j + d_u_{j+1} where o_j was fed back    dW_o += d_o_j^T h_j    db_o += sum d_o_j    d_h_j = d_o_j W_o
 *   d_u_j, d_s_j = layer's backward of d_h_j, d_s_{j+1}
 *   d_a = d_s_0 tanh'    dW_s += d_a^T x    db_s += sum d_a    d_x = d_a W_s
 *
 * Parameters  weight_start W_s [H, n_in] | bias_start b_s [H] | the layer's | weight_out W_o [n_dims, H] | bias_out [n_dims]
 * State       none        Tape  of each horizon: s_j | the layer's tape | h_j */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/math/matmul.h"
#include "engine/model/initial.h"
#include "engine/model/inner.h"
#include "engine/model/layers.h"

static const float HEAD_GAIN = 0.1f / 0.7f; /* of initial weights: forecasts begin near 0, as under a dense head */

struct decoder_settings {
    struct eddy_choice layer;
    double teacher_forcing;
};

static const struct eddy_option decoder_options[] = {
    {"layer", EDDY_OPT_PART, offsetof(struct decoder_settings, layer), NULL, 0, 0, "",
     "The recurrent layer that is rolled out over the horizons, each time upon what it said last.", NULL,
     EDDY_PART_LAYER, false},
    {"teacher_forcing", EDDY_OPT_REAL, offsetof(struct decoder_settings, teacher_forcing), "0", 0, 1, "probability",
     "In training, how often a step of the roll-out takes the true value of the horizon before it in place of the "
     "decoder's own.",
     NULL, 0, false},
    {0}};

/* Sizes of a planned layer. */
struct decoder {
    struct inner inner;
    int n_in, units, n_dims, n_horizons; /* units: width of h */
    size_t start, inside, out;           /* first of W_s, of the layer's and of W_o in params */
    size_t packed_out, packed_inside;    /* first float of the panels of W_o and of the layer's in packed */
    size_t slot;                         /* floats of one horizon on the tape */
    size_t width;                        /* of sums */
    float teacher_forcing;
};

static struct decoder decoder_sizes(const struct decoder_settings *s, const struct eddy_layer_place *place,
                                    const struct inner *inner)
{
    struct decoder z = {.inner = *inner,
                        .n_in = place->n_in,
                        .units = inner->plan.n_out,
                        .n_dims = place->n_dims,
                        .n_horizons = place->n_horizons,
                        .teacher_forcing = (float)s->teacher_forcing};
    const int panels = panels_count(z.units > z.n_dims ? z.units : z.n_dims);
    z.inside = (size_t)z.units * (size_t)(z.n_in + 1);
    z.out = z.inside + inner->plan.n_params;
    z.packed_out = panels_floats(z.units, z.n_in);
    z.packed_inside = z.packed_out + panels_floats(z.n_dims, z.units);
    z.slot = inner->plan.n_state + inner->plan.n_tape + (size_t)z.units;
    z.width = (size_t)panels * PANEL;
    return z;
}

static struct decoder decoder_of(const struct eddy_layer_plan *plan)
{
    const struct decoder_settings *s = plan->settings;
    const struct inner inner = inner_of(&s->layer, plan->place.n_dims);
    return decoder_sizes(s, &plan->place, &inner);
}

static eddy_status decoder_check(const struct eddy_layer_place *place, struct eddy_error *err)
{
    if (!place->above)
        return eddy_fail(err, EDDY_ECONFIG, "decoder: needs an encoder below it: a recurrent layer, or a dense one");
    if (place->n_in < 1 || place->n_dims < 1 || place->n_horizons < 1)
        return eddy_fail(err, EDDY_ECONFIG, "decoder: %d horizons of %d values on %d inputs cannot be",
                         place->n_horizons, place->n_dims, place->n_in);
    return EDDY_OK;
}

static eddy_status decoder_plan(const void *settings, const struct eddy_layer_place *place,
                                struct eddy_layer_plan *out, struct eddy_error *err)
{
    const struct decoder_settings *s = settings;
    struct inner inner;
    eddy_status rc = decoder_check(place, err);
    if (rc >= 0) rc = inner_plan("decoder", &s->layer, place->n_dims, &inner, err);
    if (rc < 0) return rc;
    if (!inner.plan.state_gradient)
        return eddy_fail(err, EDDY_ECONFIG,
                         "decoder: layer %s cannot be inside: its state cannot be started from outside",
                         inner.layer->part.name);
    const struct decoder z = decoder_sizes(s, place, &inner);
    const size_t units = (size_t)z.units, n_dims = (size_t)z.n_dims, n_horizons = (size_t)z.n_horizons;
    *out = (struct eddy_layer_plan){
        .n_in = z.n_in,
        .n_out = z.n_horizons * z.n_dims,
        .n_params = z.out + n_dims * (units + 1),
        .n_packed = z.packed_inside + inner.plan.n_packed,
        .n_tape = n_horizons * z.slot,
        .n_work = TILE_ROWS * (z.width + inner.plan.n_state + units + n_dims + inner.plan.n_tape) + inner.plan.n_work,
        .n_back = 3 * inner.plan.n_state + 2 * units + 3 * n_dims + 1 + inner.plan.n_tape + inner.plan.n_back,
        .stride = 1,
        .head = true,
        .multiply_adds = units * (size_t)z.n_in + n_horizons * (inner_multiply_adds(&inner) + n_dims * units),
        .settings = settings,
        .place = *place,
    };
    return EDDY_OK;
}

static void decoder_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    const struct decoder z = decoder_of(plan);
    const size_t start = (size_t)z.units * (size_t)z.n_in, out = (size_t)z.units * (size_t)z.n_dims;
    initial_weights(eddy_random_bits(seed, 0), 0, start, z.n_in, params);
    initial_constant((size_t)z.units, 0, params + start);
    z.inner.layer->init(&z.inner.plan, eddy_random_bits(seed, 1), params + z.inside);
    initial_weights(eddy_random_bits(seed, 2), 0, out, z.units, params + z.out);
    for (size_t i = 0; i < out; i++) params[z.out + i] *= HEAD_GAIN;
    initial_constant((size_t)z.n_dims, 0, params + z.out + out);
}

static void decoder_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    const struct decoder z = decoder_of(plan);
    const float *out = params + z.out;
    const struct panels_source start = {
        .n_out = z.units, .n_x = z.n_in, .bias = params + (size_t)z.units * (size_t)z.n_in, .w = params};
    const struct panels_source last = {
        .n_out = z.n_dims, .n_x = z.units, .bias = out + (size_t)z.n_dims * (size_t)z.units, .w = out};
    panels_pack(&start, packed);
    panels_pack(&last, packed + z.packed_out);
    z.inner.layer->pack(&z.inner.plan, params + z.inside, packed + z.packed_inside);
}

/* ---- what goes into the roll-out ---- */

/* Whether step j of a roll-out is to take labels: a function of its seed; ~ keeps it apart from the layer's own draws. */
static bool decoder_forces(const struct decoder *z, const uint64_t *draw, int j)
{
    return draw && j > 0 && eddy_random_uniform(~*draw, (uint64_t)j) < z->teacher_forcing;
}

/* The label of dimension d that step j takes as its input, from target [n_horizons, n_dims]; NULL where it takes the
 * decoder's own output. */
static const float *decoder_label(const struct decoder *z, const float *target, bool forced, int j, int d)
{
    if (!target || !forced) return NULL;
    const float *label = target + (size_t)(j - 1) * (size_t)z->n_dims + d;
    return isnan(*label) ? NULL : label;
}

/* u_j [n_dims]. */
static void decoder_input(const struct decoder *z, const float *y, const float *target, const uint64_t *draw, int j,
                          float *u)
{
    const bool forced = decoder_forces(z, draw, j);
    for (int d = 0; d < z->n_dims; d++) {
        const float *label = decoder_label(z, target, forced, j, d);
        u[d] = j == 0 ? 0 : label ? *label : y[(j - 1) * z->n_dims + d];
    }
}

/* ---- step ---- */

/* At most TILE_ROWS rows on their way through the roll-out. */
struct decoder_tile {
    struct eddy_rows rows; /* draws: those of this roll-out */
    float *sums;           /* [n, width] */
    float *u[TILE_ROWS], *h[TILE_ROWS], *state[TILE_ROWS];
    float *tape, *work; /* [n, n_tape of the layer] [n_work of the layer] */
};

static void decoder_tile(const struct decoder *z, const struct eddy_rows *rows, float *work, struct decoder_tile *t)
{
    t->rows = *rows;
    t->sums = work;
    float *at = work + TILE_ROWS * z->width;
    for (int b = 0; b < TILE_ROWS; b++, at += z->n_dims) t->u[b] = at;
    for (int b = 0; b < TILE_ROWS; b++, at += z->units) t->h[b] = at;
    for (int b = 0; b < TILE_ROWS; b++, at += z->inner.plan.n_state) t->state[b] = at;
    t->tape = at;
    t->work = at + TILE_ROWS * z->inner.plan.n_tape;
}

/* s_0. */
static void decoder_begin(const struct decoder *z, const float *packed, struct decoder_tile *t)
{
    const struct kernels *k = kernels_best();
    const struct product start = {z->n_in, 0, panels_count(z->units), packed};
    k->product(&start, t->rows.n, t->rows.x, NULL, t->sums, z->width);
    for (int b = 0; b < t->rows.n; b++) {
        memset(t->state[b], 0, z->inner.plan.n_state * sizeof(float));
        k->activate(ACTIVATION_TANH, z->units, t->sums + (size_t)b * z->width, t->state[b]);
    }
}

/* h_j and the state after it; what the way back needs goes to the rows' tape. */
static void decoder_inner(const struct decoder *z, const float *packed, struct decoder_tile *t, int j)
{
    static const float no_time[TILE_ROWS];
    const size_t n_state = z->inner.plan.n_state, n_tape = z->inner.plan.n_tape, units = (size_t)z->units;
    const struct eddy_rows now = {.n = t->rows.n,
                                  .x = (const float *const *)t->u,
                                  .state = t->state,
                                  .elapsed_s = no_time,
                                  .y = t->h,
                                  .tape = t->rows.tape ? t->tape : NULL,
                                  .draws = t->rows.draws};
    float *slot = now.tape ? t->rows.tape + (size_t)j * z->slot : NULL;
    const size_t next = (size_t)z->n_horizons * z->slot;
    for (int b = 0; b < now.n && slot; b++) memcpy(slot + (size_t)b * next, t->state[b], n_state * sizeof(float));
    z->inner.layer->step(&z->inner.plan, packed + z->packed_inside, &now, t->work);
    for (int b = 0; b < now.n && slot; b++) {
        float *after = slot + (size_t)b * next + n_state;
        memcpy(after, t->tape + (size_t)b * n_tape, n_tape * sizeof(float));
        memcpy(after + n_tape, t->h[b], units * sizeof(float));
    }
}

static void decoder_roll_out(const struct decoder *z, const float *packed, struct decoder_tile *t)
{
    const struct product out = {z->units, 0, panels_count(z->n_dims), packed + z->packed_out};
    const struct eddy_rows *rows = &t->rows;
    const size_t n_dims = (size_t)z->n_dims;
    decoder_begin(z, packed, t);
    for (int j = 0; j < z->n_horizons; j++) {
        for (int b = 0; b < rows->n; b++)
            decoder_input(z, rows->y[b], rows->target ? rows->target[b] : NULL, rows->draws ? rows->draws + b : NULL,
                          j, t->u[b]);
        decoder_inner(z, packed, t, j);
        kernels_best()->product(&out, rows->n, (const float *const *)t->h, NULL, t->sums, z->width);
        for (int b = 0; b < rows->n; b++)
            memcpy(rows->y[b] + (size_t)j * n_dims, t->sums + (size_t)b * z->width, n_dims * sizeof(float));
    }
}

static void decoder_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                         float *work)
{
    const struct decoder z = decoder_of(plan);
    uint64_t draws[TILE_ROWS];
    struct decoder_tile t;
    for (int first = 0; first < rows->n; first += TILE_ROWS) {
        const int n = rows->n - first < TILE_ROWS ? rows->n - first : TILE_ROWS;
        const struct eddy_rows some = {.n = n,
                                       .x = rows->x + first,
                                       .y = rows->y + first,
                                       .tape = rows->tape ? rows->tape + (size_t)first * plan->n_tape : NULL,
                                       .target = rows->target ? rows->target + first : NULL,
                                       .draws = rows->draws ? inner_draws(rows->draws + first, n, rows->step, draws)
                                                            : NULL};
        decoder_tile(&z, &some, work, &t);
        decoder_roll_out(&z, packed, &t);
    }
}

/* ---- backward ---- */

/* Arrays in `back` for one horizon of the roll-outs of n cells of the window, at most EDDY_LAYER_MAX_ROWS. */
struct decoder_runs {
    const struct eddy_tape *window;
    size_t first; /* cell, step * n_rows + row */
    int n;
    const uint64_t *draws;          /* [n], or NULL */
    float *state, *d_end, *d_start; /* [n, n_state] */
    float *h, *d_h;                 /* [n, units] */
    float *u, *d_u, *d_o;           /* [n, n_dims] */
    float *elapsed_s, *tape, *back; /* [n] [n, n_tape] [n, n_back] */
};

static struct decoder_runs decoder_runs(const struct decoder *z, const struct eddy_tape *window, size_t first, int n,
                                        float *back)
{
    const size_t rows = (size_t)n;
    struct decoder_runs r = {.window = window, .first = first, .n = n, .state = back};
    r.d_end = r.state + rows * z->inner.plan.n_state;
    r.d_start = r.d_end + rows * z->inner.plan.n_state;
    r.h = r.d_start + rows * z->inner.plan.n_state;
    r.d_h = r.h + rows * (size_t)z->units;
    r.u = r.d_h + rows * (size_t)z->units;
    r.d_u = r.u + rows * (size_t)z->n_dims;
    r.d_o = r.d_u + rows * (size_t)z->n_dims;
    r.elapsed_s = r.d_o + rows * (size_t)z->n_dims;
    r.tape = r.elapsed_s + rows;
    r.back = r.tape + rows * z->inner.plan.n_tape;
    return r;
}

/* What horizon j of each run left, and d_o_j from the d_u of the horizon after. */
static void decoder_gather(const struct decoder *z, const struct decoder_runs *r, int j)
{
    const size_t n_state = z->inner.plan.n_state, n_tape = z->inner.plan.n_tape, units = (size_t)z->units;
    const size_t n_dims = (size_t)z->n_dims, n_out = (size_t)z->n_horizons * n_dims;
    const struct eddy_tape *w = r->window;
    for (size_t i = 0; i < (size_t)r->n; i++) {
        const size_t cell = r->first + i;
        const float *slot = w->tape + (cell * (size_t)z->n_horizons + (size_t)j) * z->slot;
        memcpy(r->state + i * n_state, slot, n_state * sizeof(float));
        memcpy(r->tape + i * n_tape, slot + n_state, n_tape * sizeof(float));
        memcpy(r->h + i * units, slot + n_state + n_tape, units * sizeof(float));
        decoder_input(z, w->y + cell * n_out, w->target ? w->target + cell * n_out : NULL,
                      r->draws ? r->draws + i : NULL, j, r->u + i * n_dims);
        memcpy(r->d_o + i * n_dims, w->d_y + cell * n_out + (size_t)j * n_dims, n_dims * sizeof(float));
    }
    kernels_best()->add((size_t)r->n * n_dims, r->d_u, r->d_o);
}

/* No gradient flows back through a label that was taken. */
static void decoder_cut(const struct decoder *z, const struct decoder_runs *r, int j)
{
    const size_t n_out = (size_t)z->n_horizons * (size_t)z->n_dims;
    for (size_t i = 0; i < (size_t)r->n && r->window->target; i++) {
        const bool forced = decoder_forces(z, r->draws ? r->draws + i : NULL, j);
        for (int d = 0; d < z->n_dims; d++)
            if (decoder_label(z, r->window->target + (r->first + i) * n_out, forced, j, d))
                r->d_u[i * (size_t)z->n_dims + (size_t)d] = 0;
    }
}

/* Back through horizon j: d_u and d_end are those of the one after, then those of this one. */
static void decoder_back_horizon(const struct decoder *z, const float *params, struct decoder_runs *r, int j,
                                 float *d_params)
{
    const int units = z->units, n_dims = z->n_dims;
    const struct matrix d_o = {r->d_o, n_dims}, h = {r->h, units}, w_o = {params + z->out, units};
    const bool last = j == z->n_horizons - 1;
    decoder_gather(z, r, j);
    matmul_tn(n_dims, units, r->n, d_o, h, 1, d_params + z->out, units);
    kernels_best()->add_rows((size_t)r->n, n_dims, r->d_o, (size_t)n_dims,
                             d_params + z->out + (size_t)n_dims * (size_t)units);
    matmul(r->n, units, n_dims, d_o, w_o, 0, r->d_h, units);
    const struct eddy_tape one = {.n_steps = 1,
                                  .n_rows = r->n,
                                  .x = r->u,
                                  .y = r->h,
                                  .tape = r->tape,
                                  .d_y = r->d_h,
                                  .d_x = j > 0 ? r->d_u : NULL,
                                  .start = r->state,
                                  .elapsed_s = r->elapsed_s,
                                  .draws = r->draws,
                                  .d_end = last ? NULL : r->d_end,
                                  .d_start = r->d_start};
    z->inner.layer->backward(&z->inner.plan, params + z->inside, &one, d_params + z->inside, r->back);
    float *done = r->d_end;
    r->d_end = r->d_start;
    r->d_start = done;
    if (j > 0) decoder_cut(z, r, j);
}

/* Back through s_0, whose gradient is in d_end. */
static void decoder_back_begin(const struct decoder *z, const float *params, const struct decoder_runs *r,
                               float *d_params)
{
    const struct kernels *k = kernels_best();
    const size_t n_state = z->inner.plan.n_state, units = (size_t)z->units, n_in = (size_t)z->n_in;
    const struct eddy_tape *w = r->window;
    const struct matrix d_a = {r->d_h, z->units}, x = {w->x + r->first * n_in, z->n_in}, w_s = {params, z->n_in};
    for (size_t i = 0; i < (size_t)r->n; i++)
        k->activate_back(ACTIVATION_TANH, z->units, r->state + i * n_state, r->d_end + i * n_state,
                         r->d_h + i * units);
    matmul_tn(z->units, z->n_in, r->n, d_a, x, 1, d_params, z->n_in);
    k->add_rows((size_t)r->n, z->units, r->d_h, units, d_params + units * n_in);
    if (w->d_x) matmul(r->n, z->n_in, z->units, d_a, w_s, 0, w->d_x + r->first * n_in, z->n_in);
}

static void decoder_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *tape,
                             float *d_params, float *back)
{
    const struct decoder z = decoder_of(plan);
    const size_t n_rows = (size_t)tape->n_rows, cells = (size_t)tape->n_steps * n_rows;
    uint64_t draws[EDDY_LAYER_MAX_ROWS];
    for (size_t first = 0; first < cells; first += EDDY_LAYER_MAX_ROWS) {
        const int n = cells - first < EDDY_LAYER_MAX_ROWS ? (int)(cells - first) : EDDY_LAYER_MAX_ROWS;
        struct decoder_runs r = decoder_runs(&z, tape, first, n, back);
        for (size_t i = 0; i < (size_t)n && tape->draws; i++) {
            const size_t cell = first + i;
            (void)inner_draws(tape->draws + cell % n_rows, 1, (int)(cell / n_rows), draws + i);
        }
        r.draws = tape->draws ? draws : NULL;
        memset(r.elapsed_s, 0, (size_t)n * sizeof(float));
        memset(r.d_u, 0, (size_t)n * (size_t)z.n_dims * sizeof(float));
        for (int j = z.n_horizons - 1; j >= 0; j--) decoder_back_horizon(&z, params, &r, j, d_params);
        decoder_back_begin(&z, params, &r, d_params);
    }
}

static bool decoder_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    const struct decoder z = decoder_of(plan);
    const size_t bias_start = (size_t)z.units * (size_t)z.n_in, bias_out = (size_t)z.n_dims * (size_t)z.units;
    const struct eddy_tensor_info own[] = {{"weight_start", 0, z.units, z.n_in},
                                           {"bias_start", bias_start, z.units, 1},
                                           {"weight_out", z.out, z.n_dims, z.units},
                                           {"bias_out", z.out + bias_out, z.n_dims, 1}};
    const int first = 2; /* of the layer's, which stand between */
    int n = 0;
    if (i >= first && inner_tensor(&z.inner, i - first, out)) {
        out->first += z.inside;
        return true;
    }
    while (inner_tensor(&z.inner, n, out)) n++;
    if (i >= first) i -= n;
    if (i < 0 || i >= (int)(sizeof(own) / sizeof(own[0]))) return false;
    *out = own[i];
    return true;
}

const struct eddy_layer layer_decoder = {
    .part = {.struct_size = sizeof(struct eddy_layer),
             .kind = EDDY_PART_LAYER,
             .name = "decoder",
             .summary = "Rolls a recurrent layer out over the horizons: the top of sequence-to-sequence networks.",
             .options = decoder_options,
             .settings_size = sizeof(struct decoder_settings)},
    .plan = decoder_plan,
    .init = decoder_init,
    .pack = decoder_pack,
    .step = decoder_step,
    .backward = decoder_backward,
    .tensor = decoder_tensor,
};
