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

static void windows_spare(struct lane *l, float *block)
{
    if (l->n_spare == l->cap_spare) {
        int cap = l->cap_spare ? 2 * l->cap_spare : 64;
        float **grown = realloc(l->spare, (size_t)cap * sizeof(*grown));
        if (!grown) {
            free(block);
            return;
        }
        l->spare = grown;
        l->cap_spare = cap;
    }
    l->spare[l->n_spare++] = block;
}

/* A block that leaves the sample; lane_abort() may still want it. */
void lane_drop_window(struct lane *l, float *block)
{
    if (!l->mark.set || !windows_hold(&l->mark.windows, block)) windows_spare(l, block);
}

size_t lane_window_floats(const struct plan *p)
{
    return train_windows_floats(p->model, p->shared);
}

eddy_status lane_keep_window(struct lane *l, struct lane_window window, const float *block, struct eddy_error *err)
{
    size_t bytes = lane_window_floats(l->plan) * sizeof(float);
    window.block = l->n_spare > 0 ? l->spare[--l->n_spare] : malloc(bytes);
    if (!window.block)
        return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory while training", l->topic,
                         (int)l->request.partition);
    memcpy(window.block, block, bytes);

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

void lane_windows_mark(struct lane *l)
{
    l->mark.windows.n = l->windows.n;
    if (l->windows.n > 0)
        memcpy(l->mark.windows.item, l->windows.item, (size_t)l->windows.n * sizeof(*l->windows.item));
}

/* Blocks that only the mark held are free again. */
void lane_windows_commit(struct lane *l)
{
    for (int i = 0; i < l->mark.windows.n; i++)
        if (!windows_hold(&l->windows, l->mark.windows.item[i].block))
            windows_spare(l, l->mark.windows.item[i].block);
    l->mark.windows.n = 0;
}

void lane_windows_abort(struct lane *l)
{
    for (int i = 0; i < l->windows.n; i++)
        if (!windows_hold(&l->mark.windows, l->windows.item[i].block)) windows_spare(l, l->windows.item[i].block);
    struct lane_window *kept = l->mark.windows.item;
    l->mark.windows.item = l->windows.item;
    l->windows = (struct lane_windows){l->mark.windows.n, kept};
    l->mark.windows.n = 0;
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

static const struct point *cut_points(const struct lane *l, const struct key_row *r, int channel, int64_t step)
{
    return (const struct point *)(const void *)(lane_point(l, r, channel, step) + 1);
}

/* A window in the making. */
struct cut {
    struct lane *lane;
    const struct plan_network *network;
    const struct key_row *row;
    struct lane_courses courses; /* networks_seasonal only */
    int channel;
    int64_t oldest, end; /* steps that are kept: oldest .. end - 1 */
};

/* What the season is expected to bring from the step that `points` belong to, `h` steps on. */
static double cut_season(const struct cut *c, const struct point *points, int dim, int h)
{
    const struct plan *p = c->lane->plan;
    const float *extras = (const float *)(const void *)(points + p->n_dims);
    const double phase = (double)extras[p->n_extras - p->n_season_extras], steps = c->courses.steps;
    const struct season_course *course = &c->courses.item[dim];
    return steps > 0 ? season_level(course, phase + h / steps) - season_level(course, phase) : 0;
}

/* From one step's value to that of h steps later, in scales; NaN when one of them is not known. */
static float cut_label(const struct cut *c, int64_t from, int h, int dim)
{
    const struct plan *p = c->lane->plan;
    const int anchor = p->settings->forecast.anchor;
    if (from < c->oldest || from + h >= c->end) return NAN;
    const struct point *points = cut_points(c->lane, c->row, c->channel, from), *a = points + dim;
    const struct point *b = cut_points(c->lane, c->row, c->channel, from + h) + dim;
    if (!(b->known > 0) || !(a->sigma > 0)) return NAN;
    double base = anchor == ANCHOR_NONE ? p->fixed_mean[c->channel * p->n_dims + dim] : a->value;
    if (anchor == ANCHOR_SEASON && p->networks_seasonal) base += cut_season(c, points, dim, h);
    const double y = (b->value - base) / (double)a->sigma;
    if (anchor == ANCHOR_NONE) return (float)y;
    return (float)(y > TARGET_LIMIT ? TARGET_LIMIT : y < -TARGET_LIMIT ? -TARGET_LIMIT : y);
}

/* The labels of step `at`, as far as they have come; target [n_targets]. */
static void cut_labels(const struct cut *c, int64_t at, float *target)
{
    const struct plan *p = c->lane->plan;
    const struct plan_network *n = c->network;
    if (n->task == TASK_CLASSIFY) {
        *target = *(const float *)(const void *)(cut_points(c->lane, c->row, c->channel, at) + p->n_dims);
        return;
    }
    const bool back = n->task == TASK_LOOK_BACK;
    for (int i = 0; i < n->n_horizons; i++)
        for (int d = 0; d < p->n_dims; d++)
            target[i * p->n_dims + d] = cut_label(c, back ? at - n->net->lag - 1 : at,
                                                  back ? 1 : p->outlook.horizons[n->at_horizon[i]], d);
}

/* Step s as the k-th of the window. */
static void cut_step(const struct cut *c, int64_t s, size_t k, float *block)
{
    struct lane *l = c->lane;
    const struct plan *p = l->plan;
    const struct window_shape *w = &c->network->window;
    const struct point_head *head = lane_point(l, c->row, c->channel, s);
    const struct point *points = cut_points(l, c->row, c->channel, s);
    const float *extras = (const float *)(const void *)(points + p->n_dims);
    window_elapsed(w, block)[k] = head->elapsed_s;
    if (c->network->reads[INPUT_SEASON])
        lane_season_inputs_kept(l, &c->courses, points, extras + p->n_extras - p->n_season_extras);
    lane_inputs(l, c->network, head, points, extras + (p->classifier >= 0), l->season_inputs, c->channel,
                window_x(w, block) + k * (size_t)w->n_in);
    cut_labels(c, s, window_target(w, block) + k * (size_t)w->n_targets);
}

/* Where in the season the key's steps lie, by its usual pace. */
static struct lane_courses cut_courses(struct lane *l, const struct key_row *r, int channel)
{
    if (!l->plan->networks_seasonal) return (struct lane_courses){0};
    const struct eddy_season season = lane_season(l, r, r->time_ns);
    return lane_courses(l, r, channel, season.steps);
}

/* The last n_steps steps of a channel; a younger one has its steps first and empty, label-less ones behind them. */
void lane_cut(struct lane *l, const struct plan_network *n, const struct key_row *r, int channel, float *block)
{
    const struct plan *p = l->plan;
    const struct window_shape *w = &n->window;
    const int64_t end = lane_steps(l, r)[channel], first = end > w->n_steps ? end - w->n_steps : 0;
    const size_t start = (size_t)(first / p->settings->train.every % n->n_starts);
    const struct cut cut = {l,  n, r, cut_courses(l, r, channel), channel, end > p->n_steps ? end - p->n_steps : 0,
                            end};
    memset(block, 0, window_floats(w) * sizeof(float));
    if (w->n_state > 0)
        memcpy(window_start(w, block),
               (const float *)(const void *)(r->row + n->at_starts) +
                   ((size_t)channel * (size_t)n->n_starts + start) * w->n_state,
               w->n_state * sizeof(float));
    for (int64_t s = first; s < first + w->n_steps; s++) {
        const size_t k = (size_t)(s - first);
        float *target = window_target(w, block) + k * (size_t)w->n_targets;
        if (s < end)
            cut_step(&cut, s, k, block);
        else
            for (int o = 0; o < w->n_targets; o++) target[o] = NAN;
    }
}

void lane_cut_windows(struct lane *l, const struct key_row *r, int channel, float *block)
{
    const struct plan *p = l->plan;
    for (int k = 0; k < p->n_networks; k++) {
        if (p->shared[k].n_steps == 0) continue;
        lane_cut(l, &p->networks[k], r, channel, block);
        block += window_floats(&p->shared[k]);
    }
}
