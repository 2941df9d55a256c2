/* A gated recurrent unit (Cho et al. 2014), the reset gate applied after the matrix product; with a recurrent bias of
 * its own, the form that common frameworks use, or with one bias per gate (`bias: single`: c = 0).
 *
 *   r = s(W_r x + b_r + U_r h + c_r)     z = s(W_z x + b_z + U_z h + c_z)     n = tanh(W_n x + b_n + r (U_n h + c_n))
 *   h' = (1 - z) n + z h                 y = h'
 *
 *   backward, from the last step to the first (a: sums, d_: gradients, H = units):
 *   d_n = d_h (1 - z) tanh'    d_r = d_n (U_n h + c_n) s'(a_r)    d_z = d_h (h - n) s'(a_z)    d_m = d_n r
 *   what h' hands on to h directly: d_h z
 *
 * What it shares with the other cells (learned start, decay, dropout, layer normalisation) is in cell.h.
 * Parameters  weight_ih W [3H, n_in] | weight_hh U [3H, H] | bias_ih b [3H] | bias_hh c [3H] | the options', gates in the
 *             order r, z, n
 * State       h [H] */
#include "engine/model/cell_inline.h"
#include "engine/model/layers.h"

struct gru_settings {
    struct cell_settings cell;
    int bias; /* 0 separate, 1 single */
};

static const struct eddy_option gru_options[] = {
    CELL_OPTIONS("Width of the output h, which is also the state kept per key."),
    {"bias", EDDY_OPT_ENUM, offsetof(struct gru_settings, bias), "separate", 0, 0, "separate|single",
     "A bias for the input and one for the state in each gate, as in common frameworks, or a single one.", NULL, 0,
     false},
    {0}};

static void gru_gates(const struct cell *c, const float *extra, int n, const float *a, size_t stride,
                      float *const *state, float *const *y, float *tape, size_t tape_stride)
{
    const struct kernels *k = kernels_best();
    (void)extra;
    if (!tape || tape_stride == (size_t)GRU_TAPE * (size_t)c->units) {
        k->gru(n, c->units, a, stride, state, y, tape);
        return;
    }
    for (int b = 0; b < n; b++)
        k->gru(1, c->units, a + (size_t)b * stride, stride, state + b, y + b, tape + (size_t)b * tape_stride);
}

static void gru_back(const struct cell *c, const float *extra, int n, const float *tape, size_t tape_stride,
                     float *d_h, float *d_c, float *d_a, float *d_extra)
{
    const struct kernels *k = kernels_best();
    const size_t units = (size_t)c->units;
    (void)extra, (void)d_c, (void)d_extra;
    if (tape_stride == GRU_TAPE * units) {
        k->gru_back(n, c->units, tape, d_h, d_a);
        return;
    }
    for (size_t b = 0; b < (size_t)n; b++)
        k->gru_back(1, c->units, tape + b * tape_stride, d_h + b * units, d_a + b * 4 * units);
}

static void gru_fused(const struct cell_step *step, const struct cell_rows *rows)
{
    kernels_best()->gru_step(step, rows);
}

static const struct cell_kind gru_kind = {.step = gru_fused,
                                          .panels = gru_panels_floats,
                                          .pack = gru_panels_pack,
                                          .name = "gru",
                                          .n_gates = 3,
                                          .n_states = 1,
                                          .apart = true,
                                          .tape_blocks = GRU_TAPE,
                                          .gates = gru_gates,
                                          .back = gru_back};

static struct cell gru_cell(const struct eddy_layer_plan *plan)
{
    return cell_of(&gru_kind, plan, ((const struct gru_settings *)plan->settings)->bias == 0);
}

static eddy_status gru_plan(const void *settings, const struct eddy_layer_place *place, struct eddy_layer_plan *out,
                            struct eddy_error *err)
{
    const struct gru_settings *s = settings;
    return cell_plan(&gru_kind, &s->cell, s->bias == 0, place->n_in, out, err);
}

static void gru_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    const struct cell c = gru_cell(plan);
    cell_init(&c, seed, params);
}

static void gru_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    const struct cell c = gru_cell(plan);
    cell_pack(&c, params, packed);
}

static void gru_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                     float *work)
{
    if (cell_is_plain(plan)) {
        cell_fused_step(plan, kernels_best()->gru_step, packed, rows);
        return;
    }
    const struct cell c = gru_cell(plan);
    cell_step(&c, plan, packed, rows, work);
}

static void gru_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *tape,
                         float *d_params, float *back)
{
    const struct cell c = gru_cell(plan);
    cell_backward(&c, plan, params, tape, d_params, back);
}

static bool gru_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    const struct cell c = gru_cell(plan);
    return cell_tensor(&c, NULL, 0, i, out);
}

const struct eddy_layer layer_gru = {
    .part = {.struct_size = sizeof(struct eddy_layer),
             .kind = EDDY_PART_LAYER,
             .name = "gru",
             .summary = "Gated recurrent unit: fewer weights than an LSTM, one state.",
             .options = gru_options,
             .settings_size = sizeof(struct gru_settings)},
    .plan = gru_plan,
    .init = gru_init,
    .pack = gru_pack,
    .step = gru_step,
    .backward = gru_backward,
    .tensor = gru_tensor,
};
