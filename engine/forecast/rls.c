/* A linear forecast of every horizon, learnt by recursive least squares for each value of a key by itself, from its lags,
 * means and season and, if one is named, from what a network has made of its past (regressors.h, head.h).
 *
 *     xhat_{t+h} = x_t + u_t y_h, within [low - clamp R, high + clamp R] of the last values (R = high - low);
 *                  x_t until the lags are filled
 * At a missing value the last one stands in; nothing is learnt of it. */
#include "engine/forecast/head.h"
#include "engine/forecast/regressors.h"
#include "engine/math/sound.h"

struct rls_settings {
    int units;
    const char *network;
    struct eddy_ints lags;
    double forgetting, huber, clamp, leverage;
    int precision;
};

enum { UNITS_SCALED, UNITS_RAW };
enum { PRECISION_DOUBLE, PRECISION_FLOAT };

static const int standard_lags[] = {1, 2, 3, 4, 6, 8, 12, 16, 20, 22, 25, 48};

static const struct eddy_option options[] = {
    {"units", EDDY_OPT_ENUM, offsetof(struct rls_settings, units), "scaled", 0, 0, "scaled|raw",
     "scaled divides by how much the value moves at present, limits far inputs, and suits values whose pace changes; "
     "raw "
     "keeps one unit, and is a little better where it does not.",
     NULL, 0, false},
    {"network", EDDY_OPT_STRING, offsetof(struct rls_settings, network), "", 0, 0, "",
     "The network whose hidden outputs are inputs as well: one whose top layer is a gru, lstm or rnn. Unset: "
     "without.",
     NULL, 0, false},
    {"lags", EDDY_OPT_RANGES, offsetof(struct rls_settings, lags), "", 1, 1024, "steps back",
     "Which differences to the past are inputs; unset: 1-4, 6, 8, 12, 16, 20, 22, 25, 48.", NULL, 0, false},
    {"forgetting", EDDY_OPT_REAL, offsetof(struct rls_settings, forgetting), "0.9997", 0.5, 1, "per step",
     "What is left of a step's weight one step later: 0.9997 remembers some 3000 steps.", NULL, 0, false},
    {"huber", EDDY_OPT_REAL, offsetof(struct rls_settings, huber), "6", 0, 1e6, "mean errors",
     "Errors count up to this; 0: without a limit.", NULL, 0, false},
    {"clamp", EDDY_OPT_REAL, offsetof(struct rls_settings, clamp), "0.25", 0, 1e6, "share of the range",
     "How far forecasts may leave the range of the last values; 0 keeps them inside.", NULL, 0, false},
    {"leverage", EDDY_OPT_REAL, offsetof(struct rls_settings, leverage), "10", 0, 1e6, "times the usual",
     "Inputs further out than this count less; 0: all alike.", NULL, 0, false},
    {"precision", EDDY_OPT_ENUM, offsetof(struct rls_settings, precision), "double", 0, 0, "double|float",
     "float halves the memory, and is up to half a percent worse.", NULL, 0, false},
    {0}};

/* How the settings are read: the two concepts, and their places in the state. */
struct rls {
    struct regressors_shape inputs;
    struct head_rule head;
    size_t at_head;
};

static struct rls rls_of(const struct rls_settings *s, const struct eddy_expert_shape *shape)
{
    struct rls r = {
        .inputs = {.raw = s->units == UNITS_RAW,
                   .n_lags = s->lags.n ? s->lags.n : (int)(sizeof(standard_lags) / sizeof(*standard_lags)),
                   .lags = s->lags.n ? s->lags.item : standard_lags,
                   .n_features = shape->n_features}};
    r.head = (struct head_rule){.n = regressors_count(&r.inputs),
                                .n_horizons = shape->n_horizons,
                                .horizons = shape->horizons,
                                .single = s->precision == PRECISION_FLOAT,
                                .forgetting = s->forgetting,
                                .huber = s->huber,
                                .leverage = s->leverage};
    r.at_head = head_on_line(regressors_bytes(&r.inputs));
    return r;
}

static eddy_status rls_plan(const void *settings, const struct eddy_expert_shape *shape, struct eddy_error *err)
{
    const struct rls r = rls_of(settings, shape);
    if (r.head.n > HEAD_MAX_WIDTH)
        return eddy_fail(err, EDDY_ECONFIG, "rls: %d inputs, of which %d are lags and %d a network's; at most %d",
                         r.head.n, r.inputs.n_lags, r.inputs.n_features, HEAD_MAX_WIDTH);
    return EDDY_OK;
}

static size_t rls_state_bytes(const void *settings, const struct eddy_expert_shape *shape)
{
    const struct rls r = rls_of(settings, shape);
    return r.at_head + head_bytes(&r.head);
}

static void rls_init(const void *settings, const struct eddy_expert_shape *shape, void *state)
{
    const struct rls r = rls_of(settings, shape);
    head_init(&(struct head){&r.head, (unsigned char *)state + r.at_head, NULL});
}

static size_t rls_kept_bytes(const void *settings, const struct eddy_expert_shape *shape, int *n_steps)
{
    const struct rls r = rls_of(settings, shape);
    return head_kept_bytes(&r.head, n_steps);
}

static void rls_limit(const struct rls *r, const struct regressors_state *past, double clamp, double x, double unit,
                      double *forecast)
{
    double low, high;
    regressors_range(&r->inputs, past, &low, &high);
    const double room = clamp > 0 ? clamp * high - clamp * low : 0;
    for (int j = 0; j < r->head.n_horizons; j++) {
        const double y = expert_limit(x + unit * forecast[j], EXPERT_LARGEST);
        forecast[j] = y > high + room ? high + room : y < low - room ? low - room : y;
    }
}

static void rls_fold(const void *settings, const struct eddy_expert_shape *shape, void *state,
                     const struct eddy_expert_event *in, double *forecast)
{
    const struct rls_settings *s = settings;
    const struct rls r = rls_of(s, shape);
    struct regressors_state *past = state;
    const struct head head = {&r.head, (unsigned char *)state + r.at_head, in->kept};
    const bool known = !isnan(in->x);
    if (!known && past->n == 0) {
        for (int j = 0; j < shape->n_horizons; j++) forecast[j] = NAN;
        return;
    }
    const double x = known ? expert_limit(in->x, EXPERT_LARGEST)
                           : past->last[(past->n - 1) % regressors_span(&r.inputs)];
    const double *label = known ? &x : NULL;
    regressors_learn(&r.inputs, past, x);
    if (!regressors_ready(&r.inputs, past)) {
        head_skip(&head, in->count, label);
        for (int j = 0; j < shape->n_horizons; j++) forecast[j] = x;
        return;
    }
    double row[HEAD_MAX_WIDTH];
    const double unit = regressors_unit(&r.inputs, past, in->sigma);
    regressors_write(&r.inputs, past, in, row);
    head_forecast(&head, in->count, label, row, x, unit, forecast);
    rls_limit(&r, past, s->clamp, x, unit, forecast);
}

static bool rls_sound(const void *settings, const struct eddy_expert_shape *shape, const void *state)
{
    const struct rls r = rls_of(settings, shape);
    const struct regressors_state *past = state;
    const struct head_state *head = (const void *)((const unsigned char *)state + r.at_head);
    return sound_count(past->n) && sound_span(past->still, 0, past->n) && sound_count(head->n);
}

const struct eddy_expert expert_rls = {
    .part = {.struct_size = sizeof(struct eddy_expert),
             .kind = EDDY_PART_EXPERT,
             .name = "rls",
             .summary =
                 "A linear forecast from lags, means, the season and a network's hidden outputs, learnt for each "
                 "value by recursive least squares: the smallest errors of one expert, for memory and time. "
                 "42240 bytes per value of a key at 24 horizons without a network; at 48 with 32 hidden outputs "
                 "126 kB.",
             .options = options,
             .settings_size = sizeof(struct rls_settings)},
    .state_version = 3,
    .seasonal = true,
    .plan = rls_plan,
    .state_bytes = rls_state_bytes,
    .init = rls_init,
    .fold = rls_fold,
    .sound = rls_sound,
    .kept_bytes = rls_kept_bytes,
};
