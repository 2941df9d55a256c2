/* The stack: how much of the model's deviation from the last value, and how much of a mean return along the season, a
 * forecast follows, per group of anchors.  On a random walk neither deserves anything, and the forecast is the last value.
 *
 * Equations (d1 deviation of the model, d2 = f - clip((x - m_25) / sigma, 30) of the mean return, as they were forecast; y
 *            what came, all in sigmas of the origin; w = 1 / S^2, less where errors are beyond 5 S)
 *     A     = g A + w (d1 d1, d1 d2, d2 d2, d1 y, d2 y)             the key's, g = stack_forgetting;  G the same, of the
 *                                                                        whole age class, by class_stack_forgetting
 *     a     = A + c G                                                    c: the class counts as class_records records
 *     b_i  *= max(0, 1 - k a_ii' / b_i^2)                                garrote: gains that chance may have brought are
 *                                                                        taken away; a' = A + c^2 G, k = garrote times
 *                                                                        1, 1.5, 2/3, 9/4 by group for labels that
 *                                                                        overlap, times the anchors of the group
 *     weights   min a_11 u^2 + 2 a_12 u v + a_22 v^2 - 2 b_1 u - 2 b_2 v   with u, v >= 0, u + v <= 1
 * The first group has no mean return.  Before `start` steps and class_records of the class: u = 1, v = 0. */
#include <math.h>

#include "engine/forecast/fleet_parts.h"

/* How far labels of a group overlap follows from its horizons; the other two keep a glitch from deciding: no options. */
static const float MEAN_LIMIT = 25, TOO_FAR = 100;
static const float overlap[FLEET_GROUPS] = {1, 1.5f, 2 / 3.f, 9 / 4.f};

/* What was forecast at origin n - h, and the scale of then; false when there is nothing. */
static bool stack_said(const struct fleet_run *r, int anchor, float said[2], float *sigma)
{
    const struct fleet_shape *shape = r->shape;
    const int64_t of = r->state->n - shape->horizon[anchor];
    if (of < FLEET_START) return false;
    if (anchor == 0) {
        memcpy(said, r->state->said, sizeof(r->state->said));
        *sigma = fleet_origin_sigma(fleet_origin(r, 0, of));
    } else {
        if (of % shape->stride != 0) return false;
        const struct fleet_pending *p =
            &r->pending[shape->first[anchor] + (int)(of / shape->stride % shape->places[anchor])];
        for (int i = 0; i < 2; i++) said[i] = fleet_float(p->by[i]);
        *sigma = fleet_float(r->scales[of / shape->stride % shape->n_scales]);
    }
    return *sigma > 0;
}

static void stack_learn_anchor(const struct fleet_run *r, int anchor)
{
    const struct fleet_shape *shape = r->shape;
    const int64_t of = r->state->n - shape->horizon[anchor];
    float said[2], sigma, S = r->errors[anchor], *A = r->stack + 5 * shape->group[anchor];
    if (!stack_said(r, anchor, said, &sigma)) return;
    const float y = (r->x - r->values[of % shape->n_values]) / sigma;
    if (!(S > 0)) S = r->model->classes[fleet_class(of)].errors[anchor];
    if (!(S > 0) || !(fabsf(y) <= TOO_FAR)) return;
    const float e1 = y - said[0], e2 = y - said[1];
    float w = 1 / (S * S);
    const float far = .5f * (e1 * e1 + e2 * e2) * w;
    if (far > MEAN_LIMIT) w *= MEAN_LIMIT / far;
    const float sums[5] = {w * said[0] * said[0], w * said[0] * said[1], w * said[1] * said[1], w * said[0] * y,
                           w * said[1] * y};
    for (int i = 0; i < 5; i++) A[i] += sums[i];
    if (!r->contribution) return;
    struct fleet_label *out = &r->contribution->labels[anchor];
    out->of = (uint8_t)fleet_class(of);
    memcpy(out->stack, sums, sizeof(sums));
}

void fleet_stack_learn(struct fleet_run *r)
{
    if (!r->known) return;
    const float keep = (float)r->settings->stack_forgetting;
    for (int i = 0; i < 5 * r->shape->n_groups; i++) r->stack[i] *= keep;
    for (int a = 0; a < r->shape->n_anchors; a++) stack_learn_anchor(r, a);
    if (r->contribution) r->contribution->stacks = r->state->n > FLEET_START;
}

void fleet_stack_keep(const struct fleet_run *r, const struct fleet_view *v, const float *deviation)
{
    const struct fleet_shape *shape = r->shape;
    const int64_t n = r->state->n;
    r->state->said[0] = v->course[0] + deviation[0];
    r->state->said[1] = v->course[0] + v->back;
    if (n % shape->stride != 0 || shape->n_anchors == 1) return;
    r->scales[n / shape->stride % shape->n_scales] = fleet_bf16(r->known ? r->sigma : 0);
    for (int a = 1; a < shape->n_anchors; a++) {
        struct fleet_pending *p = &r->pending[shape->first[a] + (int)(n / shape->stride % shape->places[a])];
        p->by[0] = fleet_bf16(v->course[a] + deviation[a]);
        p->by[1] = fleet_bf16(v->course[a] + v->back);
    }
}

static float stack_garrote(float b, float threshold)
{
    const float kept = 1 - threshold / (b * b);
    return b > 0 && kept > 0 ? b * kept : 0;
}

static float stack_within(float v, float most)
{
    return v > most ? most : v > 0 ? v : 0;
}

/* The weights that the sums a = (a11, a12, a22, b1, b2) ask for. */
static struct fleet_trust stack_solve(const float a[5], bool alone)
{
    float u = 0, v = 0;
    for (int i = 0; i < 4; i++) {
        u = stack_within((a[3] - a[1] * v) / a[0], 1);
        v = alone ? 0 : stack_within((a[4] - a[1] * u) / a[2], 1 - u);
    }
    const float curve = a[0] + a[2] - 2 * a[1];
    if (u + v > .999f && curve > 0) { /* along the edge where both add up to 1 */
        float shift = ((a[3] - a[0] * u - a[1] * v) - (a[4] - a[1] * u - a[2] * v)) / curve;
        shift = shift > v ? v : shift < -u ? -u : shift;
        u += shift;
        v -= alone ? 0 : shift;
    }
    return (struct fleet_trust){u, alone ? 0 : v};
}

struct fleet_trust fleet_stack_trust(const struct fleet_run *r, int group)
{
    const struct fleet_class *class = &r->model->classes[fleet_class(r->state->n)];
    const float *A = r->stack + 5 * group, *G = class->stack[group];
    const float n = (float)class->n_stack[group], records = (float)r->settings->class_records;
    const float c = records / (n > 1 ? n : 1);
    if (r->state->n <= r->settings->start && n <= records) return (struct fleet_trust){1, 0};
    const float threshold = (float)r->settings->garrote * overlap[group] * (float)r->shape->in_group[group];
    float a[5];
    for (int i = 0; i < 5; i++) a[i] = A[i] + c * G[i];
    a[3] = stack_garrote(a[3], threshold * (A[0] + c * c * G[0]));
    a[4] = stack_garrote(a[4], threshold * (A[2] + c * c * G[2]));
    a[0] = a[0] * 1.0001f + 1e-6f;
    a[2] = a[2] * 1.001f + 1e-6f;
    return stack_solve(a, group == 0);
}
