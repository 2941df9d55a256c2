/* Double exponential smoothing (Holt): a level and a trend that dies away (smoothing.h without a season).
 * Good for values that rise or fall for a while. */
#include "engine/forecast/experts.h"
#include "engine/forecast/smoothing.h"

static const struct eddy_reals standard_alpha = {3, (const double[]){.1, .4, 1}};
static const struct eddy_reals standard_beta = {2, (const double[]){.03, .2}};
static const struct eddy_reals standard_phi = {2, (const double[]){.6, .98}};

struct holt_settings {
    struct eddy_reals alpha, beta, phi;
};

static const struct eddy_option options[] = {
    {"alpha", EDDY_OPT_REALS, offsetof(struct holt_settings, alpha), "", 1e-4, 1, "share",
     "How fast the level follows. One number is fixed; of several the best so far is used; unset: of 0.1, 0.4 and 1. "
     "40 bytes per value of a key and combination of alpha, beta and phi.",
     NULL, 0, false},
    {"beta", EDDY_OPT_REALS, offsetof(struct holt_settings, beta), "", 0, 1, "share of alpha",
     "How fast the trend follows the level; as alpha; unset: 0.03 or 0.2.", NULL, 0, false},
    {"phi", EDDY_OPT_REALS, offsetof(struct holt_settings, phi), "", 0, 1, "per step",
     "What is left of a trend one step later, 1 = it goes on for ever; as alpha; unset: 0.6 or 0.98.", NULL, 0,
     false},
    {0}};

static struct smoothing holt_model(const void *settings)
{
    const struct holt_settings *s = settings;
    return (struct smoothing){.alpha = s->alpha.n ? s->alpha : standard_alpha,
                              .beta = s->beta.n ? s->beta : standard_beta,
                              .phi = s->phi.n ? s->phi : standard_phi};
}

static eddy_status holt_check(const void *settings, struct eddy_error *err)
{
    const struct smoothing model = holt_model(settings);
    return smoothing_check(&model, err);
}

static size_t holt_state_bytes(const void *settings, const struct eddy_expert_shape *shape)
{
    (void)shape;
    const struct smoothing model = holt_model(settings);
    return smoothing_bytes(&model);
}

static void holt_fold(const void *settings, const struct eddy_expert_shape *shape, void *state,
                      const struct eddy_expert_event *in, double *forecast)
{
    const struct smoothing model = holt_model(settings);
    smoothing_fold(&model, shape, state, in, forecast);
}

static bool holt_sound(const void *settings, const struct eddy_expert_shape *shape, const void *state)
{
    (void)settings, (void)shape;
    return smoothing_sound(state);
}

const struct eddy_expert expert_holt = {
    .part = {.struct_size = sizeof(struct eddy_expert),
             .kind = EDDY_PART_EXPERT,
             .name = "holt",
             .summary = "Double exponential smoothing, level and damped trend: for values that rise or fall for a "
                        "while. 504 bytes per value of a key.",
             .options = options,
             .settings_size = sizeof(struct holt_settings),
             .check = holt_check},
    .state_version = 1,
    .state_bytes = holt_state_bytes,
    .fold = holt_fold,
    .sound = holt_sound,
};
