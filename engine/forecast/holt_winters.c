/* Triple exponential smoothing (Holt-Winters), additive: a level, a trend that dies away and a season (smoothing.h);
 * the last error is carried on.  Good for values with a daily or weekly rhythm of constant size. */
#include "engine/forecast/experts.h"
#include "engine/forecast/smoothing.h"

static const struct eddy_reals standard_alpha = {3, (const double[]){.02, .1, .5}};
static const struct eddy_reals standard_beta = {1, (const double[]){.05}};
static const struct eddy_reals standard_gamma = {1, (const double[]){.15}};
static const struct eddy_reals standard_phi = {2, (const double[]){.6, .98}};

struct holt_winters_settings {
    int64_t season;
    struct eddy_reals alpha, beta, gamma, phi;
    bool carry;
};

static const struct eddy_option options[] = {
    {"season", EDDY_OPT_INT, offsetof(struct holt_winters_settings, season), "0", 0, 65536, "steps",
     "Length of the season: 24 for hourly values with a daily rhythm. 0: the pipeline's. 4 bytes per value of a key, "
     "step of the season and combination of alpha, beta, gamma and phi.",
     NULL, 0, false},
    {"alpha", EDDY_OPT_REALS, offsetof(struct holt_winters_settings, alpha), "", 1e-4, 1, "share",
     "How fast the level follows. One number is fixed; of several the best so far is used; unset: of 0.02, 0.1 and "
     "0.5.",
     NULL, 0, false},
    {"beta", EDDY_OPT_REALS, offsetof(struct holt_winters_settings, beta), "", 0, 1, "share of alpha",
     "How fast the trend follows the level; as alpha; unset: 0.05.", NULL, 0, false},
    {"gamma", EDDY_OPT_REALS, offsetof(struct holt_winters_settings, gamma), "", 0, 1, "share of 1 - alpha",
     "How fast the season follows; as alpha; unset: 0.15. The first seasons are averaged unless one number is given.",
     NULL, 0, false},
    {"phi", EDDY_OPT_REALS, offsetof(struct holt_winters_settings, phi), "", 0, 1, "per step",
     "What is left of a trend one step later, 1 = it goes on for ever; as alpha; unset: 0.6 or 0.98.", NULL, 0,
     false},
    {"carry", EDDY_OPT_BOOL, offsetof(struct holt_winters_settings, carry), "true", 0, 0, "",
     "Expect the last error to die away as errors have done so far, instead of at once.", NULL, 0, false},
    {0}};

static struct smoothing holt_winters_model(const void *settings, const struct eddy_expert_shape *shape)
{
    const struct holt_winters_settings *s = settings;
    return (struct smoothing){.alpha = s->alpha.n ? s->alpha : standard_alpha,
                              .beta = s->beta.n ? s->beta : standard_beta,
                              .gamma = s->gamma.n ? s->gamma : standard_gamma,
                              .phi = s->phi.n ? s->phi : standard_phi,
                              .season = expert_season(s->season, shape),
                              .warm = s->gamma.n != 1,
                              .carry = s->carry};
}

static eddy_status holt_winters_check(const void *settings, struct eddy_error *err)
{
    static const struct eddy_expert_shape any = {0};
    const struct smoothing model = holt_winters_model(settings, &any);
    return smoothing_check(&model, err);
}

static eddy_status holt_winters_plan(const void *settings, const struct eddy_expert_shape *shape,
                                     struct eddy_error *err)
{
    const struct holt_winters_settings *s = settings;
    return expert_season_check("holt_winters", s->season, shape, err);
}

static size_t holt_winters_state_bytes(const void *settings, const struct eddy_expert_shape *shape)
{
    const struct smoothing model = holt_winters_model(settings, shape);
    return smoothing_bytes(&model);
}

static void holt_winters_fold(const void *settings, const struct eddy_expert_shape *shape, void *state,
                              const struct eddy_expert_event *in, double *forecast)
{
    const struct smoothing model = holt_winters_model(settings, shape);
    smoothing_fold(&model, shape, state, in, forecast);
}

static bool holt_winters_sound(const void *settings, const struct eddy_expert_shape *shape, const void *state)
{
    (void)settings, (void)shape;
    return smoothing_sound(state);
}

const struct eddy_expert expert_holt_winters = {
    .part = {.struct_size = sizeof(struct eddy_expert),
             .kind = EDDY_PART_EXPERT,
             .name = "holt_winters",
             .summary = "Triple exponential smoothing, level, damped trend and additive season: for daily or weekly "
                        "rhythms. 840 bytes per value of a key for a season of 24 steps.",
             .options = options,
             .settings_size = sizeof(struct holt_winters_settings),
             .check = holt_winters_check},
    .state_version = 1,
    .plan = holt_winters_plan,
    .state_bytes = holt_winters_state_bytes,
    .fold = holt_winters_fold,
    .sound = holt_winters_sound,
};
