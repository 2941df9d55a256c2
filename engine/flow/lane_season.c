/* The season as the networks see it.
 *
 * Equations (value x at phase p of a season of S steps, sigma its scale, level() and mean: engine/forecast/season.h)
 *     deviation  clip((x - mean - level(p)) / sigma, 6)
 *     change_k   clip((level(p + k / 24) - level(p)) / sigma, 6)      k = 1, 3, 6, 12, 18, 21: what the season will bring
 * A window keeps p and (x - mean) / sigma of each step; the level is taken from the profile as it is when the window is
 * cut. */
#include <math.h>

#include "engine/flow/lane_private.h"

static const double INPUT_LIMIT = 6;

static struct season_search *season_search_of(const struct lane *l, const struct key_row *r)
{
    return (struct season_search *)(void *)(r->row + l->plan->at_search);
}

static struct season_choice *season_choice_of(const struct lane *l, const struct key_row *r)
{
    return (struct season_choice *)(void *)(r->row + l->plan->at_choice);
}

static double season_usual(const struct lane *l, const struct key_row *r)
{
    return *(const double *)(const void *)(r->row + l->plan->at_clock);
}

struct eddy_season lane_season(const struct lane *l, const struct key_row *r, int64_t time_ns)
{
    const double usual_s = season_usual(l, r);
    if (l->plan->at_search < 0) return season_at(&l->plan->season, time_ns, r->count, usual_s);
    const struct season_choice *chosen = season_choice_of(l, r);
    const struct season_search *found = season_search_of(l, r);
    if (!chosen->made) return season_at(&l->plan->season, time_ns, r->count, usual_s);
    if (!chosen->found) return season_within(chosen->period_ns, time_ns, usual_s);
    const double phase = found->phase + 1 / found->period;
    return (struct eddy_season){found->period, phase < 1 ? phase : phase - 1};
}

/* The next differences of the search; true when another cycle is found, or none any more. */
static bool season_search_on(const struct lane *l, struct key_row *r, const struct point *points)
{
    static const double LIMIT = 1.5; /* scales, which are three differences wide */
    const struct plan *p = l->plan;
    double u = 0;
    for (int v = 0; v < p->n_values; v++) u += lane_clip((double)points[v].dz, LIMIT);
    if (!season_search_add(season_search_of(l, r), (float)u)) return false;
    keyspace_note(l->keys, r, (size_t)p->at_past, sizeof(struct season_past));
    return season_search_decide(season_search_of(l, r), (struct season_past *)(void *)(r->row + p->at_past));
}

void lane_season_find(const struct lane *l, struct key_row *r, const struct point *points)
{
    const struct plan *p = l->plan;
    if (p->at_search < 0) return;
    const bool anew = season_search_on(l, r, points);
    const double usual_s = season_usual(l, r);
    const bool other = season_choose(season_choice_of(l, r), r->count, season_period(&p->season, usual_s), usual_s,
                                     season_search_of(l, r)->period, anew);
    for (int v = 0; v < p->n_values && (anew || other); v++) season_forget(lane_profile(l, r, v), p->n_season_bins);
}

static inline struct lane_courses season_courses(struct lane *l, int n_dims, const struct key_row *r, int channel,
                                                 double steps)
{
    for (int d = 0; d < n_dims; d++)
        season_course_of(lane_profile(l, r, channel * n_dims + d), l->plan->n_season_bins, steps, &l->courses[d]);
    return (struct lane_courses){l->courses, steps};
}

struct lane_courses lane_courses(struct lane *l, const struct key_row *r, int channel, double steps)
{
    return season_courses(l, l->plan->n_dims, r, channel, steps);
}

static inline __attribute__((always_inline)) void season_inputs_kept(struct lane *l, int n_dims,
                                                                     const struct lane_courses *courses,
                                                                     const struct point *points, float phase,
                                                                     const float *away)
{
    static const int AHEAD[SEASON_INPUTS - 1] = {1, 3, 6, 12, 18, 21};
    for (int d = 0; d < n_dims; d++) {
        float *u = l->season_inputs + (size_t)d * SEASON_INPUTS;
        const struct season_course *c = &courses->item[d];
        const double sigma = (double)points[d].sigma, now = season_level(c, (double)phase);
        u[0] = (float)lane_clip((double)away[d] - now / sigma, INPUT_LIMIT);
        for (int k = 1; k < SEASON_INPUTS; k++) u[k] = 0;
        for (int k = 1; k < SEASON_INPUTS && c->n_bins > 0; k++)
            u[k] = (float)lane_clip((season_level(c, (double)phase + AHEAD[k - 1] / 24.) - now) / sigma, INPUT_LIMIT);
    }
}

void lane_season_inputs_kept(struct lane *l, const struct lane_courses *courses, const struct point *points,
                             float phase, const float *away)
{
    season_inputs_kept(l, l->plan->n_dims, courses, points, phase, away);
}

static inline __attribute__((always_inline)) void season_inputs(struct lane *l, int n_dims,
                                                                const struct lane_item *item, int channel,
                                                                const struct point *points)
{
    const struct plan *p = l->plan;
    float *kept = l->extras + p->n_extras - p->n_season_extras;
    kept[0] = (float)item->season.phase;
    for (int d = 0; d < n_dims; d++) {
        const struct season_profile *profile = lane_profile(l, item->row, channel * n_dims + d);
        kept[1 + d] = (float)lane_clip((points[d].value - profile->mean) / (double)points[d].sigma, 1e6);
    }
    const struct lane_courses courses = season_courses(l, n_dims, item->row, channel, item->season.steps);
    season_inputs_kept(l, n_dims, &courses, points, kept[0], kept + 1);
}

void lane_season_inputs(struct lane *l, const struct lane_item *item, int channel, const struct point *points)
{
    if (l->plan->n_dims == 1) /* most series: nothing is left of the loops */
        season_inputs(l, 1, item, channel, points);
    else
        season_inputs(l, l->plan->n_dims, item, channel, points);
}
