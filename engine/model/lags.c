/* The last N inputs side by side: with dense layers on top it makes the feed-forward network over a window, the baseline
 * without a memory of its own that shows what a recurrent state buys.
 *
 *   y_t = [x_t | x_{t-1} | .. | x_{t-N+1}]        before the first input: zeros
 *   backward  d_x_s = sum over j of block j of d_y_{s+j}, for the steps s + j within the window
 *
 * Parameters  none        State  ring of N-1 inputs        Tape  none */
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/model/layers.h"
#include "engine/model/ring.h"

enum { MAX_WIDTH = 1 << 20 };

struct lags_settings {
    int64_t steps;
};

static const struct eddy_option lags_options[] = {
    {"steps", EDDY_OPT_INT, offsetof(struct lags_settings, steps), "24", 2, 4096, "steps",
     "How many inputs, this one among them, the layers above see at once.", NULL, 0, false},
    {0}};

static int lags_steps(const struct eddy_layer_plan *plan)
{
    return (int)((const struct lags_settings *)plan->settings)->steps;
}

static eddy_status lags_plan(const void *settings, const struct eddy_layer_place *place, struct eddy_layer_plan *out,
                             struct eddy_error *err)
{
    const struct lags_settings *s = settings;
    const int n_in = place->n_in;
    if (n_in < 1 || s->steps < 2 || s->steps > 4096 || s->steps * n_in > MAX_WIDTH)
        return eddy_fail(err, EDDY_ECONFIG, "lags: %lld steps of %d inputs cannot be", (long long)s->steps, n_in);
    *out = (struct eddy_layer_plan){
        .n_in = n_in,
        .n_out = (int)s->steps * n_in,
        .n_state = ring_floats((int)s->steps - 1, n_in),
        .stride = 1,
        .settings = settings,
    };
    return EDDY_OK;
}

static void lags_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    (void)plan, (void)seed, (void)params; /* nothing is trained */
}

static void lags_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    (void)plan, (void)params, (void)packed;
}

static void lags_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                      float *work)
{
    (void)packed, (void)work;
    const int n_in = plan->n_in, n_past = lags_steps(plan) - 1;
    for (int b = 0; b < rows->n; b++) {
        memcpy(rows->y[b], rows->x[b], (size_t)n_in * sizeof(float));
        ring_copy(rows->state[b], n_past, n_in, rows->y[b] + n_in);
        ring_push(rows->state[b], n_past, n_in, rows->x[b]);
    }
}

static void lags_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *tape,
                          float *d_params, float *back)
{
    (void)params, (void)d_params, (void)back;
    const size_t n_in = (size_t)plan->n_in, n_rows = (size_t)tape->n_rows, n_steps = (size_t)tape->n_steps;
    const size_t cells = n_steps * n_rows, reach = (size_t)lags_steps(plan);
    const struct kernels *k = kernels_best();
    if (!tape->d_x) return;
    memset(tape->d_x, 0, cells * n_in * sizeof(float));
    for (size_t cell = 0; cell < cells; cell++) {
        float *d_x = tape->d_x + cell * n_in; /* `j` steps later lies j * n_rows cells further */
        for (size_t j = 0; j < reach && cell + j * n_rows < cells; j++)
            k->add(n_in, tape->d_y + ((cell + j * n_rows) * reach + j) * n_in, d_x);
    }
}

static bool lags_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    (void)plan, (void)i, (void)out;
    return false;
}

const struct eddy_layer layer_lags = {
    .part = {.struct_size = sizeof(struct eddy_layer),
             .kind = EDDY_PART_LAYER,
             .name = "lags",
             .summary = "The last inputs side by side, for feed-forward networks over a window.",
             .options = lags_options,
             .settings_size = sizeof(struct lags_settings)},
    .plan = lags_plan,
    .init = lags_init,
    .pack = lags_pack,
    .step = lags_step,
    .backward = lags_backward,
    .tensor = lags_tensor,
};
