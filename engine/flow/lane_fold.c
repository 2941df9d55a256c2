/* One event: judge it by what was forecast, learn its scale, make the network's inputs; and after the network's step
 * turn its outputs into forecasts with bands.
 *
 * Equations (value x at step t, sigma its robust scale)
 *     inputs    z = clip((x - mean) / sigma, 6),  dz = clip((x - last) / sigma, 6),  known
 *     forecast  xhat_{t+h} = x_t + sigma_t clip(y_h, 20)            anchored on the last known value
 *
 * A result's doubles lie in one block per event: y, yhat, yhat_lower, yhat_upper [n_values] each, forecast
 * [n_horizons, n_values], then the lower and the upper edges [n_bands, n_horizons, n_values]. */
#include <math.h>
#include <string.h>

#include "engine/flow/lane_private.h"
#include "engine/forecast/bands.h"
#include "engine/forecast/calendar.h"
#include "engine/forecast/scale.h"

static const double INPUT_LIMIT = 6, OUTPUT_LIMIT = 20, CLOCK_MEMORY = 100;

static double clip(double v, double limit)
{
    return v > limit ? limit : v < -limit ? -limit : v == v ? v : 0;
}

static struct scale *lane_scale(const struct lane *l, const struct key_row *r, int value)
{
    return (struct scale *)(void *)(r->row + l->plan->at_scale) + value;
}

static float *lane_tracker(const struct lane *l, const struct key_row *r, int value, int j)
{
    const struct plan *p = l->plan;
    return (float *)(void *)(r->row + p->at_trackers) +
           ((size_t)value * (size_t)p->outlook.n_horizons + (size_t)j) * p->tracker_floats;
}

static unsigned char *lane_outlook(const struct lane *l, const struct key_row *r, int channel)
{
    return r->row + l->plan->at_outlook + (size_t)channel * l->plan->outlook_bytes;
}

struct point_head *lane_point(const struct lane *l, const struct key_row *r, int channel, int64_t step)
{
    const struct plan *p = l->plan;
    size_t place = (size_t)channel * (size_t)p->window.n_steps + (size_t)(step % p->window.n_steps);
    return (struct point_head *)(void *)(r->row + p->at_points + place * p->point_bytes);
}

size_t lane_values_each(const struct plan *p)
{
    size_t forecasts = (size_t)p->outlook.n_horizons * (size_t)p->n_values;
    return 4 * (size_t)p->n_values + forecasts * (1 + 2 * (size_t)p->n_bands);
}

/* Points the result at its block and fills it with "nothing known". */
static void fold_result(struct lane *l, const struct lane_event *in, int i, struct eddy_result *out)
{
    const struct plan *p = l->plan;
    size_t values = (size_t)p->n_values, forecasts = (size_t)p->outlook.n_horizons * values;
    double *block = l->values + (size_t)i * l->values_each, *edges = block + 4 * values + forecasts;
    size_t widest = (size_t)(p->n_bands - 1) * forecasts, bands = (size_t)p->n_bands * forecasts;

    for (size_t k = values; k < l->values_each; k++) block[k] = NAN;
    memcpy(block, in->event.x, values * sizeof(double));
    memset(l->attribution + (size_t)i * values, 0, values * sizeof(float));
    *out = (struct eddy_result){
        .key = in->event.key,
        .key_len = in->event.key_len,
        .time_ns = in->event.time_ns,
        .time_text = in->event.time_text,
        .time_text_len = in->event.time_text_len,
        .topic = in->topic ? in->topic : l->topic,
        .partition = l->request.partition,
        .offset = in->offset,
        .schema = &p->schema,
        .y = block,
        .yhat = block + values,
        .yhat_lower = block + 2 * values,
        .yhat_upper = block + 3 * values,
        .state = EDDY_STATE_WARMUP,
        .model = l->weights->version,
        .attribution = l->attribution + (size_t)i * values,
        .n_horizons = p->outlook.n_horizons,
        .horizons = p->outlook.horizons,
        .forecast = block + 4 * values,
        .lower = edges + widest,
        .upper = edges + bands + widest,
        .n_bands = p->n_bands,
        .coverages = p->settings->forecast.bands.item,
        .band_lower = edges,
        .band_upper = edges + bands,
    };
}

/* Compares a value with all forecasts that were made for it; the one-step forecast and its band go into the result
 * before the bands learn from the error. */
static void fold_residuals(struct lane *l, const struct key_row *r, int value, double x,
                           const struct eddy_result *out)
{
    const struct plan *p = l->plan;
    int channel = value / p->n_dims, dim = value % p->n_dims;
    int64_t t = lane_steps(l, r)[channel];

    for (int j = 0; j < p->outlook.n_horizons; j++) {
        double *residual = &l->residuals[j * p->n_values + value];
        *residual = NAN;
        if (t < p->outlook.horizons[j]) continue;
        struct outlook_entry e = outlook_at(&p->outlook, lane_outlook(l, r, channel), j, t);
        double xhat = e.xhat[dim], lower, upper;
        if (p->outlook.horizons[j] == 1) {
            double *block = (double *)(uintptr_t)out->y + value;
            block[p->n_values] = xhat;
            if (bands_edges(lane_tracker(l, r, value, j), p->n_bands, p->n_bands - 1, &lower, &upper)) {
                block[2 * p->n_values] = xhat + lower;
                block[3 * p->n_values] = xhat + upper;
            }
        }
        *residual = x - xhat;
        if (isfinite(*residual))
            bands_update(lane_tracker(l, r, value, j), &p->settings->forecast.bands, *residual, e.s0[dim]);
    }
}

/* All detectors of the configuration; the most conspicuous one gives the score. */
static void fold_judge(struct lane *l, const struct key_row *r, int64_t elapsed_ns, struct eddy_result *out)
{
    const struct plan *p = l->plan;
    const struct detect_settings *d = &p->settings->detect;
    const struct eddy_evidence evidence = {
        .n_values = p->n_values,
        .n_horizons = p->outlook.n_horizons,
        .horizons = p->outlook.horizons,
        .x = out->y,
        .residual = l->residuals,
        .count = r->count,
        .time_ns = out->time_ns,
        .elapsed_ns = elapsed_ns,
        .threshold = d->threshold,
        .warmup = r->count < d->warmup,
        .warmup_events = d->warmup,
    };
    float *attribution = (float *)(uintptr_t)out->attribution;
    float sum = 0;
    for (int i = 0; i < d->detectors.n; i++) {
        const struct eddy_detector *detector = (const struct eddy_detector *)(const void *)d->detectors.item[i].part;
        memset(l->part_scores, 0, (size_t)p->n_values * sizeof(float));
        struct eddy_verdict verdict = {.attribution = l->part_scores};
        detector->judge(d->detectors.item[i].settings, r->row + p->at_detector[i], &evidence, &verdict);
        if (evidence.warmup) continue;
        if (verdict.score > out->score) out->score = verdict.score > 1 ? 1 : verdict.score;
        if (verdict.evidence > out->evidence) out->evidence = verdict.evidence > 1 ? 1 : verdict.evidence;
        for (int v = 0; v < p->n_values; v++) attribution[v] += l->part_scores[v], sum += l->part_scores[v];
    }
    for (int v = 0; v < p->n_values && sum > 0; v++) attribution[v] /= sum;
    out->state = evidence.warmup ? EDDY_STATE_WARMUP : EDDY_STATE_OK;
    out->score_ratio = out->score / d->threshold;
    out->anomaly = out->score >= d->threshold;
}

/* The value as the network sees it; a missing one by its policy. */
static struct point fold_point(const struct lane *l, const struct key_row *r, int value, double x, double xhat)
{
    struct scale *s = lane_scale(l, r, value);
    double last = s->last;
    bool known = isfinite(x);
    if (known)
        (void)scale_update(s, x);
    else if (s->n == 0)
        return (struct point){.anchor = NAN, .sigma = 1};
    else
        x = l->plan->missing[value] == MISSING_FORECAST && isfinite(xhat) ? xhat : last;
    if (s->n == 1) last = x;

    double sigma = fmin(scale_sigma(s), 1e30);
    return (struct point){.anchor = x,
                          .sigma = (float)sigma,
                          .z = (float)clip((x - s->mean) / sigma, INPUT_LIMIT),
                          .dz = (float)clip((x - last) / sigma, INPUT_LIMIT),
                          .known = known ? 1 : 0};
}

/* Elapsed time against the key's usual interval u: (e - u) / (e + u) in -1..1, 0 when regular; u learns slowly. */
static float fold_clock(const struct lane *l, const struct key_row *r, double elapsed_s)
{
    double *usual = (double *)(void *)(r->row + l->plan->at_clock);
    if (r->count == 0) return 0;
    if (r->count == 1) *usual = elapsed_s;
    float squashed = (float)(elapsed_s + *usual > 0 ? (elapsed_s - *usual) / (elapsed_s + *usual) : 0);
    double limited = *usual > 0 ? fmin(elapsed_s, 10 * *usual) : elapsed_s;
    *usual += (limited - *usual) / fmin((double)r->count, CLOCK_MEMORY);
    return squashed;
}

static bool fold_skips(const struct plan *p, int channel, const double *x)
{
    for (int d = 0; d < p->n_dims; d++) {
        int value = channel * p->n_dims + d;
        if (isfinite(x[value]) || p->missing[value] != MISSING_SKIP) return false;
    }
    return true;
}

void lane_inputs(const struct plan *p, const struct point_head *head, const struct point *points, int channel,
                 float *u)
{
    for (int d = 0; d < p->n_dims; d++) {
        *u++ = points[d].z;
        *u++ = points[d].dz;
        *u++ = points[d].known;
    }
    *u++ = head->elapsed;
    if (p->settings->forecast.calendar) {
        calendar_inputs(head->time_ns, u);
        u += CALENDAR_INPUTS;
    }
    for (int c = 0; p->n_channels > 1 && c < p->n_channels; c++) *u++ = c == channel ? 1 : 0;
}

/* Writes the inputs of one channel and queues its row for the wave's step. */
static void fold_inputs(struct lane *l, struct lane_item *item, int i, int channel, const struct point_head *head)
{
    const struct plan *p = l->plan;
    int row = i * p->n_channels + channel;
    float *u = l->inputs + (size_t)row * (size_t)p->window.n_in;
    const struct point *points = l->points + (size_t)i * (size_t)p->n_values + (size_t)channel * (size_t)p->n_dims;

    l->x[row] = u;
    l->state[row] = lane_state(l, item->row, channel);
    l->y[row] = l->outputs + (size_t)row * (size_t)p->window.n_out;
    l->elapsed[row] = head->elapsed_s;
    lane_inputs(p, head, points, channel, u);

    if (!p->training) return;
    lane_keep_start(l, item->row, channel);
    struct point_head *kept = lane_point(l, item->row, channel, lane_steps(l, item->row)[channel]);
    *kept = *head;
    memcpy(kept + 1, points, (size_t)p->n_dims * sizeof(*points));
}

/* Late or repeated events by their policy; false: the event is not folded in. */
static bool fold_time(struct lane *l, const struct lane_event *in, const struct key_row *r, int64_t *elapsed_ns)
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

void lane_fold(struct lane *l, const struct lane_event *in, struct lane_item *item, int i, struct eddy_result *out)
{
    const struct plan *p = l->plan;
    struct key_row *r = item->row;
    int64_t elapsed_ns;

    fold_result(l, in, i, out);
    item->stepped = fold_time(l, in, r, &elapsed_ns);
    r->next_off = in->offset + 1;
    if (!item->stepped) {
        out->state = EDDY_STATE_STALE;
        return;
    }
    for (int v = 0; v < p->n_values; v++) fold_residuals(l, r, v, in->event.x[v], out);
    fold_judge(l, r, elapsed_ns, out);
    if (out->anomaly) l->stats.alerts++;

    double elapsed_s = (double)elapsed_ns / 1e9;
    const struct point_head head = {in->event.time_ns, (float)elapsed_s, fold_clock(l, r, elapsed_s)};
    struct point *points = l->points + (size_t)i * (size_t)p->n_values;
    for (int v = 0; v < p->n_values; v++) points[v] = fold_point(l, r, v, in->event.x[v], out->yhat[v]);
    for (int c = 0; c < p->n_channels; c++) {
        l->x[i * p->n_channels + c] = NULL;
        if (!fold_skips(p, c, in->event.x)) fold_inputs(l, item, i, c, &head);
    }
    if (r->count == 0 || in->event.time_ns > r->time_ns) r->time_ns = in->event.time_ns;
    r->count++;
    l->stats.events++;
}

/* The outputs of one channel as forecasts of its values, kept until their labels come. */
static void foresee_channel(const struct lane *l, const struct key_row *r, int i, int channel, int64_t t,
                            const struct eddy_result *out)
{
    const struct plan *p = l->plan;
    size_t plane = (size_t)p->outlook.n_horizons * (size_t)p->n_values;
    double *forecast = (double *)(uintptr_t)out->forecast;
    double *low = (double *)(uintptr_t)out->band_lower, *high = (double *)(uintptr_t)out->band_upper;
    const float *y = l->y[i * p->n_channels + channel];

    for (int j = 0; j < p->outlook.n_horizons; j++) {
        struct outlook_entry e = outlook_at(&p->outlook, lane_outlook(l, r, channel), j, t);
        for (int d = 0; d < p->n_dims; d++) {
            int value = channel * p->n_dims + d;
            const struct point *point = &l->points[(size_t)i * (size_t)p->n_values + (size_t)value];
            double step = point->sigma * clip(y[j * p->n_dims + d], OUTPUT_LIMIT), xhat = point->anchor + step;
            if (isinf(xhat)) xhat = point->anchor;
            const float *tracker = lane_tracker(l, r, value, j);
            size_t place = (size_t)j * (size_t)p->n_values + (size_t)value;
            double lower, upper;
            e.xhat[d] = forecast[place] = xhat;
            e.s0[d] = bands_scale(tracker);
            for (int b = 0; b < p->n_bands && bands_edges(tracker, p->n_bands, b, &lower, &upper); b++) {
                low[(size_t)b * plane + place] = xhat + lower;
                high[(size_t)b * plane + place] = xhat + upper;
            }
        }
    }
}

void lane_foresee(struct lane *l, const struct lane_item *item, int i, struct eddy_result *out)
{
    for (int c = 0; item->stepped && c < l->plan->n_channels; c++) {
        if (!l->x[i * l->plan->n_channels + c]) continue;
        int64_t *steps = lane_steps(l, item->row);
        foresee_channel(l, item->row, i, c, steps[c], out);
        steps[c]++;
    }
}
