/* A long short-term memory layer (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).
 *
 *   i = s(W_i x + U_i h + b_i)    f = s(W_f x + U_f h + b_f)    g = tanh(W_g x + U_g h + b_g)    o = s(W_o x + U_o h + b_o)
 *   c' = f c + i g                h' = o tanh(c')               y = h'
 *
 *   backward, from the last step to the first (a: gate sums, d_: gradients, H = units):
 *   d_h = d_y + (d_a U of the step after)     d_c = (d_c f of the step after) + d_h o (1 - tanh^2 c')
 *   d_a = [d_c g s'(a_i) | d_c c s'(a_f) | d_c i tanh'(a_g) | d_h tanh(c') s'(a_o)]
 *   dW += d_a^T x    dU += d_a^T h    db += sum d_a    d_x = d_a W        over all steps at once
 *
 * Parameters  weight_ih W [4H, n_in] | weight_hh U [4H, H] | bias [4H], gates in the order i, f, g, o
 * State       h [H] | c [H] */
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/math/matmul.h"
#include "engine/model/initial.h"
#include "engine/model/layers.h"

enum { GATES = 4 };

struct lstm_settings {
    int64_t units;
    double forget_bias; /* where the forget gate's bias starts */
};

static const struct eddy_option lstm_options[] = {
    {"units", EDDY_OPT_INT, offsetof(struct lstm_settings, units), "32", 1, 1024, "",
     "Width of the output h; the state kept per key is twice that, h and c.", NULL, 0, false},
    {"forget_bias", EDDY_OPT_REAL, offsetof(struct lstm_settings, forget_bias), "1", -10, 10, "",
     "Where the forget gate's bias starts; above 0 a new network remembers.", NULL, 0, false},
    {0}};

/* Where the tensors lie in params [n_params]. */
struct lstm_params {
    size_t w, u, b;
};

static struct lstm_params lstm_places(const struct eddy_layer_plan *plan)
{
    const size_t gates = (size_t)GATES * (size_t)plan->n_out;
    const size_t u = gates * (size_t)plan->n_in;
    return (struct lstm_params){0, u, u + gates * (size_t)plan->n_out};
}

static eddy_status lstm_plan(const void *settings, const struct eddy_layer_place *place, struct eddy_layer_plan *out,
                             struct eddy_error *err)
{
    const struct lstm_settings *s = settings;
    const int n_in = place->n_in;
    if (n_in < 1 || s->units < 1 || s->units > 1024)
        return eddy_fail(err, EDDY_ECONFIG, "lstm: %lld units on %d inputs cannot be", (long long)s->units, n_in);
    const size_t units = (size_t)s->units;
    *out = (struct eddy_layer_plan){
        .n_in = n_in,
        .n_out = (int)units,
        .n_params = GATES * units * ((size_t)n_in + units + 1),
        .n_packed = GATES * panels_floats((int)units, n_in + (int)units),
        .n_state = 2 * units,
        .n_tape = LSTM_TAPE * units,
        .n_work = (size_t)TILE_ROWS * GATES * (size_t)panels_count((int)units) * PANEL,
        .n_back = (GATES + 2) * units, /* d_a of every step; d_h and d_c of one */
        .stride = 1,
        .settings = settings,
        .state_gradient = true,
    };
    return EDDY_OK;
}

static void lstm_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    const struct lstm_settings *s = plan->settings;
    const struct lstm_params at = lstm_places(plan);
    const size_t units = (size_t)plan->n_out;
    initial_weights(seed, 0, at.u, plan->n_in, params);
    initial_weights(seed, at.u, at.b - at.u, plan->n_out, params + at.u);
    initial_constant(GATES * units, 0, params + at.b);
    initial_constant(units, (float)s->forget_bias, params + at.b + units);
}

static void lstm_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    const struct lstm_params at = lstm_places(plan);
    const size_t units = (size_t)plan->n_out, n_in = (size_t)plan->n_in;
    for (size_t gate = 0; gate < GATES; gate++) {
        const struct panels_source source = {
            .n_out = plan->n_out,
            .n_x = plan->n_in,
            .n_h = plan->n_out,
            .bias = params + at.b + gate * units,
            .w = params + at.w + gate * units * n_in,
            .u = params + at.u + gate * units * units,
        };
        panels_pack(&source, packed + gate * panels_floats(plan->n_out, plan->n_in + plan->n_out));
    }
}

static void lstm_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                      float *work)
{
    const struct kernels *k = kernels_best();
    const struct product sums = {plan->n_in, plan->n_out, GATES * panels_count(plan->n_out), packed};
    const size_t stride = (size_t)sums.n_panels * PANEL;
    float *tape = rows->tape;
    for (int first = 0; first < rows->n; first += TILE_ROWS) {
        const int n = rows->n - first < TILE_ROWS ? rows->n - first : TILE_ROWS;
        float *const *state = rows->state + first;
        k->product(&sums, n, rows->x + first, (const float *const *)state, work, stride); /* [n, i f g o] */
        k->lstm(n, plan->n_out, work, stride, state, rows->y + first, tape);
        if (tape) tape += (size_t)n * plan->n_tape;
    }
}

/* d_h and d_c [B, H] from the gradient by the last states [B, h c]; NULL = 0. */
static void lstm_split(int n_rows, int units, const float *d_end, float *d_h, float *d_c)
{
    const size_t h = (size_t)units, bytes = h * sizeof(float);
    memset(d_h, 0, (size_t)n_rows * bytes);
    memset(d_c, 0, (size_t)n_rows * bytes);
    for (int b = 0; b < n_rows && d_end; b++, d_end += 2 * h, d_h += h, d_c += h) {
        memcpy(d_h, d_end, bytes);
        memcpy(d_c, d_end + h, bytes);
    }
}

/* And back, for the first ones. */
static void lstm_join(int n_rows, int units, const float *d_h, const float *d_c, float *d_start)
{
    const size_t h = (size_t)units, bytes = h * sizeof(float);
    for (int b = 0; b < n_rows; b++, d_start += 2 * h, d_h += h, d_c += h) {
        memcpy(d_start, d_h, bytes);
        memcpy(d_start + h, d_c, bytes);
    }
}

/* d_a [T, B, 4H] of all steps, from the last to the first. */
static void lstm_unroll(const struct eddy_layer_plan *plan, struct matrix u, const struct eddy_tape *tape, float *d_a,
                        float *d_h, float *d_c)
{
    const struct kernels *k = kernels_best();
    const int units = plan->n_out, n_rows = tape->n_rows;
    const size_t row_floats = (size_t)n_rows * (size_t)units;
    lstm_split(n_rows, units, tape->d_end, d_h, d_c);
    for (int t = tape->n_steps - 1; t >= 0; t--) {
        float *d_step = d_a + (size_t)t * GATES * row_floats;
        k->add(row_floats, tape->d_y + (size_t)t * row_floats, d_h);
        k->lstm_back(n_rows, units, tape->tape + (size_t)t * LSTM_TAPE * row_floats, d_h, d_c, d_step);
        if (t > 0 || tape->d_start)
            matmul(n_rows, units, GATES * units, (struct matrix){d_step, GATES * units}, u, 0, d_h, units);
    }
    if (tape->d_start) lstm_join(n_rows, units, d_h, d_c, tape->d_start);
}

static void lstm_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *tape,
                          float *d_params, float *back)
{
    const struct lstm_params at = lstm_places(plan);
    const int units = plan->n_out, gates = GATES * units, n = tape->n_steps * tape->n_rows;
    float *d_h = back + (size_t)n * (size_t)gates, *d_c = d_h + (size_t)tape->n_rows * (size_t)units;
    const struct matrix d_a = {back, gates}, w = {params + at.w, plan->n_in}, u = {params + at.u, units};
    const struct matrix x = {tape->x, plan->n_in}, h = {tape->tape + (LSTM_TAPE - 1) * units, LSTM_TAPE * units};

    lstm_unroll(plan, u, tape, back, d_h, d_c);
    matmul_tn(gates, plan->n_in, n, d_a, x, 1, d_params + at.w, plan->n_in);
    matmul_tn(gates, units, n, d_a, h, 1, d_params + at.u, units);
    kernels_best()->add_rows((size_t)n, gates, back, (size_t)gates, d_params + at.b);
    if (tape->d_x) matmul(n, plan->n_in, gates, d_a, w, 0, tape->d_x, plan->n_in);
}

static bool lstm_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    const int gates = GATES * plan->n_out;
    const struct eddy_tensor_info tensors[] = {
        {"weight_ih", 0, gates, plan->n_in}, {"weight_hh", 0, gates, plan->n_out}, {"bias", 0, gates, 1}};
    return tensor_of(tensors, 3, i, out);
}

const struct eddy_layer layer_lstm = {
    .part = {.struct_size = sizeof(struct eddy_layer),
             .kind = EDDY_PART_LAYER,
             .name = "lstm",
             .summary = "Long short-term memory: gated cell with a state h and a memory c.",
             .options = lstm_options,
             .settings_size = sizeof(struct lstm_settings)},
    .plan = lstm_plan,
    .init = lstm_init,
    .pack = lstm_pack,
    .step = lstm_step,
    .backward = lstm_backward,
    .tensor = lstm_tensor,
};
