/* Forward layer by layer over the whole window, rows = windows, then back from the head down.  T steps, B windows. */
#include "engine/train/tbptt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/stack.h"
#include "engine/train/scratch.h"

enum { ROUND_FLOATS = 16 };

/* One batch on its way through the network. */
struct batch {
    const struct network *net;
    const struct window_shape *shape;
    const float *windows; /* [B, window_floats] */
    int n_steps, n_rows;
    float *packed;          /* [n_packed] */
    float *elapsed_s;       /* [T, B] */
    float *x;               /* [T, B, n_in] */
    struct layer_run *runs; /* [n_layers + 1] */
    float *state;           /* [B, widest n_state] of the layer in hand */
    float *d_y, *d_x;       /* [T, B, widest] gradients by the output and the input of the layer in hand */
    float *back, *work;
};

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

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Lays the arrays of a batch out from `base` on; returns the floats they take. */
static size_t batch_lay_out(struct batch *b, float *base)
{
    const size_t cells = (size_t)b->n_steps * (size_t)b->n_rows, n_in = (size_t)b->net->n_in;
    size_t width = n_in, state = 0, back = 0, work = 0;
    struct carver c = {base, 0};
    b->packed = carve(&c, b->net->n_packed);
    b->elapsed_s = carve(&c, cells);
    b->x = carve(&c, cells * n_in);
    for (int i = 0; i <= b->net->n_layers; i++) {
        const struct eddy_layer_plan *plan = &b->net->layers[i].plan;
        b->runs[i].y = carve(&c, cells * (size_t)plan->n_out);
        b->runs[i].tape = carve(&c, cells * plan->n_tape);
        width = larger(width, (size_t)plan->n_out);
        state = larger(state, plan->n_state);
        back = larger(back, plan->n_back);
        work = larger(work, plan->n_work);
    }
    b->state = carve(&c, (size_t)b->n_rows * state);
    b->d_y = carve(&c, cells * width);
    b->d_x = carve(&c, cells * width);
    b->back = carve(&c, cells * back);
    b->work = carve(&c, work);
    return c.used;
}

static eddy_status batch_open(struct batch *b, struct train_scratch *scratch, struct eddy_error *err)
{
    if (scratch->n_runs < b->net->n_layers + 1) {
        free(scratch->runs);
        scratch->n_runs = 0;
        scratch->runs = calloc((size_t)b->net->n_layers + 1, sizeof(*scratch->runs));
        if (!scratch->runs) return eddy_fail(err, EDDY_ENOMEM, "out of memory for training");
        scratch->n_runs = b->net->n_layers + 1;
    }
    b->runs = scratch->runs;
    eddy_status rc = train_scratch_grow(&scratch->batch, &scratch->batch_floats, batch_lay_out(b, NULL), err);
    if (rc < 0) return rc;
    (void)batch_lay_out(b, scratch->batch);
    return EDDY_OK;
}

static float *batch_window(const struct batch *b, int row)
{
    return (float *)(uintptr_t)(b->windows + (size_t)row * window_floats(b->shape)); /* only read from */
}

/* Inputs and times of all windows, step by step: [T, B, ..]. */
static void batch_gather(struct batch *b)
{
    const size_t n_in = (size_t)b->net->n_in;
    for (int row = 0; row < b->n_rows; row++) {
        float *window = batch_window(b, row);
        const float *x = window_x(b->shape, window), *elapsed_s = window_elapsed(b->shape, window);
        for (int t = 0; t < b->n_steps; t++) {
            const size_t cell = (size_t)t * (size_t)b->n_rows + (size_t)row;
            b->elapsed_s[cell] = elapsed_s[t];
            memcpy(b->x + cell * n_in, x + (size_t)t * n_in, n_in * sizeof(float));
        }
    }
}

static const float *batch_input(const struct batch *b, int layer)
{
    return layer == 0 ? b->x : b->runs[layer - 1].y;
}

/* The layer's part of the states at the start of the windows. */
static void batch_start_states(struct batch *b, const struct network_layer *l)
{
    const size_t n_state = l->plan.n_state;
    for (int row = 0; row < b->n_rows && n_state > 0; row++)
        memcpy(b->state + (size_t)row * n_state, window_start(b->shape, batch_window(b, row)) + l->first_state,
               n_state * sizeof(float));
}

/* Step t of one layer for all windows, at most EDDY_LAYER_MAX_ROWS at a time. */
static void batch_step(struct batch *b, int layer, int t)
{
    const struct network_layer *l = &b->net->layers[layer];
    const struct layer_run *run = &b->runs[layer];
    const float *x[EDDY_LAYER_MAX_ROWS], *input = batch_input(b, layer);
    float *state[EDDY_LAYER_MAX_ROWS], *y[EDDY_LAYER_MAX_ROWS];
    for (int first = 0; first < b->n_rows; first += EDDY_LAYER_MAX_ROWS) {
        const int n = b->n_rows - first < EDDY_LAYER_MAX_ROWS ? b->n_rows - first : EDDY_LAYER_MAX_ROWS;
        const size_t cell = (size_t)t * (size_t)b->n_rows + (size_t)first;
        for (int i = 0; i < n; i++) {
            x[i] = input + (cell + (size_t)i) * (size_t)l->plan.n_in;
            y[i] = run->y + (cell + (size_t)i) * (size_t)l->plan.n_out;
            state[i] = b->state + (size_t)(first + i) * l->plan.n_state;
        }
        const struct eddy_rows rows = {.n = n,
                                       .x = x,
                                       .state = state,
                                       .elapsed_s = b->elapsed_s + cell,
                                       .y = y,
                                       .tape = run->tape + cell * l->plan.n_tape,
                                       .step = t};
        l->layer->step(&l->plan, b->packed + l->first_packed, &rows, b->work);
    }
}

static void batch_forward(struct batch *b, const float *params)
{
    network_pack(b->net, params, b->packed);
    batch_gather(b);
    for (int layer = 0; layer <= b->net->n_layers; layer++) {
        batch_start_states(b, &b->net->layers[layer]);
        for (int t = 0; t < b->n_steps; t++) batch_step(b, layer, t);
    }
}

static int64_t batch_labels(const struct batch *b)
{
    const size_t per_window = (size_t)b->n_steps * (size_t)b->net->n_out;
    int64_t n = 0;
    for (int row = 0; row < b->n_rows; row++) {
        const float *target = window_target(b->shape, batch_window(b, row));
        for (size_t i = 0; i < per_window; i++) n += !isnan(target[i]);
    }
    return n;
}

/* Fills d_y of the head from the labels; returns the sum of the losses.  `weight` is n_out / n_labels. */
static double batch_loss(struct batch *b, float weight)
{
    const size_t n_out = (size_t)b->net->n_out, n_rows = (size_t)b->n_rows;
    const float *y = b->runs[b->net->n_layers].y;
    double sum = 0;
    memset(b->d_y, 0, (size_t)b->n_steps * n_rows * n_out * sizeof(float));
    for (size_t row = 0; row < n_rows; row++) {
        const float *target = window_target(b->shape, batch_window(b, (int)row));
        for (size_t i = 0; i < (size_t)b->n_steps * n_out; i++) {
            if (isnan(target[i])) continue;
            const size_t at = (i / n_out * n_rows + row) * n_out + i % n_out;
            const float e = y[at] - target[i], size = e < 0 ? -e : e;
            sum += (double)(size <= 1 ? e * e / 2 : size - 0.5f);
            b->d_y[at] = weight * (e > 1 ? 1 : e < -1 ? -1 : e);
        }
    }
    return sum;
}

static void batch_backward(struct batch *b, const float *params, float *grad)
{
    memset(grad, 0, b->net->n_params * sizeof(float));
    for (int layer = b->net->n_layers; layer >= 0; layer--) {
        const struct network_layer *l = &b->net->layers[layer];
        const struct eddy_tape tape = {
            .n_steps = b->n_steps,
            .n_rows = b->n_rows,
            .x = batch_input(b, layer),
            .y = b->runs[layer].y,
            .tape = b->runs[layer].tape,
            .d_y = b->d_y,
            .d_x = layer > 0 ? b->d_x : NULL,
        };
        l->layer->backward(&l->plan, params + l->first_param, &tape, grad + l->first_param, b->back);
        float *done = b->d_y;
        b->d_y = b->d_x;
        b->d_x = done;
    }
}

eddy_status tbptt_gradient(const struct network *net, const struct window_shape *shape, const float *params,
                           const float *windows, int n, float *grad, double *loss, struct train_scratch *scratch,
                           struct eddy_error *err)
{
    struct batch b = {.net = net, .shape = shape, .windows = windows, .n_steps = shape->n_steps, .n_rows = n};
    *loss = NAN;
    scratch->n_labels = batch_labels(&b);
    if (scratch->n_labels == 0) {
        memset(grad, 0, net->n_params * sizeof(float));
        return EDDY_OK;
    }
    eddy_status rc = batch_open(&b, scratch, err);
    if (rc < 0) return rc;
    batch_forward(&b, params);
    *loss = batch_loss(&b, (float)((double)net->n_out / (double)scratch->n_labels)) / (double)scratch->n_labels;
    batch_backward(&b, params, grad);
    return EDDY_OK;
}
