/* In and out of the domain in which values are forecast: the lane works on transformed values from the first step to the
 * last, and results are written in the values' own. */
#include <math.h>
#include <string.h>

#include "engine/flow/lane_private.h"
#include "engine/forecast/scale.h"
#include "engine/forecast/transform.h"

const struct lane_event *lane_transform_event(struct lane *l, const struct lane_event *in)
{
    const struct plan *p = l->plan;
    for (int v = 0; v < p->n_values; v++) l->transformed[v] = transform_forth(p->transform[v], in->event.x[v]);
    l->transformed_event = *in;
    l->transformed_event.event.x = l->transformed;
    return &l->transformed_event;
}

/* What the experts erred by, in the value's own units: it came as x, and w is what that was for the lane. */
static void transform_errors(const struct plan *p, size_t v, double x, const struct eddy_result *out)
{
    const size_t values = (size_t)p->n_values, rows = (size_t)out->experts.n * (size_t)p->outlook.n_horizons;
    const double w = transform_forth(p->transform[v], x);
    double *errors = (double *)(uintptr_t)out->experts.errors;
    for (size_t i = 0; i < rows; i++)
        errors[i * values + v] = x - transform_back(p->transform[v], w - errors[i * values + v]);
}

/* What drove incidents, in the values' own units. */
static void transform_drivers(const struct plan *p, const struct eddy_result *out)
{
    for (int i = 0; i < out->n_incidents; i++) {
        struct eddy_incident *incident = (struct eddy_incident *)(uintptr_t)&out->incidents[i];
        for (int d = 0; d < incident->n_drivers; d++) {
            struct eddy_driver *driver = &incident->drivers[d];
            const int kind = p->transform[driver->value];
            driver->y = transform_back(kind, driver->y);
            driver->yhat = transform_back(kind, driver->yhat);
            driver->yhat_lower = transform_back(kind, driver->yhat_lower);
            driver->yhat_upper = transform_back(kind, driver->yhat_upper);
        }
    }
}

/* The block of lane_fold.c: planes of [n_values], then what is no value. */
void lane_transform_result(const struct lane *l, const struct lane_event *in, const struct eddy_result *out)
{
    const struct plan *p = l->plan;
    const size_t values = (size_t)p->n_values, horizons = (size_t)p->outlook.n_horizons;
    const size_t planes = 4 + horizons * (1 + 2 * (size_t)p->n_bands) + (p->looker >= 0 ? 2 : 0);
    double *block = (double *)(uintptr_t)out->y;
    for (size_t v = 0; v < values; v++) {
        if (p->transform[v] == TRANSFORM_NONE) continue;
        for (size_t k = 1; k < planes; k++)
            block[k * values + v] = transform_back(p->transform[v], block[k * values + v]);
        transform_errors(p, v, in->event.x[v], out);
    }
    transform_drivers(p, out);
    memcpy(block, in->event.x, values * sizeof(double)); /* as they came, to the last bit */
}

const double *lane_transform_judged(struct lane *l, const struct key_row *r, const double *x)
{
    const struct plan *p = l->plan;
    for (int v = 0; v < p->n_values; v++) {
        const struct scale *s = lane_scale(l, r, v);
        l->judged[v] = p->transform[v] != TRANSFORM_LOG_RETURN ? x[v] : s->n > 0 ? x[v] - s->last : NAN;
    }
    return l->judged;
}
