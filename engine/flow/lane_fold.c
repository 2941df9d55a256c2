/* One event before the networks' step: judge it by what was forecast, learn its scale, queue the networks' inputs.  What
 * follows the step is in lane_foresee.c.
 *
 * A result's doubles lie in one block per event: y, yhat, yhat_lower, yhat_upper [n_values] each, forecast
 * [n_horizons, n_values], the lower and the upper edges [n_bands, n_horizons, n_values]; then smoothed and actual values
 * [n_values] where a network looks back, probabilities [n_classes] where one classifies, and those of moves [3,
 * n_horizons, n_values]; and what lane_experts.c adds when it is asked to. */
#include <math.h>
#include <string.h>

#include "engine/flow/lane_private.h"
#include "engine/forecast/moves.h"
#include "engine/forecast/scale.h"
#include "engine/math/scalar.h"

void lane_fold_open(struct lane *l)
{
    const struct plan *p = l->plan;
    const size_t values = (size_t)p->n_values, forecasts = (size_t)p->outlook.n_horizons * values;
    const size_t bands = (size_t)p->n_bands * forecasts;
    struct lane_places *at = &l->places;
    at->forecast = 4 * values;
    at->band_lower = at->forecast + forecasts;
    at->band_upper = at->band_lower + bands;
    at->widest = bands - forecasts;
    at->smoothed = at->band_upper + bands;
    at->classes = at->smoothed + (p->looker >= 0 ? 2 * values : 0);
    at->moves = at->classes + (p->classifier >= 0 ? (size_t)p->networks[p->classifier].settings->classes.n : 0);
    at->has_moves = p->settings->forecast.moves.flat > 0;
    at->experts = at->moves + (at->has_moves ? N_MOVES * forecasts : 0);
    l->values_each = at->experts; /* where nobody asks for experts */
}

static struct eddy_classes fold_classes(const struct plan *p, double *classes)
{
    const struct eddy_strings *names = &p->networks[p->classifier].settings->classes;
    return (struct eddy_classes){.n_classes = names->n, .names = names->item, .p = classes};
}

/* What the event itself says. */
static inline __attribute__((always_inline)) void fold_origin(const struct lane *l, const struct lane_event *in,
                                                              struct eddy_result *out)
{
    out->key = in->event.key;
    out->key_len = in->event.key_len;
    out->time_ns = in->event.time_ns;
    out->time_text = in->event.time_text;
    out->time_text_len = in->event.time_text_len;
    out->topic = in->topic ? in->topic : l->topic;
    out->partition = l->request.partition;
    out->offset = in->offset;
    out->schema = &l->plan->schema;
    out->label = in->event.label;
    out->label_len = in->event.label_len;
    out->label_only = in->event.label_only;
}

/* Where the result's numbers lie in its block. */
static inline __attribute__((always_inline)) void fold_places(const struct lane *l, const struct lane_shape *s, int i,
                                                              double *block, struct eddy_result *out)
{
    const struct plan *p = l->plan;
    const struct lane_places *at = &l->places;
    const size_t values = (size_t)s->n_values;
    out->y = block;
    out->yhat = block + values;
    out->yhat_lower = block + 2 * values;
    out->yhat_upper = block + 3 * values;
    out->attribution = l->attribution + (size_t)i * values;
    out->n_horizons = s->outlook.n_horizons;
    out->horizons = p->outlook.horizons;
    out->forecast = block + at->forecast;
    out->lower = block + at->band_lower + at->widest;
    out->upper = block + at->band_upper + at->widest;
    out->n_bands = p->n_bands;
    out->coverages = p->settings->forecast.bands.item;
    out->band_lower = block + at->band_lower;
    out->band_upper = block + at->band_upper;
    out->incidents = l->incidents + (size_t)i * (size_t)p->n_kinds;
    out->moves = at->has_moves ? block + at->moves : NULL;
}

/* Points the result at its block and fills it with "nothing known": all its members, one by one, here and above.  An
 * initializer would have all of them at hand before it writes the first, which puts most of them on the stack meanwhile. */
static inline __attribute__((always_inline)) void fold_result(struct lane *l, const struct lane_shape *s,
                                                              const struct lane_event *in, int i,
                                                              struct eddy_result *out)
{
    const struct plan *p = l->plan;
    const struct lane_places *at = &l->places;
    const size_t values = (size_t)s->n_values;
    double *block = l->values + (size_t)i * l->values_each;
    float *attribution = l->attribution + (size_t)i * values;

    for (size_t k = values; k < l->values_each; k++) block[k] = NAN;
    for (size_t v = 0; v < values; v++) {
        block[v] = in->event.x[v];
        attribution[v] = 0;
    }
    fold_origin(l, in, out);
    fold_places(l, s, i, block, out);
    out->score = 0;
    out->evidence = 0;
    out->score_ratio = 0;
    out->anomaly = false;
    out->state = EDDY_STATE_WARMUP;
    out->model = l->weights->version;
    out->smoothed = (struct eddy_smoothed){.y = NULL, .actual = NULL, .known = false, .time_ns = 0, .score = 0};
    out->classes = (struct eddy_classes){.n_classes = 0, .names = NULL, .p = NULL, .label = NULL};
    out->experts = (struct eddy_experts){.n = 0, .names = NULL, .errors = NULL, .weights = NULL};
    out->fault = NULL;
    out->incident = NULL;
    out->n_incidents = 0;
    if (s->general && p->looker >= 0)
        out->smoothed = (struct eddy_smoothed){
            .y = block + at->smoothed, .actual = block + at->smoothed + values, .score = NAN};
    if (s->general && p->classifier >= 0) out->classes = fold_classes(p, block + at->classes);
    if (l->expert_names) out->experts = lane_experts_at(l, block + at->experts);
}

/* Late or repeated events by their policy; false: the event is not folded in. */
static inline bool fold_time(struct lane *l, const struct lane_event *in, const struct key_row *r,
                             int64_t *elapsed_ns)
{
    *elapsed_ns = 0;
    if (r->count == 0) return true;
    if (in->event.time_ns > r->time_ns) {
        uint64_t apart = (uint64_t)in->event.time_ns - (uint64_t)r->time_ns;
        *elapsed_ns = apart > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)apart;
        return true;
    }
    if (in->event.time_ns == r->time_ns)
        l->stats.duplicates++;
    else
        l->stats.late++;
    return l->plan->settings->late == LATE_FOLD;
}

/* What was known before the event: a network that looks back must not be told more. */
static void fold_before(struct lane *l, const struct key_row *r)
{
    const struct plan *p = l->plan;
    for (int v = 0; v < p->n_values; v++) {
        const struct scale *s = lane_scale(l, r, v);
        l->before[v] = s->n > 0 ? s->last : NAN;
        l->before[p->n_values + v] = p->fixed_deviation ? p->fixed_deviation[v] : scalar_least(scale_sigma(s), 1e30);
    }
}

/* The label and the categories, as windows keep them. */
static void fold_extras(struct lane *l, const struct eddy_event *event)
{
    const struct plan *p = l->plan;
    float *to = l->extras;
    if (p->classifier >= 0) *to++ = lane_class(p, event->label, event->label_len);
    for (int c = 0; c < p->schema.n_categories; c++) *to++ = event->category ? event->category[c] : 0;
}

/* All values of the series are missing, and its networks take no step then. */
static inline bool fold_skips(const struct plan *p, int n_dims, int channel, const double *x)
{
    for (int value = channel * n_dims; value < (channel + 1) * n_dims; value++)
        if (isfinite(x[value]) || p->missing[value] != MISSING_SKIP) return false;
    return true;
}

/* The networks' inputs, for every series that steps. */
static inline __attribute__((always_inline)) void fold_series(struct lane *l, const struct lane_shape *s,
                                                              const struct lane_event *in, struct lane_item *item,
                                                              int i, double elapsed_s, const struct eddy_result *out)
{
    const struct plan *p = l->plan;
    struct key_row *r = item->row;
    const struct point_head head = {in->event.time_ns, (float)elapsed_s, lane_clock_of(l, r, elapsed_s)};
    struct point *points = l->points + (size_t)i * (size_t)s->n_values;
    if (s->general && p->looker >= 0) fold_before(l, r);
    if (s->general) fold_extras(l, &in->event);
    for (int v = 0; v < s->n_values; v++) {
        if (s->general)
            lane_point_of(l, r, v, in->event.x[v], out->yhat[v], &item->season, &points[v]);
        else
            lane_point_single(l, r, in->event.x[v], out->yhat[v], &item->season, &points[v]);
    }
    lane_season_find(l, r, points);
    for (int c = 0; c < s->n_channels; c++) {
        l->steps[(size_t)i * (size_t)s->n_channels + (size_t)c] = false;
        if (fold_skips(p, s->n_dims, c, in->event.x)) continue;
        if (s->general && p->looker >= 0)
            lane_look_back_keep(l, r, c, &in->event, l->before, l->before + p->n_values);
        if (s->general)
            lane_queue(l, item, i, c, &head);
        else
            lane_queue_single(l, item, i, &head);
    }
}

static inline __attribute__((always_inline)) void fold_event(struct lane *l, const struct lane_shape s,
                                                             const struct lane_event *in, struct lane_item *item,
                                                             int i, struct eddy_result *out)
{
    struct key_row *r = item->row;
    int64_t elapsed_ns;

    fold_result(l, &s, in, i, out);
    r->next_off = in->offset + 1;
    const bool late_label = in->event.label_only && r->count > 0 && in->event.time_ns <= r->time_ns;
    item->stepped = !late_label && fold_time(l, in, r, &elapsed_ns);
    if (!item->stepped) {
        if (late_label) lane_label(l, r, &in->event);
        out->state = EDDY_STATE_STALE;
        lane_incident_show(l, r, i, out);
        return;
    }
    for (int v = 0; v < s.n_values; v++) {
        if (s.general)
            lane_residuals(l, r, v, in->event.x[v], out);
        else
            lane_residuals_single(l, r, in->event.x[v], out);
        lane_train_error(l, r, v);
    }
    if (out->experts.n > 0) lane_experts_errors(l, out);
    item->season = lane_season(l, r, in->event.time_ns);
    if (s.general)
        lane_judge(l, item, elapsed_ns, out);
    else
        lane_judge_single(l, item, elapsed_ns, out);
    fold_series(l, &s, in, item, i, (double)elapsed_ns / 1e9, out);
    if (r->count == 0 || in->event.time_ns > r->time_ns) r->time_ns = in->event.time_ns;
    r->count++;
    l->stats.events++;
}

void lane_fold(struct lane *l, const struct lane_event *in, struct lane_item *item, int i, struct eddy_result *out)
{
    fold_event(l, lane_shape_of(l->plan), in, item, i, out);
}

void lane_fold_single(struct lane *l, const struct lane_event *in, struct lane_item *item, int i,
                      struct eddy_result *out)
{
    fold_event(l, lane_shape_single(l->plan), in, item, i, out);
}
