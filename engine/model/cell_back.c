/* Back through a recurrent cell, from the last step of a window to the first. */
#include <string.h>

#include "engine/math/matmul.h"
#include "engine/model/cell_private.h"
#include "engine/model/layer_norm.h"

/* Scratch: d_a of every step; with layer_norm the gradients of the raw sums of every step; then d_h, d_c and, with
 * dropout, that of the masked h, of one step; and with layer_norm a bias that nobody has. */
size_t cell_back_floats(const struct cell *c)
{
    const size_t units = (size_t)c->units, gates = (size_t)c->n_gates * units;
    return (size_t)c->n_sums * units + (c->settings->layer_norm ? 3 * gates : 0) + (size_t)c->n_states * units +
           (c->settings->dropout > 0 ? units : 0);
}

struct descent {
    const struct cell *c;
    const struct eddy_layer_plan *plan;
    const float *params;
    const struct eddy_tape *tape;
    float *d_params;
    float *d_a, *d_of_x, *d_of_h;          /* [T, B, n_sums H] [T, B, G H] [T, B, G H] */
    float *d_h, *d_c, *d_dropped, *nobody; /* [B, H] [B, H] [B, H] [G H] */
};

static void descent_lay_out(struct descent *d, float *back)
{
    const struct cell *c = d->c;
    const size_t units = (size_t)c->units, gates = (size_t)c->n_gates * units, rows = (size_t)d->tape->n_rows;
    const size_t cells = (size_t)d->tape->n_steps * rows, norm = c->settings->layer_norm ? gates : 0;
    d->d_a = back;
    d->d_of_x = d->d_a + cells * (size_t)c->n_sums * units;
    d->d_of_h = d->d_of_x + cells * norm;
    d->d_h = d->d_of_h + cells * norm;
    d->d_c = d->d_h + rows * units;
    d->d_dropped = d->d_h + rows * units * (size_t)c->n_states;
    d->nobody = d->d_dropped + (c->settings->dropout > 0 ? rows * units : 0);
}

static const float *descent_tape(const struct descent *d, int t, size_t row)
{
    return d->tape->tape + ((size_t)t * (size_t)d->tape->n_rows + row) * d->plan->n_tape;
}

/* Gradients by the normalised sums of one row become those by the raw ones. */
static void descent_norm_row(const struct descent *d, const float *tape, const float *d_a, float *d_of_x,
                             float *d_of_h)
{
    const struct cell *c = d->c;
    const struct cell_params at = cell_places(c);
    const struct cell_tape in = cell_tape(c);
    const size_t units = (size_t)c->units, gates = (size_t)c->n_gates * units;
    for (int g = 0; g < c->n_gates; g++) {
        const size_t unit = (size_t)g * units;
        const bool apart = c->kind->apart && g == c->n_gates - 1;
        const size_t block = c->kind->apart ? (size_t)g + 1 : (size_t)g;
        const float *by_x = d_a + (apart ? 0 : block) * units, *by_h = d_a + block * units;
        const float *saved = tape + in.saved + (size_t)g * 2 * LAYER_NORM_SAVED;
        float *d_bias_h = c->two_biases ? d->d_params + at.c : d->nobody;
        layer_norm_back(c->units, tape + in.sums + unit, d->params + at.norm_ih + unit, saved, by_x, d_of_x + unit,
                        d->d_params + at.norm_ih + unit, d->d_params + at.b + unit);
        layer_norm_back(c->units, tape + in.sums + gates + unit, d->params + at.norm_hh + unit,
                        saved + LAYER_NORM_SAVED, by_h, d_of_h + unit, d->d_params + at.norm_hh + unit,
                        d_bias_h + unit);
    }
}

/* What meets U, as gradients of every step: [T, B, G H], `ld` apart. */
static struct matrix descent_by_h(const struct descent *d, int t)
{
    const size_t units = (size_t)d->c->units, rows = (size_t)d->tape->n_rows;
    const int gates = d->c->n_gates * d->c->units, sums = d->c->n_sums * d->c->units;
    if (d->c->settings->layer_norm) return (struct matrix){d->d_of_h + (size_t)t * rows * (size_t)gates, gates};
    return (struct matrix){d->d_a + (size_t)t * rows * (size_t)sums + (d->c->kind->apart ? units : 0), sums};
}

/* d_h += d_sums U, through the mask of the dropout. */
static void descent_recurrence(const struct descent *d, int t)
{
    const struct cell *c = d->c;
    const struct matrix u = {d->params + cell_places(c).u, c->units}, by_h = descent_by_h(d, t);
    const int rows = d->tape->n_rows, gates = c->n_gates * c->units;
    if (!(c->settings->dropout > 0) || !d->tape->draws) {
        matmul(rows, c->units, gates, by_h, u, 1, d->d_h, c->units);
        return;
    }
    matmul(rows, c->units, gates, by_h, u, 0, d->d_dropped, c->units);
    for (int b = 0; b < rows; b++)
        for (int j = 0; j < c->units; j++)
            d->d_h[b * c->units + j] += d->d_dropped[b * c->units + j] * cell_mask(c, d->tape->draws[b], j);
}

/* One block of a row's states: gradient by the states that entered -> by those before. */
static void descent_enter_block(const struct descent *d, const float *tape, size_t block, float *d_state)
{
    const struct cell *c = d->c;
    const struct cell_params at = cell_places(c);
    const struct cell_tape in = cell_tape(c);
    const size_t units = (size_t)c->units, first = block * units;
    const bool fresh = cell_learns_start(c) && tape[in.enter] != 0;
    float *d_initial = d->d_params + at.initial + first, *d_w = d->d_params + at.decay_w + first;
    if (fresh) {
        kernels_best()->add(units, d_state, d_initial);
        memset(d_state, 0, units * sizeof(float));
    } else if (c->settings->time_decay) {
        kernels_best()->decay_back(c->units, tape[in.enter + 1], d->params + at.decay_w + first,
                                   d->params + at.decay_b + first, tape + in.entered + first, d_state, d_w,
                                   d->d_params + at.decay_b + first);
    }
}

static void descent_step(const struct descent *d, int t)
{
    const struct cell *c = d->c;
    const size_t units = (size_t)c->units, rows = (size_t)d->tape->n_rows, gates = (size_t)c->n_gates * units;
    const bool enters = cell_learns_start(c) || c->settings->time_decay;
    float *d_a = d->d_a + (size_t)t * rows * (size_t)c->n_sums * units;
    kernels_best()->add(rows * units, d->tape->d_y + (size_t)t * rows * units, d->d_h);
    c->kind->back(c, d->params + cell_places(c).extra, d->tape->n_rows, descent_tape(d, t, 0), d->plan->n_tape,
                  d->d_h, d->d_c, d_a, d->d_params + cell_places(c).extra);
    for (size_t b = 0; c->settings->layer_norm && b < rows; b++)
        descent_norm_row(d, descent_tape(d, t, b), d_a + b * (size_t)c->n_sums * units,
                         d->d_of_x + ((size_t)t * rows + b) * gates, d->d_of_h + ((size_t)t * rows + b) * gates);
    if (t > 0 || enters || d->tape->d_start) descent_recurrence(d, t);
    for (size_t b = 0; enters && b < rows; b++) {
        descent_enter_block(d, descent_tape(d, t, b), 0, d->d_h + b * units);
        if (c->n_states > 1) descent_enter_block(d, descent_tape(d, t, b), 1, d->d_c + b * units);
    }
}

/* Gradients of the state after the window come in, those of the state before it go out: for layers around this one. */
static void descent_begin(const struct descent *d)
{
    const struct cell *c = d->c;
    const size_t units = (size_t)c->units, bytes = units * sizeof(float), rows = (size_t)d->tape->n_rows;
    memset(d->d_h, 0, rows * bytes * (size_t)c->n_states);
    for (size_t b = 0; d->tape->d_end && b < rows; b++) {
        memcpy(d->d_h + b * units, d->tape->d_end + b * d->plan->n_state, bytes);
        if (c->n_states > 1) memcpy(d->d_c + b * units, d->tape->d_end + b * d->plan->n_state + units, bytes);
    }
}

static void descent_end(const struct descent *d)
{
    const struct cell *c = d->c;
    const size_t units = (size_t)c->units, bytes = units * sizeof(float), rows = (size_t)d->tape->n_rows;
    for (size_t b = 0; d->tape->d_start && b < rows; b++) {
        memcpy(d->tape->d_start + b * d->plan->n_state, d->d_h + b * units, bytes);
        if (c->n_states > 1) memcpy(d->tape->d_start + b * d->plan->n_state + units, d->d_c + b * units, bytes);
    }
}

/* dW, db and d_x of one run of gates, from gradients by their sums of x. */
static void descent_inputs(const struct descent *d, int first_gate, int n_gates, struct matrix by_x, float beta)
{
    const struct cell *c = d->c;
    const size_t first = (size_t)first_gate * (size_t)c->units;
    const int n = d->tape->n_steps * d->tape->n_rows, gates = n_gates * c->units;
    const struct matrix x = {d->tape->x, c->n_in}, w = {d->params + first * (size_t)c->n_in, c->n_in};
    matmul_tn(gates, c->n_in, n, by_x, x, 1, d->d_params + first * (size_t)c->n_in, c->n_in);
    if (!c->settings->layer_norm)
        kernels_best()->add_rows((size_t)n, gates, by_x.data, (size_t)by_x.ld,
                                 d->d_params + cell_places(c).b + first);
    if (d->tape->d_x) matmul(n, c->n_in, gates, by_x, w, beta, d->tape->d_x, c->n_in);
}

static void descent_weights(const struct descent *d)
{
    const struct cell *c = d->c;
    const struct cell_params at = cell_places(c);
    const int n = d->tape->n_steps * d->tape->n_rows, units = c->units, gates = c->n_gates * units;
    const int sums = c->n_sums * units, n_tape = (int)d->plan->n_tape;
    const struct matrix by_h = descent_by_h(d, 0);
    const size_t entered = c->settings->dropout > 0 ? cell_tape(c).dropped
                                                    : (size_t)(c->kind->tape_blocks - 1) * (size_t)units;
    const struct matrix h = {d->tape->tape + entered, n_tape};
    matmul_tn(gates, units, n, by_h, h, 1, d->d_params + at.u, units);
    if (c->two_biases && !c->settings->layer_norm)
        kernels_best()->add_rows((size_t)n, gates, by_h.data, (size_t)by_h.ld, d->d_params + at.c);
    if (c->settings->layer_norm) {
        descent_inputs(d, 0, c->n_gates, (struct matrix){d->d_of_x, gates}, 0);
    } else if (c->kind->apart) {
        descent_inputs(d, 0, c->n_gates - 1, (struct matrix){d->d_a + units, sums}, 0);
        descent_inputs(d, c->n_gates - 1, 1, (struct matrix){d->d_a, sums}, 1);
    } else {
        descent_inputs(d, 0, c->n_gates, (struct matrix){d->d_a, sums}, 0);
    }
}

void cell_backward(const struct cell *c, const struct eddy_layer_plan *plan, const float *params,
                   const struct eddy_tape *tape, float *d_params, float *back)
{
    struct descent d = {.c = c, .plan = plan, .params = params, .tape = tape, .d_params = d_params};
    descent_lay_out(&d, back);
    descent_begin(&d);
    for (int t = tape->n_steps - 1; t >= 0; t--) descent_step(&d, t);
    descent_end(&d);
    descent_weights(&d);
}
