/* A long short-term memory layer (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).
 *
 *   i = s(W_i x + U_i h + b_i)    f = s(W_f x + U_f h + b_f)    g = tanh(W_g x + U_g h + b_g)    o = s(W_o x + U_o h + b_o)
 *   c' = f c + i g                h' = o tanh(c')               y = h'
 *   with layer_norm               h' = o tanh(u),  u = LN(c')
 *
 *   backward, from the last step to the first (a: gate sums, d_: gradients, H = units):
 *   d_c = (d_c f of the step after) + d_h o (1 - tanh^2 c')
 *   d_a = [d_c g s'(a_i) | d_c c s'(a_f) | d_c i tanh'(a_g) | d_h tanh(c') s'(a_o)]
 *
 * What it shares with the other cells (learned start, decay, dropout, layer normalisation) is in cell.h.
 * Parameters  weight_ih W [4H, n_in] | weight_hh U [4H, H] | bias_ih b [4H] | the options', among them with layer_norm
 *             norm_c_gain, norm_c_bias [H]; gates in the order i, f, g, o
 * State       h [H] | c [H] */
#include <string.h>

#include "engine/model/cell_inline.h"
#include "engine/model/initial.h"
#include "engine/model/layer_norm.h"
#include "engine/model/layers.h"

struct lstm_settings {
    struct cell_settings cell;
    double forget_bias; /* where the forget gate's bias starts */
};

static const struct eddy_option lstm_options[] = {
    CELL_OPTIONS("Width of the output h; the state kept per key is twice that, h and c."),
    {"forget_bias", EDDY_OPT_REAL, offsetof(struct lstm_settings, forget_bias), "1", -10, 10, "",
     "Where the forget gate's bias starts; above 0 a new network remembers.", NULL, 0, false},
    {0}};

/* h' of one row once more, by LN(c').  Tape: blocks as the kernel has left them, then c' [H] and what its normalisation
 * saved. */
static void lstm_norm_row(int units, const float *norm, float *state, float *y, float *tape)
{
    const float *o = tape + 3 * units;
    float *h = state, *c = tape + 7 * units, *tanh_u = tape + 5 * units;
    memcpy(c, state + units, (size_t)units * sizeof(float));
    layer_norm(units, c, norm, norm + units, y, tape + 8 * units);
    kernels_best()->activate(ACTIVATION_TANH, units, y, tanh_u);
    for (int j = 0; j < units; j++) y[j] = h[j] = o[j] * tanh_u[j];
}

static void lstm_gates(const struct cell *c, const float *extra, int n, const float *a, size_t stride,
                       float *const *state, float *const *y, float *tape, size_t tape_stride)
{
    const struct kernels *k = kernels_best();
    if (!tape || tape_stride == (size_t)LSTM_TAPE * (size_t)c->units) {
        k->lstm(n, c->units, a, stride, state, y, tape);
        return;
    }
    for (int b = 0; b < n; b++) {
        float *row_tape = tape + (size_t)b * tape_stride;
        k->lstm(1, c->units, a + (size_t)b * stride, stride, state + b, y + b, row_tape);
        if (c->settings->layer_norm) lstm_norm_row(c->units, extra, state[b], y[b], row_tape);
    }
}

/* d_c comes in as the gradient by c' from later steps, and leaves as that by c. */
static void lstm_normed_back(int units, const float *norm, const float *tape, const float *d_h, float *d_c,
                             float *d_a, float *d_norm)
{
    const float *i = tape, *f = tape + units, *g = tape + 2 * units, *o = tape + 3 * units;
    const float *c_prev = tape + 4 * units, *tanh_u = tape + 5 * units, *c = tape + 7 * units;
    float *d_u = d_a; /* the room of gate i, until d_c is known */
    for (int j = 0; j < units; j++) d_u[j] = d_h[j] * o[j] * (1 - tanh_u[j] * tanh_u[j]);
    layer_norm_back(units, c, norm, tape + 8 * units, d_u, d_u, d_norm, d_norm + units);
    for (int j = 0; j < units; j++) {
        const float d_cell = d_c[j] + d_u[j];
        d_a[j] = d_cell * g[j] * i[j] * (1 - i[j]);
        d_a[units + j] = d_cell * c_prev[j] * f[j] * (1 - f[j]);
        d_a[2 * units + j] = d_cell * i[j] * (1 - g[j] * g[j]);
        d_a[3 * units + j] = d_h[j] * tanh_u[j] * o[j] * (1 - o[j]);
        d_c[j] = d_cell * f[j];
    }
}

static void lstm_back(const struct cell *c, const float *extra, int n, const float *tape, size_t tape_stride,
                      float *d_h, float *d_c, float *d_a, float *d_extra)
{
    const struct kernels *k = kernels_best();
    const size_t units = (size_t)c->units;
    if (tape_stride == LSTM_TAPE * units) {
        k->lstm_back(n, c->units, tape, d_h, d_c, d_a);
    } else {
        for (size_t b = 0; b < (size_t)n; b++) {
            const float *row = tape + b * tape_stride;
            if (c->settings->layer_norm)
                lstm_normed_back(c->units, extra, row, d_h + b * units, d_c + b * units, d_a + b * 4 * units,
                                 d_extra);
            else
                k->lstm_back(1, c->units, row, d_h + b * units, d_c + b * units, d_a + b * 4 * units);
        }
    }
    memset(d_h, 0, (size_t)n * units * sizeof(float));
}

static size_t lstm_extra(const struct cell *c)
{
    return c->settings->layer_norm ? 2 * (size_t)c->units : 0;
}

static size_t lstm_extra_tape(const struct cell *c)
{
    return c->settings->layer_norm ? (size_t)c->units + LAYER_NORM_SAVED : 0;
}

static void lstm_fused(const struct cell_step *step, const struct cell_rows *rows)
{
    kernels_best()->lstm_step(step, rows);
}

static const struct cell_kind lstm_kind = {.step = lstm_fused,
                                           .panels = lstm_panels_floats,
                                           .pack = lstm_panels_pack,
                                           .name = "lstm",
                                           .n_gates = 4,
                                           .n_states = 2,
                                           .tape_blocks = LSTM_TAPE,
                                           .n_extra = lstm_extra,
                                           .extra_tape = lstm_extra_tape,
                                           .gates = lstm_gates,
                                           .back = lstm_back};

static eddy_status lstm_plan(const void *settings, const struct eddy_layer_place *place, struct eddy_layer_plan *out,
                             struct eddy_error *err)
{
    return cell_plan(&lstm_kind, settings, false, place->n_in, out, err);
}

static void lstm_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    const struct lstm_settings *s = plan->settings;
    const struct cell c = cell_of(&lstm_kind, plan, false);
    cell_init(&c, seed, params);
    initial_constant((size_t)c.units, (float)s->forget_bias, params + cell_bias_at(&c, 1));
}

static void lstm_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    const struct cell c = cell_of(&lstm_kind, plan, false);
    cell_pack(&c, params, packed);
}

static void lstm_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                      float *work)
{
    if (cell_is_plain(plan)) {
        cell_fused_step(plan, kernels_best()->lstm_step, packed, rows);
        return;
    }
    const struct cell c = cell_of(&lstm_kind, plan, false);
    cell_step(&c, plan, packed, rows, work);
}

static void lstm_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *tape,
                          float *d_params, float *back)
{
    const struct cell c = cell_of(&lstm_kind, plan, false);
    cell_backward(&c, plan, params, tape, d_params, back);
}

static bool lstm_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    const struct cell c = cell_of(&lstm_kind, plan, false);
    const struct eddy_tensor_info norm[] = {{.name = "norm_c_gain", .rows = c.units, .cols = 1},
                                            {.name = "norm_c_bias", .rows = c.units, .cols = 1}};
    return cell_tensor(&c, norm, c.settings->layer_norm ? 2 : 0, i, out);
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
