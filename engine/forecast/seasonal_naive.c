/* The value of one season ago: what any other model of a season must beat.
 *
 *     xhat_{t+h} = x_{t+h-km}   k = the smallest with t + h - k m <= t;  before m steps: the last known value
 * Phases count from the first known value.  At a missing value the phase keeps what it held a season ago, in the
 * first season the last known value. */
#include "engine/forecast/experts.h"
#include "engine/math/sound.h"

struct seasonal_naive_settings {
    int64_t season;
};
struct seasonal_naive_state {
    int64_t n;   /* steps since the first known value */
    double last; /* the last known value */
    /* then [season] doubles: the newest value of each phase */
};

static const struct eddy_option options[] = {
    {"season", EDDY_OPT_INT, offsetof(struct seasonal_naive_settings, season), "0", 0, 65536, "steps",
     "Length of the season: 24 for hourly values with a daily rhythm. 0: the pipeline's. 8 bytes per value of a key "
     "and step.",
     NULL, 0, false},
    {0}};

static eddy_status seasonal_naive_plan(const void *settings, const struct eddy_expert_shape *shape,
                                       struct eddy_error *err)
{
    const struct seasonal_naive_settings *s = settings;
    return expert_season_check("seasonal_naive", s->season, shape, err);
}

static size_t seasonal_naive_state_bytes(const void *settings, const struct eddy_expert_shape *shape)
{
    const struct seasonal_naive_settings *s = settings;
    return sizeof(struct seasonal_naive_state) + (size_t)expert_season(s->season, shape) * sizeof(double);
}

static void seasonal_naive_fold(const void *settings, const struct eddy_expert_shape *shape, void *state,
                                const struct eddy_expert_event *in, double *forecast)
{
    const int season = expert_season(((const struct seasonal_naive_settings *)settings)->season, shape);
    struct seasonal_naive_state *s = state;
    double *phases = (double *)(void *)(s + 1);
    const bool known = !isnan(in->x);
    if (known) s->last = in->x;
    if (known || (s->n > 0 && s->n < season)) phases[s->n % season] = s->last;
    if (known || s->n > 0) s->n++;

    for (int j = 0; j < shape->n_horizons; j++) {
        if (s->n == 0)
            forecast[j] = NAN;
        else
            forecast[j] = s->n < season ? s->last : phases[(s->n - 1 + shape->horizons[j]) % season];
    }
}

static bool seasonal_naive_sound(const void *settings, const struct eddy_expert_shape *shape, const void *state)
{
    (void)settings, (void)shape;
    return sound_count(((const struct seasonal_naive_state *)state)->n);
}

const struct eddy_expert expert_seasonal_naive = {
    .part = {.struct_size = sizeof(struct eddy_expert),
             .kind = EDDY_PART_EXPERT,
             .name = "seasonal_naive",
             .summary = "The value of one season ago: the bar for every model of a season. 208 bytes per value of a "
                        "key for a season of 24 steps.",
             .options = options,
             .settings_size = sizeof(struct seasonal_naive_settings)},
    .state_version = 1,
    .plan = seasonal_naive_plan,
    .state_bytes = seasonal_naive_state_bytes,
    .fold = seasonal_naive_fold,
    .sound = seasonal_naive_sound,
};
