/* Moving average of the last known values, for all horizons.
 *
 *     xhat_{t+h} = sum_{k=0}^{w-1} c_k x_{t-k}      linear: c_k proportional to w - k;  equal: all the same
 * Over what there is while there are fewer than w values. */
#include "engine/forecast/experts.h"
#include "engine/math/sound.h"

enum wma_weights { WMA_LINEAR, WMA_EQUAL };

struct wma_settings {
    int64_t window;
    int weights; /* enum wma_weights */
};
struct wma_state {
    int64_t n; /* known values */
    /* then [window] doubles: a ring, the k-th known value in place k mod window */
};

static const struct eddy_option options[] = {
    {"window", EDDY_OPT_INT, offsetof(struct wma_settings, window), "5", 1, 65536, "values",
     "How many known values are averaged. 8 bytes per value of a key and number.", NULL, 0, false},
    {"weights", EDDY_OPT_ENUM, offsetof(struct wma_settings, weights), "linear", 0, 0, "linear|equal",
     "linear: the newest counts most, the others evenly less; equal: all count the same.", NULL, 0, false},
    {0}};

static size_t wma_state_bytes(const void *settings, const struct eddy_expert_shape *shape)
{
    (void)shape;
    const struct wma_settings *s = settings;
    return sizeof(struct wma_state) + (size_t)s->window * sizeof(double);
}

/* Newest first; the weights of all that there are add up to 1, so that nothing overflows. */
static double wma_average(const struct wma_settings *s, const double *ring, int64_t n)
{
    const int64_t held = n < s->window ? n : s->window;
    const double whole = s->weights == WMA_LINEAR ? (double)held * ((double)held + 1) / 2 : (double)held;
    double sum = 0;
    for (int64_t k = 0; k < held; k++) {
        const double weight = s->weights == WMA_LINEAR ? (double)(held - k) : 1;
        sum += weight / whole * ring[(n - 1 - k) % s->window];
    }
    return sum;
}

static void wma_fold(const void *settings, const struct eddy_expert_shape *shape, void *state,
                     const struct eddy_expert_event *in, double *forecast)
{
    const struct wma_settings *s = settings;
    struct wma_state *w = state;
    double *ring = (double *)(void *)(w + 1);
    if (!isnan(in->x)) ring[w->n++ % s->window] = expert_limit(in->x, EXPERT_LARGEST);
    const double average = w->n > 0 ? wma_average(s, ring, w->n) : NAN;
    for (int j = 0; j < shape->n_horizons; j++) forecast[j] = average;
}

static bool wma_sound(const void *settings, const struct eddy_expert_shape *shape, const void *state)
{
    (void)settings, (void)shape;
    return sound_count(((const struct wma_state *)state)->n);
}

const struct eddy_expert expert_wma = {
    .part = {.struct_size = sizeof(struct eddy_expert),
             .kind = EDDY_PART_EXPERT,
             .name = "wma",
             .summary = "Weighted moving average: for noise around a level that changes now and then. 48 bytes per "
                        "value of a key.",
             .options = options,
             .settings_size = sizeof(struct wma_settings)},
    .state_version = 1,
    .state_bytes = wma_state_bytes,
    .fold = wma_fold,
    .sound = wma_sound,
};
