/* Whether a key's row may be worked on: its checksum says that it is as somebody wrote it, not who. */
#include <inttypes.h>
#include <string.h>

#include "engine/detect/incident.h"
#include "engine/flow/plan_private.h"
#include "engine/forecast/scale.h"
#include "engine/forecast/volatility.h"
#include "engine/math/sound.h"

/* Numbers of a typed section: finite, and counts that can go on counting. */
static bool sound_section(const struct section *s, const unsigned char *row)
{
    const void *at = row + s->offset;
    if (s->type == SECTION_F32) return sound_floats(at, s->bytes / sizeof(float));
    if (s->type == SECTION_F64) return sound_reals(at, s->bytes / sizeof(double));
    bool sound = true;
    for (size_t i = 0; s->type == SECTION_I64 && i < s->bytes / sizeof(int64_t); i++)
        sound &= sound_count(((const int64_t *)at)[i]);
    return sound;
}

static bool sound_scale(const struct plan *p, const unsigned char *row)
{
    bool sound = true;
    for (int v = 0; v < p->n_values && sound; v++) {
        const struct scale *s = (const struct scale *)(const void *)(row + p->at_scale) + v;
        const double reals[] = {s->last, s->mean, s->v, s->slow, s->spread};
        sound = sound_count(s->n) && sound_count(s->gap) && sound_reals(reals, sizeof(reals) / sizeof(*reals)) &&
                s->v >= 0 && s->spread >= 0;
    }
    return sound;
}

static bool sound_volatility(const struct plan *p, const unsigned char *row)
{
    bool sound = true;
    for (int v = 0; p->at_changes >= 0 && v < p->n_values; v++)
        sound &= sound_count(((const struct volatility *)(const void *)(row + p->at_changes))[v].n);
    return sound;
}

static bool sound_season(const struct plan *p, const unsigned char *row)
{
    bool sound = true;
    for (int v = 0; p->at_season >= 0 && v < p->n_values; v++) {
        const unsigned char *at = row + p->at_season + (size_t)v * season_profile_bytes(p->n_season_bins);
        const struct season_profile *s = (const void *)at;
        sound &= sound_count(s->n) && isfinite(s->mean) && isfinite(s->sxy) && isfinite(s->syy) &&
                 sound_floats(s->rate, (size_t)p->n_season_bins);
    }
    return sound;
}

/* A cycle that counts has been found. */
static bool sound_choice(const struct plan *p, const unsigned char *row, double found)
{
    const struct season_choice *c = (const void *)(row + p->at_choice);
    return c->period_ns >= 0 && c->made <= 1 && c->found <= 1 && (!c->found || found > 0);
}

static bool sound_search(const struct plan *p, const unsigned char *row)
{
    if (p->at_search < 0) return true;
    const struct season_search *s = (const void *)(row + p->at_search);
    return sound_count(s->n) && (s->period == 0 || (s->period >= 1 && s->period <= SEASON_LAGS)) && s->phase >= 0 &&
           s->phase < 1 && sound_floats(s->waiting, SEASON_WAITING) && sound_choice(p, row, s->period);
}

static bool sound_mix(const struct plan *p, const unsigned char *row)
{
    bool sound = true;
    for (int v = 0; p->at_mix >= 0 && v < p->n_values; v++)
        sound &= blend_sound(&p->blend, row + p->at_mix + (size_t)v * p->mix_bytes);
    return sound;
}

static bool sound_incidents(const struct plan *p, const unsigned char *row)
{
    bool sound = true;
    for (int k = 0; k < p->n_kinds && sound; k++) {
        const struct incident *in = (const void *)(row + p->at_incidents + (size_t)k * p->incident_bytes);
        const struct incident_driver *drivers = (const void *)(in + 1);
        sound = in->n_drivers <= p->n_drivers;
        for (int i = 0; sound && i < in->n_drivers; i++) sound = sound_span(drivers[i].value, 0, p->n_values - 1);
    }
    return sound;
}

static bool sound_expert(const struct plan *p, const struct plan_expert *e, const unsigned char *row)
{
    bool sound = true;
    for (int v = 0; e->at_state >= 0 && e->part->sound && v < p->n_values; v++)
        sound &= e->part->sound(e->settings, &e->shape, row + e->at_state + (size_t)v * e->bytes);
    return sound;
}

static bool sound_judge(const struct plan *p, const struct plan_judge *j, const unsigned char *row)
{
    const int *horizons;
    const int n_horizons = plan_judge_horizons(p, j, &horizons);
    return j->at_state < 0 || !j->part->sound ||
           j->part->sound(j->settings, p->n_values, n_horizons, row + j->at_state);
}

/* The sections that the lane itself understands. */
static const struct {
    const char *name;
    bool (*sound)(const struct plan *, const unsigned char *row);
} own_sections[] = {{"scale", sound_scale},   {"volatility", sound_volatility},
                    {"season", sound_season}, {"season.search", sound_search},
                    {"mix", sound_mix},       {"incidents", sound_incidents}};

const char *plan_row_unsound(void *plan, const struct stored_row *r)
{
    const struct plan *p = plan;
    if (!sound_count(r->count) || r->next_off < 0 || r->next_off == INT64_MAX) return "its counts";
    for (int i = 0; i < p->layout.n; i++)
        if (!sound_section(&p->layout.sections[i], r->row)) return p->layout.sections[i].name;
    for (size_t i = 0; i < sizeof(own_sections) / sizeof(*own_sections); i++)
        if (!own_sections[i].sound(p, r->row)) return own_sections[i].name;
    for (int i = 0; i < p->n_experts; i++)
        if (!sound_expert(p, &p->experts[i], r->row)) return p->experts[i].part->part.name;
    for (int i = 0; i < p->n_judges; i++)
        if (!sound_judge(p, &p->judges[i], r->row)) return p->judges[i].part->part.name;
    return NULL;
}
