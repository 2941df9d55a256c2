/* Residuals to a score: all detectors of the configuration; the most conspicuous one counts. */
#include <math.h>
#include <string.h>

#include "engine/flow/lane_private.h"
#include "engine/math/scalar.h"

/* What no kind of the detector's own tells of.  The first in the list that alarms and knows names the fault. */
static inline void judge_unclaimed(const struct lane *l, double score, double evidence, const char *fault,
                                   struct lane_unclaimed *to)
{
    if (!to->fault && score >= l->plan->settings->detect.threshold) to->fault = fault;
    if (score > to->score) to->score = score;
    if (evidence > to->evidence) to->evidence = evidence;
}

/* Every detector has a scale of its own: its parts count as shares of its evidence. */
static inline void judge_attribute(const float *parts, int n, double evidence, float *attribution)
{
    double sum = 0;
    for (int v = 0; v < n; v++) sum += (double)parts[v];
    for (int v = 0; v < n && sum > 0; v++) attribution[v] += (float)(evidence * ((double)parts[v] / sum));
}

/* One detector's verdict, taken into the result.  While a kind of its own holds, that one's incident tells of it. */
static inline __attribute__((always_inline)) void judge_count(const struct lane *l, int n_values,
                                                              const struct eddy_verdict *verdict, bool claimed,
                                                              struct lane_unclaimed *unclaimed,
                                                              struct eddy_result *out)
{
    float *attribution = (float *)(uintptr_t)out->attribution;
    const double score = verdict->score > 1 ? 1 : verdict->score;
    const double evidence = verdict->evidence > 1 ? 1 : verdict->evidence;
    if (!out->fault && score >= l->plan->settings->detect.threshold) out->fault = verdict->fault;
    if (score > out->score) out->score = score;
    if (evidence > out->evidence) out->evidence = evidence;
    if (!claimed) judge_unclaimed(l, score, evidence, verdict->fault, unclaimed);
    if (!(score > 0) && !(evidence > 0)) return; /* it opens incidents of its own at most */
    judge_attribute(verdict->attribution, n_values, score > evidence ? score : evidence, attribution);
}

/* Whether a kind of its own holds, of those that it has named. */
static bool judge_claims(const struct plan_judge *j, uint32_t holds)
{
    return (holds & (((uint64_t)1 << j->n_kinds) - 1)) != 0;
}

static inline __attribute__((always_inline)) struct eddy_verdict judge_ask(struct lane *l, int n_values,
                                                                           const struct plan_judge *j,
                                                                           const struct key_row *r,
                                                                           struct eddy_evidence *evidence)
{
    struct eddy_verdict verdict = {.score = 0,
                                   .evidence = 0,
                                   .attribution = l->part_scores,
                                   .support = NAN,
                                   .holds = 0,
                                   .fault = NULL,
                                   .accepted = 0};
    for (int v = 0; v < n_values; v++) l->part_scores[v] = 0;
    j->part->judge(j->settings, r->row + j->at_state, evidence, &verdict);
    evidence->support = scalar_most(evidence->support, verdict.support); /* NaN only while nobody has said any */
    return verdict;
}

/* Shares, and what follows from the score. */
static void judge_conclude(struct lane *l, bool warmup, struct eddy_result *out)
{
    const double threshold = l->plan->settings->detect.threshold;
    out->state = warmup ? EDDY_STATE_WARMUP : EDDY_STATE_OK;
    out->score_ratio = out->score / threshold;
    out->anomaly = out->score >= threshold;
}

static inline __attribute__((always_inline)) void judge_event(struct lane *l, const struct lane_shape s,
                                                              struct lane_item *item, int64_t elapsed_ns,
                                                              struct eddy_result *out)
{
    const struct plan *p = l->plan;
    const struct key_row *r = item->row;
    const struct detect_settings *d = &p->settings->detect;
    const size_t plane = (size_t)s.outlook.n_horizons * (size_t)s.n_values;
    struct eddy_evidence evidence = {
        .n_values = s.n_values,
        .n_horizons = s.outlook.n_horizons,
        .horizons = s.outlook.horizons,
        .x = s.general && p->transform ? lane_transform_judged(l, r, out->y) : out->y,
        .residual = l->residuals,
        .count = r->count,
        .time_ns = out->time_ns,
        .elapsed_ns = elapsed_ns,
        .season = item->season,
        .threshold = d->threshold,
        .warmup = r->count < d->warmup,
        .warmup_events = d->warmup,
        .support = NAN,
    };
    item->unclaimed = (struct lane_unclaimed){0};
    for (int i = 0; i < p->n_judges; i++) {
        const struct plan_judge *j = &p->judges[i];
        if (j->network >= 0) continue;
        evidence.residual = j->expert < 0 ? l->residuals : l->expert_residuals + (size_t)j->expert * plane;
        const struct eddy_verdict verdict = judge_ask(l, s.n_values, j, r, &evidence);
        if (!evidence.warmup)
            judge_count(l, s.n_values, &verdict, judge_claims(j, verdict.holds), &item->unclaimed, out);
        if (j->n_kinds > 0) lane_incident_kinds(l, j, r, evidence.warmup, &verdict, out);
    }
    judge_conclude(l, evidence.warmup, out);
}

void lane_judge(struct lane *l, struct lane_item *item, int64_t elapsed_ns, struct eddy_result *out)
{
    judge_event(l, lane_shape_of(l->plan), item, elapsed_ns, out);
}

void lane_judge_single(struct lane *l, struct lane_item *item, int64_t elapsed_ns, struct eddy_result *out)
{
    judge_event(l, lane_shape_single(l->plan), item, elapsed_ns, out);
}

double lane_judge_look_back(struct lane *l, struct lane_item *item, struct eddy_evidence *evidence,
                            struct eddy_result *out)
{
    const struct plan *p = l->plan;
    double score = 0;
    for (int i = 0; i < p->n_judges; i++) {
        const struct plan_judge *j = &p->judges[i];
        if (j->network < 0) continue;
        const struct eddy_verdict verdict = judge_ask(l, p->n_values, j, item->row, evidence);
        if (evidence->warmup) continue;
        if (verdict.score > score) score = verdict.score > 1 ? 1 : verdict.score;
        if (out) judge_count(l, p->n_values, &verdict, false, &item->unclaimed, out); /* it opens no kinds */
    }
    if (out) judge_conclude(l, evidence->warmup, out);
    return score;
}
