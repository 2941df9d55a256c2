/* Stacked causal convolutions whose dilation d = 2^l doubles from layer to layer (van den Oord et al. 2016): the low
 * layers learn short patterns, the high ones long ones, over (K-1) (2^L - 1) + 1 steps in all.  K = kernel, L = layers.
 *
 *   r_0 = W_in x + b_in;   for l = 0 .. L-1, with u_t = [r_l(t - d (K-1)) | .. | r_l(t - d) | r_l(t)], 0 before the start:
 *   f = tanh(W_f u + b_f)    g = s(W_g u + b_g)    z = f g    q += W_s z + b_s    r_{l+1} = r_l + W_r z + b_r
 *   y = relu(q)              the last layer's r_{l+1} is read by nobody, so there is no W_r for it
 *
 *   backward, layer by layer from the top, over all steps at once (a: sums, d_: gradients):
 *   d_q = d_y relu'    d_z = d_q W_s + d_r W_r    d_a_f = d_z g tanh'    d_a_g = d_z f s'
 *   dW_s += d_q^T z    dW_r += d_r^T z    d[W_f | W_g] += d_a^T u    and the biases likewise
 *   d_r_l(t - j d) = d_r_{l+1}(t - j d) + d_a(t) W_j for the steps t - j d within the window, W_j the columns of that tap
 *
 * Parameters  in [C, n_in], [C] | gates [L, f g, C, K C], [L, f g, C] | residual [L-1, C, C], [L-1, C]
 *             | skip [L, S, C], [L, S]: each weight, then its bias; the taps of a gate from the oldest to the newest
 * State       for each layer a ring of the last (K-1) d of its r_l [C] */
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/math/matmul.h"
#include "engine/model/initial.h"
#include "engine/model/layers.h"
#include "engine/model/ring.h"

enum { GATES = 2, SAVED = 3 /* r, f, g of each layer and step */, BACK = 5 /* d_r, d_a_f, d_a_g, d_z, z or old r */ };
enum { MAX_CHANNELS = 256, MAX_LAYERS = 12, MAX_KERNEL = 16, MAX_SKIP = 1024, MAX_STATE = 1 << 20 };

struct wavenet_settings {
    int64_t channels, layers, kernel, skip;
};

static const struct eddy_option wavenet_options[] = {
    {"channels", EDDY_OPT_INT, offsetof(struct wavenet_settings, channels), "16", 1, MAX_CHANNELS, "",
     "Width of the path that runs through all layers.", NULL, 0, false},
    {"layers", EDDY_OPT_INT, offsetof(struct wavenet_settings, layers), "6", 1, MAX_LAYERS, "",
     "Number of convolutions; each looks twice as far back as the one below. With a kernel of 2 they see the last "
     "2^layers steps together, and about as many times `channels` numbers are kept per key.",
     NULL, 0, false},
    {"kernel", EDDY_OPT_INT, offsetof(struct wavenet_settings, kernel), "2", 2, MAX_KERNEL, "taps",
     "How many points of the past each convolution looks at, this step among them.", NULL, 0, false},
    {"skip", EDDY_OPT_INT, offsetof(struct wavenet_settings, skip), "32", 1, MAX_SKIP, "",
     "Width of the output, to which every layer adds.", NULL, 0, false},
    {0}};

struct wavenet_sizes {
    int n_in, channels, layers, kernel, skip, taps; /* taps = kernel * channels, the width of u */
};

static struct wavenet_sizes wavenet_sizes(const struct wavenet_settings *s, int n_in)
{
    return (struct wavenet_sizes){n_in,           (int)s->channels, (int)s->layers,
                                  (int)s->kernel, (int)s->skip,     (int)(s->kernel * s->channels)};
}

/* Where the tensors of layer l lie in params [n_params]. */
struct wavenet_params {
    size_t in, in_bias, gates, gates_bias, residual, residual_bias, skip, skip_bias, end;
};

static struct wavenet_params wavenet_places(const struct wavenet_sizes *z, int layer)
{
    const size_t c = (size_t)z->channels, s = (size_t)z->skip, layers = (size_t)z->layers, l = (size_t)layer;
    const size_t gates = GATES * c * (size_t)z->taps, in_bias = c * (size_t)z->n_in, first = in_bias + c;
    const size_t gates_bias = first + layers * gates, residual = gates_bias + layers * GATES * c;
    const size_t residual_bias = residual + (layers - 1) * c * c, skip = residual_bias + (layers - 1) * c;
    const size_t skip_bias = skip + layers * s * c;
    return (struct wavenet_params){.in_bias = in_bias,
                                   .gates = first + l * gates,
                                   .gates_bias = gates_bias + l * GATES * c,
                                   .residual = residual + l * c * c,
                                   .residual_bias = residual_bias + l * c,
                                   .skip = skip + l * s * c,
                                   .skip_bias = skip_bias + l * s,
                                   .end = skip_bias + layers * s};
}

/* Where the panels lie in packed [n_packed]: in, then for each layer f g | skip residual, of which the last has none. */
struct wavenet_panels {
    size_t gates, skip, residual, end;
};

static struct wavenet_panels wavenet_packed(const struct wavenet_sizes *z, int layer)
{
    const size_t gates = panels_floats(z->channels, z->taps), skip = panels_floats(z->skip, z->channels);
    const size_t residual = panels_floats(z->channels, z->channels), in = panels_floats(z->channels, z->n_in);
    const size_t first = in + (size_t)layer * (GATES * gates + skip + residual);
    return (struct wavenet_panels){first, first + GATES * gates, first + GATES * gates + skip,
                                   first + GATES * gates + skip + (layer + 1 < z->layers ? residual : 0)};
}

/* Layer l's ring has so many slots and begins after so many floats of the state. */
static int wavenet_slots(const struct wavenet_sizes *z, int layer)
{
    return (z->kernel - 1) << layer;
}
static size_t wavenet_ring(const struct wavenet_sizes *z, int layer)
{
    return (size_t)layer + (size_t)(wavenet_slots(z, layer) - wavenet_slots(z, 0)) * (size_t)z->channels;
}

/* Floats that the sums of one row take. */
static size_t wavenet_width(int n_out)
{
    return (size_t)panels_count(n_out) * PANEL;
}

/* Rows that go through all layers together, and their scratch. */
struct wavenet_tile {
    int n;
    float *saved; /* [r | f | g] of one row when there is no tape */
    float *u;     /* [n, K C] */
    float *sums;  /* [n, 2 width] of f and g */
    float *z;     /* [n, C] */
    float *out;   /* [n, skip width + width] what z adds to q and to r */
    const float *u_rows[TILE_ROWS], *z_rows[TILE_ROWS];
};

static size_t wavenet_work(const struct wavenet_sizes *z)
{
    const size_t sums = (GATES + 1) * wavenet_width(z->channels) + wavenet_width(z->skip);
    return (size_t)TILE_ROWS * (sums + (size_t)(z->taps + z->channels)) + SAVED * (size_t)z->channels;
}

static void wavenet_tile_open(const struct wavenet_sizes *z, float *work, struct wavenet_tile *tile)
{
    tile->saved = work;
    tile->u = tile->saved + SAVED * z->channels;
    tile->sums = tile->u + TILE_ROWS * z->taps;
    tile->z = tile->sums + (size_t)TILE_ROWS * GATES * wavenet_width(z->channels);
    tile->out = tile->z + TILE_ROWS * z->channels;
    for (int b = 0; b < TILE_ROWS; b++) {
        tile->u_rows[b] = tile->u + b * z->taps;
        tile->z_rows[b] = tile->z + b * z->channels;
    }
}

static eddy_status wavenet_plan(const void *settings, const struct eddy_layer_place *place,
                                struct eddy_layer_plan *out, struct eddy_error *err)
{
    const struct wavenet_settings *s = settings;
    const int n_in = place->n_in;
    if (n_in < 1 || s->channels < 1 || s->channels > MAX_CHANNELS || s->layers < 1 || s->layers > MAX_LAYERS ||
        s->kernel < 2 || s->kernel > MAX_KERNEL || s->skip < 1 || s->skip > MAX_SKIP)
        return eddy_fail(err, EDDY_ECONFIG,
                         "wavenet: %lld layers of %lld channels, kernel %lld and skip %lld on %d inputs cannot be",
                         (long long)s->layers, (long long)s->channels, (long long)s->kernel, (long long)s->skip,
                         n_in);
    const struct wavenet_sizes z = wavenet_sizes(s, n_in);
    const size_t channels = (size_t)z.channels, n_state = wavenet_ring(&z, z.layers);
    if (n_state > MAX_STATE)
        return eddy_fail(
            err, EDDY_ECONFIG,
            "wavenet: %d layers with %d channels and kernel %d would keep %zu numbers per key, at most %d "
            "can be",
            z.layers, z.channels, z.kernel, n_state, MAX_STATE);
    *out = (struct eddy_layer_plan){
        .n_in = n_in,
        .n_out = z.skip,
        .n_params = wavenet_places(&z, 0).end,
        .n_packed = wavenet_packed(&z, z.layers - 1).end,
        .n_state = n_state,
        .n_tape = SAVED * channels * (size_t)z.layers,
        .n_work = wavenet_work(&z),
        .n_back = (size_t)z.skip + BACK * channels,
        .stride = 1,
        .settings = settings,
    };
    return EDDY_OK;
}

static void wavenet_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    const struct wavenet_sizes z = wavenet_sizes(plan->settings, plan->n_in);
    const struct wavenet_params at = wavenet_places(&z, 0);
    initial_constant(plan->n_params, 0, params); /* the biases stay at it */
    initial_weights(seed, at.in, at.in_bias, z.n_in, params + at.in);
    initial_weights(seed, at.gates, at.gates_bias - at.gates, z.taps, params + at.gates);
    initial_weights(seed, at.residual, at.residual_bias - at.residual, z.channels, params + at.residual);
    initial_weights(seed, at.skip, at.skip_bias - at.skip, z.channels, params + at.skip);
}

static void wavenet_pack_one(int n_out, int n_x, const float *weight, const float *bias, float *packed)
{
    panels_pack(&(struct panels_source){.n_out = n_out, .n_x = n_x, .bias = bias, .w = weight}, packed);
}

static void wavenet_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    const struct wavenet_sizes z = wavenet_sizes(plan->settings, plan->n_in);
    const int c = z.channels;
    for (int l = 0; l < z.layers; l++) {
        const struct wavenet_params at = wavenet_places(&z, l);
        const struct wavenet_panels to = wavenet_packed(&z, l);
        const float *f = params + at.gates, *f_bias = params + at.gates_bias;
        if (l == 0) wavenet_pack_one(c, z.n_in, params + at.in, params + at.in_bias, packed);
        wavenet_pack_one(c, z.taps, f, f_bias, packed + to.gates);
        wavenet_pack_one(c, z.taps, f + c * z.taps, f_bias + c, packed + to.gates + panels_floats(c, z.taps));
        wavenet_pack_one(z.skip, c, params + at.skip, params + at.skip_bias, packed + to.skip);
        if (l + 1 < z.layers)
            wavenet_pack_one(c, c, params + at.residual, params + at.residual_bias, packed + to.residual);
    }
}

/* The newest tap of u, which is r. */
static float *wavenet_r(const struct wavenet_sizes *z, const struct wavenet_tile *tile, int row)
{
    return tile->u + (row + 1) * z->taps - z->channels;
}

/* The older taps of u come out of the ring, and r goes into it. */
static void wavenet_taps(const struct wavenet_sizes *z, int layer, float *const *state, struct wavenet_tile *tile)
{
    const int slots = wavenet_slots(z, layer), c = z->channels, past = z->kernel - 1;
    for (int b = 0; b < tile->n; b++) {
        float *ring = state[b] + wavenet_ring(z, layer), *u = tile->u + b * z->taps;
        for (int k = 0; k < past; k++)
            memcpy(u + k * c, ring_row(ring, slots, c, (past - k) << layer), (size_t)c * sizeof(float));
        ring_push(ring, slots, c, wavenet_r(z, tile, b));
    }
}

/* z = f g from their sums; r, f and g go to the layer's part of the tape, in rows n_tape apart, if there is one. */
static void wavenet_gates(const struct wavenet_sizes *z, float *tape, size_t n_tape, struct wavenet_tile *tile)
{
    const struct kernels *k = kernels_best();
    const int c = z->channels;
    const size_t width = wavenet_width(c);
    for (int b = 0; b < tile->n; b++) {
        const float *sums = tile->sums + (size_t)b * GATES * width;
        float *saved = tape ? tape + (size_t)b * n_tape : tile->saved, *f = saved + c, *g = f + c;
        float *product = tile->z + b * c;
        k->activate(ACTIVATION_TANH, c, sums, f);
        k->activate(ACTIVATION_SIGMOID, c, sums + width, g);
        for (int j = 0; j < c; j++) product[j] = f[j] * g[j];
        if (tape) memcpy(saved, wavenet_r(z, tile, b), (size_t)c * sizeof(float));
    }
}

/* q += W_s z + b_s in y and r += W_r z + b_r. */
static void wavenet_paths(const struct wavenet_sizes *z, const float *packed, bool last, float *const *y,
                          struct wavenet_tile *tile)
{
    const struct kernels *k = kernels_best();
    const int panels = panels_count(z->skip) + (last ? 0 : panels_count(z->channels));
    const size_t skip = wavenet_width(z->skip), stride = skip + wavenet_width(z->channels);
    k->product(&(struct product){z->channels, 0, panels, packed}, tile->n, tile->z_rows, NULL, tile->out, stride);
    for (int b = 0; b < tile->n; b++) {
        const float *out = tile->out + (size_t)b * stride;
        k->add((size_t)z->skip, out, y[b]);
        if (!last) k->add((size_t)z->channels, out + skip, wavenet_r(z, tile, b));
    }
}

/* r = r_0 and q = 0, from which the layers go on. */
static void wavenet_start(const struct wavenet_sizes *z, const float *packed, const float *const *x, float *const *y,
                          struct wavenet_tile *tile)
{
    const size_t width = wavenet_width(z->channels);
    const struct product in = {z->n_in, 0, panels_count(z->channels), packed};
    kernels_best()->product(&in, tile->n, x, NULL, tile->out, width);
    for (int b = 0; b < tile->n; b++) {
        memcpy(wavenet_r(z, tile, b), tile->out + (size_t)b * width, (size_t)z->channels * sizeof(float));
        memset(y[b], 0, (size_t)z->skip * sizeof(float));
    }
}

static void wavenet_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                         float *work)
{
    const struct kernels *k = kernels_best();
    const struct wavenet_sizes z = wavenet_sizes(plan->settings, plan->n_in);
    const size_t saved = SAVED * (size_t)z.channels;
    struct wavenet_tile tile;
    wavenet_tile_open(&z, work, &tile);
    for (int first = 0; first < rows->n; first += TILE_ROWS) {
        float *tape = rows->tape ? rows->tape + (size_t)first * plan->n_tape : NULL, *const *y = rows->y + first;
        tile.n = rows->n - first < TILE_ROWS ? rows->n - first : TILE_ROWS;
        wavenet_start(&z, packed, rows->x + first, y, &tile);
        for (int l = 0; l < z.layers; l++) {
            const struct wavenet_panels at = wavenet_packed(&z, l);
            const struct product gates = {z.taps, 0, GATES * panels_count(z.channels), packed + at.gates};
            wavenet_taps(&z, l, rows->state + first, &tile);
            k->product(&gates, tile.n, tile.u_rows, NULL, tile.sums, GATES * wavenet_width(z.channels));
            wavenet_gates(&z, tape ? tape + (size_t)l * saved : NULL, plan->n_tape, &tile);
            wavenet_paths(&z, packed + at.skip, l + 1 == z.layers, y, &tile);
        }
        for (int b = 0; b < tile.n; b++)
            for (int j = 0; j < z.skip; j++) y[b][j] = y[b][j] > 0 ? y[b][j] : 0;
    }
}

/* The way back through a window of n = T B steps, at one layer. */
struct wavenet_back {
    struct wavenet_sizes z;
    const struct eddy_tape *tape;
    size_t n_state, n_tape;
    int layer, n;
    const float *params;
    float *d_params;
    float *d_q;  /* [n, S] */
    float *d_r;  /* [n, C] by the layer's output, then by its input */
    float *d_a;  /* [n, f g, C] */
    float *d_z;  /* [n, C] */
    float *some; /* [n, C] z, then what the taps saw before the window */
};

static const float *wavenet_saved(const struct wavenet_back *w)
{
    return w->tape->tape + w->layer * SAVED * w->z.channels; /* [r | f | g] in rows n_tape apart */
}

/* W, b: dW += d_out^T z, db += sum d_out, and d_z = beta d_z + d_out W for d_out [n, n_out]. */
static void wavenet_path_back(struct wavenet_back *w, int n_out, float *d_out, size_t weight, size_t bias, float beta)
{
    const int c = w->z.channels;
    const struct matrix d = {d_out, n_out}, z = {w->some, c}, weights = {w->params + weight, c};
    matmul_tn(n_out, c, w->n, d, z, 1, w->d_params + weight, c);
    kernels_best()->add_rows((size_t)w->n, n_out, d_out, (size_t)n_out, w->d_params + bias);
    matmul(w->n, c, n_out, d, weights, beta, w->d_z, c);
}

static void wavenet_gates_back(struct wavenet_back *w)
{
    const size_t c = (size_t)w->z.channels, n = (size_t)w->n;
    const struct wavenet_params at = wavenet_places(&w->z, w->layer);
    for (size_t i = 0; i < n; i++) {
        const float *f = wavenet_saved(w) + i * w->n_tape + c, *g = f + c;
        for (size_t j = 0; j < c; j++) w->some[i * c + j] = f[j] * g[j];
    }
    wavenet_path_back(w, w->z.skip, w->d_q, at.skip, at.skip_bias, 0);
    if (w->layer + 1 < w->z.layers) wavenet_path_back(w, w->z.channels, w->d_r, at.residual, at.residual_bias, 1);
    for (size_t i = 0; i < n; i++) {
        const float *f = wavenet_saved(w) + i * w->n_tape + c, *g = f + c, *d_z = w->d_z + i * c;
        float *d_f = w->d_a + i * GATES * c, *d_g = d_f + c;
        for (size_t j = 0; j < c; j++) {
            d_f[j] = d_z[j] * g[j] * (1 - f[j] * f[j]);
            d_g[j] = d_z[j] * f[j] * g[j] * (1 - g[j]);
        }
    }
    kernels_best()->add_rows(n, GATES * w->z.channels, w->d_a, GATES * c, w->d_params + at.gates_bias);
}

/* The r_l of `lag` steps before each of the first n_steps of the window, into some [n_steps, B, C]. */
static void wavenet_before(struct wavenet_back *w, int lag, int n_steps)
{
    const int c = w->z.channels, slots = wavenet_slots(&w->z, w->layer), n_rows = w->tape->n_rows;
    float *to = w->some;
    for (int t = 0; t < n_steps; t++)
        for (int b = 0; b < n_rows; b++, to += c) {
            const float *start = w->tape->start + (size_t)b * w->n_state + wavenet_ring(&w->z, w->layer);
            memcpy(to, ring_row(start, slots, c, lag - t), (size_t)c * sizeof(float));
        }
}

/* Tap k, which looks `lag` steps back: the first steps of the window see what was before it, the others r_l on the
 * tape. */
static void wavenet_tap_back(struct wavenet_back *w, int k)
{
    const int c = w->z.channels, lag = (w->z.kernel - 1 - k) << w->layer, n_steps = w->tape->n_steps;
    const int before = lag < n_steps ? lag : n_steps, n_before = before * w->tape->n_rows, n_within = w->n - n_before;
    const size_t columns = wavenet_places(&w->z, w->layer).gates + (size_t)(k * c);
    const struct matrix d_before = {w->d_a, GATES * c},
                        d_within = {w->d_a + (size_t)n_before * GATES * (size_t)c, GATES * c};
    const struct matrix within = {wavenet_saved(w), (int)w->n_tape}, weights = {w->params + columns, w->z.taps};
    float *d_weights = w->d_params + columns;
    wavenet_before(w, lag, before);
    matmul_tn(GATES * c, c, n_before, d_before, (struct matrix){w->some, c}, 1, d_weights, w->z.taps);
    matmul_tn(GATES * c, c, n_within, d_within, within, 1, d_weights, w->z.taps);
    matmul(n_within, c, GATES * c, d_within, weights, 1, w->d_r, c);
}

static void wavenet_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *tape,
                             float *d_params, float *back)
{
    const struct kernels *k = kernels_best();
    const struct wavenet_sizes z = wavenet_sizes(plan->settings, plan->n_in);
    const struct wavenet_params at = wavenet_places(&z, 0);
    const int c = z.channels, n = tape->n_steps * tape->n_rows;
    const size_t cells = (size_t)n, floats = cells * (size_t)c;
    struct wavenet_back w = {.z = z, .tape = tape, .n_state = plan->n_state, .n_tape = plan->n_tape, .n = n};
    w.params = params;
    w.d_params = d_params;
    w.d_q = back;
    w.d_r = w.d_q + cells * (size_t)z.skip;
    w.d_a = w.d_r + floats;
    w.d_z = w.d_a + GATES * floats;
    w.some = w.d_z + floats;
    for (size_t i = 0; i < cells * (size_t)z.skip; i++) w.d_q[i] = tape->y[i] > 0 ? tape->d_y[i] : 0;
    memset(w.d_r, 0, floats * sizeof(float));
    for (w.layer = z.layers - 1; w.layer >= 0; w.layer--) {
        wavenet_gates_back(&w);
        for (int tap = 0; tap < z.kernel; tap++) wavenet_tap_back(&w, tap);
    }
    const struct matrix d_r = {w.d_r, c};
    matmul_tn(c, z.n_in, n, d_r, (struct matrix){tape->x, z.n_in}, 1, d_params + at.in, z.n_in);
    k->add_rows(cells, c, w.d_r, (size_t)c, d_params + at.in_bias);
    if (tape->d_x) matmul(n, z.n_in, c, d_r, (struct matrix){params + at.in, z.n_in}, 0, tape->d_x, z.n_in);
}

static bool wavenet_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    const struct wavenet_sizes z = wavenet_sizes(plan->settings, plan->n_in);
    const int c = z.channels, gates = z.layers * GATES * c, residual = (z.layers - 1) * c, skip = z.layers * z.skip;
    const struct eddy_tensor_info tensors[] = {{"weight_in", 0, c, z.n_in},         {"bias_in", 0, c, 1},
                                               {"weight_gates", 0, gates, z.taps},  {"bias_gates", 0, gates, 1},
                                               {"weight_residual", 0, residual, c}, {"bias_residual", 0, residual, 1},
                                               {"weight_skip", 0, skip, c},         {"bias_skip", 0, skip, 1}};
    return tensor_of(tensors, 8, z.layers == 1 && i > 3 ? i + 2 : i, out); /* one layer has no residual path */
}

const struct eddy_layer layer_wavenet = {
    .part = {.struct_size = sizeof(struct eddy_layer),
             .kind = EDDY_PART_LAYER,
             .name = "wavenet",
             .summary =
                 "WaveNet: stacked causal convolutions with doubling dilation, gated, with residual and skip paths.",
             .options = wavenet_options,
             .settings_size = sizeof(struct wavenet_settings)},
    .plan = wavenet_plan,
    .init = wavenet_init,
    .pack = wavenet_pack,
    .step = wavenet_step,
    .backward = wavenet_backward,
    .tensor = wavenet_tensor,
};
