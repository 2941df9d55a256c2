#include "engine/forecast/fleet_shape.h"

static const int first_anchors[] = {1, 4, 8, 16, 20, 24, 32, 40, 48};
enum { N_FIRST = sizeof(first_anchors) / sizeof(*first_anchors), MOST_ORIGINS = 25 };

static void shape_anchors(struct fleet_shape *s)
{
    for (int h = 1; s->n_anchors < FLEET_ANCHORS; s->n_anchors++) {
        const int a = s->n_anchors;
        h = a < N_FIRST ? first_anchors[a] : h + h / 2;
        if (h > s->last || a == FLEET_ANCHORS - 1) h = s->last;
        s->horizon[a] = h;
        s->group[a] = h < 4 ? 0 : h < 8 ? 1 : h <= 20 ? 2 : 3;
        s->in_group[s->group[a]]++;
        if (h == s->last) break;
    }
    s->n_groups = s->group[s->n_anchors++] + 1;
}

/* Lags and offsets; the last lag reaches furthest. */
static void shape_season(struct fleet_shape *s, int season)
{
    const int S = season >= 8 && season <= 46 ? season : 24;
    const int lags[] = {1, 2, S / 3, S - 2, S + 1};
    const int offsets[] = {1, (S + 3) / 6, S / 3, (2 * S + 1) / 3, (5 * S + 3) / 6, S - 1};
    s->young = S < 24 ? 8 : FLEET_GROWN; /* where classes of age begin: each has one kind of features */
    memcpy(s->lags, lags, sizeof(lags));
    memcpy(s->offsets, offsets, sizeof(offsets));
}

/* Where an origin keeps the f of each anchor. */
static void shape_bases(struct fleet_shape *s)
{
    s->n_kept = FLEET_STORED;
    for (int a = 0; a < s->n_anchors; a++) {
        s->base[a] = -1;
        for (int k = 0; k < FLEET_OFFSETS; k++)
            if (s->offsets[k] == s->horizon[a]) s->base[a] = FLEET_FIRST_OFFSET + k - 1;
        if (s->base[a] < 0) s->base[a] = s->n_kept++;
    }
    s->origin_bytes = (sizeof(uint16_t) + (size_t)s->n_kept + 1) & ~(size_t)1;
}

/* How often origins are kept; forecasts for the stack by a step that has nothing in common with a season. */
static void shape_rings(struct fleet_shape *s, int season)
{
    const int reach = s->lags[FLEET_LAGS - 1];
    s->n_values = s->last > reach ? s->last : reach;
    s->every = s->last <= 2 * MOST_ORIGINS ? 2 : (s->last + MOST_ORIGINS - 1) / MOST_ORIGINS;
    s->n_origins = s->n_anchors > 1 ? (s->last + s->every - 1) / s->every : 0;
    s->stride = s->last <= 48 ? 11 : 23;
    while (season > 0 && season % s->stride == 0) s->stride += 2;
    for (int a = 1; a < s->n_anchors; a++) {
        s->first[a] = s->n_pending;
        s->places[a] = (s->horizon[a] + s->stride - 1) / s->stride;
        s->n_pending += s->places[a];
    }
    s->n_scales = s->n_anchors > 1 ? (s->last + s->stride - 1) / s->stride : 0;
}

static void shape_layout(struct fleet_shape *s)
{
    size_t at = sizeof(struct fleet_state);
    s->at_values = at;
    at += (size_t)s->n_values * sizeof(float);
    s->at_own = at;
    at += (size_t)s->n_anchors * FLEET_FEATURES * sizeof(float);
    s->at_errors = at;
    at += (size_t)s->n_anchors * sizeof(float);
    s->at_stack = at;
    at += (size_t)s->n_groups * 5 * sizeof(float);
    s->at_pending = at;
    at += (size_t)s->n_pending * sizeof(struct fleet_pending);
    s->at_scales = at;
    at += (size_t)s->n_scales * sizeof(uint16_t);
    s->at_origins = at;
    at += (size_t)(s->n_origins + 1) * s->origin_bytes;
    s->bytes = (at + 7) & ~(size_t)7;
}

void fleet_shape_of(const struct eddy_expert_shape *given, struct fleet_shape *s)
{
    *s = (struct fleet_shape){.last = given->horizons[given->n_horizons - 1], .n_ahead = given->n_ahead};
    shape_anchors(s);
    shape_season(s, given->season);
    shape_bases(s);
    shape_rings(s, given->season);
    shape_layout(s);
}

size_t fleet_contribution_bytes(const struct fleet_shape *s)
{
    return (sizeof(struct fleet_contribution) + (size_t)s->n_anchors * sizeof(struct fleet_label) + 7) & ~(size_t)7;
}

int fleet_class(int64_t n)
{
    return n < 8 ? 0 : n < FLEET_GROWN ? 1 : n < 60 ? 2 : 3;
}

int fleet_age(int64_t n)
{
    return n < 60 ? 0 : n < 150 ? 1 : n < 400 ? 2 : n < 1200 ? 3 : 4;
}
