#include "engine/model/cell.h"

#include <string.h>

#include "engine/math/activations.h"
#include "engine/math/matmul.h"
#include "engine/model/cell_inline.h"
#include "engine/model/cell_private.h"
#include "engine/model/initial.h"
#include "engine/model/layer_norm.h"

static const float DECAY_WEIGHT = 0.05f, DECAY_BIAS = -4; /* a new network forgets little: 2 % a step */

/* ---- sizes and places ---- */

static size_t cell_gates(const struct cell *c)
{
    return (size_t)c->n_gates * (size_t)c->units;
}

static size_t cell_states(const struct cell *c)
{
    return (size_t)c->n_states * (size_t)c->units;
}

bool cell_learns_start(const struct cell *c)
{
    return c->settings->initial == 1;
}

struct cell_params cell_places(const struct cell *c)
{
    const size_t gates = cell_gates(c), states = cell_states(c), norm = c->settings->layer_norm ? gates : 0;
    struct cell_params at = {.u = gates * (size_t)c->n_in};
    at.b = at.u + gates * (size_t)c->units;
    at.c = at.b + gates;
    at.norm_ih = at.c + (c->two_biases ? gates : 0);
    at.norm_hh = at.norm_ih + norm;
    at.extra = at.norm_hh + norm;
    at.initial = at.extra + c->n_extra;
    at.decay_w = at.initial + (cell_learns_start(c) ? states : 0);
    at.decay_b = at.decay_w + (c->settings->time_decay ? states : 0);
    at.end = at.decay_b + (c->settings->time_decay ? states : 0);
    return at;
}

/* In packed order: the panels of the cell's step, or with layer_norm those that meet x and those that meet h; then, copied
 * as they are, biases with layer_norm and all params from norm_ih on. */
static struct cell_packed cell_panels(const struct cell *c)
{
    struct cell_packed at = {0};
    if (c->settings->layer_norm) {
        at.of_h = (size_t)c->n_gates * panels_floats(c->units, c->n_in);
        at.plain = at.of_h + (size_t)c->n_gates * panels_floats(c->units, c->units);
        at.biases = 2 * cell_gates(c);
    } else {
        at.plain = c->kind->panels ? c->kind->panels(c->units, c->n_in) : panels_floats(c->units, c->n_in + c->units);
    }
    const struct cell_params p = cell_places(c);
    at.end = at.plain + at.biases + (p.end - p.norm_ih);
    return at;
}

struct cell_tape cell_tape(const struct cell *c)
{
    const size_t units = (size_t)c->units;
    struct cell_tape at = {.sums = (size_t)c->kind->tape_blocks * units};
    if (c->kind->extra_tape) at.sums += c->kind->extra_tape(c);
    at.saved = at.sums + (c->settings->layer_norm ? 2 * cell_gates(c) : 0);
    at.dropped = at.saved + (c->settings->layer_norm ? 2 * (size_t)c->n_gates * LAYER_NORM_SAVED : 0);
    at.enter = at.dropped + (c->settings->dropout > 0 ? units : 0);
    at.entered = at.enter + (cell_learns_start(c) || c->settings->time_decay ? 2 : 0);
    at.end = at.entered + (c->settings->time_decay ? cell_states(c) : 0);
    return at;
}

struct cell cell_of(const struct cell_kind *kind, const struct eddy_layer_plan *plan, bool two_biases)
{
    struct cell c = {.kind = kind,
                     .settings = plan->settings,
                     .n_in = plan->n_in,
                     .units = plan->n_out,
                     .n_gates = kind->n_gates,
                     .n_sums = kind->n_gates + (kind->apart ? 1 : 0),
                     .n_states = kind->n_states,
                     .two_biases = two_biases};
    c.n_extra = kind->n_extra ? kind->n_extra(&c) : 0;
    return c;
}

/* A cell with a tape of its own beside the kernel's reads from it in the step. */
static bool cell_needs_tape(const struct cell *c)
{
    return c->kind->extra_tape && c->kind->extra_tape(c) > 0;
}

/* Floats of scratch for TILE_ROWS rows: sums, unless the cell's step keeps them in registers, with layer_norm those of x and of h, and the h that was masked; and a tape
 * for gates that need one when there is none. */
static struct cell_work cell_work(const struct cell *c)
{
    const size_t width = (size_t)panels_count(c->units) * PANEL, gates = (size_t)c->n_gates * width;
    const bool sums = c->settings->layer_norm || !c->kind->step;
    struct cell_work at = {.width = width, .x = sums ? TILE_ROWS * (size_t)c->n_sums * width : 0};
    at.h = at.x + (c->settings->layer_norm ? TILE_ROWS * gates : 0);
    at.dropped = at.h + (c->settings->layer_norm ? TILE_ROWS * gates : 0);
    at.tape = at.dropped + (c->settings->dropout > 0 ? TILE_ROWS * (size_t)c->units : 0);
    at.end = at.tape + (cell_needs_tape(c) ? cell_tape(c).sums : 0);
    return at;
}

eddy_status cell_plan(const struct cell_kind *kind, const struct cell_settings *s, bool two_biases, int n_in,
                      struct eddy_layer_plan *out, struct eddy_error *err)
{
    if (n_in < 1 || s->units < 1 || s->units > 1024)
        return eddy_fail(err, EDDY_ECONFIG, "%s: %lld units on %d inputs cannot be", kind->name, (long long)s->units,
                         n_in);
    *out = (struct eddy_layer_plan){.n_in = n_in, .n_out = (int)s->units, .stride = 1, .settings = s};
    const struct cell c = cell_of(kind, out, two_biases);
    out->n_params = cell_places(&c).end;
    out->n_packed = cell_panels(&c).end;
    out->n_state = cell_states(&c) + (cell_learns_start(&c) ? 1 : 0);
    out->n_tape = cell_tape(&c).end;
    out->n_work = cell_work(&c).end;
    out->n_back = cell_back_floats(&c);
    out->multiply_adds = cell_gates(&c) * (size_t)(n_in + c.units);
    out->state_gradient = !cell_learns_start(&c);
    return EDDY_OK;
}

size_t cell_bias_at(const struct cell *c, int gate)
{
    return cell_places(c).b + (size_t)gate * (size_t)c->units;
}

/* ---- weights ---- */

void cell_init(const struct cell *c, uint64_t seed, float *params)
{
    const struct cell_params at = cell_places(c);
    initial_weights(seed, 0, at.u, c->n_in, params);
    initial_weights(seed, at.u, at.b - at.u, c->units, params + at.u);
    initial_constant(at.norm_ih - at.b, 0, params + at.b);
    initial_constant(at.extra - at.norm_ih, 1, params + at.norm_ih);
    initial_constant(c->n_extra / 2, 1, params + at.extra); /* a normalisation's gain, then its bias */
    initial_constant(c->n_extra - c->n_extra / 2, 0, params + at.extra + c->n_extra / 2);
    initial_constant(at.decay_w - at.initial, 0, params + at.initial);
    initial_constant(at.decay_b - at.decay_w, DECAY_WEIGHT, params + at.decay_w);
    initial_constant(at.end - at.decay_b, DECAY_BIAS, params + at.decay_b);
}

/* The panels of one gate, without biases: with x or with h. */
static void cell_pack_gate(const struct cell *c, const float *params, int gate, bool h, float *to)
{
    const size_t g = (size_t)gate, units = (size_t)c->units;
    const struct panels_source source = {
        .n_out = c->units,
        .n_x = h ? 0 : c->n_in,
        .n_h = h ? c->units : 0,
        .w = params + g * units * (size_t)c->n_in,
        .u = params + cell_places(c).u + g * units * units,
    };
    panels_pack(&source, to);
}

static void cell_pack_normed(const struct cell *c, const float *params, float *packed)
{
    const struct cell_params at = cell_places(c);
    const struct cell_packed to = cell_panels(c);
    const size_t gates = cell_gates(c);
    for (int g = 0; g < c->n_gates; g++) {
        cell_pack_gate(c, params, g, false, packed + (size_t)g * panels_floats(c->units, c->n_in));
        cell_pack_gate(c, params, g, true, packed + to.of_h + (size_t)g * panels_floats(c->units, c->units));
    }
    float *biases = packed + to.plain;
    memcpy(biases, params + at.b, gates * sizeof(float));
    if (c->two_biases)
        memcpy(biases + gates, params + at.c, gates * sizeof(float));
    else
        initial_constant(gates, 0, biases + gates);
}

void cell_pack(const struct cell *c, const float *params, float *packed)
{
    const struct cell_params at = cell_places(c);
    const struct cell_packed to = cell_panels(c);
    const struct panels_source source = {.n_out = c->units,
                                         .n_x = c->n_in,
                                         .n_h = c->units,
                                         .bias = params + at.b,
                                         .bias_h = c->two_biases ? params + at.c : NULL,
                                         .w = params,
                                         .u = params + at.u};
    if (c->settings->layer_norm)
        cell_pack_normed(c, params, packed);
    else
        (c->kind->pack ? c->kind->pack : panels_pack)(&source, packed);
    memcpy(packed + to.plain + to.biases, params + at.norm_ih, (at.end - at.norm_ih) * sizeof(float));
}

/* Where a float that stands behind the biases in params lies in packed. */
static const float *cell_plain(const struct cell *c, const float *packed, size_t place)
{
    const struct cell_packed at = cell_panels(c);
    return packed + at.plain + at.biases + (place - cell_places(c).norm_ih);
}

/* ---- a step ---- */

/* The states of one row as they enter the step. */
static void cell_enter(const struct cell *c, const float *packed, float elapsed_s, float *state, float *tape)
{
    const struct cell_params at = cell_places(c);
    const size_t states = cell_states(c);
    const bool fresh = cell_learns_start(c) && state[states] == 0;
    const float d = math_log(1 + elapsed_s);
    if (tape) {
        tape[cell_tape(c).enter] = fresh ? 1 : 0;
        tape[cell_tape(c).enter + 1] = d;
    }
    if (fresh) {
        memcpy(state, cell_plain(c, packed, at.initial), states * sizeof(float));
        state[states] = 1;
        return;
    }
    if (!c->settings->time_decay) return;
    const float *w = cell_plain(c, packed, at.decay_w), *b = cell_plain(c, packed, at.decay_b);
    kernels_best()->decay((int)states, d, w, b, state);
    if (tape) memcpy(tape + cell_tape(c).entered, state, states * sizeof(float));
}

float cell_mask(const struct cell *c, uint64_t draw, int unit)
{
    const float p = (float)c->settings->dropout;
    return eddy_random_uniform(draw, (uint64_t)unit) < p ? 0 : 1 / (1 - p);
}

/* The h that meets U: that of the state, or a masked copy. */
static const float *cell_drop(const struct cell *c, uint64_t draw, const float *h, float *copy, float *tape)
{
    for (int j = 0; j < c->units; j++) copy[j] = h[j] * cell_mask(c, draw, j);
    if (tape) memcpy(tape + cell_tape(c).dropped, copy, (size_t)c->units * sizeof(float));
    return copy;
}

/* One row's sums from normalised ones. */
static void cell_norm_row(const struct cell *c, const float *packed, size_t width, float *of_x, float *of_h, float *a,
                          float *tape)
{
    const struct cell_params at = cell_places(c);
    const struct cell_tape in = cell_tape(c);
    const size_t units = (size_t)c->units, gates = cell_gates(c);
    const float *gain_x = cell_plain(c, packed, at.norm_ih), *gain_h = cell_plain(c, packed, at.norm_hh);
    const float *b = packed + cell_panels(c).plain, *bias_h = b + gates;
    for (int g = 0; g < c->n_gates; g++) {
        const size_t unit = (size_t)g * units, column = (size_t)g * width;
        const bool apart = c->kind->apart && g == c->n_gates - 1;
        float *saved = tape ? tape + in.saved + (size_t)g * 2 * LAYER_NORM_SAVED : NULL;
        if (tape) memcpy(tape + in.sums + unit, of_x + column, units * sizeof(float));
        if (tape) memcpy(tape + in.sums + gates + unit, of_h + column, units * sizeof(float));
        layer_norm(c->units, of_x + column, gain_x + unit, b + unit, a + column, saved);
        layer_norm(c->units, of_h + column, gain_h + unit, bias_h + unit, of_h + column,
                   saved ? saved + LAYER_NORM_SAVED : NULL);
        if (apart)
            memcpy(a + column + width, of_h + column, units * sizeof(float));
        else
            for (size_t j = 0; j < units; j++) a[column + j] += of_h[column + j];
    }
}

static void cell_normed_sums(const struct cell *c, const float *packed, int n, const float *const *x,
                             const float *const *h, float *work, float *tape, size_t n_tape)
{
    const struct kernels *k = kernels_best();
    const struct cell_work at = cell_work(c);
    const int panels = c->n_gates * panels_count(c->units);
    const struct product of_x = {c->n_in, 0, panels, packed},
                         of_h = {0, c->units, panels, packed + cell_panels(c).of_h};
    const size_t stride = (size_t)c->n_gates * at.width;
    k->product(&of_x, n, x, NULL, work + at.x, stride);
    k->product(&of_h, n, NULL, h, work + at.h, stride);
    for (size_t b = 0; b < (size_t)n; b++)
        cell_norm_row(c, packed, at.width, work + at.x + b * stride, work + at.h + b * stride,
                      work + b * (size_t)c->n_sums * at.width, tape ? tape + b * n_tape : NULL);
}

/* Rows first .. first + n - 1 of a step, n at most TILE_ROWS. */
static void cell_step_tile(const struct cell *c, const struct eddy_layer_plan *plan, const float *packed,
                           const struct eddy_rows *rows, int first, int n, float *work)
{
    const struct cell_work at = cell_work(c);
    const bool enters = cell_learns_start(c) || c->settings->time_decay;
    const bool drops = c->settings->dropout > 0 && rows->draws, taped = c->settings->dropout > 0 && rows->tape;
    float *const *state = rows->state + first, *tape = rows->tape ? rows->tape + (size_t)first * plan->n_tape : NULL;
    const float *h[TILE_ROWS];
    for (int b = 0; b < n; b++) {
        float *row_tape = tape ? tape + (size_t)b * plan->n_tape : NULL;
        if (enters) cell_enter(c, packed, rows->elapsed_s ? rows->elapsed_s[first + b] : 0, state[b], row_tape);
        h[b] = state[b];
        if (drops)
            h[b] = cell_drop(c, rows->draws[first + b], state[b], work + at.dropped + (size_t)b * (size_t)c->units,
                             row_tape);
        else if (taped)
            memcpy(row_tape + cell_tape(c).dropped, state[b], (size_t)c->units * sizeof(float));
    }
    if (!c->settings->layer_norm && c->kind->step) {
        const struct cell_step step = {c->n_in, c->units, packed};
        const struct cell_rows tile = {n, rows->x + first, h, state, rows->y + first, tape, plan->n_tape};
        c->kind->step(&step, &tile);
        return;
    }
    if (c->settings->layer_norm)
        cell_normed_sums(c, packed, n, rows->x + first, h, work, tape, plan->n_tape);
    else
        cell_plain_sums(kernels_best(), plan, packed, n, rows->x + first, h, work);
    const bool spare = !tape && cell_needs_tape(c);
    c->kind->gates(c, cell_plain(c, packed, cell_places(c).extra), n, work, (size_t)c->n_sums * at.width, state,
                   rows->y + first, spare ? work + at.tape : tape, spare ? 0 : plan->n_tape);
}

void cell_step(const struct cell *c, const struct eddy_layer_plan *plan, const float *packed,
               const struct eddy_rows *rows, float *work)
{
    for (int first = 0; first < rows->n; first += TILE_ROWS)
        cell_step_tile(c, plan, packed, rows, first, rows->n - first < TILE_ROWS ? rows->n - first : TILE_ROWS, work);
}

/* ---- names ---- */

bool cell_tensor(const struct cell *c, const struct eddy_tensor_info *extras, int n_extras, int i,
                 struct eddy_tensor_info *out)
{
    const int gates = (int)cell_gates(c), states = (int)cell_states(c);
    struct eddy_tensor_info t[12];
    int n = 0;
    t[n++] = (struct eddy_tensor_info){.name = "weight_ih", .rows = gates, .cols = c->n_in};
    t[n++] = (struct eddy_tensor_info){.name = "weight_hh", .rows = gates, .cols = c->units};
    t[n++] = (struct eddy_tensor_info){.name = "bias_ih", .rows = gates, .cols = 1};
    if (c->two_biases) t[n++] = (struct eddy_tensor_info){.name = "bias_hh", .rows = gates, .cols = 1};
    if (c->settings->layer_norm) {
        t[n++] = (struct eddy_tensor_info){.name = "norm_ih", .rows = gates, .cols = 1};
        t[n++] = (struct eddy_tensor_info){.name = "norm_hh", .rows = gates, .cols = 1};
    }
    for (int k = 0; k < n_extras; k++) t[n++] = extras[k];
    if (cell_learns_start(c)) t[n++] = (struct eddy_tensor_info){.name = "initial", .rows = states, .cols = 1};
    if (c->settings->time_decay) {
        t[n++] = (struct eddy_tensor_info){.name = "decay_weight", .rows = states, .cols = 1};
        t[n++] = (struct eddy_tensor_info){.name = "decay_bias", .rows = states, .cols = 1};
    }
    return tensor_of(t, n, i, out);
}
