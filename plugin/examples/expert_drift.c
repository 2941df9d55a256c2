/* An expert from outside: the last value and the average way of the last steps, continued (a random walk with drift).
 * Build and use:
 *
 *     cc -shared -fPIC $(pkg-config --cflags eddy) -o expert_drift.so expert_drift.c
 *     plugins: [./expert_drift.so]          forecast: {experts: [network, persistence, {drift: {memory: 50}}]}
 *
 *     drift  += (x_t - x_{t-1} - drift) / min(n, memory)
 *     xhat_{t+h} = x_t + h drift */
#include <math.h>

#include "eddy_plugin.h"

struct drift_settings {
    int64_t memory;
};
static const struct eddy_option options[] = {
    {"memory", EDDY_OPT_INT, offsetof(struct drift_settings, memory), "100", 1, 1000000, "steps",
     "How many steps the drift averages.", NULL, 0, 0},
    {0},
};

struct drift_state {
    int64_t n; /* known values */
    double last, drift;
};

static size_t drift_state_bytes(const void *settings, const struct eddy_expert_shape *shape)
{
    (void)settings, (void)shape;
    return sizeof(struct drift_state);
}

static void drift_fold(const void *settings, const struct eddy_expert_shape *shape, void *state,
                       const struct eddy_expert_event *in, double *forecast)
{
    const struct drift_settings *s = settings;
    struct drift_state *d = state;
    if (!isnan(in->x)) { /* a missing value teaches nothing */
        const double step = fmin(fmax(in->x - d->last, -10 * in->sigma), 10 * in->sigma);
        if (d->n > 0) d->drift += (step - d->drift) / (double)(d->n < s->memory ? d->n : s->memory);
        d->last = in->x;
        d->n++;
    }
    for (int j = 0; j < shape->n_horizons; j++)
        forecast[j] = d->n > 0 ? d->last + shape->horizons[j] * d->drift : NAN;
}

static const struct eddy_expert expert_drift = {
    .part = {sizeof(expert_drift), EDDY_PART_EXPERT, "drift", "A random walk with drift.", options,
             sizeof(struct drift_settings), NULL},
    .state_version = 1,
    .state_bytes = drift_state_bytes,
    .fold = drift_fold,
};
static const struct eddy_part *const parts[] = {&expert_drift.part, NULL};
static const struct eddy_module module = {EDDY_PART_ABI, sizeof(module), "expert_drift", "1.0", "Apache-2.0", parts};

EDDY_MODULE const struct eddy_module *eddy_module(void);
const struct eddy_module *eddy_module(void)
{
    return &module;
}
