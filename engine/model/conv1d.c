/* A causal convolution over the last K inputs, which fires every s-th step: in front of a recurrent layer it shortens a
 * long sequence.
 *
 *   y_t = g(b + sum over j = 0 .. K-1 of W_{K-1-j} x_{t-j})        W_k [filters, n_in]  b [filters]  x before the start: 0
 *   backward, over the steps that fired: d_a = d_y g'(a), found from y;  dW_{K-1-j} += d_a^T x_{t-j};  db += sum d_a;
 *   d_x_{t-j} += d_a W_{K-1-j}, for the inputs t-j within the window
 *
 * Parameters  weight [filters, n_in, K] (the last index is k, as in common frameworks) | bias [filters]
 * State       phase (when s > 1) | ring of K-1 inputs        Tape  none: x, y and the state at the start say it all */
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/math/matmul.h"
#include "engine/model/initial.h"
#include "engine/model/layers.h"
#include "engine/model/ring.h"

enum { MAX_FILTERS = 1024, MAX_KERNEL = 256, MAX_WINDOW = 1 << 20 };

struct conv1d_settings {
    int64_t filters, kernel, stride;
    int activation; /* enum activation */
};

static const struct eddy_option conv1d_options[] = {
    {"filters", EDDY_OPT_INT, offsetof(struct conv1d_settings, filters), "32", 1, MAX_FILTERS, "",
     "Width of the output.", NULL, 0, false},
    {"kernel", EDDY_OPT_INT, offsetof(struct conv1d_settings, kernel), "8", 1, MAX_KERNEL, "steps",
     "How many of the last inputs each output sees.", NULL, 0, false},
    {"stride", EDDY_OPT_INT, offsetof(struct conv1d_settings, stride), "1", 1, MAX_KERNEL, "steps",
     "Fire at every so many events only, at most the kernel. At those in between the layers above take no step: the "
     "network's last output stands, anchored at the event's own value.",
     NULL, 0, false},
    {"activation", EDDY_OPT_ENUM, offsetof(struct conv1d_settings, activation), "relu", 0, 0,
     "identity|tanh|relu|sigmoid", "Function applied to each output; relu does not saturate.", NULL, 0, false},
    {0}};

/* Sizes of a planned layer; `past` are the inputs before this one that the kernel sees. */
struct conv1d_sizes {
    int n_in, filters, kernel, past, stride;
    size_t window, weights; /* [kernel, n_in], [filters, window] */
    size_t ring;            /* first float of the ring in the state */
};

static struct conv1d_sizes conv1d_sizes(const struct conv1d_settings *s, int n_in)
{
    const int kernel = (int)s->kernel, filters = (int)s->filters;
    const size_t window = (size_t)kernel * (size_t)n_in;
    return (struct conv1d_sizes){
        n_in, filters, kernel, kernel - 1, (int)s->stride, window, (size_t)filters * window, s->stride > 1};
}

static eddy_status conv1d_plan(const void *settings, const struct eddy_layer_place *place,
                               struct eddy_layer_plan *out, struct eddy_error *err)
{
    const struct conv1d_settings *s = settings;
    const int n_in = place->n_in;
    if (n_in < 1 || s->filters < 1 || s->filters > MAX_FILTERS || s->kernel < 1 || s->kernel > MAX_KERNEL ||
        s->kernel * n_in > MAX_WINDOW)
        return eddy_fail(err, EDDY_ECONFIG, "conv1d: %lld filters over %lld steps of %d inputs cannot be",
                         (long long)s->filters, (long long)s->kernel, n_in);
    if (s->stride < 1 || s->stride > s->kernel)
        return eddy_fail(
            err, EDDY_ECONFIG,
            "conv1d: a stride of %lld with a kernel of %lld: between 1 and the kernel, or there would be "
            "inputs that no output sees",
            (long long)s->stride, (long long)s->kernel);
    const struct conv1d_sizes z = conv1d_sizes(s, n_in);
    *out = (struct eddy_layer_plan){
        .n_in = n_in,
        .n_out = z.filters,
        .n_params = z.weights + (size_t)z.filters,
        .n_packed = panels_floats(z.filters, z.kernel * n_in),
        .n_state = z.ring + ring_floats(z.past, n_in),
        .n_work = (size_t)TILE_ROWS * ((size_t)panels_count(z.filters) * PANEL + z.window),
        .n_back = (size_t)z.filters + z.window,
        .stride = z.stride,
        .multiply_adds = z.stride > 1 ? z.weights / (size_t)z.stride : 0, /* on average */
        .settings = settings,
    };
    return EDDY_OK;
}

static void conv1d_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    const struct conv1d_sizes z = conv1d_sizes(plan->settings, plan->n_in);
    initial_weights(seed, 0, z.weights, (int)z.window, params);
    initial_constant((size_t)z.filters, 0, params + z.weights);
}

/* A panel's rows, like the sums, go from the newest input to the oldest. */
static void conv1d_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    const struct conv1d_sizes z = conv1d_sizes(plan->settings, plan->n_in);
    memset(packed, 0, plan->n_packed * sizeof(float));
    for (size_t f = 0; f < (size_t)z.filters; f++) {
        const float *weight = params + f * z.window; /* [n_in, kernel] */
        float *column = packed + f / PANEL * (1 + z.window) * PANEL + f % PANEL;
        *column = params[z.weights + f];
        for (int k = z.kernel - 1; k >= 0; k--)
            for (int c = 0; c < z.n_in; c++) *(column += PANEL) = weight[c * z.kernel + k];
    }
}

static enum activation conv1d_activation(const struct eddy_layer_plan *plan)
{
    return (enum activation)((const struct conv1d_settings *)plan->settings)->activation;
}

/* Rows that fire together. */
struct conv1d_tile {
    int n;
    const float *x[TILE_ROWS], *past[TILE_ROWS]; /* [n_in] [past, n_in], the newest first */
    float *y[TILE_ROWS];
};

static void conv1d_fire(const struct eddy_layer_plan *plan, const float *packed, struct conv1d_tile *tile,
                        float *sums)
{
    const struct kernels *k = kernels_best();
    const struct conv1d_sizes z = conv1d_sizes(plan->settings, plan->n_in);
    const struct product product = {z.n_in, z.past * z.n_in, panels_count(z.filters), packed};
    const size_t stride = (size_t)product.n_panels * PANEL;
    k->product(&product, tile->n, tile->x, tile->past, sums, stride); /* [n, stride] */
    for (int i = 0; i < tile->n; i++)
        k->activate(conv1d_activation(plan), z.filters, sums + (size_t)i * stride, tile->y[i]);
    tile->n = 0;
}

/* Counts one step; whether it is one that fires. */
static bool conv1d_counts(const struct conv1d_sizes *z, float *state)
{
    if (z->stride == 1) return true;
    const int phase = (ring_counter(state[0], z->stride) + 1) % z->stride;
    state[0] = (float)phase;
    return phase == 0;
}

static void conv1d_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                        float *work)
{
    const struct conv1d_sizes z = conv1d_sizes(plan->settings, plan->n_in);
    float *sums = work + (size_t)TILE_ROWS * z.window;
    struct conv1d_tile tile = {.n = 0};
    for (int b = 0; b < rows->n; b++) {
        float *ring = rows->state[b] + z.ring, *past = work + (size_t)tile.n * z.window;
        if (conv1d_counts(&z, rows->state[b])) {
            ring_copy(ring, z.past, z.n_in, past);
            tile.x[tile.n] = rows->x[b];
            tile.past[tile.n] = past;
            tile.y[tile.n++] = rows->y[b];
        }
        ring_push(ring, z.past, z.n_in, rows->x[b]);
        if (tile.n == TILE_ROWS) conv1d_fire(plan, packed, &tile, sums);
    }
    if (tile.n > 0) conv1d_fire(plan, packed, &tile, sums);
}

/* The next step of the window, from step * n_rows + row on, that fired; the number of all cells when there is none. */
static size_t conv1d_next(const struct conv1d_sizes *z, const struct eddy_layer_plan *plan,
                          const struct eddy_tape *tape, size_t cell)
{
    const size_t n_rows = (size_t)tape->n_rows, cells = (size_t)tape->n_steps * n_rows, stride = (size_t)z->stride;
    for (; cell < cells && stride > 1; cell++) {
        const int phase = ring_counter(tape->start[cell % n_rows * plan->n_state], z->stride);
        if (((size_t)phase + cell / n_rows + 1) % stride == 0) break;
    }
    return cell;
}

/* The inputs that the kernel saw at a cell, into to [n_in, kernel]: those before the window are in its start state. */
static void conv1d_seen(const struct conv1d_sizes *z, const struct eddy_layer_plan *plan,
                        const struct eddy_tape *tape, size_t cell, float *to)
{
    const size_t n_rows = (size_t)tape->n_rows, n_in = (size_t)z->n_in, kernel = (size_t)z->kernel;
    const float *ring = tape->start + cell % n_rows * plan->n_state + z->ring;
    const int step = (int)(cell / n_rows);
    for (int j = 0; j <= z->past; j++) {
        const float *x = j <= step ? tape->x + (cell - (size_t)j * n_rows) * n_in
                                   : ring_row(ring, z->past, z->n_in, j - step);
        for (size_t c = 0; c < n_in; c++) to[c * kernel + kernel - 1 - (size_t)j] = x[c];
    }
}

/* The gradient d_seen [n_in, kernel] goes to those of the inputs that lie within the window. */
static void conv1d_spread(const struct conv1d_sizes *z, const struct eddy_tape *tape, size_t cell,
                          const float *d_seen)
{
    const size_t n_rows = (size_t)tape->n_rows, n_in = (size_t)z->n_in, kernel = (size_t)z->kernel;
    for (size_t j = 0; j < kernel && j * n_rows <= cell; j++) {
        float *d_x = tape->d_x + (cell - j * n_rows) * n_in;
        for (size_t c = 0; c < n_in; c++) d_x[c] += d_seen[c * kernel + kernel - 1 - j];
    }
}

static void conv1d_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *tape,
                            float *d_params, float *back)
{
    const struct kernels *k = kernels_best();
    const struct conv1d_sizes z = conv1d_sizes(plan->settings, plan->n_in);
    const int n_out = z.filters, width = (int)z.window;
    const size_t cells = (size_t)tape->n_steps * (size_t)tape->n_rows;
    float *d_a = back, *seen = back + cells * (size_t)n_out; /* [n, n_out] [n, window] of the n that fired */
    int n = 0;
    for (size_t at = 0; (at = conv1d_next(&z, plan, tape, at)) < cells; at++, n++) {
        const size_t y = at * (size_t)n_out;
        k->activate_back(conv1d_activation(plan), n_out, tape->y + y, tape->d_y + y, d_a + (size_t)n * (size_t)n_out);
        conv1d_seen(&z, plan, tape, at, seen + (size_t)n * z.window);
    }
    matmul_tn(n_out, width, n, (struct matrix){d_a, n_out}, (struct matrix){seen, width}, 1, d_params, width);
    k->add_rows((size_t)n, n_out, d_a, (size_t)n_out, d_params + z.weights);
    if (!tape->d_x) return;
    matmul(n, width, n_out, (struct matrix){d_a, n_out}, (struct matrix){params, width}, 0, seen, width);
    memset(tape->d_x, 0, cells * (size_t)z.n_in * sizeof(float));
    for (size_t at = 0; (at = conv1d_next(&z, plan, tape, at)) < cells; at++, seen += z.window)
        conv1d_spread(&z, tape, at, seen);
}

static bool conv1d_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    const struct conv1d_sizes z = conv1d_sizes(plan->settings, plan->n_in);
    const struct eddy_tensor_info tensors[] = {{"weight", 0, z.filters, (int)z.window}, {"bias", 0, z.filters, 1}};
    return tensor_of(tensors, 2, i, out);
}

const struct eddy_layer layer_conv1d = {
    .part = {.struct_size = sizeof(struct eddy_layer),
             .kind = EDDY_PART_LAYER,
             .name = "conv1d",
             .summary = "Causal convolution over the last inputs; with a stride it shortens the sequence.",
             .options = conv1d_options,
             .settings_size = sizeof(struct conv1d_settings)},
    .plan = conv1d_plan,
    .init = conv1d_init,
    .pack = conv1d_pack,
    .step = conv1d_step,
    .backward = conv1d_backward,
    .tensor = conv1d_tensor,
};
