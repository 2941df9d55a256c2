/* A simple recurrent layer (Elman 1990).
 *
 *   h' = g(W x + b + U h)        y = h'        g: tanh or relu
 *
 *   backward, from the last step to the first:  d_a = d_h g'(a), found from h'
 *
 * What it shares with the other cells (learned start, decay, dropout, layer normalisation) is in cell.h.
 * Parameters  weight_ih W [H, n_in] | weight_hh U [H, H] | bias_ih b [H] | the options'        State  h [H] */
#include <string.h>

#include "engine/model/cell_inline.h"
#include "engine/model/layers.h"

enum { TAPE_BLOCKS = 2 /* h' | h */ };

struct rnn_settings {
    struct cell_settings cell;
    int activation; /* 0 tanh, 1 relu */
};

static const struct eddy_option rnn_options[] = {
    CELL_OPTIONS("Width of the output h, which is also the state kept per key."),
    {"activation", EDDY_OPT_ENUM, offsetof(struct rnn_settings, activation), "tanh", 0, 0, "tanh|relu",
     "Function applied to each sum. relu does not saturate: in a recurrent layer the state can grow without bound.",
     NULL, 0, false},
    {0}};

static enum activation rnn_activation(const struct cell_settings *s)
{
    return ((const struct rnn_settings *)(const void *)s)->activation == 1 ? ACTIVATION_RELU : ACTIVATION_TANH;
}

CELL_INLINE void rnn_run(enum activation g, int n, int units, const float *a, size_t stride, float *const *state,
                         float *const *y, float *tape, size_t tape_stride)
{
    const struct kernels *k = kernels_best();
    const size_t bytes = (size_t)units * sizeof(float);
    for (int b = 0; b < n; b++, a += stride) {
        if (tape) memcpy(tape + (size_t)b * tape_stride + units, state[b], bytes);
        k->activate(g, units, a, y[b]);
        memcpy(state[b], y[b], bytes);
        if (tape) memcpy(tape + (size_t)b * tape_stride, y[b], bytes);
    }
}

static void rnn_gates(const struct cell *c, const float *extra, int n, const float *a, size_t stride,
                      float *const *state, float *const *y, float *tape, size_t tape_stride)
{
    (void)extra;
    rnn_run(rnn_activation(c->settings), n, c->units, a, stride, state, y, tape, tape_stride);
}

/* The two as kernels. */
static void rnn_tanh(int n, int units, const float *a, size_t stride, float *const *state, float *const *y,
                     float *tape)
{
    rnn_run(ACTIVATION_TANH, n, units, a, stride, state, y, tape, (size_t)TAPE_BLOCKS * (size_t)units);
}

static void rnn_relu(int n, int units, const float *a, size_t stride, float *const *state, float *const *y,
                     float *tape)
{
    rnn_run(ACTIVATION_RELU, n, units, a, stride, state, y, tape, (size_t)TAPE_BLOCKS * (size_t)units);
}

static void rnn_back(const struct cell *c, const float *extra, int n, const float *tape, size_t tape_stride,
                     float *d_h, float *d_c, float *d_a, float *d_extra)
{
    const size_t units = (size_t)c->units;
    (void)extra, (void)d_c, (void)d_extra;
    for (int b = 0; b < n; b++)
        kernels_best()->activate_back(rnn_activation(c->settings), c->units, tape + (size_t)b * tape_stride,
                                      d_h + (size_t)b * units, d_a + (size_t)b * units);
    memset(d_h, 0, (size_t)n * units * sizeof(float));
}

static const struct cell_kind rnn_kind = {
    .name = "rnn", .n_gates = 1, .n_states = 1, .tape_blocks = TAPE_BLOCKS, .gates = rnn_gates, .back = rnn_back};

static eddy_status rnn_plan(const void *settings, const struct eddy_layer_place *place, struct eddy_layer_plan *out,
                            struct eddy_error *err)
{
    return cell_plan(&rnn_kind, settings, false, place->n_in, out, err);
}

static void rnn_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    const struct cell c = cell_of(&rnn_kind, plan, false);
    cell_init(&c, seed, params);
}

static void rnn_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    const struct cell c = cell_of(&rnn_kind, plan, false);
    cell_pack(&c, params, packed);
}

static void rnn_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                     float *work)
{
    if (cell_is_plain(plan)) {
        const bool relu = rnn_activation(plan->settings) == ACTIVATION_RELU;
        cell_plain_step(plan, relu ? rnn_relu : rnn_tanh, packed, rows, work);
        return;
    }
    const struct cell c = cell_of(&rnn_kind, plan, false);
    cell_step(&c, plan, packed, rows, work);
}

static void rnn_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *tape,
                         float *d_params, float *back)
{
    const struct cell c = cell_of(&rnn_kind, plan, false);
    cell_backward(&c, plan, params, tape, d_params, back);
}

static bool rnn_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    const struct cell c = cell_of(&rnn_kind, plan, false);
    return cell_tensor(&c, NULL, 0, i, out);
}

const struct eddy_layer layer_rnn = {
    .part = {.struct_size = sizeof(struct eddy_layer),
             .kind = EDDY_PART_LAYER,
             .name = "rnn",
             .summary = "Simple recurrent layer (Elman): the shortest memory, the fewest weights.",
             .options = rnn_options,
             .settings_size = sizeof(struct rnn_settings)},
    .plan = rnn_plan,
    .init = rnn_init,
    .pack = rnn_pack,
    .step = rnn_step,
    .backward = rnn_backward,
    .tensor = rnn_tensor,
};
