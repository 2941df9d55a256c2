/* After the networks' step: what every expert expects, mixed and with bands, kept until the values come; and the errors
 * of what was kept, when they do.
 *
 * Equations (value x at step t, sigma its scale, y_h a network's output)
 *     a network    xhat_{t+h} = base_t + sigma_t clip(y_h, 20)     base: the last known value, with `anchor: season`
 *                                                                  and how the season goes on from there to t + h, or
 *                                                                  with `none` the fixed mean (and no limit)
 *                  base_t alone while all values were 0: errors of no size in which the mix would count later ones
 *     together     the experts' forecasts as blend.h says; one alone as it is */
#include <math.h>

#include "engine/flow/lane_private.h"
#include "engine/forecast/bands.h"
#include "engine/forecast/scale.h"
#include "engine/forecast/volatility.h"

static const double OUTPUT_LIMIT = 20, FIXED_LIMIT = 1e6, BANDS_RATE = .03, BANDS_RATE_STEADY = .01;

static inline float *foresee_tracker(const struct lane *l, const struct key_row *r, size_t n_horizons, int value,
                                     int j)
{
    const struct plan *p = l->plan;
    return (float *)(void *)(r->row + p->at_trackers) + ((size_t)value * n_horizons + (size_t)j) * p->tracker_floats;
}

static inline unsigned char *foresee_outlook(const struct lane *l, const struct key_row *r, int channel)
{
    return r->row + l->plan->at_outlook + (size_t)channel * l->plan->outlook_bytes;
}

/* The widest band of the forecast for the next step, as distances from it. */
static float *foresee_edges(const struct lane *l, const struct key_row *r, int value)
{
    return (float *)(void *)(r->row + l->plan->at_edges) + 2 * (size_t)value;
}

static void *foresee_mix(const struct lane *l, const struct key_row *r, int value)
{
    return r->row + l->plan->at_mix + (size_t)value * l->plan->mix_bytes;
}

/* ---- when the value comes ---- */

/* The experts' own errors; the mix learns from them. */
static void residuals_of_experts(struct lane *l, const struct key_row *r, int value, int64_t t, double x)
{
    const struct plan *p = l->plan;
    blend_learn(&p->blend, foresee_mix(l, r, value), t, x, l->errors);
    for (int i = 0; i < p->n_experts * p->outlook.n_horizons; i++)
        l->expert_residuals[(size_t)i * (size_t)p->n_values + (size_t)value] = l->errors[i];
}

/* How fast the bands follow.  Those that follow volatility are right but for its usual error, so there is less for their
 * quantiles to learn; and of the changes behind a label h steps ahead all but one were in the last label too. */
static inline struct bands_rates residuals_rates(const struct plan *p, int horizon)
{
    const struct forecast_settings *s = &p->settings->forecast;
    const double usual = s->volatility == VOLATILITY_NONE ? BANDS_RATE : BANDS_RATE_STEADY / sqrt(horizon);
    return (struct bands_rates){s->band_rate > 0 ? s->band_rate : usual, s->band_scale_rate};
}

/* The one-step forecast and its band go into the result before anything learns from the error. */
static inline __attribute__((always_inline)) void residuals_show(const struct lane *l, const struct lane_shape *s,
                                                                 const struct key_row *r, int value,
                                                                 const struct outlook_entry *e,
                                                                 const struct eddy_result *out)
{
    const struct plan *p = l->plan;
    const int dim = value % s->n_dims;
    const bands_edge *edges = e->edges + (size_t)dim * (size_t)s->outlook.n_edges;
    double *block = (double *)(uintptr_t)out->y + value, lower, upper;
    block[s->n_values] = e->xhat[dim];
    if (s->general && p->head_bands) {
        lower = (double)foresee_edges(l, r, value)[0];
        upper = (double)foresee_edges(l, r, value)[1];
    } else if (e->s0[dim] > 0) {
        lower = bands_offset(e->s0[dim], edges[p->n_bands - 1]);
        upper = bands_offset(e->s0[dim], edges[2 * p->n_bands - 1]);
    } else {
        return;
    }
    block[2 * s->n_values] = e->xhat[dim] + lower;
    block[3 * s->n_values] = e->xhat[dim] + upper;
}

static inline __attribute__((always_inline)) void residuals_of(struct lane *l, const struct lane_shape s,
                                                               const struct key_row *r, int value, double x,
                                                               const struct eddy_result *out)
{
    const struct plan *p = l->plan;
    const int channel = value / s.n_dims, dim = value % s.n_dims;
    const int64_t t = lane_steps(l, r)[channel];

    if (s.n_experts > 1) residuals_of_experts(l, r, value, t, x);
    for (int j = 0; j < s.outlook.n_horizons; j++) {
        double *residual = &l->residuals[j * s.n_values + value];
        *residual = NAN;
        if (t < s.outlook.horizons[j]) continue;
        const struct outlook_entry e = outlook_at(&s.outlook, foresee_outlook(l, r, channel), j, t);
        const double xhat = e.xhat[dim], error = x - xhat;
        if (s.outlook.horizons[j] == 1) residuals_show(l, &s, r, value, &e, out);
        *residual = error;
        if (!isfinite(error)) continue;
        if (!s.general || !p->head_bands)
            bands_update(foresee_tracker(l, r, (size_t)s.outlook.n_horizons, value, j), &p->settings->forecast.bands,
                         residuals_rates(p, s.outlook.horizons[j]), error, e.s0[dim],
                         e.edges + (size_t)dim * (size_t)s.outlook.n_edges);
    }
}

void lane_residuals(struct lane *l, const struct key_row *r, int value, double x, const struct eddy_result *out)
{
    residuals_of(l, lane_shape_of(l->plan), r, value, x, out);
}

void lane_residuals_single(struct lane *l, const struct key_row *r, double x, const struct eddy_result *out)
{
    residuals_of(l, lane_shape_single(l->plan), r, 0, x, out);
}

/* ---- looking ahead ---- */

/* One series of an event in hand. */
struct foresight {
    struct lane *lane;
    struct lane_shape shape;
    struct key_row *row;
    const struct eddy_result *out;
    const struct point *points; /* [n_dims] */
    const struct eddy_season *season;
    int event, channel;
    int64_t step;
};

/* [n_experts, n_horizons] of one value of the series. */
static inline double *foresee_of(const struct foresight *f, int dim)
{
    const struct lane_shape *s = &f->shape;
    return f->lane->opinions + (size_t)dim * (size_t)s->n_experts * (size_t)s->outlook.n_horizons;
}

/* [n_ahead + 1] how the season goes on from here. */
static inline const double *foresee_ahead(const struct foresight *f, int dim)
{
    return f->lane->ahead + (size_t)dim * ((size_t)f->lane->plan->expert_shape.n_ahead + 1);
}

/* Without a course the level is 0 throughout, and only parts that forecast are told so. */
static inline __attribute__((always_inline)) void foresee_season(const struct foresight *f)
{
    struct lane *l = f->lane;
    const struct plan *p = l->plan;
    for (int d = 0; d < f->shape.n_dims; d++) {
        season_course_of(lane_profile(l, f->row, f->channel * f->shape.n_dims + d), p->n_season_bins,
                         f->season->steps, &l->courses[d]);
        if (l->courses[d].n_bins == 0 && !(f->shape.general && p->parts_forecast)) continue;
        double *ahead = l->ahead + (size_t)d * ((size_t)p->expert_shape.n_ahead + 1);
        season_look_ahead(&l->courses[d], f->season->phase, ahead, p->n_ahead);
        l->levels[d] = season_level(&l->courses[d], f->season->phase);
    }
}

/* What the outputs of networks are counted from and in, for one value. */
struct foresee_axis {
    double base, unit, limit;
    const double *ahead; /* [n_ahead + 1] what the season adds to the base; NULL = nothing */
};

static inline __attribute__((always_inline)) struct foresee_axis foresee_axis(const struct foresight *f, int dim)
{
    const struct plan *p = f->lane->plan;
    const int value = f->channel * f->shape.n_dims + dim, anchor = p->settings->forecast.anchor;
    const bool fixed = f->shape.general && p->fixed_mean;
    const bool rests = !fixed && scale_rests(lane_scale(f->lane, f->row, value));
    const bool moves = anchor == ANCHOR_SEASON && f->lane->courses[dim].n_bins > 0;
    return (struct foresee_axis){.base = fixed && anchor == ANCHOR_NONE ? p->fixed_mean[value] : f->points[dim].value,
                                 .unit = rests ? 0 : (double)f->points[dim].sigma,
                                 .limit = fixed ? FIXED_LIMIT : OUTPUT_LIMIT,
                                 .ahead = moves ? foresee_ahead(f, dim) : NULL};
}

/* An output of a network as a value, `h` steps ahead. */
static inline double foresee_value(const struct foresee_axis *axis, int h, float y)
{
    const double base = axis->base + (axis->ahead ? axis->ahead[h] : 0);
    const double xhat = base + axis->unit * lane_clip((double)y, axis->limit);
    return isinf(xhat) ? base : xhat;
}

static inline const float *foresee_outputs(const struct foresight *f, int network)
{
    return f->lane->rows[network].y[f->event * f->shape.n_channels + f->channel];
}

/* Apart: what the compiler prepares for such a loop would be done at every event. */
static __attribute__((noinline)) void foresee_nothing(double *xhat, int n)
{
    for (int i = 0; i < n; i++) xhat[i] = NAN;
}

static inline __attribute__((always_inline)) void foresee_by_network(const struct foresight *f, int expert)
{
    const struct lane *l = f->lane;
    const struct plan *p = l->plan;
    const struct lane_shape *s = &f->shape;
    const int network = s->n_networks == 1 ? 0 : p->experts[expert].network;
    const struct plan_network *n = &p->networks[network];
    const float *point = loss_point(&n->net->loss, n->net->n_targets, foresee_outputs(f, network));
    for (int d = 0; d < s->n_dims; d++) {
        double *opinion = foresee_of(f, d) + (size_t)expert * (size_t)s->outlook.n_horizons;
        const struct foresee_axis axis = foresee_axis(f, d);
        const int n_horizons = s->outlook.n_horizons == 1 ? 1 : n->n_horizons; /* of the plan's, one at least */
        if (n_horizons < s->outlook.n_horizons) foresee_nothing(opinion, s->outlook.n_horizons);
        for (int i = 0; i < n_horizons; i++) {
            const int j = s->outlook.n_horizons == 1 ? 0 : n->at_horizon[i];
            opinion[j] = foresee_value(&axis, s->outlook.horizons[j], point[i * s->n_dims + d]);
        }
    }
}

/* [n_features] what the network that the expert reads has just made of the series. */
static const float *foresee_hidden(const struct foresight *f, const struct plan_expert *e)
{
    const struct lane *l = f->lane;
    if (e->reads < 0) return NULL;
    return l->rows[e->reads].state[f->event * l->plan->n_channels + f->channel] + e->at_hidden;
}

/* What the expert keeps of a value's steps; this step's place may change now. */
static void *foresee_kept(const struct foresight *f, const struct plan_expert *e, int value)
{
    if (e->at_kept < 0) return NULL;
    const size_t at = (size_t)e->at_kept + (size_t)value * e->kept;
    keyspace_note(f->lane->keys, f->row, at + (size_t)(f->step % e->n_kept) * e->kept_each, e->kept_each);
    return f->row->row + at;
}

static void foresee_by_itself(const struct foresight *f, int expert)
{
    const struct lane *l = f->lane;
    const struct plan *p = l->plan;
    const struct plan_expert *e = &p->experts[expert];
    for (int d = 0; d < p->n_dims; d++) {
        const int value = f->channel * p->n_dims + d;
        const bool seasonal = e->part->seasonal && p->seasonal;
        const struct eddy_expert_event event = {
            .x = f->out->y[value],
            .sigma = (double)f->points[d].sigma,
            .elapsed_s = (double)l->elapsed[f->event * p->n_channels + f->channel],
            .count = f->step,
            .time_ns = f->out->time_ns,
            .season = seasonal ? *f->season : (struct eddy_season){0},
            .level = seasonal ? l->levels[d] : 0,
            .ahead = foresee_ahead(f, d),
            .features = foresee_hidden(f, e),
            .model = e->share.model_bytes > 0 ? l->share.model + e->share.at_model : NULL,
            .contribution = e->share.model_bytes > 0 && l->contributions[d]
                                ? l->contributions[d] + e->share.at_contribution
                                : NULL,
            .spread = l->spreads + d * p->outlook.n_horizons,
            .kept = foresee_kept(f, e, value)};
        e->part->fold(e->settings, &e->shape, f->row->row + e->at_state + (size_t)value * e->bytes, &event,
                      foresee_of(f, d) + (size_t)expert * (size_t)p->outlook.n_horizons);
    }
}

/* Bands from the errors seen so far; kept with the forecast, because it is by them that the trackers will learn. */
static inline __attribute__((always_inline)) void foresee_bands(const struct foresight *f, int dim, int j,
                                                                double xhat, const struct outlook_entry *e)
{
    const struct plan *p = f->lane->plan;
    const struct lane_shape *s = &f->shape;
    const int value = f->channel * s->n_dims + dim;
    const size_t plane = (size_t)s->outlook.n_horizons * (size_t)s->n_values;
    const size_t place = (size_t)j * (size_t)s->n_values + (size_t)value;
    bands_edge *edges = e->edges + (size_t)dim * (size_t)s->outlook.n_edges;
    float *tracker = foresee_tracker(f->lane, f->row, (size_t)s->outlook.n_horizons, value, j);
    const struct volatility *volatility = s->general ? lane_volatility(f->lane, f->row, value) : NULL;
    const float scale = volatility ? volatility_scale(volatility, s->outlook.horizons[j]) : 0;
    if (s->general && (volatility || p->parts_forecast))
        bands_expect(tracker, &p->settings->forecast.bands,
                     volatility ? (double)scale : f->lane->spreads[dim * s->outlook.n_horizons + j]);
    e->s0[dim] = volatility ? scale : bands_scale(tracker);
    if (!bands_write(tracker, p->n_bands, edges)) return;
    for (int b = 0; b < p->n_bands; b++) {
        ((double *)(uintptr_t)f->out->band_lower)[(size_t)b * plane + place] = xhat +
                                                                               bands_offset(e->s0[dim], edges[b]);
        ((double *)(uintptr_t)f->out->band_upper)[(size_t)b * plane + place] = xhat +
                                                                               bands_offset(e->s0[dim],
                                                                                            edges[p->n_bands + b]);
    }
}

/* Writes the forecasts of one value and keeps them until their labels come. */
static inline __attribute__((always_inline)) void foresee_write(const struct foresight *f, int dim,
                                                                const double *xhat /* [n_horizons] */)
{
    const struct lane *l = f->lane;
    const struct lane_shape *s = &f->shape;
    const int value = f->channel * s->n_dims + dim;
    for (int j = 0; j < s->outlook.n_horizons; j++) {
        const struct outlook_entry e = outlook_at(&s->outlook, foresee_outlook(l, f->row, f->channel), j, f->step);
        e.xhat[dim] = xhat[j];
        ((double *)(uintptr_t)f->out->forecast)[j * s->n_values + value] = xhat[j];
        if (!s->general || !l->plan->head_bands) foresee_bands(f, dim, j, xhat[j], &e);
    }
}

/* One side of one band, by the head of the only expert; edges [n_bands, n_horizons, n_values]. */
static void foresee_head_edge(const struct foresight *f, const struct loss_tail *tail,
                              double *edges /* [n_horizons, n_values] */)
{
    const struct lane *l = f->lane;
    const struct plan *p = l->plan;
    const int network = p->experts[0].network;
    const struct plan_network *n = &p->networks[network];
    (void)loss_quantile(&n->net->loss, n->net->n_targets, foresee_outputs(f, network), tail, l->head);
    for (int d = 0; d < p->n_dims; d++) {
        const struct foresee_axis axis = foresee_axis(f, d);
        for (int i = 0; i < n->n_horizons; i++)
            edges[n->at_horizon[i] * p->n_values + f->channel * p->n_dims + d] = foresee_value(
                &axis, p->outlook.horizons[n->at_horizon[i]], l->head[i * p->n_dims + d]);
    }
}

static void foresee_head_bands(const struct foresight *f)
{
    const struct plan *p = f->lane->plan;
    const size_t plane = (size_t)p->outlook.n_horizons * (size_t)p->n_values;
    double *low = (double *)(uintptr_t)f->out->band_lower, *high = (double *)(uintptr_t)f->out->band_upper;
    for (int b = 0; b < p->n_bands; b++) {
        foresee_head_edge(f, &p->tails[2 * b], low + (size_t)b * plane);
        foresee_head_edge(f, &p->tails[2 * b + 1], high + (size_t)b * plane);
    }
    if (p->outlook.horizons[0] != 1) return;
    const size_t widest = (size_t)(p->n_bands - 1) * plane;
    for (int d = 0; d < p->n_dims; d++) {
        const int value = f->channel * p->n_dims + d;
        float *edges = foresee_edges(f->lane, f->row, value);
        edges[0] = (float)(low[widest + (size_t)value] - f->out->forecast[value]);
        edges[1] = (float)(high[widest + (size_t)value] - f->out->forecast[value]);
    }
}

/* [n_horizons] what the experts say together; what they had said of this value becomes known to other keys. */
static const double *foresee_mixed(const struct foresight *f, int dim)
{
    struct lane *l = f->lane;
    const struct plan *p = l->plan;
    const struct point *now = &f->points[dim];
    void *mix = foresee_mix(l, f->row, f->channel * p->n_dims + dim);
    if (p->prior.model_bytes > 0 && l->contributions[dim])
        blend_contribute(&p->blend, mix, f->step, now->known > 0 ? now->value : NAN, (double)now->sigma,
                         l->contributions[dim] + p->prior.at_contribution);
    blend_forecast(&p->blend, mix, lane_share_prior(l), f->step, now->value, (double)now->sigma, foresee_of(f, dim),
                   l->mixed);
    return l->mixed;
}

static inline __attribute__((always_inline)) void foresee_channel(const struct foresight *f)
{
    struct lane *l = f->lane;
    const struct plan *p = l->plan;
    const struct lane_shape *s = &f->shape;
    const bool parts = s->general && p->parts_forecast;
    if (p->looks_ahead) foresee_season(f);
    if (parts) foresee_nothing(l->spreads, s->n_dims * s->outlook.n_horizons);
    for (int d = 0; s->general && p->shared_bytes > 0 && d < s->n_dims; d++)
        l->contributions[d] = lane_share_contribution(l, f->out->offset, f->channel * s->n_dims + d);
    for (int e = 0; e < s->n_experts; e++) {
        if (parts && p->experts[e].network < 0)
            foresee_by_itself(f, e);
        else
            foresee_by_network(f, e);
    }
    for (int d = 0; d < s->n_dims; d++) {
        const double *xhat = s->n_experts > 1 ? foresee_mixed(f, d) : foresee_of(f, d);
        if (f->out->experts.n > 0)
            lane_experts_weights(l, foresee_mix(l, f->row, f->channel * s->n_dims + d), f->step,
                                 f->channel * s->n_dims + d, f->out);
        foresee_write(f, d, xhat);
    }
    if (s->general && p->head_bands) foresee_head_bands(f);
}

/* Parts of the evidence become shares of it. */
static inline __attribute__((always_inline)) void foresee_shares(int n_values, const struct eddy_result *out)
{
    float *attribution = (float *)(uintptr_t)out->attribution, sum = 0;
    for (int v = 0; v < n_values; v++) sum += attribution[v];
    for (int v = 0; v < n_values && sum > 0; v++) attribution[v] /= sum;
}

static inline __attribute__((always_inline)) void foresee_event(struct lane *l, const struct lane_shape s,
                                                                struct lane_item *item, int i,
                                                                struct eddy_result *out)
{
    const struct plan *p = l->plan;
    struct key_row *r = item->row;
    const bool *steps = l->steps + (size_t)i * (size_t)s.n_channels; /* [n_channels] */
    for (int c = 0; c < s.n_channels; c++) {
        if (!steps[c]) continue;
        const struct foresight f = {.lane = l,
                                    .shape = s,
                                    .row = r,
                                    .out = out,
                                    .points = l->points + (size_t)i * (size_t)s.n_values +
                                              (size_t)c * (size_t)s.n_dims,
                                    .season = &item->season,
                                    .event = i,
                                    .channel = c,
                                    .step = lane_steps(l, r)[c]};
        foresee_channel(&f);
    }
    if (out->moves) lane_moves(l, r, out);
    if (s.general && p->looker >= 0) lane_look_back(l, item, i, out);
    if (s.general && p->classifier >= 0) lane_classify(l, item, i, out);
    for (int c = 0; c < s.n_channels; c++)
        if (steps[c]) lane_steps(l, r)[c]++;
    foresee_shares(s.n_values, out);
    lane_incident(l, item, out);
    lane_incident_show(l, r, i, out);
    if (out->anomaly) l->stats.alerts++;
}

void lane_foresee(struct lane *l, struct lane_item *item, int i, struct eddy_result *out)
{
    foresee_event(l, lane_shape_of(l->plan), item, i, out);
}

void lane_foresee_single(struct lane *l, struct lane_item *item, int i, struct eddy_result *out)
{
    foresee_event(l, lane_shape_single(l->plan), item, i, out);
}
