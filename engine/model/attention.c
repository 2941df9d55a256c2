/* Causal self-attention over the last W steps.
 *
 *   y = W_out o + b_out,   o = attend(q, k, v of this step and of the W - 1 before),   [q | k | v] = W_in x + b_in
 *
 * The stream, its parameters, state and way back are in causal.h, the sums in attend.h. */
#include <stdlib.h>

#include "engine/math/kernels.h"
#include "engine/model/attend.h"
#include "engine/model/causal.h"
#include "engine/model/initial.h"
#include "engine/model/layers.h"

struct attention_settings {
    int64_t units, heads, window;
    int positions; /* enum causal_positions */
};

static const struct eddy_option attention_options[] = {
    {"units", EDDY_OPT_INT, offsetof(struct attention_settings, units), "32", 1, CAUSAL_MAX_UNITS, "",
     "Width of queries, keys, values and output, shared out among the heads.", NULL, 0, false},
    {"heads", EDDY_OPT_INT, offsetof(struct attention_settings, heads), "4", 1, ATTEND_MAX_HEADS, "",
     "How many questions are asked side by side; units must be a multiple of it.", NULL, 0, false},
    {"window", EDDY_OPT_INT, offsetof(struct attention_settings, window), "32", 2, ATTEND_MAX_WINDOW, "steps",
     "How many steps are looked at, this one among them. Each costs time, and 2 x units + 1 numbers per key.", NULL,
     0, false},
    {"positions", EDDY_OPT_ENUM, offsetof(struct attention_settings, positions), "steps", 0, 0, "steps|time|none",
     "What makes a step older and count less: the steps since, the logarithm of the seconds since, or nothing. Each "
     "head "
     "looks back at a distance of its own (linear biases, Press et al. 2022).",
     NULL, 0, false},
    {0}};

static struct causal attention_causal(const struct attention_settings *s, int n_in)
{
    return (struct causal){n_in, (int)s->units, (int)s->heads, (int)s->window, s->positions};
}

static struct causal attention_of(const struct eddy_layer_plan *plan)
{
    return attention_causal(plan->settings, plan->n_in);
}

static eddy_status attention_plan(const void *settings, const struct eddy_layer_place *place,
                                  struct eddy_layer_plan *out, struct eddy_error *err)
{
    const struct attention_settings *s = settings;
    const struct causal c = attention_causal(s, place->n_in);
    if (place->n_in < 1 || s->units < 1 || s->heads < 1 || s->window < 2)
        return eddy_fail(err, EDDY_ECONFIG,
                         "attention: %lld units in %lld heads over %lld steps of %d inputs cannot be",
                         (long long)s->units, (long long)s->heads, (long long)s->window, place->n_in);
    if (causal_wrong(&c))
        return eddy_fail(err, EDDY_ECONFIG, "attention: %s (%d units, %d heads, window %d)", causal_wrong(&c),
                         c.units, c.heads, c.window);
    *out = (struct eddy_layer_plan){.n_in = place->n_in,
                                    .n_out = c.units,
                                    .n_params = causal_params(&c),
                                    .n_packed = causal_packed(&c),
                                    .n_state = causal_state(&c),
                                    .n_tape = causal_tape(&c),
                                    .n_work = causal_work(&c),
                                    .n_back = causal_back_floats(&c),
                                    .stride = 1,
                                    .multiply_adds = causal_multiply_adds(&c),
                                    .settings = settings};
    return EDDY_OK;
}

static void attention_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    const struct causal c = attention_of(plan);
    causal_init(&c, seed, params);
}

static void attention_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    const struct causal c = attention_of(plan);
    causal_pack(&c, params, packed);
}

static void attention_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                           float *work)
{
    const struct causal c = attention_of(plan);
    for (int first = 0; first < rows->n; first += TILE_ROWS)
        causal_step(&c, packed, rows->n - first < TILE_ROWS ? rows->n - first : TILE_ROWS, rows->x + first,
                    rows->state + first, rows->elapsed_s ? rows->elapsed_s + first : NULL, rows->y + first,
                    rows->tape ? rows->tape + (size_t)first * plan->n_tape : NULL, plan->n_tape, work);
}

static void attention_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *tape,
                               float *d_params, float *back)
{
    const struct causal c = attention_of(plan);
    const struct causal_window w = {.n_steps = tape->n_steps,
                                    .n_rows = tape->n_rows,
                                    .u = tape->x,
                                    .u_stride = (size_t)plan->n_in,
                                    .tape = tape->tape,
                                    .stride = plan->n_tape,
                                    .start = tape->start,
                                    .n_state = plan->n_state,
                                    .elapsed_s = tape->elapsed_s,
                                    .d_a = tape->d_y,
                                    .d_u = tape->d_x};
    causal_backward(&c, params, &w, d_params, back);
}

static bool attention_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    const struct causal c = attention_of(plan);
    struct eddy_tensor_info t[4];
    causal_tensors(&c, "", t);
    return tensor_of(t, 4, i, out);
}

const struct eddy_layer layer_attention = {
    .part = {.struct_size = sizeof(struct eddy_layer),
             .kind = EDDY_PART_LAYER,
             .name = "attention",
             .summary = "Causal self-attention over a bounded window of past steps.",
             .options = attention_options,
             .settings_size = sizeof(struct attention_settings)},
    .plan = attention_plan,
    .init = attention_init,
    .pack = attention_pack,
    .step = attention_step,
    .backward = attention_backward,
    .tensor = attention_tensor,
};
