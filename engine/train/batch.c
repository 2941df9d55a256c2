#include "engine/train/batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND_FLOATS = 16 };

/* Hands out pieces of one allocation; without a base it only counts. */
struct carver {
    float *base;
    size_t used;
};

static float *carve(struct carver *c, size_t floats)
{
    float *piece = c->base ? c->base + c->used : NULL;
    c->used += (floats + ROUND_FLOATS - 1) / ROUND_FLOATS * ROUND_FLOATS;
    return piece;
}

/* Room for n numbers of another type, no larger than two floats each. */
static void *carve_numbers(struct carver *c, size_t n)
{
    return carve(c, 2 * n);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static const struct network_layer *batch_below(const struct batch *b, int layer)
{
    return layer > 0 ? &b->net->layers[layer - 1] : NULL;
}

/* A head of its own may be taught by the labels. */
static bool batch_wants_labels(const struct batch *b)
{
    return b->net->layers[b->net->n_layers].plan.head;
}

/* The grid of a layer and where its inputs lie. */
static void batch_lay_out_grid(struct batch *b, struct carver *c, int layer)
{
    struct layer_run *run = &b->runs[layer];
    const struct network_layer *below = batch_below(b, layer);
    const size_t rows = (size_t)b->n_rows;
    if (!below) {
        run->grid = (struct batch_grid){.n_steps = b->n_steps, .elapsed_s = b->elapsed_s, .target = b->target};
        run->x = b->x;
    } else if (below->plan.stride == 1) {
        run->grid = b->runs[layer - 1].grid;
        run->x = b->runs[layer - 1].sum;
    } else {
        const int s = below->plan.stride, steps = (b->runs[layer - 1].grid.n_steps + s - 1) / s;
        const size_t cells = (size_t)steps * rows;
        run->grid.n_steps = steps;
        run->grid.event = carve_numbers(c, cells);
        run->grid.elapsed_s = carve(c, cells);
        run->grid.target = batch_wants_labels(b) ? carve(c, cells * (size_t)b->net->n_targets) : NULL;
        run->x = carve(c, cells * (size_t)b->net->layers[layer].plan.n_in);
        b->runs[layer - 1].fired = carve_numbers(c, cells);
        b->runs[layer - 1].n_fired = carve_numbers(c, rows);
    }
}

/* Lays the arrays of a batch out from `base` on; returns the floats they take. */
static size_t batch_lay_out(struct batch *b, float *base)
{
    const struct network *net = b->net;
    const size_t rows = (size_t)b->n_rows, cells = (size_t)b->n_steps * rows, n_in = (size_t)net->n_in;
    size_t width = n_in, state = 0, back = 0, work = 0;
    struct carver c = {base, 0};
    b->draws = carve_numbers(&c, rows);
    b->packed = carve(&c, net->n_packed);
    b->elapsed_s = carve(&c, cells);
    b->x = carve(&c, cells * n_in);
    b->target = batch_wants_labels(b) ? carve(&c, cells * (size_t)net->n_targets) : NULL;
    b->step = carve(&c, (size_t)net->n_out);
    for (int i = 0; i <= net->n_layers; i++) {
        const struct network_layer *l = &net->layers[i];
        batch_lay_out_grid(b, &c, i);
        struct layer_run *run = &b->runs[i];
        const size_t own = (size_t)run->grid.n_steps * rows;
        run->y = carve(&c, own * (size_t)l->plan.n_out);
        run->sum = l->residual ? carve(&c, own * (size_t)l->plan.n_out) : run->y;
        run->tape = carve(&c, own * l->plan.n_tape);
        run->start = carve(&c, rows * l->plan.n_state);
        width = larger(width, (size_t)l->plan.n_out);
        state = larger(state, l->plan.n_state);
        back = larger(back, larger(own * l->plan.n_back, l->plan.n_back_once));
        work = larger(work, l->plan.n_work);
    }
    b->state = carve(&c, rows * state);
    b->d_y = carve(&c, cells * width);
    b->d_x = carve(&c, cells * width);
    b->back = carve(&c, back);
    b->work = carve(&c, work);
    return c.used;
}

size_t batch_floats(const struct network *net, const struct window_shape *shape, int n_rows)
{
    struct batch b = {.net = net, .shape = shape, .n_steps = shape->n_steps, .n_rows = n_rows};
    b.runs = calloc((size_t)net->n_layers + 1, sizeof(*b.runs));
    const size_t floats = b.runs ? batch_lay_out(&b, NULL) : 0;
    free(b.runs);
    return floats;
}

eddy_status batch_open(struct batch *b, struct train_scratch *scratch, struct eddy_error *err)
{
    if (scratch->n_runs < b->net->n_layers + 1) {
        free(scratch->runs);
        scratch->n_runs = 0;
        scratch->runs = calloc((size_t)b->net->n_layers + 1, sizeof(*scratch->runs));
        if (!scratch->runs) return eddy_fail(err, EDDY_ENOMEM, "out of memory for training");
        scratch->n_runs = b->net->n_layers + 1;
    }
    b->runs = scratch->runs;
    memset(b->runs, 0, (size_t)(b->net->n_layers + 1) * sizeof(*b->runs));
    eddy_status rc = train_scratch_grow(&scratch->batch, &scratch->batch_floats, batch_lay_out(b, NULL), err);
    if (rc < 0) return rc;
    (void)batch_lay_out(b, scratch->batch);
    return EDDY_OK;
}

float *batch_window(const struct batch *b, int row)
{
    return (float *)(uintptr_t)(b->windows + (size_t)row * window_floats(b->shape)); /* only read from */
}

void batch_draw(struct batch *b, int layer)
{
    const uint64_t seed = eddy_random_bits(b->draw, (uint64_t)layer);
    for (int row = 0; row < b->n_rows; row++) b->draws[row] = eddy_random_bits(seed, (uint64_t)row);
}

/* ---- forward ---- */

/* Inputs, times and labels of all windows, step by step: [T, B, ..]. */
static void batch_gather(struct batch *b)
{
    const size_t n_in = (size_t)b->net->n_in, n_targets = (size_t)b->net->n_targets;
    for (int row = 0; row < b->n_rows; row++) {
        float *window = batch_window(b, row);
        const float *x = window_x(b->shape, window), *elapsed_s = window_elapsed(b->shape, window);
        const float *target = window_target(b->shape, window);
        for (int t = 0; t < b->n_steps; t++) {
            const size_t cell = (size_t)t * (size_t)b->n_rows + (size_t)row;
            b->elapsed_s[cell] = elapsed_s[t];
            memcpy(b->x + cell * n_in, x + (size_t)t * n_in, n_in * sizeof(float));
            if (b->target)
                memcpy(b->target + cell * n_targets, target + (size_t)t * n_targets, n_targets * sizeof(float));
        }
    }
}

/* The layer's part of the states at the start of the windows, to be kept and to be stepped. */
static void batch_start_states(struct batch *b, int layer)
{
    const struct network_layer *l = &b->net->layers[layer];
    const size_t n_state = l->plan.n_state;
    for (int row = 0; row < b->n_rows && n_state > 0; row++)
        memcpy(b->runs[layer].start + (size_t)row * n_state,
               window_start(b->shape, batch_window(b, row)) + l->first_state, n_state * sizeof(float));
    if (n_state > 0) memcpy(b->state, b->runs[layer].start, (size_t)b->n_rows * n_state * sizeof(float));
}

/* Step t of one layer for all windows, at most EDDY_LAYER_MAX_ROWS at a time. */
static void batch_step(struct batch *b, int layer, int t)
{
    const struct network_layer *l = &b->net->layers[layer];
    const struct layer_run *run = &b->runs[layer];
    const size_t n_targets = (size_t)b->net->n_targets;
    const float *x[EDDY_LAYER_MAX_ROWS], *target[EDDY_LAYER_MAX_ROWS];
    float *state[EDDY_LAYER_MAX_ROWS], *y[EDDY_LAYER_MAX_ROWS];
    const bool labels = l->plan.head && run->grid.target;
    for (int first = 0; first < b->n_rows; first += EDDY_LAYER_MAX_ROWS) {
        const int n = b->n_rows - first < EDDY_LAYER_MAX_ROWS ? b->n_rows - first : EDDY_LAYER_MAX_ROWS;
        const size_t cell = (size_t)t * (size_t)b->n_rows + (size_t)first;
        for (int i = 0; i < n; i++) {
            x[i] = run->x + (cell + (size_t)i) * (size_t)l->plan.n_in;
            y[i] = run->y + (cell + (size_t)i) * (size_t)l->plan.n_out;
            state[i] = b->state + (size_t)(first + i) * l->plan.n_state;
            target[i] = labels ? run->grid.target + (cell + (size_t)i) * n_targets : NULL;
        }
        const struct eddy_rows rows = {.n = n,
                                       .x = x,
                                       .state = state,
                                       .elapsed_s = run->grid.elapsed_s + cell,
                                       .y = y,
                                       .tape = run->tape + cell * l->plan.n_tape,
                                       .target = labels ? target : NULL,
                                       .draws = b->draws + first,
                                       .step = t};
        l->layer->step(&l->plan, b->packed + l->first_packed, &rows, b->work);
    }
}

/* Which rows fired at step t of a layer with a stride: those whose count came back to 0. */
static void batch_note_firings(struct batch *b, int layer, int t)
{
    const struct layer_run *run = &b->runs[layer];
    const size_t n_state = b->net->layers[layer].plan.n_state, rows = (size_t)b->n_rows;
    for (size_t row = 0; row < rows; row++) {
        const bool made = !run->grid.event || run->grid.event[(size_t)t * rows + row] >= 0;
        if (!made || b->state[row * n_state] != 0 || run->n_fired[row] == b->runs[layer + 1].grid.n_steps) continue;
        run->fired[(size_t)run->n_fired[row]++ * rows + row] = t;
    }
}

/* One step of the grid above a layer with a stride: what its firing at step t of its own grid hands on, or nothing. */
static void batch_hand_on(struct batch *b, int layer, size_t to, size_t from, bool fired)
{
    const struct layer_run *below = &b->runs[layer], *above = below + 1;
    const size_t width = (size_t)b->net->layers[layer].plan.n_out, n_targets = (size_t)b->net->n_targets;
    const size_t event = from / (size_t)b->n_rows;
    above->grid.event[to] = !fired ? -1 : below->grid.event ? below->grid.event[from] : (int)event;
    if (fired)
        memcpy(above->x + to * width, below->y + from * width, width * sizeof(float));
    else
        memset(above->x + to * width, 0, width * sizeof(float));
    for (size_t i = 0; above->grid.target && i < n_targets; i++)
        above->grid.target[to * n_targets + i] = fired ? below->grid.target[from * n_targets + i] : NAN;
}

/* All that a layer with a stride hands on for one row, and the time between its firings. */
static void batch_fire_row(struct batch *b, int layer, int row)
{
    const struct layer_run *below = &b->runs[layer], *above = below + 1;
    const size_t rows = (size_t)b->n_rows;
    float elapsed = window_start(b->shape, batch_window(b, row))[b->net->layers[layer].at_elapsed];
    for (int k = 0, next = 0; k < above->grid.n_steps; k++) {
        const size_t to = (size_t)k * rows + (size_t)row;
        const int t = below->fired[to];
        for (; next <= t; next++) elapsed += below->grid.elapsed_s[(size_t)next * rows + (size_t)row];
        above->grid.elapsed_s[to] = t < 0 ? 0 : elapsed;
        batch_hand_on(b, layer, to, (size_t)(t < 0 ? 0 : t) * rows + (size_t)row, t >= 0);
        if (t >= 0) elapsed = 0;
    }
}

/* Steps of a layer with a stride, and its firings. */
static void batch_fire(struct batch *b, int layer)
{
    struct layer_run *run = &b->runs[layer];
    const size_t rows = (size_t)b->n_rows, firings = (size_t)b->runs[layer + 1].grid.n_steps * rows;
    memset(run->n_fired, 0, rows * sizeof(*run->n_fired));
    for (size_t i = 0; i < firings; i++) run->fired[i] = -1;
    for (int t = 0; t < run->grid.n_steps; t++) {
        batch_step(b, layer, t);
        batch_note_firings(b, layer, t);
    }
    for (int row = 0; row < b->n_rows; row++) batch_fire_row(b, layer, row);
}

static void batch_add_input(const struct batch *b, int layer)
{
    const struct layer_run *run = &b->runs[layer];
    const size_t n = (size_t)run->grid.n_steps * (size_t)b->n_rows * (size_t)b->net->layers[layer].plan.n_out;
    for (size_t i = 0; i < n; i++) run->sum[i] = run->y[i] + run->x[i];
}

void batch_forward(struct batch *b, const float *params)
{
    network_pack(b->net, params, b->packed);
    batch_gather(b);
    for (int layer = 0; layer <= b->net->n_layers; layer++) {
        const struct network_layer *l = &b->net->layers[layer];
        batch_draw(b, layer);
        batch_start_states(b, layer);
        if (l->plan.stride > 1) {
            batch_fire(b, layer);
            continue;
        }
        for (int t = 0; t < b->runs[layer].grid.n_steps; t++) batch_step(b, layer, t);
        if (l->residual) batch_add_input(b, layer);
    }
}

int batch_standing(const struct batch *b, int row, int t, int standing)
{
    const struct batch_grid *top = &b->runs[b->net->n_layers].grid;
    const size_t rows = (size_t)b->n_rows;
    if (!top->event) return t;
    while (standing + 1 < top->n_steps) {
        const int event = top->event[(size_t)(standing + 1) * rows + (size_t)row];
        if (event < 0 || event > t) break;
        standing++;
    }
    return standing;
}
