/* Windows for training: cutting them from a key's row, and the sample of an epoch.
 *
 * Labels (origin s, scale sigma_s)
 *     forecast      (x_{s+h} - base_s) / sigma_s     base_s: the value at s, or with `anchor: none` the fixed mean
 *     looking back  step k answers for k - lag:  (x_{k-lag} - x_{k-lag-1}) / sigma_{k-lag-1}
 *     classes       the label's number
 * Differences are limited to +-20 scales, those against a fixed mean are not. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flow/lane_private.h"

static const double TARGET_LIMIT = 20;

/* ---- the sample ---- */

static bool windows_hold(const struct lane_windows *w, const float *block)
{
    for (int i = 0; i < w->n; i++)
        if (w->item[i].block == block) return true;
    return false;
}

static bool blocks_add(struct lane_blocks *b, float *block)
{
    if (b->n == b->cap) {
        int cap = b->cap ? 2 * b->cap : 64;
        float **grown = realloc(b->item, (size_t)cap * sizeof(*grown));
        if (!grown) return false;
        b->item = grown;
        b->cap = cap;
    }
    b->item[b->n++] = block;
    return true;
}

void lane_spare_window(struct lane *l, float *block)
{
    if (!blocks_add(&l->spare, block)) free(block);
}

/* Before the sample changes for the first time in a batch: that is when the mark needs a copy of it. */
void lane_windows_part(struct lane *l)
{
    if (!l->mark.set || l->mark.windows_apart) return;
    l->mark.windows.n = l->windows.n;
    if (l->windows.n > 0)
        memcpy(l->mark.windows.item, l->windows.item, (size_t)l->windows.n * sizeof(*l->windows.item));
    l->mark.windows_apart = true;
}

/* A block that leaves the sample; lane_abort() may still want it. */
void lane_drop_window(struct lane *l, float *block)
{
    if (!l->mark.set)
        lane_spare_window(l, block);
    else if (!blocks_add(&l->dropped, block) && !windows_hold(&l->mark.windows, block))
        free(block); /* one that the mark holds is lost to a lane that is out of memory */
}

size_t lane_window_floats(const struct plan *p)
{
    return train_windows_floats(p->model, p->shared);
}

eddy_status lane_keep_window(struct lane *l, struct lane_window window, const float *block, struct eddy_error *err)
{
    size_t bytes = lane_window_floats(l->plan) * sizeof(float);
    window.block = l->spare.n > 0 ? l->spare.item[--l->spare.n] : malloc(bytes);
    if (!window.block)
        return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory while training", l->topic,
                         (int)l->request.partition);
    memcpy(window.block, block, bytes);

    lane_windows_part(l);
    if (l->windows.n < l->plan->settings->train.windows) {
        l->windows.item[l->windows.n++] = window;
        return EDDY_OK;
    }
    int largest = 0;
    for (int i = 1; i < l->windows.n; i++)
        if (l->windows.item[i].rank > l->windows.item[largest].rank) largest = i;
    lane_drop_window(l, l->windows.item[largest].block);
    l->windows.item[largest] = window;
    return EDDY_OK;
}

uint64_t lane_window_draw(const struct lane *l, const struct lane_window *w, uint64_t purpose)
{
    const struct plan *p = l->plan;
    return eddy_random_bits((uint64_t)p->settings->seed ^ purpose,
                            (uint64_t)w->offset * (uint64_t)p->n_channels + (uint64_t)w->channel);
}

bool lane_wants_window(const struct lane *l, uint64_t rank)
{
    if (l->windows.n < l->plan->settings->train.windows) return true;
    for (int i = 0; i < l->windows.n; i++)
        if (rank < l->windows.item[i].rank) return true;
    return false;
}

void lane_windows_commit(struct lane *l)
{
    for (int i = 0; i < l->dropped.n; i++) lane_spare_window(l, l->dropped.item[i]);
    l->dropped.n = l->mark.windows.n = 0;
    l->mark.windows_apart = false;
}

/* Blocks that the mark does not hold are free again. */
void lane_windows_abort(struct lane *l)
{
    if (!l->mark.windows_apart) return;
    for (int i = 0; i < l->windows.n; i++)
        if (!windows_hold(&l->mark.windows, l->windows.item[i].block)) lane_spare_window(l, l->windows.item[i].block);
    for (int i = 0; i < l->dropped.n; i++)
        if (!windows_hold(&l->mark.windows, l->dropped.item[i])) lane_spare_window(l, l->dropped.item[i]);
    struct lane_window *kept = l->mark.windows.item;
    l->mark.windows.item = l->windows.item;
    l->windows = (struct lane_windows){l->mark.windows.n, kept};
    l->dropped.n = l->mark.windows.n = 0;
    l->mark.windows_apart = false;
}

void lane_windows_close(struct lane *l)
{
    for (int i = 0; i < l->windows.n; i++) free(l->windows.item[i].block);
    for (int i = 0; i < l->spare.n; i++) free(l->spare.item[i]);
    for (int i = 0; i < l->dropped.n; i++) free(l->dropped.item[i]);
    free(l->windows.item), free(l->mark.windows.item), free(l->spare.item), free(l->dropped.item);
}

/* ---- cutting a window ---- */

void lane_keep_start(const struct lane *l, struct key_row *r, int channel)
{
    const struct plan *p = l->plan;
    const int64_t step = lane_steps(l, r)[channel], every = p->settings->train.every;
    if (step % every != 0) return;
    for (int k = 0; k < p->n_networks; k++) {
        const struct plan_network *n = &p->networks[k];
        if (n->at_starts < 0) continue;
        const size_t place = (size_t)channel * (size_t)n->n_starts + (size_t)(step / every % n->n_starts);
        const size_t bytes = n->net->n_state * sizeof(float), at = (size_t)n->at_starts + place * bytes;
        keyspace_note(l->keys, r, at, bytes);
        memcpy(r->row + at, lane_state(n, r, channel), bytes);
    }
}

/* A window in the making. */
struct cut {
    struct lane *lane;
    const struct plan_network *network;
    const struct key_row *row;
    struct lane_courses courses; /* networks_seasonal only */
    int channel;
    int64_t oldest, end;         /* steps that are kept: oldest .. end - 1 */
    const unsigned char *points; /* [n_steps] of the series, a ring */
    size_t first;                /* place of the oldest */
    bool young;                  /* as a new key that began with the window (lane_young.c) .. */
    int64_t born;                /* .. at this step */
    int64_t knows;               /* from here on it would know its season; INT64_MAX: never */
    const double *ahead;         /* [n_horizons] what share of a season each is; where there is one */
    const double *known;         /* [end - from, n_dims] the values of the steps; NaN = not known */
    int64_t from;                /* the oldest step that there is to the window */
};

static const struct point_head *cut_head(const struct cut *c, int64_t step)
{
    const struct plan *p = c->lane->plan;
    size_t place = c->first + (size_t)(step - c->oldest);
    if (place >= (size_t)p->n_steps) place -= (size_t)p->n_steps;
    return (const struct point_head *)(const void *)(c->points + place * p->point_bytes);
}

static const struct point *cut_points(const struct cut *c, int64_t step)
{
    if (c->young) return c->lane->young.points + (size_t)(step - c->born) * (size_t)c->lane->plan->n_dims;
    return (const struct point *)(const void *)(cut_head(c, step) + 1);
}

/* What lies behind the points of a step: the label, the categories, what is kept of the season. */
static const float *cut_extras(const struct cut *c, int64_t step)
{
    const struct point *kept = (const struct point *)(const void *)(cut_head(c, step) + 1);
    return (const float *)(const void *)(kept + c->lane->plan->n_dims);
}

/* Every step's value is the label of as many others as there are horizons: each is looked at once, and so is each horizon. */
static void cut_know(struct cut *c)
{
    const struct outlook_shape *outlook = &c->lane->plan->outlook;
    const int n_dims = outlook->n_dims;
    c->ahead = c->lane->cut_ahead;
    for (int j = 0; j < outlook->n_horizons && c->courses.steps > 0; j++)
        c->lane->cut_ahead[j] = outlook->horizons[j] / c->courses.steps;
    double *to = c->lane->cut_known;
    c->known = to;
    c->from = c->young ? c->born : c->oldest;
    for (int64_t s = c->from; s < c->end; s++) {
        const struct point *points = cut_points(c, s);
        for (int d = 0; d < n_dims; d++) *to++ = points[d].known > 0 ? points[d].value : NAN;
    }
}

/* Labels of one value: differences to what was known at a step. */
struct cut_anchor {
    bool known, limited;
    double base, sigma;
    const struct season_course *course; /* NULL: no season */
    double phase, level;
};

static struct cut_anchor cut_anchor(const struct cut *c, int64_t step, int dim)
{
    const struct plan *p = c->lane->plan;
    const int anchor = p->settings->forecast.anchor;
    if (step < c->from || step >= c->end) return (struct cut_anchor){0};
    const struct point *point = cut_points(c, step) + dim;
    struct cut_anchor a = {.known = point->sigma > 0,
                           .limited = anchor != ANCHOR_NONE,
                           .base = anchor == ANCHOR_NONE ? p->fixed_mean[c->channel * p->n_dims + dim] : point->value,
                           .sigma = (double)point->sigma};
    if (anchor != ANCHOR_SEASON || !p->networks_seasonal) return a;
    a.course = &c->courses.item[dim];
    a.phase = (double)cut_extras(c, step)[p->n_extras - p->n_season_extras];
    a.level = season_level(a.course, a.phase);
    return a;
}

/* To the value of step `to`, which is so much of a season ahead, in scales; NaN when one of them is not known. */
static float cut_label(const struct cut *c, const struct cut_anchor *a, int64_t to, double ahead, int dim)
{
    if (!a->known || to >= c->end) return NAN;
    double base = a->base;
    if (a->course) base += c->courses.steps > 0 ? season_level(a->course, a->phase + ahead) - a->level : 0;
    const double y = (c->known[(size_t)(to - c->from) * (size_t)c->lane->plan->n_dims + (size_t)dim] - base) /
                     a->sigma;
    if (!a->limited) return (float)y;
    return (float)(y > TARGET_LIMIT ? TARGET_LIMIT : y < -TARGET_LIMIT ? -TARGET_LIMIT : y);
}

/* The labels of step `at`, as far as they have come; target [n_targets]. */
static void cut_labels(const struct cut *c, int64_t at, float *target)
{
    const struct plan *p = c->lane->plan;
    const struct plan_network *n = c->network;
    if (n->task == TASK_CLASSIFY) {
        *target = *cut_extras(c, at);
        return;
    }
    const bool back = n->task == TASK_LOOK_BACK;
    const int64_t from = back ? at - n->net->lag - 1 : at;
    for (int d = 0; d < p->n_dims; d++) {
        const struct cut_anchor anchor = cut_anchor(c, from, d);
        for (int i = 0; i < n->n_horizons; i++) {
            const int h = back ? 1 : p->outlook.horizons[n->at_horizon[i]];
            const double ahead = back ? 1 / c->courses.steps : c->ahead[n->at_horizon[i]];
            target[i * p->n_dims + d] = cut_label(c, &anchor, from + h, ahead, d);
        }
    }
}

static void cut_unlabelled(const struct window_shape *w, float *target)
{
    for (int o = 0; o < w->n_targets; o++) target[o] = NAN;
}

/* Step s as the k-th of the window. */
static void cut_step(const struct cut *c, int64_t s, size_t k, float *block)
{
    struct lane *l = c->lane;
    const struct plan *p = l->plan;
    const struct window_shape *w = &c->network->window;
    struct point_head head = *cut_head(c, s);
    const struct point *points = cut_points(c, s);
    const float *extras = cut_extras(c, s), *season = extras + p->n_extras - p->n_season_extras;
    float *target = window_target(w, block) + k * (size_t)w->n_targets;
    if (c->young && s == c->born) head.elapsed_s = head.elapsed = 0;
    window_elapsed(w, block)[k] = head.elapsed_s;
    if (c->network->reads[INPUT_SEASON])
        lane_season_inputs_kept(l, &c->courses, points, season[0],
                                c->young ? l->young.away + k * (size_t)p->n_dims : season + 1);
    lane_inputs(l, c->network, &head, points, extras + (p->classifier >= 0), l->season_inputs, c->channel,
                window_x(w, block) + k * (size_t)w->n_in);
    if (s < c->knows)
        cut_labels(c, s, target);
    else
        cut_unlabelled(w, target);
}

/* Where in the season the key's steps lie, by its usual pace. */
static struct lane_courses cut_courses(struct lane *l, const struct key_row *r, int channel)
{
    if (!l->plan->networks_seasonal) return (struct lane_courses){0};
    const struct eddy_season season = lane_season(l, r, r->time_ns);
    return lane_courses(l, r, channel, season.steps);
}

/* A key that begins with the window: nothing before it, and no season until one has passed. */
static void cut_as_young(struct cut *c)
{
    struct lane *l = c->lane;
    c->young = true;
    if (c->courses.steps > 0) c->knows = c->born + (int64_t)ceil(c->courses.steps);
    c->courses.steps = 0;
    for (int d = 0; l->plan->networks_seasonal && d < l->plan->n_dims; d++) l->courses[d].n_bins = 0;
    lane_young_view(l, c->row, c->channel, c->born, c->end);
}

/* The last n_steps steps of a channel; a younger one has its steps first and empty, label-less ones behind them. */
void lane_cut(struct lane *l, const struct plan_network *n, const struct key_row *r, int channel, bool young,
              float *block)
{
    const struct plan *p = l->plan;
    const struct window_shape *w = &n->window;
    const int64_t end = lane_steps(l, r)[channel], first = end > w->n_steps ? end - w->n_steps : 0;
    const size_t start = (size_t)(first / p->settings->train.every % n->n_starts);
    const int64_t oldest = end > p->n_steps ? end - p->n_steps : 0;
    struct cut cut = {.lane = l,
                      .network = n,
                      .row = r,
                      .courses = cut_courses(l, r, channel),
                      .channel = channel,
                      .oldest = oldest,
                      .end = end,
                      .points = (const unsigned char *)lane_point(l, r, channel, 0),
                      .first = (size_t)(oldest % p->n_steps),
                      .born = first,
                      .knows = INT64_MAX};
    if (young) cut_as_young(&cut);
    cut_know(&cut);
    memset(block, 0, window_floats(w) * sizeof(float));
    if (w->n_state > 0 && !young)
        memcpy(window_start(w, block),
               (const float *)(const void *)(r->row + n->at_starts) +
                   ((size_t)channel * (size_t)n->n_starts + start) * w->n_state,
               w->n_state * sizeof(float));
    for (int64_t s = first; s < first + w->n_steps; s++) {
        const size_t k = (size_t)(s - first);
        if (s < end)
            cut_step(&cut, s, k, block);
        else
            cut_unlabelled(w, window_target(w, block) + k * (size_t)w->n_targets);
    }
}

void lane_cut_windows(struct lane *l, const struct key_row *r, int channel, bool young, float *block)
{
    const struct plan *p = l->plan;
    for (int k = 0; k < p->n_networks; k++) {
        if (p->shared[k].n_steps == 0) continue;
        lane_cut(l, &p->networks[k], r, channel, young, block);
        block += window_floats(&p->shared[k]);
    }
}
