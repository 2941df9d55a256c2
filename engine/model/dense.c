/* A dense layer.
 *
 *   y = g(W x + b)        W [n_out, n_in]  b [n_out]  g: identity, tanh, relu or sigmoid
 *   backward  d_a = d_y g'(a), found from y;  dW += d_a^T x;  db += sum d_a;  d_x = d_a W
 *
 * Parameters  weight [n_out, n_in] | bias [n_out] unless `bias: false`        State  none        Tape  none: x and y say it all */
#include <stdlib.h>

#include "engine/math/kernels.h"
#include "engine/math/matmul.h"
#include "engine/model/initial.h"
#include "engine/model/layers.h"

static const struct eddy_option dense_options[] = {
    {"units", EDDY_OPT_INT, offsetof(struct layer_dense_settings, units), "32", 1, 1024, "", "Width of the output.",
     NULL, 0, false},
    {"activation", EDDY_OPT_ENUM, offsetof(struct layer_dense_settings, activation), "tanh", 0, 0,
     "identity|tanh|relu|sigmoid", "Function applied to each output; relu does not saturate.", NULL, 0, false},
    {"bias", EDDY_OPT_BOOL, offsetof(struct layer_dense_settings, bias), "true", 0, 0, "",
     "Whether a trained number is added to each output.", NULL, 0, false},
    {0}};

static eddy_status dense_plan(const void *settings, const struct eddy_layer_place *place, struct eddy_layer_plan *out,
                              struct eddy_error *err)
{
    const struct layer_dense_settings *s = settings;
    const int n_in = place->n_in;
    if (n_in < 1 || s->units < 1 || s->units > 1 << 20)
        return eddy_fail(err, EDDY_ECONFIG, "dense: %lld units on %d inputs cannot be", (long long)s->units, n_in);
    const int n_out = (int)s->units;
    *out = (struct eddy_layer_plan){
        .n_in = n_in,
        .n_out = n_out,
        .n_params = (size_t)n_out * (size_t)n_in + (s->bias ? (size_t)n_out : 0),
        .n_packed = panels_floats(n_out, n_in),
        .n_work = (size_t)TILE_ROWS * (size_t)panels_count(n_out) * PANEL,
        .n_back = (size_t)n_out,
        .stride = 1,
        .settings = settings,
    };
    return EDDY_OK;
}

static size_t dense_weights(const struct eddy_layer_plan *plan)
{
    return (size_t)plan->n_out * (size_t)plan->n_in;
}

static bool dense_has_bias(const struct eddy_layer_plan *plan)
{
    return plan->n_params > dense_weights(plan);
}

static void dense_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    initial_weights(seed, 0, dense_weights(plan), plan->n_in, params);
    initial_constant(plan->n_params - dense_weights(plan), 0, params + dense_weights(plan));
}

static void dense_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    const struct panels_source source = {.n_out = plan->n_out,
                                         .n_x = plan->n_in,
                                         .bias = dense_has_bias(plan) ? params + dense_weights(plan) : NULL,
                                         .w = params};
    panels_pack(&source, packed);
}

static enum activation dense_activation(const struct eddy_layer_plan *plan)
{
    return (enum activation)((const struct layer_dense_settings *)plan->settings)->activation;
}

static void dense_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                       float *work)
{
    const struct kernels *k = kernels_best();
    const struct product sums = {plan->n_in, 0, panels_count(plan->n_out), packed};
    const size_t stride = (size_t)sums.n_panels * PANEL;
    for (int first = 0; first < rows->n; first += TILE_ROWS) {
        const int n = rows->n - first < TILE_ROWS ? rows->n - first : TILE_ROWS;
        k->product(&sums, n, rows->x + first, NULL, work, stride); /* [n, stride] */
        for (int b = 0; b < n; b++)
            k->activate(dense_activation(plan), plan->n_out, work + (size_t)b * stride, rows->y[first + b]);
    }
}

static void dense_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *tape,
                           float *d_params, float *back)
{
    const struct kernels *k = kernels_best();
    const int n_in = plan->n_in, n_out = plan->n_out, n = tape->n_steps * tape->n_rows;
    for (int i = 0; i < n; i++) {
        const size_t at = (size_t)i * (size_t)n_out;
        k->activate_back(dense_activation(plan), n_out, tape->y + at, tape->d_y + at, back + at);
    }
    const struct matrix d_a = {back, n_out}, x = {tape->x, n_in}, w = {params, n_in};
    matmul_tn(n_out, n_in, n, d_a, x, 1, d_params, n_in);
    if (dense_has_bias(plan)) k->add_rows((size_t)n, n_out, back, (size_t)n_out, d_params + dense_weights(plan));
    if (tape->d_x) matmul(n, n_in, n_out, d_a, w, 0, tape->d_x, n_in);
}

static bool dense_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    const struct eddy_tensor_info tensors[] = {{"weight", 0, plan->n_out, plan->n_in}, {"bias", 0, plan->n_out, 1}};
    return tensor_of(tensors, dense_has_bias(plan) ? 2 : 1, i, out);
}

const struct eddy_layer layer_dense = {
    .part = {.struct_size = sizeof(struct eddy_layer),
             .kind = EDDY_PART_LAYER,
             .name = "dense",
             .summary = "Feed-forward layer: y = g(W x + b).",
             .options = dense_options,
             .settings_size = sizeof(struct layer_dense_settings)},
    .plan = dense_plan,
    .init = dense_init,
    .pack = dense_pack,
    .step = dense_step,
    .backward = dense_backward,
    .tensor = dense_tensor,
};
