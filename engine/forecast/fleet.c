/* One small linear model for a whole fleet, which each key corrects a little for itself: good for keys of any age, and
 * persistence on a random walk.
 *
 * Equations (FORECASTING, section 9, "CHEAP")
 *     features, anchors            fleet_shape.h, fleet_features.c
 *     r_a                          the model's deviation at an anchor, beyond the season's course: fleet_weights.c
 *     d_j    = f_j / sigma + r     r between anchors by the line through them, r_0 = 0; x + sigma d_j kept within
 *                                  [min - beyond R, max + beyond R] of the last values, R their range
 *     xhat   = x + sigma (u d_j + v (f_j / sigma - clip((x - m_25) / sigma, 30)))          u, v: fleet_stack.c
 * Missing   a step on which nothing is learnt; the last value and how the season went on from it stand in.
 * Shared    weights, covariance, stack and error scales per age class of the keys: the model, 22 kB.
 * Numbers   values are kept as floats relative to one that moves along, so that level and unit do not matter. */
#include <math.h>
#include <stdlib.h>

#include "engine/forecast/experts.h"
#include "engine/forecast/fleet_parts.h"
#include "engine/math/sound.h"

/* Where the numbers that are kept would lose their last digits, they are kept around another value. */
static const double FAR = 8192, SCALE_FAR = 1024;
static const float LARGEST = 1e30f;
/* What own parts are worth to keys of an age rests on the last 10,000 labels of all of them; fewer would follow one busy key,
 * and it is a share within 0..1 that changes slowly anyway: no option. */
static const float TRUST_FORGETTING = 1e-4f;

#define AT(member) offsetof(struct fleet_settings, member)
static const struct eddy_option options[] = {
    {"garrote", EDDY_OPT_REAL, AT(garrote), "8.1", 0, 1e6, "squared standard errors",
     "How significant it must be that a forecast beats the last value before it is followed: more stays with the "
     "last "
     "value, 0 does not ask.",
     NULL, 0, false},
    {"start", EDDY_OPT_INT, AT(start), "150", 0, 1e9, "steps",
     "A key follows the model in full for so long, where few keys of its age are known.", NULL, 0, false},
    {"class_records", EDDY_OPT_REAL, AT(class_records), "500", 1, 1e9, "records",
     "What all keys of its age say of how far to follow the model counts as much as so many records of a key's own: "
     "more makes keys alike.",
     NULL, 0, false},
    {"own_start", EDDY_OPT_REAL, AT(own_start), "100", 1, 1e9, "records",
     "A key's own weights begin as though so many records had said that it is like the others: more makes it slower "
     "to differ.",
     NULL, 0, false},
    {"own_prior", EDDY_OPT_REAL, AT(own_prior), "10", 1e-3, 1e9, "records",
     "How much evidence it takes before own weights that do no good to keys of an age are trusted less.", NULL, 0,
     false},
    {"forgetting", EDDY_OPT_REAL, AT(forgetting), "0.9998", .5, .9999999, "per event",
     "How long a key's own weights remember: 0.9998 is 5,000 events. Less follows changes and noise sooner.", NULL, 0,
     false},
    {"class_forgetting", EDDY_OPT_REAL, AT(class_forgetting), "0.99998", .9, .9999999, "per event of all keys",
     "How long the weights that all keys of an age share remember: 0.99998 is 50,000 events of them.", NULL, 0,
     false},
    {"stack_forgetting", EDDY_OPT_REAL, AT(stack_forgetting), "0.9998", .5, .9999999, "per event",
     "How long a key remembers how far the model was worth following.", NULL, 0, false},
    {"class_stack_forgetting", EDDY_OPT_REAL, AT(class_stack_forgetting), "0.9999", .5, .9999999,
     "per event of all keys", "The same, for all keys of an age.", NULL, 0, false},
    {"error_rate", EDDY_OPT_REAL, AT(error_rate), "0.005", 1e-6, 1, "per event",
     "How fast the usual size of errors is followed.", NULL, 0, false},
    {"limit", EDDY_OPT_REAL, AT(limit), "8", 1, 1e6, "usual errors",
     "An error teaches at most as though it were so large: less makes weights immune to glitches, and slow to learn "
     "of changes.",
     NULL, 0, false},
    {"beyond", EDDY_OPT_REAL, AT(beyond), "0.25", 0, 1e6, "share of the range",
     "Forecasts stay within the range of the last season's values and so much more of it on either side.", NULL, 0,
     false},
    {0}};

static size_t fleet_state_bytes(const void *settings, const struct eddy_expert_shape *given)
{
    struct fleet_shape shape;
    (void)settings;
    fleet_shape_of(given, &shape);
    return shape.bytes;
}

static size_t fleet_model_bytes(const void *settings, const struct eddy_expert_shape *given)
{
    (void)settings, (void)given;
    return sizeof(struct fleet_model);
}

static void fleet_model_init(const void *settings, const struct eddy_expert_shape *given, void *model)
{
    (void)settings, (void)given;
    struct fleet_model *m = model;
    for (int c = 0; c < FLEET_CLASSES; c++)
        for (int i = 0; i < FLEET_FEATURES; i++) m->classes[c].covariance[i][i] = .1;
}

static size_t fleet_contribution(const void *settings, const struct eddy_expert_shape *given)
{
    struct fleet_shape shape;
    (void)settings;
    fleet_shape_of(given, &shape);
    return fleet_contribution_bytes(&shape);
}

/* ---- the fleet learns ---- */

/* Contributions that wait for their boundary lie in checkpoints, too: one that names no class of ages was not made here. */
static bool fleet_contribution_good(const struct fleet_shape *shape, const struct fleet_contribution *in)
{
    bool good = in->of < FLEET_CLASSES;
    for (int a = 0; a < shape->n_anchors; a++)
        good &= in->labels[a].of < FLEET_CLASSES && in->labels[a].age < FLEET_AGES;
    return good;
}

static void fleet_learn_one(const struct fleet_settings *s, struct fleet_model *m, const struct fleet_shape *shape,
                            const struct fleet_contribution *in)
{
    const double keep = s->class_stack_forgetting;
    float p[FLEET_FEATURES];
    for (int a = 0; a < shape->n_anchors; a++) {
        const struct fleet_label *label = &in->labels[a];
        const int g = shape->group[a];
        if (label->learns) {
            fleet_weights_fit(s, m->classes, shape, label, a);
            m->with[label->age][g] += label->with - TRUST_FORGETTING * m->with[label->age][g];
            m->self[label->age][g] += label->self - TRUST_FORGETTING * m->self[label->age][g];
        }
        for (int i = 0; i < 5; i++) m->classes[label->of].stack[g][i] += label->stack[i];
    }
    struct fleet_class *c = &m->classes[in->of];
    if (in->learns) {
        fleet_kept_features(in->kept, p);
        fleet_covariance_fit(c, s->class_forgetting, p);
    }
    for (int g = 0; in->stacks && g < FLEET_GROUPS; g++) {
        for (int i = 0; i < 5; i++) c->stack[g][i] *= (float)keep;
        c->n_stack[g] = keep * c->n_stack[g] + 1;
    }
}

static void fleet_learn(const void *settings, const struct eddy_expert_shape *given, void *model,
                        const void *const *contributions, int n)
{
    struct fleet_shape shape;
    fleet_shape_of(given, &shape);
    for (int i = 0; i < n; i++)
        if (fleet_contribution_good(&shape, contributions[i]))
            fleet_learn_one(settings, model, &shape, contributions[i]);
}

/* ---- a key's values ---- */

static struct fleet_run fleet_run_of(const struct fleet_settings *settings, const struct fleet_shape *shape,
                                     void *state, const struct eddy_expert_event *in)
{
    unsigned char *at = state;
    return (struct fleet_run){.settings = settings,
                              .shape = shape,
                              .state = state,
                              .values = (float *)(void *)(at + shape->at_values),
                              .own = (float *)(void *)(at + shape->at_own),
                              .errors = (float *)(void *)(at + shape->at_errors),
                              .stack = (float *)(void *)(at + shape->at_stack),
                              .pending = (struct fleet_pending *)(void *)(at + shape->at_pending),
                              .scales = (uint16_t *)(void *)(at + shape->at_scales),
                              .origins = at + shape->at_origins,
                              .model = in->model,
                              .contribution = in->contribution};
}

/* The power of two below sigma. */
static double fleet_unit(double sigma)
{
    int exponent;
    (void)frexp(sigma, &exponent);
    exponent = exponent > 100 ? 100 : exponent < -900 ? -900 : exponent;
    return ldexp(1, exponent - 1);
}

static float fleet_inner(const struct fleet_state *s, double x)
{
    return fleet_clip((float)((x - s->origin) / s->unit), LARGEST);
}

/* All that is kept in units, moved to another origin and unit. */
static void fleet_move(const struct fleet_run *r, double origin, double unit)
{
    struct fleet_state *s = r->state;
    const struct fleet_shape *shape = r->shape;
    const double by = s->unit / unit, shift = (s->origin - origin) / unit;
    for (int i = 0; i < shape->n_values; i++)
        r->values[i] = fleet_clip((float)((double)r->values[i] * by + shift), LARGEST);
    for (int i = 0; i < FLEET_MEANS; i++)
        s->means[i] = fleet_clip((float)((double)s->means[i] * by + shift), LARGEST);
    s->level = fleet_clip((float)((double)s->level * by), LARGEST);
    for (int i = 0; i < shape->n_scales; i++)
        r->scales[i] = fleet_bf16(fleet_clip((float)((double)fleet_float(r->scales[i]) * by), LARGEST));
    for (int i = 0; i <= shape->n_origins; i++) {
        unsigned char *at = r->origins + (size_t)i * shape->origin_bytes;
        const uint16_t scale = fleet_bf16(fleet_clip((float)((double)fleet_origin_sigma(at) * by), LARGEST));
        memcpy(at, &scale, sizeof(scale));
    }
    s->origin = origin;
    s->unit = unit;
}

/* Another origin when the series stays far from this one (a glitch comes back), another unit when sigma has grown or
 * shrunk. */
static void fleet_follow(const struct fleet_run *r, double x, double sigma)
{
    const struct fleet_state *s = r->state;
    const double away = fabs(x - s->origin), moved = fabs(x - s->last), ratio = sigma / s->unit;
    const double unit = ratio > SCALE_FAR || ratio < 1 / SCALE_FAR ? fleet_unit(sigma) : s->unit;
    if ((away > FAR * unit && moved < away / 256) || unit != s->unit) fleet_move(r, x, unit);
}

/* Takes the value in, or what stands in for one that is missing. */
static double fleet_take(struct fleet_run *r, const struct eddy_expert_event *in)
{
    struct fleet_state *s = r->state;
    double x = expert_limit(in->x, EXPERT_LARGEST);
    r->known = !isnan(in->x);
    if (!r->known) x = expert_limit(s->last + (in->level - s->unit * (double)s->level), EXPERT_LARGEST);
    if (!(s->unit > 0)) {
        s->origin = s->last = x;
        s->unit = fleet_unit(in->sigma);
        s->count = (float)r->settings->own_start;
    }
    fleet_follow(r, x, in->sigma);
    r->x = fleet_inner(s, x);
    r->sigma = fleet_clip((float)(in->sigma / s->unit), LARGEST);
    if (r->known) {
        s->last = x;
        s->level = fleet_clip((float)(in->level / s->unit), LARGEST);
    }
    return x;
}

/* Keeps what labels and stack will look back to. */
static void fleet_put(const struct fleet_run *r, const struct fleet_view *v, const float *deviation)
{
    struct fleet_state *s = r->state;
    const struct fleet_shape *shape = r->shape;
    const float sigma = r->known ? r->sigma : 0;
    fleet_stack_keep(r, v, deviation);
    unsigned char *last = fleet_origin(r, 0, s->n);
    fleet_keep(shape, v, sigma, last);
    if (shape->n_anchors > 1 && s->n % shape->every == 0) memcpy(fleet_origin(r, 1, s->n), last, shape->origin_bytes);
    if (r->contribution) {
        r->contribution->of = (uint8_t)fleet_class(s->n);
        r->contribution->learns = r->known && s->n >= FLEET_START;
        memcpy(r->contribution->kept, fleet_kept(last), FLEET_STORED);
    }
    r->values[s->n % shape->n_values] = r->x;
}

/* ---- forecasts ---- */

/* How far forecasts may lie from x, in sigmas. */
static void fleet_range(const struct fleet_run *r, float *low, float *high)
{
    const int64_t n = r->state->n + 1, all = r->shape->n_values;
    const int seen = (int)(n < all ? n : all);
    float lo = r->x, hi = r->x;
    for (int i = 0; i < seen; i++) {
        lo = r->values[i] < lo ? r->values[i] : lo;
        hi = r->values[i] > hi ? r->values[i] : hi;
    }
    const float beyond = (float)r->settings->beyond * (hi - lo);
    *low = (lo - beyond - r->x) / r->sigma;
    *high = (hi + beyond - r->x) / r->sigma;
}

static void fleet_forecast(const struct fleet_run *r, const struct eddy_expert_shape *given, double x,
                           const struct eddy_expert_event *in, const struct fleet_view *v, const float *deviation,
                           double *forecast)
{
    const struct fleet_shape *shape = r->shape;
    float low, high;
    int a = 0, group = -1;
    struct fleet_trust trust = {0};
    const bool young = fleet_is_young(shape, r->state->n);
    fleet_range(r, &low, &high);
    for (int j = 0; j < given->n_horizons; j++) {
        const int h = given->horizons[j];
        while (shape->horizon[a] < h) a++;
        if (shape->group[a] != group) trust = fleet_stack_trust(r, group = shape->group[a]);
        const int before = a > 0 ? shape->horizon[a - 1] : 0;
        const float r0 = a > 0 ? deviation[a - 1] : 0;
        const float part = (float)(h - before) / (float)(shape->horizon[a] - before);
        const float f = young ? 0 : fleet_clip((float)(in->ahead[h] / in->sigma), 1e6f);
        float d = f + r0 + (deviation[a] - r0) * part;
        d = d < low ? low : d > high ? high : d;
        forecast[j] = x + in->sigma * (double)(trust.model * d + trust.back * (f + v->back));
    }
}

/* What others of this age err; young keys have it from their first scale on. */
static void fleet_spread(const struct fleet_run *r, const struct eddy_expert_shape *given,
                         const struct eddy_expert_event *in)
{
    const struct fleet_shape *shape = r->shape;
    const float *errors = r->model->classes[fleet_class(r->state->n)].errors;
    if (!in->spread || !r->known || r->state->n < FLEET_START) return;
    for (int j = 0, a = 0; j < given->n_horizons; j++) {
        while (shape->horizon[a] < given->horizons[j]) a++;
        const int before = a > 0 ? shape->horizon[a - 1] : 0;
        const float part = (float)(given->horizons[j] - before) / (float)(shape->horizon[a] - before);
        const float e0 = a > 0 ? errors[a - 1] : 0, e = e0 + (errors[a] - e0) * part;
        if (errors[a] > 0) in->spread[j] = in->sigma * (double)e;
    }
}

static void fleet_fold(const void *settings, const struct eddy_expert_shape *given, void *state,
                       const struct eddy_expert_event *in, double *forecast)
{
    struct fleet_shape shape;
    struct fleet_view view;
    float deviation[FLEET_ANCHORS];
    fleet_shape_of(given, &shape);
    struct fleet_run r = fleet_run_of(settings, &shape, state, in);
    if (isnan(in->x) && !(r.state->unit > 0)) {
        for (int j = 0; j < given->n_horizons; j++) forecast[j] = NAN;
        return;
    }
    const double x = fleet_take(&r, in);
    fleet_weights_learn(&r);
    fleet_stack_learn(&r);
    fleet_look(&r, in, &view);
    fleet_weights_say(&r, &view, deviation);
    fleet_put(&r, &view, deviation);
    fleet_forecast(&r, given, x, in, &view, deviation, forecast);
    fleet_spread(&r, given, in);
    r.state->n++;
}

static bool fleet_sound(const void *settings, const struct eddy_expert_shape *given, const void *state)
{
    const struct fleet_state *s = state;
    (void)settings, (void)given;
    return sound_count(s->n);
}

static bool fleet_model_sound(const void *settings, const struct eddy_expert_shape *given, const void *model)
{
    const struct fleet_model *m = model;
    bool sound = true;
    (void)settings, (void)given;
    for (int i = 0; i < FLEET_CLASSES; i++) sound &= sound_count(m->classes[i].records);
    return sound;
}

const struct eddy_expert expert_fleet = {
    .part = {.struct_size = sizeof(struct eddy_expert),
             .kind = EDDY_PART_EXPERT,
             .name = "fleet",
             .summary =
                 "A linear model that all keys share and each corrects for itself: good from a key's first events "
                 "on, persistence on a random walk. 1008 bytes per value of a key for horizons up to 24, 280 for "
                 "the next step alone, 1720 up to 48; a microsecond.",
             .options = options,
             .settings_size = sizeof(struct fleet_settings)},
    .state_version = 2,
    .seasonal = true,
    .state_bytes = fleet_state_bytes,
    .fold = fleet_fold,
    .sound = fleet_sound,
    .model_sound = fleet_model_sound,
    .model_bytes = fleet_model_bytes,
    .model_init = fleet_model_init,
    .contribution_bytes = fleet_contribution,
    .learn = fleet_learn,
};
