/* An event as the networks see it: values against their scale, time against the usual time.
 *
 * Equations (value x at step t, sigma its robust scale, or mean and sigma as `forecast.scaling` fixes them)
 *     z = clip((x - mean) / sigma, 6)    dz = clip((x - last) / sigma, 6)    known = 1, or 0 for a missing value
 *     elapsed = (e - u) / (e + u) in -1..1, e the time since the last event, u the usual one
 * A fixed scale is not limited: it is for models that were trained on just these numbers. */
#include <math.h>
#include <string.h>

#include "engine/flow/lane_private.h"
#include "engine/forecast/calendar.h"
#include "engine/forecast/scale.h"
#include "engine/forecast/volatility.h"
#include "engine/math/scalar.h"

static const double INPUT_LIMIT = 6, FIXED_LIMIT = 1e6, CLOCK_MEMORY = 100;

struct point_head *lane_point(const struct lane *l, const struct key_row *r, int channel, int64_t step)
{
    const struct plan *p = l->plan;
    size_t place = (size_t)channel * (size_t)p->n_steps + (size_t)(step % p->n_steps);
    return (struct point_head *)(void *)(r->row + p->at_points + place * p->point_bytes);
}

/* `unit` is the scale's sigma. */
static inline __attribute__((always_inline)) struct point point_against(const struct plan *p, bool general,
                                                                        const struct scale *s, double unit, int value,
                                                                        double x, double last, bool known)
{
    const bool fixed = general && p->fixed_mean;
    const bool level = !general || !p->transform || p->transform[value] != TRANSFORM_LOG_RETURN;
    const double sigma = fixed ? p->fixed_deviation[value] : scalar_least(unit, 1e30);
    const double mean = fixed ? p->fixed_mean[value] : s->mean, limit = fixed ? FIXED_LIMIT : INPUT_LIMIT;
    return (struct point){.value = x,
                          .sigma = (float)sigma,
                          .z = level ? (float)lane_clip((x - mean) / sigma, limit) : 0,
                          .dz = (float)lane_clip((x - last) / sigma, limit),
                          .known = known ? 1 : 0};
}

struct point lane_point_against(const struct plan *p, const struct scale *s, int value, double x, double last,
                                bool known)
{
    return point_against(p, true, s, scale_sigma(s), value, x, last, known);
}

static inline __attribute__((always_inline)) struct point point_of(const struct lane *l, bool general,
                                                                   const struct key_row *r, int value, double x,
                                                                   double xhat, const struct eddy_season *season)
{
    const struct plan *p = l->plan;
    struct scale *s = lane_scale(l, r, value);
    double last = s->last;
    const int64_t gap = s->gap, missing_steps = p->missing[value] == MISSING_SKIP ? 0 : gap;
    const bool known = isfinite(x);
    struct volatility *volatility = general ? lane_volatility(l, r, value) : NULL;
    if (known && volatility) volatility_update(volatility, x, missing_steps);
    if (!known) scale_miss(s);
    if (known)
        (void)scale_update(s, x);
    else if (s->n == 0)
        return (struct point){.value = NAN, .sigma = 1};
    else
        x = p->missing[value] == MISSING_FORECAST && isfinite(xhat) ? xhat : last;
    if (s->n == 1) last = x;
    const double unit = scale_sigma(s);
    if (p->seasonal && known)
        season_learn(lane_profile(l, r, value), p->n_season_bins, season, x, s->n > 1 ? x - last : NAN, gap, unit);
    return point_against(p, general, s, unit, value, x, last, known);
}

void lane_point_of(const struct lane *l, const struct key_row *r, int value, double x, double xhat,
                   const struct eddy_season *season, struct point *out)
{
    *out = point_of(l, true, r, value, x, xhat, season);
}

void lane_point_single(const struct lane *l, const struct key_row *r, double x, double xhat,
                       const struct eddy_season *season, struct point *out)
{
    *out = point_of(l, false, r, 0, x, xhat, season);
}

/* Elapsed time against the key's usual interval, 0 when regular; the usual one is learnt slowly. */
float lane_clock_of(const struct lane *l, const struct key_row *r, double elapsed_s)
{
    double *usual = (double *)(void *)(r->row + l->plan->at_clock);
    if (r->count == 0) return 0;
    if (r->count == 1) *usual = elapsed_s;
    float squashed = (float)(elapsed_s + *usual > 0 ? (elapsed_s - *usual) / (elapsed_s + *usual) : 0);
    double limited = *usual > 0 ? scalar_least(elapsed_s, 10 * *usual) : elapsed_s;
    *usual += (limited - *usual) / scalar_least((double)r->count, CLOCK_MEMORY);
    return squashed;
}

/* `reads` says which of them there are, in this order. */
static inline __attribute__((always_inline)) void inputs_of(struct lane *l, const struct lane_shape *s,
                                                            const struct plan_network *n,
                                                            const struct point_head *head, const struct point *points,
                                                            const float *categories, const float *season, int channel,
                                                            float *u)
{
    const bool *reads = n->reads;
    for (int d = 0; d < s->n_dims; d++) {
        if (reads[INPUT_LEVEL]) *u++ = points[d].z;
        if (reads[INPUT_DIFFERENCE]) *u++ = points[d].dz;
        if (reads[INPUT_KNOWN]) *u++ = points[d].known;
    }
    if (reads[INPUT_ELAPSED]) *u++ = head->elapsed;
    if (reads[INPUT_CALENDAR]) {
        memcpy(u, calendar_remembered(&l->calendar, head->time_ns), CALENDAR_INPUTS * sizeof(*u));
        u += CALENDAR_INPUTS;
    }
    for (int c = 0; reads[INPUT_CHANNEL] && c < s->n_channels; c++) *u++ = c == channel ? 1 : 0;
    for (int d = 0; reads[INPUT_SEASON] && d < s->n_dims; d++, u += SEASON_INPUTS, season += SEASON_INPUTS)
        memcpy(u, season, SEASON_INPUTS * sizeof(*u));
    for (int c = 0; s->general && reads[INPUT_CATEGORIES] && c < l->plan->schema.n_categories; c++)
        *u++ = categories[c];
}

void lane_inputs(struct lane *l, const struct plan_network *n, const struct point_head *head,
                 const struct point *points, const float *categories, const float *season, int channel, float *u)
{
    const struct lane_shape s = lane_shape_of(l->plan);
    inputs_of(l, &s, n, head, points, categories, season, channel, u);
}

/* Keeps the step for training windows. */
static void inputs_keep(const struct lane *l, struct key_row *r, int channel, const struct point_head *head,
                        const struct point *points, const float *extras)
{
    const struct plan *p = l->plan;
    lane_keep_start(l, r, channel);
    struct point_head *kept = lane_point(l, r, channel, lane_steps(l, r)[channel]);
    keyspace_note(l->keys, r, (size_t)((unsigned char *)kept - r->row), p->point_bytes);
    struct point *to = (struct point *)(void *)(kept + 1);
    *kept = *head;
    memcpy(to, points, (size_t)p->n_dims * sizeof(*points));
    if (p->n_extras > 0) memcpy(to + p->n_dims, extras, (size_t)p->n_extras * sizeof(*extras));
}

static inline __attribute__((always_inline)) void inputs_queue(struct lane *l, const struct lane_shape s,
                                                               struct lane_item *item, int i, int channel,
                                                               const struct point_head *head)
{
    const struct plan *p = l->plan;
    const size_t row = (size_t)i * (size_t)s.n_channels + (size_t)channel;
    const struct point *points = l->points + (size_t)i * (size_t)s.n_values + (size_t)channel * (size_t)s.n_dims;
    const float *categories = l->extras + (s.general && p->classifier >= 0);

    if (p->n_season_extras > 0) lane_season_inputs(l, item, channel, points);
    l->steps[row] = true;
    l->elapsed[row] = head->elapsed_s;
    for (int k = 0; k < s.n_networks; k++) {
        const struct plan_network *n = &p->networks[k];
        struct lane_rows *rows = &l->rows[k];
        rows->state[row] = lane_state(n, item->row, channel);
        rows->y[row] = rows->outputs + row * (size_t)n->net->n_out;
        inputs_of(l, &s, n, head, points, categories, l->season_inputs, channel,
                  rows->inputs + row * (size_t)n->net->n_in);
    }
    if (p->training) inputs_keep(l, item->row, channel, head, points, l->extras);
}

void lane_queue(struct lane *l, struct lane_item *item, int i, int channel, const struct point_head *head)
{
    inputs_queue(l, lane_shape_of(l->plan), item, i, channel, head);
}

void lane_queue_single(struct lane *l, struct lane_item *item, int i, const struct point_head *head)
{
    inputs_queue(l, lane_shape_single(l->plan), item, i, 0, head);
}
