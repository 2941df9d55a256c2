/* The features of an event (fleet_shape.h), and how an origin keeps them until its labels come: a byte each,
 *     byte = 127 sign(v) sqrt(|v| / limit)        fine near 0, where most of them are
 * with limit FLEET_COURSE for f_j, FLEET_EXCESS for the last feature, FLEET_CLIP for the others. */
#include <math.h>

#include "engine/forecast/fleet_parts.h"

static const float rates[FLEET_MEANS] = {2.f / 12, 2.f / 25, 2.f / 97, 2.f / 673};

static float features_limit(int i)
{
    return i >= FLEET_LAST ? FLEET_EXCESS : i >= FLEET_FIRST_OFFSET ? FLEET_COURSE : FLEET_CLIP;
}

static int8_t features_byte(float v, float limit)
{
    const float a = fabsf(v) / limit;
    const int b = (int)(sqrtf(a < 1 ? a : 1) * 127 + .5f);
    return (int8_t)(v < 0 ? -b : b);
}

static float features_unbyte(int8_t b, float limit)
{
    const float a = (float)b / 127;
    return limit * a * fabsf(a);
}

/* Means move before they are looked at. */
static void features_means(const struct fleet_run *r)
{
    struct fleet_state *s = r->state;
    for (int i = 0; r->known && i < FLEET_MEANS; i++) {
        const float young = 1 / (float)(s->n + 1);
        s->means[i] += (r->x - s->means[i]) * (young > rates[i] ? young : rates[i]);
    }
}

/* What x was l steps ago, against now. */
static float features_lag(const struct fleet_run *r, int l)
{
    const int64_t then = r->state->n - l;
    const float x = r->values[(then > 0 ? then : 0) % r->shape->n_values];
    return r->state->n > 0 ? (r->x - x) * (1 / r->sigma) : 0;
}

/* The places of what a young key lacks. */
static void features_young(const struct fleet_run *r, struct fleet_view *v)
{
    static const int lags[FLEET_LAGS] = {1, 2, 3, 4, 6};
    for (int i = 0; i < FLEET_LAGS; i++) v->features[FLEET_FIRST_LAG + i] = features_lag(r, lags[i]);
    for (int i = FLEET_FIRST_MEAN + 2, l = 8; i < FLEET_LAST; i++, l += 2) v->features[i] = features_lag(r, l);
    for (int a = 0; a < r->shape->n_anchors; a++) v->course[a] = 0;
}

static void features_season(const struct fleet_run *r, const struct eddy_expert_event *in, struct fleet_view *v)
{
    const struct fleet_shape *shape = r->shape;
    const double per_sigma = 1 / in->sigma;
    float *p = v->features;
    p[FLEET_DEVIATION] = p[FLEET_FIRST_MEAN + 2] - fleet_clip((float)(in->level * per_sigma), 1e6f);
    for (int k = 0; k < FLEET_OFFSETS; k++)
        p[FLEET_FIRST_OFFSET + k] = shape->offsets[k] <= shape->n_ahead
                                        ? fleet_clip((float)(in->ahead[shape->offsets[k]] * per_sigma), FLEET_COURSE)
                                        : 0;
    for (int a = 0; a < shape->n_anchors; a++)
        v->course[a] = fleet_clip((float)(in->ahead[shape->horizon[a]] * per_sigma), FLEET_COURSE);
}

void fleet_look(const struct fleet_run *r, const struct eddy_expert_event *in, struct fleet_view *v)
{
    const struct fleet_state *s = r->state;
    const float per = 1 / r->sigma;
    const bool young = fleet_is_young(r->shape, s->n);
    float *p = v->features;
    features_means(r);
    p[0] = 1;
    for (int i = 0; i < FLEET_LAGS && !young; i++) p[FLEET_FIRST_LAG + i] = features_lag(r, r->shape->lags[i]);
    for (int i = 0; i < FLEET_MEANS; i++) p[FLEET_FIRST_MEAN + i] = (r->x - s->means[i]) * per;
    const float excess = fleet_clip(p[FLEET_FIRST_MEAN + 1], FLEET_EXCESS);
    if (young)
        features_young(r, v);
    else
        features_season(r, in, v);
    for (int i = 1; i < FLEET_FIRST_OFFSET; i++) p[i] = fleet_clip(p[i], FLEET_CLIP);
    p[FLEET_LAST] = excess - p[FLEET_FIRST_MEAN + 1];
    v->back = -fleet_clip((r->x - s->means[1]) * per, 30);
}

void fleet_keep(const struct fleet_shape *shape, const struct fleet_view *v, float sigma, unsigned char *origin)
{
    const uint16_t scale = fleet_bf16(sigma);
    int8_t *kept = (int8_t *)(origin + sizeof(scale));
    memcpy(origin, &scale, sizeof(scale));
    for (int i = 1; i < FLEET_FEATURES; i++) kept[i - 1] = features_byte(v->features[i], features_limit(i));
    for (int a = 0; a < shape->n_anchors; a++)
        if (shape->base[a] >= FLEET_STORED) kept[shape->base[a]] = features_byte(v->course[a], FLEET_COURSE);
}

const int8_t *fleet_kept(const unsigned char *origin)
{
    return (const int8_t *)(origin + sizeof(uint16_t));
}

float fleet_origin_sigma(const unsigned char *origin)
{
    uint16_t scale;
    memcpy(&scale, origin, sizeof(scale));
    return fleet_float(scale);
}

void fleet_kept_features(const int8_t *kept, float *p)
{
    p[0] = 1;
    for (int i = 1; i < FLEET_FIRST_OFFSET; i++) p[i] = features_unbyte(kept[i - 1], FLEET_CLIP);
    for (int i = FLEET_FIRST_OFFSET; i < FLEET_LAST; i++)
        p[i] = fleet_clip(features_unbyte(kept[i - 1], FLEET_COURSE), FLEET_CLIP);
    p[FLEET_LAST] = features_unbyte(kept[FLEET_LAST - 1], FLEET_EXCESS);
}

float fleet_kept_course(const struct fleet_shape *shape, const unsigned char *origin, int anchor)
{
    return features_unbyte(fleet_kept(origin)[shape->base[anchor]], FLEET_COURSE);
}

unsigned char *fleet_origin(const struct fleet_run *r, int anchor, int64_t of)
{
    const struct fleet_shape *shape = r->shape;
    const int64_t place = anchor > 0 ? of / shape->every % shape->n_origins : shape->n_origins;
    return r->origins + (size_t)place * shape->origin_bytes;
}
