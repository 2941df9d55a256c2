/* A recurrent layer from outside: leaky integrators with trained weights.
 *
 *     z_t = W x_t + b        W [units, n_in], b [units]
 *     h_t = a h_{t-1} + (1 - a) z_t,   a = 1 / (1 + exp(-p)), one a per unit
 *     y_t = h_t
 *
 * Gradient, with g_t = dL/dh_t + a g_{t+1}, going back in time:
 *     dp += g_t (h_{t-1} - z_t) a (1 - a),   dz_t = (1 - a) g_t,   db += dz_t,   dW += dz_t x_t',   dx_t = W' dz_t
 *
 * Layout   params  W [units, n_in] | b [units] | p [units]        packed  W | b | a
 *          state   h [units]        tape  h_{t-1} - z_t [units]   back    unused
 * Build    cc -shared -fPIC -ffp-contract=off $(pkg-config --cflags eddy) -o layer_leaky.so layer_leaky.c -lm
 * Use      plugins: [./layer_leaky.so]        forecast: {network: {layers: [{leaky: {units: 16}}]}} */
#include <math.h>
#include <string.h>

#include "eddy_plugin.h"

struct leaky_settings {
    int64_t units;
};
static const struct eddy_option options[] = {
    {"units", EDDY_OPT_INT, offsetof(struct leaky_settings, units), "16", 1, 1024, "units", "Width of the layer.",
     NULL, 0, 0},
    {0},
};

static eddy_status leaky_plan(const void *settings, const struct eddy_layer_place *place, struct eddy_layer_plan *out,
                              struct eddy_error *err)
{
    const struct leaky_settings *s = settings;
    const int n_in = place->n_in;
    size_t units = (size_t)s->units, in = (size_t)n_in;
    if (n_in < 1) return eddy_fail(err, EDDY_ECONFIG, "leaky: needs at least one input");
    *out = (struct eddy_layer_plan){.n_in = n_in,
                                    .n_out = (int)units,
                                    .n_params = units * in + 2 * units,
                                    .n_packed = units * in + 2 * units,
                                    .n_state = units,
                                    .n_tape = units,
                                    .n_back = units,
                                    .stride = 1,
                                    .settings = settings};
    return EDDY_OK;
}

static void leaky_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    int n = plan->n_out * plan->n_in;
    float spread = 1.0f / sqrtf((float)plan->n_in);
    for (int i = 0; i < n; i++) params[i] = spread * eddy_random_normal(seed, (uint64_t)i);
    for (int j = 0; j < plan->n_out; j++) params[n + j] = 0.0f;
    /* p from -1 to 3: units that forget fast and units that forget slowly. */
    for (int j = 0; j < plan->n_out; j++)
        params[n + plan->n_out + j] = -1.0f + 4.0f * eddy_random_uniform(seed, (uint64_t)(n + j));
}

static float leak(float p)
{
    return 1.0f / (1.0f + expf(-p));
}

static void leaky_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    size_t until_p = plan->n_params - (size_t)plan->n_out;
    memcpy(packed, params, until_p * sizeof(*packed));
    for (size_t j = until_p; j < plan->n_params; j++) packed[j] = leak(params[j]);
}

static void leaky_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                       float *work)
{
    int in = plan->n_in, units = plan->n_out;
    const float *w = packed, *b = w + units * in, *a = b + units;
    (void)work;
    for (int r = 0; r < rows->n; r++) {
        const float *x = rows->x[r]; /* [in] */
        float *h = rows->state[r];   /* [units] */
        for (int j = 0; j < units; j++) {
            float z = b[j];
            for (int k = 0; k < in; k++) z += w[j * in + k] * x[k];
            if (rows->tape) rows->tape[(size_t)r * plan->n_tape + (size_t)j] = h[j] - z;
            h[j] = a[j] * h[j] + (1.0f - a[j]) * z;
            rows->y[r][j] = h[j];
        }
    }
}

static void leaky_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *t,
                           float *d_params, float *back)
{
    int in = plan->n_in, units = plan->n_out;
    const float *w = params, *p = w + units * in + units;
    float *dw = d_params, *db = dw + units * in, *dp = db + units;
    for (int r = 0; r < t->n_rows; r++) {
        float *g = back; /* [units] what comes back from later steps */
        memset(g, 0, (size_t)units * sizeof(*g));
        for (int step = t->n_steps - 1; step >= 0; step--) {
            size_t at = (size_t)step * (size_t)t->n_rows + (size_t)r;
            const float *x = t->x + at * (size_t)in, *d_y = t->d_y + at * (size_t)units;
            const float *tape = t->tape + at * plan->n_tape;
            float *d_x = t->d_x ? t->d_x + at * (size_t)in : NULL;
            if (d_x) memset(d_x, 0, (size_t)in * sizeof(*d_x));
            for (int j = 0; j < units; j++) {
                float a = leak(p[j]), d_h = d_y[j] + g[j], d_z = (1.0f - a) * d_h;
                dp[j] += d_h * tape[j] * a * (1.0f - a);
                db[j] += d_z;
                for (int k = 0; k < in; k++) {
                    dw[j * in + k] += d_z * x[k];
                    if (d_x) d_x[k] += d_z * w[j * in + k];
                }
                g[j] = a * d_h;
            }
        }
    }
}

static bool leaky_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    size_t weights = (size_t)plan->n_out * (size_t)plan->n_in, units = (size_t)plan->n_out;
    switch (i) {
    case 0: *out = (struct eddy_tensor_info){"weight", 0, plan->n_out, plan->n_in}; return true;
    case 1: *out = (struct eddy_tensor_info){"bias", weights, plan->n_out, 1}; return true;
    case 2: *out = (struct eddy_tensor_info){"leak", weights + units, plan->n_out, 1}; return true;
    default: return false;
    }
}

static const struct eddy_layer layer_leaky = {
    .part = {sizeof(layer_leaky), EDDY_PART_LAYER, "leaky", "Leaky integrators.", options,
             sizeof(struct leaky_settings), NULL},
    .plan = leaky_plan,
    .init = leaky_init,
    .pack = leaky_pack,
    .step = leaky_step,
    .backward = leaky_backward,
    .tensor = leaky_tensor,
};
static const struct eddy_part *const parts[] = {&layer_leaky.part, NULL};
static const struct eddy_module module = {EDDY_PART_ABI, sizeof(module), "layer_leaky", "1.0", "Apache-2.0", parts};

EDDY_MODULE const struct eddy_module *eddy_module(void);
const struct eddy_module *eddy_module(void)
{
    return &module;
}
