/* Simple exponential smoothing: a level that follows the values, for all horizons (smoothing.h without trend and
 * season).  Good for values that jitter around a slowly moving level. */
#include "engine/forecast/experts.h"
#include "engine/forecast/smoothing.h"

static const struct eddy_reals standard_alpha = {6, (const double[]){.05, .1, .2, .4, .7, 1}};

struct ses_settings {
    struct eddy_reals alpha;
};

static const struct eddy_option options[] = {
    {"alpha", EDDY_OPT_REALS, offsetof(struct ses_settings, alpha), "", 1e-4, 1, "share",
     "How fast the level follows. One number is fixed; of several the best so far is used; unset: of 0.05, 0.1, 0.2, "
     "0.4, 0.7 and 1. 40 bytes per value of a key and number.",
     NULL, 0, false},
    {0}};

static struct smoothing ses_model(const void *settings)
{
    const struct ses_settings *s = settings;
    return (struct smoothing){.alpha = s->alpha.n ? s->alpha : standard_alpha};
}

static eddy_status ses_check(const void *settings, struct eddy_error *err)
{
    const struct smoothing model = ses_model(settings);
    return smoothing_check(&model, err);
}

static size_t ses_state_bytes(const void *settings, const struct eddy_expert_shape *shape)
{
    (void)shape;
    const struct smoothing model = ses_model(settings);
    return smoothing_bytes(&model);
}

static void ses_fold(const void *settings, const struct eddy_expert_shape *shape, void *state,
                     const struct eddy_expert_event *in, double *forecast)
{
    const struct smoothing model = ses_model(settings);
    smoothing_fold(&model, shape, state, in, forecast);
}

static bool ses_sound(const void *settings, const struct eddy_expert_shape *shape, const void *state)
{
    (void)settings, (void)shape;
    return smoothing_sound(state);
}

const struct eddy_expert expert_ses = {
    .part = {.struct_size = sizeof(struct eddy_expert),
             .kind = EDDY_PART_EXPERT,
             .name = "ses",
             .summary =
                 "Simple exponential smoothing: for values that jitter around a slowly moving level. 264 bytes "
                 "per value of a key.",
             .options = options,
             .settings_size = sizeof(struct ses_settings),
             .check = ses_check},
    .state_version = 1,
    .state_bytes = ses_state_bytes,
    .fold = ses_fold,
    .sound = ses_sound,
};
