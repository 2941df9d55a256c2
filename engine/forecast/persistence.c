/* The last known value, for all horizons: what every other expert must beat, and on a random walk nobody does.
 *
 *     xhat_{t+h} = x_t */
#include "engine/forecast/experts.h"

struct persistence_state {
    double last;
    int64_t known; /* 1 once a value has come */
};

static size_t persistence_state_bytes(const void *settings, const struct eddy_expert_shape *shape)
{
    (void)settings, (void)shape;
    return sizeof(struct persistence_state);
}

static void persistence_fold(const void *settings, const struct eddy_expert_shape *shape, void *state,
                             const struct eddy_expert_event *in, double *forecast)
{
    (void)settings;
    struct persistence_state *s = state;
    if (!isnan(in->x)) *s = (struct persistence_state){in->x, 1};
    for (int j = 0; j < shape->n_horizons; j++) forecast[j] = s->known ? s->last : NAN;
}

const struct eddy_expert expert_persistence = {
    .part = {.struct_size = sizeof(struct eddy_expert),
             .kind = EDDY_PART_EXPERT,
             .name = "persistence",
             .summary = "The last known value: the bar for all others, best on random walks. 16 bytes per value of a "
                        "key."},
    .state_version = 1,
    .state_bytes = persistence_state_bytes,
    .fold = persistence_fold,
};
