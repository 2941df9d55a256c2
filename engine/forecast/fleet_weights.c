/* The linear model: what the fleet knows, W per age class and anchor, and what a key adds to it, D.
 *
 * Equations (p, sigma_s, f of origin s = n - h; P the covariance of all records of the class, Q = (N + 1) P, N their
 *            discounted number; c what the key's own weights rest on; d how many events there are to an origin)
 *     y     = (x - x_s) / sigma_s - f
 *     E     = y - W . p              e = E - D . p, both limited to +-limit S
 *     S    += max(error_rate, .5 / (s + 1)) (|e| - S)            half the fleet's and half |e| at first; the fleet's: of
 *                                                            all keys of the class, by .002
 *     u     = Q p                    v = p . u
 *     D    += e u / (g c / d + v)                           from the key's 26th step on;  c = g c + 1, own_start at first,
 *                                                            g = forgetting
 *     W    += E u / (N / d + 1 + v)                         at the next boundary, all features but the last
 *     P    -= P p (P p)^T / (k + p . P p),  then P / k                       for every event of the class, k = class_forgetting
 *     P    -= w P_i P_i^T / (1 + w P_ii)                     for feature i in turns: what no event excites (features that
 *                                                            are equal throughout) is not forgotten without end
 *     r     = (W + rho D) . p        rho = (sum w E D.p + own_prior) / (sum w (D.p)^2 + own_prior) within 0..1: whether keys of this age
 *                                    do well to trust themselves;  w = 1 / S^2, less where errors are beyond 5 S
 * One covariance serves all: a key's own would be 2.6 kB. */
#include <math.h>

#include "engine/forecast/fleet_parts.h"

/* Guards, and no options: errors of 0, labels that a glitch made, a covariance that rounding would spoil. */
static const float LEAST_ERROR = 1e-3f, TOO_FAR = 100;
/* The class's mean error, over some 500 labels of all its keys: where a new key's own begins, which from there on
 * goes by `error_rate`. */
static const float CLASS_ERROR_RATE = .002f;
static const double WIND_UP = 1e6;
enum { REFRESH = 16 };

/* u = Q p; returns p . u. */
static float weights_gain(const struct fleet_class *c, const float *p, float *u /* [FLEET_WIDTH] */)
{
    for (int i = 0; i < FLEET_WIDTH; i++) u[i] = 0;
    for (int j = 0; j < FLEET_FEATURES; j++)
        for (int i = 0; i < FLEET_WIDTH; i++) u[i] += c->gain[j][i] * p[j];
    return fleet_dot(u, p);
}

static float weights_share(const struct fleet_shape *shape, int anchor)
{
    return anchor > 0 ? 1 / (float)shape->every : 1;
}

/* ---- a key ---- */

/* A label in hand. */
struct weights_label {
    const unsigned char *origin;
    int anchor;
    int64_t of;   /* steps of the key before the origin */
    float target; /* y */
};

/* Is there one at this anchor? */
static bool weights_label_of(const struct fleet_run *r, int anchor, struct weights_label *label)
{
    const struct fleet_shape *shape = r->shape;
    const int h = shape->horizon[anchor];
    const int64_t of = r->state->n - h;
    if (of < FLEET_START || (anchor > 0 && of % shape->every != 0)) return false;
    const unsigned char *origin = fleet_origin(r, anchor, of);
    const float sigma = fleet_origin_sigma(origin);
    if (!(sigma > 0)) return false;
    const float y = (r->x - r->values[of % shape->n_values]) / sigma;
    *label = (struct weights_label){origin, anchor, of,
                                    y - (fleet_is_young(shape, of) ? 0 : fleet_kept_course(shape, origin, anchor))};
    return fabsf(y) <= TOO_FAR;
}

/* The mean error with this one in it, which is limited; a new key begins half way to the fleet. */
static float weights_error(const struct fleet_run *r, const struct weights_label *label, float *e)
{
    float *S = &r->errors[label->anchor];
    const float slowest = (float)r->settings->error_rate;
    const float fleet = r->model->classes[fleet_class(label->of)].errors[label->anchor], a = fabsf(*e);
    if (!(*S > 0)) {
        const float usual = fleet > 0 ? fleet : a < 1 ? a : 1;
        *S = .5f * (usual + (a < 3 * usual ? a : 3 * usual)) + LEAST_ERROR;
    } else {
        *e = fleet_clip(*e, (float)r->settings->limit * *S);
        const float young = .5f / (float)(label->of + 1);
        *S += (young > slowest ? young : slowest) * (fabsf(*e) - *S);
    }
    if (*S < LEAST_ERROR) *S = LEAST_ERROR;
    return *S;
}

/* Says to the fleet what came, and how a forecast without and with the own part would have done. */
static void weights_contribute(const struct fleet_run *r, const struct weights_label *label, float both, float own,
                               float before)
{
    if (!r->contribution) return;
    struct fleet_label *out = &r->contribution->labels[label->anchor];
    memcpy(out->kept, fleet_kept(label->origin), FLEET_STORED);
    out->learns = 1;
    out->of = (uint8_t)fleet_class(label->of);
    out->age = (uint8_t)fleet_age(label->of);
    out->target = label->target;
    out->limit = (float)r->settings->limit * r->errors[label->anchor];
    if (!(before > 0) || label->of < FLEET_GROWN) return;
    float weight = 1 / (before * before);
    const float far = both * both * weight;
    if (far > 25) weight *= 25 / far;
    out->with = weight * (both + own) * own;
    out->self = weight * own * own;
}

static void weights_learn_label(const struct fleet_run *r, const struct weights_label *label)
{
    const struct fleet_class *c = &r->model->classes[fleet_class(label->of)];
    float p[FLEET_FEATURES], u[FLEET_WIDTH], *D = r->own + (size_t)label->anchor * FLEET_FEATURES;
    fleet_kept_features(fleet_kept(label->origin), p);
    const float own = fleet_dot(D, p), before = r->errors[label->anchor];
    float e = label->target - fleet_dot(c->weights[label->anchor], p) - own;
    const float both = e;
    (void)weights_error(r, label, &e);
    weights_contribute(r, label, both, own, before);
    if (label->of < FLEET_GROWN) return;
    const float v = weights_gain(c, p, u), keep = (float)r->settings->forgetting;
    const float gain = e / (keep * r->state->count * weights_share(r->shape, label->anchor) + v);
    for (int i = 0; i < FLEET_FEATURES; i++) D[i] += gain * u[i];
}

void fleet_weights_learn(struct fleet_run *r)
{
    struct weights_label label;
    bool any = false;
    for (int a = 0; r->known && a < r->shape->n_anchors; a++) {
        if (!weights_label_of(r, a, &label)) continue;
        weights_learn_label(r, &label);
        any = true;
    }
    if (any) r->state->count = (float)r->settings->forgetting * r->state->count + 1;
}

/* How far the keys of an age may trust their own parts. */
static float weights_trust(const struct fleet_run *r, int group)
{
    const struct fleet_model *m = r->model;
    const int age = fleet_age(r->state->n);
    const float prior = (float)r->settings->own_prior;
    const float rho = (m->with[age][group] + prior) / (m->self[age][group] + prior);
    return rho > 1 ? 1 : rho > 0 ? rho : 0;
}

void fleet_weights_say(const struct fleet_run *r, const struct fleet_view *v, float *deviation)
{
    const struct fleet_class *c = &r->model->classes[fleet_class(r->state->n)];
    float p[FLEET_FEATURES]; /* as they were learnt from: fleet_kept_features() */
    for (int i = 0; i < FLEET_FEATURES; i++) p[i] = v->features[i];
    for (int i = FLEET_FIRST_OFFSET; i < FLEET_LAST; i++) p[i] = fleet_clip(p[i], FLEET_CLIP);
    for (int a = 0; a < r->shape->n_anchors; a++)
        deviation[a] = fleet_dot(c->weights[a], p) +
                       weights_trust(r, r->shape->group[a]) * fleet_dot(r->own + (size_t)a * FLEET_FEATURES, p);
}

/* ---- the fleet ---- */

void fleet_weights_fit(const struct fleet_settings *settings, struct fleet_class *classes,
                       const struct fleet_shape *shape, const struct fleet_label *label, int anchor)
{
    const float limit = (float)settings->limit;
    struct fleet_class *c = &classes[label->of];
    float p[FLEET_FEATURES], u[FLEET_WIDTH], *S = &c->errors[anchor], *W = c->weights[anchor];
    fleet_kept_features(label->kept, p);
    const float e = label->target - fleet_dot(W, p), a = fabsf(e);
    if (!(*S > 0))
        *S = a < 1 ? a : 1;
    else
        *S += CLASS_ERROR_RATE * ((a < limit * *S ? a : limit * *S) - *S);
    const float v = weights_gain(c, p, u);
    const float gain = fleet_clip(e, label->limit) / ((float)c->n * weights_share(shape, anchor) + 1 + v);
    for (int i = 0; i < FLEET_LAST; i++) W[i] += gain * u[i];
}

/* Keeps the covariance symmetric and below what rounding stands. */
static void covariance_tidy(struct fleet_class *c)
{
    double trace = 0;
    for (int i = 0; i < FLEET_FEATURES; i++) trace += c->covariance[i][i];
    const double shrink = trace > WIND_UP * FLEET_FEATURES ? .5 : 1;
    for (int i = 0; i < FLEET_FEATURES; i++)
        for (int j = 0; j <= i; j++) {
            const double s = shrink * .5 * (c->covariance[i][j] + c->covariance[j][i]);
            c->covariance[i][j] = c->covariance[j][i] = s;
            c->gain[i][j] = c->gain[j][i] = (float)(s * (c->n + 1));
        }
}

/* Every REFRESH-th record stands for a faint one of a single feature: the information about each direction stays above 1,
 * where it is 1 / (1 - forgetting), 50,000 unless told, for those that events excite. */
static void covariance_refresh(struct fleet_class *c, double forgetting)
{
    const int i = (int)(c->records / REFRESH % FLEET_FEATURES);
    const double w = REFRESH * FLEET_FEATURES * (1 - forgetting);
    double column[FLEET_FEATURES];
    for (int j = 0; j < FLEET_FEATURES; j++) column[j] = c->covariance[j][i];
    const double g = w / (1 + w * column[i]);
    for (int j = 0; j < FLEET_FEATURES; j++)
        for (int k = 0; k < FLEET_FEATURES; k++) c->covariance[j][k] -= g * column[j] * column[k];
}

void fleet_covariance_fit(struct fleet_class *c, double forgetting, const float *p)
{
    double u[FLEET_FEATURES] = {0}, rest = forgetting;
    for (int j = 0; j < FLEET_FEATURES; j++)
        for (int i = 0; i < FLEET_FEATURES; i++) u[i] += c->covariance[j][i] * (double)p[j];
    for (int i = 0; i < FLEET_FEATURES; i++) rest += u[i] * (double)p[i];
    for (int i = 0; i < FLEET_FEATURES; i++) {
        const double g = u[i] / rest;
        for (int j = 0; j < FLEET_FEATURES; j++)
            c->covariance[i][j] = (c->covariance[i][j] - g * u[j]) * (1 / forgetting);
    }
    c->n = c->n * forgetting + 1;
    c->records++;
    if (c->records % REFRESH == 0) covariance_refresh(c, forgetting);
    if (c->records % 8 == 0 || c->records < 500) covariance_tidy(c);
}
