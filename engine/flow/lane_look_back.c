/* What a network with a lag makes of the event of `lag` steps ago, now that it has seen what followed: see look_back.h. */
#include "engine/flow/look_back.h"

#include <math.h>
#include <string.h>

#include "engine/flow/lane_private.h"

static const double OUTPUT_LIMIT = 20;

static struct look_back_step *look_back_at(const struct plan *p, const struct plan_network *n,
                                           const struct key_row *r, int channel, int64_t step)
{
    const size_t places = (size_t)n->net->lag + 1, place = (size_t)channel * places + (size_t)step % places;
    return (struct look_back_step *)(void *)(r->row + n->at_look_back + place * look_back_step_bytes(p->n_dims));
}

static struct look_back_value *look_back_values(struct look_back_step *step)
{
    return (struct look_back_value *)(void *)(step + 1);
}

void lane_look_back_keep(struct lane *l, const struct key_row *r, int channel, const struct eddy_event *event,
                         const double *base, const double *sigma)
{
    const struct plan *p = l->plan;
    struct look_back_step *step = look_back_at(p, &p->networks[p->looker], r, channel, lane_steps(l, r)[channel]);
    step->time_ns = event->time_ns;
    for (int d = 0; d < p->n_dims; d++) {
        const int value = channel * p->n_dims + d;
        look_back_values(step)[d] = (struct look_back_value){event->x[value], base[value], sigma[value]};
    }
}

/* Fills what is known of one series; returns the time of the step that it looks back at. */
static bool look_back_channel(struct lane *l, const struct key_row *r, int i, int channel, double *smoothed,
                              double *actual, int64_t *time_ns)
{
    const struct plan *p = l->plan;
    const struct plan_network *n = &p->networks[p->looker];
    const int64_t step = lane_steps(l, r)[channel] - n->net->lag;
    if (step < 0) return false;
    struct look_back_step *then = look_back_at(p, n, r, channel, step);
    const float *y = l->rows[p->looker].y[i * p->n_channels + channel];
    const float *point = loss_point(&n->net->loss, n->net->n_targets, y);
    for (int d = 0; d < p->n_dims; d++) {
        const struct look_back_value *v = &look_back_values(then)[d];
        const double xhat = v->base + v->sigma * lane_clip((double)point[d], OUTPUT_LIMIT);
        smoothed[channel * p->n_dims + d] = isfinite(xhat) ? xhat : NAN;
        actual[channel * p->n_dims + d] = v->actual;
    }
    *time_ns = then->time_ns;
    return true;
}

/* The verdict on the event that is looked back at; with `score: reconstruction` it counts as one on this event too. */
static void look_back_judge(struct lane *l, struct lane_item *item, const double *smoothed, const double *actual,
                            struct eddy_result *out)
{
    const struct plan *p = l->plan;
    const struct key_row *r = item->row;
    static const int next[] = {1};
    for (int v = 0; v < p->n_values; v++) l->residuals[v] = actual[v] - smoothed[v];
    struct eddy_evidence evidence = {.n_values = p->n_values,
                                     .n_horizons = 1,
                                     .horizons = next,
                                     .x = actual,
                                     .residual = l->residuals,
                                     .count = r->count - 1, /* this event has been counted */
                                     .time_ns = out->smoothed.time_ns,
                                     .threshold = p->settings->detect.threshold,
                                     .warmup = r->count - 1 < p->settings->detect.warmup,
                                     .warmup_events = p->settings->detect.warmup,
                                     .support = NAN};
    const bool counts = p->networks[p->looker].settings->score == SMOOTHED_SCORE_RECONSTRUCTION;
    out->smoothed.score = lane_judge_look_back(l, item, &evidence, counts ? out : NULL);
}

void lane_look_back(struct lane *l, struct lane_item *item, int i, struct eddy_result *out)
{
    const struct plan *p = l->plan;
    double *smoothed = (double *)(uintptr_t)out->smoothed.y, *actual = (double *)(uintptr_t)out->smoothed.actual;
    for (int c = 0; c < p->n_channels; c++) {
        int64_t time_ns;
        if (!l->steps[i * p->n_channels + c] || !look_back_channel(l, item->row, i, c, smoothed, actual, &time_ns))
            continue;
        if (!out->smoothed.known || time_ns < out->smoothed.time_ns) out->smoothed.time_ns = time_ns;
        out->smoothed.known = true;
    }
    if (out->smoothed.known) look_back_judge(l, item, smoothed, actual, out);
}
