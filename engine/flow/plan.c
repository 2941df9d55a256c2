#include "engine/flow/plan.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/unit.h"
#include "engine/flow/codec_categories.h"
#include "engine/flow/plan_private.h"
#include "engine/forecast/bands.h"
#include "engine/forecast/scale.h"
#include "engine/forecast/volatility.h"
#include "engine/math/kernels.h"
#include "engine/math/quantiles.h"
#include "engine/state/keyspace.h"

eddy_status plan_no_memory(struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "out of memory while planning the pipeline");
}

/* Copies n names.  *count says how many there are to free, also when memory runs out. */
static eddy_status plan_names(const char *const *from, int n, const char *const **to, int *count,
                              struct eddy_error *err)
{
    char **names = calloc((size_t)n + 1, sizeof(*names));
    if (!names) return plan_no_memory(err);
    *to = (const char *const *)names;
    for (int i = 0; i < n; i++) {
        names[i] = strdup(from[i]);
        *count = i + 1;
        if (!names[i]) return plan_no_memory(err);
    }
    return EDDY_OK;
}

static void plan_free_names(const char *const *names, int n)
{
    for (int i = 0; i < n; i++) free((char *)(uintptr_t)names[i]);
    free((void *)(uintptr_t)names);
}

/* Those of the schema, from CSV files, go before those of the codec's settings. */
static eddy_status plan_categories(struct plan *p, const struct eddy_schema *from, struct eddy_error *err)
{
    struct eddy_schema *s = &p->schema;
    struct eddy_buffer text = {0};
    if (from->n_categories > 0)
        return plan_names(from->categories, from->n_categories, &s->categories, &s->n_categories, err);
    const eddy_status n = codec_categories(p->settings, &text, err);
    const char **names = n > 0 ? calloc((size_t)n, sizeof(*names)) : NULL;
    eddy_status rc = n < 0 ? n : n > 0 && !names ? plan_no_memory(err) : EDDY_OK;
    const char *at = text.data;
    for (int i = 0; names && i < n; i++, at += strlen(at) + 1) names[i] = at;
    if (names) rc = plan_names(names, n, &s->categories, &s->n_categories, err);
    free((void *)names);
    eddy_buffer_free(&text);
    return rc;
}

static eddy_status plan_schema(struct plan *p, const struct eddy_schema *from, struct eddy_error *err)
{
    p->n_values = from->n_values;
    eddy_status rc = plan_names(from->names, from->n_values, &p->schema.names, &p->schema.n_values, err);
    return rc < 0 ? rc : plan_categories(p, from, err);
}

/* The configuration was checked: only settings made in another way hold an unknown word, which counts as the first. */
static int plan_word(const char *const *words, const char *word)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], word) == 0) return i;
    return 0;
}

/* Names what there is instead: the option may come from a command line, and the values from the first record. */
static eddy_status plan_no_value(const struct plan *p, const char *option, const char *name, struct eddy_error *err)
{
    char known[256];
    size_t len = 0;
    for (int v = 0; v < p->n_values && len < sizeof(known); v++)
        len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", v ? ", " : "", p->schema.names[v]);
    return eddy_fail(err, EDDY_ECONFIG, "forecast.%s.%s: the series has no value of that name, only %s%s", option,
                     name, known, len < sizeof(known) ? "" : " ..");
}

/* A word per value from a map by value name, `default` for the others. */
static eddy_status plan_words(const struct plan *p, const char *option, const struct eddy_map *map,
                              const char *const *words, int *out /* [n_values] */, struct eddy_error *err)
{
    for (int i = 0; i < map->n; i++) {
        int v = 0;
        while (v < p->n_values && strcmp(p->schema.names[v], map->item[i].name) != 0) v++;
        if (v == p->n_values && strcmp(map->item[i].name, "default") != 0 && *p->schema.names[0])
            return plan_no_value(p, option, map->item[i].name, err);
    }
    for (int v = 0; v < p->n_values; v++) {
        const char *word = plan_about(map, p->schema.names[v]);
        out[v] = word ? plan_word(words, word) : 0;
    }
    return EDDY_OK;
}

static eddy_status plan_missing(struct plan *p, struct eddy_error *err)
{
    p->missing = calloc((size_t)p->n_values, sizeof(*p->missing));
    if (!p->missing) return plan_no_memory(err);
    return plan_words(p, "missing", &p->settings->forecast.missing, missing_policy_words, p->missing, err);
}

static eddy_status plan_transform(struct plan *p, struct eddy_error *err)
{
    int any = TRANSFORM_NONE;
    p->transform = calloc((size_t)p->n_values, sizeof(*p->transform));
    if (!p->transform) return plan_no_memory(err);
    eddy_status rc = plan_words(p, "transform", &p->settings->forecast.transform, transform_words, p->transform, err);
    for (int v = 0; v < p->n_values; v++) any |= p->transform[v];
    if (any != TRANSFORM_NONE) return rc;
    free(p->transform);
    p->transform = NULL;
    return rc;
}

static eddy_status plan_horizons(struct plan *p, struct eddy_error *err)
{
    const struct eddy_ints *horizons = &p->settings->forecast.horizons;
    size_t *first = calloc((size_t)horizons->n + 1, sizeof(*first));
    if (!first) return plan_no_memory(err);
    for (int j = 0; j < horizons->n; j++) first[j + 1] = first[j] + (size_t)horizons->item[j];
    p->outlook = (struct outlook_shape){
        .n_horizons = horizons->n, .n_dims = p->n_dims, .horizons = horizons->item, .first = first};
    p->n_bands = p->settings->forecast.bands.n;
    p->tracker_floats = bands_floats(p->n_bands);
    p->band_z = calloc((size_t)p->n_bands + 1, sizeof(*p->band_z));
    if (!p->band_z) return plan_no_memory(err);
    for (int b = 0; b < p->n_bands; b++)
        p->band_z[b] = normal_quantile((1 + p->settings->forecast.bands.item[b]) / 2);
    return EDDY_OK;
}

/* Forecasts wait with the edges of their bands, unless those come from a head. */
static void plan_outlook(struct plan *p)
{
    p->outlook.n_edges = p->head_bands ? 0 : 2 * p->n_bands;
    p->outlook_bytes = outlook_bytes(&p->outlook);
}

/* Whether somebody reads the season's profile, networks and experts say. */
static eddy_status plan_season(struct plan *p, struct eddy_error *err)
{
    const char *season = p->settings->forecast.season ? p->settings->forecast.season : "none";
    const char *wrong = parse_season(season, &p->season);
    if (wrong) return eddy_fail(err, EDDY_ECONFIG, "forecast.season: \"%s\" %s", season, wrong);
    p->n_season_bins = season_bins(&p->season);
    return EDDY_OK;
}

/* `scaling: fixed`: mean and deviation of every value. */
static eddy_status plan_scaling(struct plan *p, struct eddy_error *err)
{
    const struct scaling_settings *s = &p->settings->forecast.scaling;
    if (s->kind != SCALING_FIXED) return EDDY_OK;
    p->fixed_mean = calloc((size_t)p->n_values, sizeof(double));
    p->fixed_deviation = calloc((size_t)p->n_values, sizeof(double));
    if (!p->fixed_mean || !p->fixed_deviation) return plan_no_memory(err);
    for (int v = 0; v < p->n_values; v++) {
        const char *mean = plan_about(&s->mean, p->schema.names[v]);
        const char *deviation = plan_about(&s->deviation, p->schema.names[v]);
        p->fixed_deviation[v] = 1;
        if ((mean && parse_real(mean, &p->fixed_mean[v])) ||
            (deviation && parse_real(deviation, &p->fixed_deviation[v])))
            return eddy_fail(err, EDDY_ECONFIG, "forecast.scaling: no number for the value %s", p->schema.names[v]);
    }
    return EDDY_OK;
}

const char *plan_about(const struct eddy_map *map, const char *value_name)
{
    const char *others = NULL;
    for (int i = 0; i < map->n; i++) {
        if (strcmp(map->item[i].name, value_name) == 0) return map->item[i].value;
        if (strcmp(map->item[i].name, "default") == 0) others = map->item[i].value;
    }
    return others;
}

/* Sections whose bytes mean something else under other horizons or bands take them into their version. */
uint32_t plan_meaning(uint32_t version, const void *numbers, size_t n_bytes)
{
    const unsigned char *at = numbers;
    for (size_t i = 0; i < n_bytes; i++) version = (version ^ at[i]) * 16777619u;
    return version;
}

uint32_t plan_domain(const struct plan *p, uint32_t version)
{
    return p->transform ? plan_meaning(version, p->transform, (size_t)p->n_values * sizeof(int)) : version;
}

eddy_status plan_add(struct plan *p, const struct planned_section *s, struct eddy_error *err)
{
    if (s->bytes == 0) return EDDY_OK;
    *s->at = row_layout_add(&p->layout, s->name, s->type, s->version, s->bytes, err);
    return *s->at < 0 ? (eddy_status)*s->at : EDDY_OK;
}

/* Long sections of which an event changes a little or nothing: they come last, and are undone piece by piece. */
static eddy_status plan_pieces(struct plan *p, struct eddy_error *err)
{
    const size_t channels = (size_t)p->n_channels, steps = p->training ? (size_t)p->n_steps : 0;
    const struct planned_section points = {&p->at_points, "train.points", SECTION_BYTES, plan_domain(p, 1),
                                           channels * steps * p->point_bytes};
    const struct planned_section past = {&p->at_past, "season.past", SECTION_BYTES, 1,
                                         p->at_search >= 0 ? sizeof(struct season_past) : 0};
    p->at_points = p->at_past = -1;
    row_layout_go_on_in_pieces(&p->layout);
    eddy_status rc = plan_network_starts(p, err);
    if (rc >= 0) rc = plan_add(p, &points, err);
    if (rc >= 0) rc = plan_add(p, &past, err);
    p->n_pieces = (p->at_past >= 0) + channels * (p->training ? 1 + (size_t)p->n_networks : 0);
    p->piece_bytes = past.bytes + (p->training ? channels * p->point_bytes : 0);
    for (int k = 0; k < p->n_networks; k++)
        if (p->networks[k].at_starts >= 0) p->piece_bytes += channels * p->networks[k].net->n_state * sizeof(float);
    return rc >= 0 ? plan_expert_kept(p, err) : rc;
}

static eddy_status plan_layout(struct plan *p, struct eddy_error *err)
{
    const size_t channels = (size_t)p->n_channels, values = (size_t)p->n_values;
    const size_t horizons = (size_t)p->outlook.n_horizons;
    const bool search = p->seasonal && p->season.kind == SEASON_AUTO;
    const struct eddy_reals *coverages = &p->settings->forecast.bands;
    const uint32_t domain = plan_domain(p, 1);
    const uint32_t forecasts = plan_meaning(plan_domain(p, 2), p->outlook.horizons, horizons * sizeof(int));
    const size_t volatility = p->settings->forecast.volatility ? values * sizeof(struct volatility) : 0;
    uint32_t bands = plan_meaning(forecasts, coverages->item, (size_t)coverages->n * sizeof(double));
    if (volatility > 0) bands = plan_meaning(bands, "volatility", 10);
    const uint32_t outlook = p->head_bands ? forecasts : bands;
    const size_t season = p->seasonal ? values * season_profile_bytes(p->n_season_bins) : 0;
    const struct planned_section sections[] = {
        {&p->at_trackers, "bands", SECTION_F32, bands, values * horizons * p->tracker_floats * sizeof(float)},
        {&p->at_clock, "clock", SECTION_F64, 1, sizeof(double)},
        {&p->at_scale, "scale", SECTION_BYTES, domain, values * sizeof(struct scale)},
        {&p->at_season, "season", SECTION_BYTES, plan_meaning(domain, &p->season, sizeof(p->season)), season},
        {&p->at_changes, "volatility", SECTION_BYTES, domain, volatility},
        {&p->at_search, "season.search", SECTION_BYTES, 2, search ? sizeof(struct season_search) : 0},
        {&p->at_choice, "season.choice", SECTION_BYTES, 1, search ? sizeof(struct season_choice) : 0},
        {&p->at_steps, "steps", SECTION_I64, 1, channels * sizeof(int64_t)},
        {&p->at_outlook, "outlook", SECTION_BYTES, outlook, channels * p->outlook_bytes},
        {&p->at_unlearnt, "train.unlearnt", SECTION_I64, 1,
         p->training && (p->settings->train.incidents == TRAIN_INCIDENTS_SKIP || p->settings->train.exclude.n > 0)
             ? channels * sizeof(int64_t)
             : 0},
    };
    p->at_mix = p->at_edges = -1;
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) *sections[i].at = -1;
    eddy_status rc = plan_network_sections(p, err);
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]) && rc >= 0; i++)
        rc = plan_add(p, &sections[i], err);
    if (rc >= 0) rc = plan_expert_sections(p, err);
    if (rc >= 0) rc = plan_judges(p, err);
    return rc >= 0 ? plan_pieces(p, err) : rc;
}

/* One step of the past for training: what networks read of it, and the label where one classifies. */
static void plan_points(struct plan *p)
{
    p->n_season_extras = p->networks_seasonal ? 1 + p->n_dims : 0;
    p->looks_ahead = p->seasonal || (p->networks_seasonal && p->settings->forecast.anchor == ANCHOR_SEASON);
    p->seasonal |= p->networks_seasonal;
    p->n_extras = (p->classifier >= 0) + p->schema.n_categories + p->n_season_extras;
    const size_t extras = ((size_t)p->n_extras * sizeof(float) + 7) & ~(size_t)7;
    p->point_bytes = sizeof(struct point_head) + (size_t)p->n_dims * sizeof(struct point) + extras;
}

/* Whether it is a job of the commonest kind, for which lanes have code of their own.  Networks that look back or classify,
 * and models that keys share, come with a second network or with experts. */
static bool plan_single(const struct plan *p)
{
    const bool one = p->n_values == 1 && p->n_networks == 1 && p->n_experts == 1 && p->experts[0].network == 0;
    const bool next = p->outlook.n_horizons == 1 && p->outlook.horizons[0] == 1;
    const bool rare = p->transform || p->fixed_mean || p->at_changes >= 0 || p->head_bands ||
                      p->schema.n_categories > 0;
    return one && next && !rare;
}

eddy_status plan_open(const struct settings *settings, const struct eddy_schema *schema, struct plan **out,
                      struct eddy_error *err)
{
    *out = NULL;
    if (schema->n_values < 1) return eddy_fail(err, EDDY_EINVAL, "a series needs at least one value");
    if (!kernels_force(settings_kernels[settings->kernel]))
        return eddy_fail(err, EDDY_ECONFIG, "kernel: this processor does not run %s",
                         settings_kernels[settings->kernel]);
    struct plan *p = calloc(1, sizeof(*p));
    if (!p) return plan_no_memory(err);
    p->settings = settings;
    p->classifier = p->looker = -1;

    eddy_status rc = plan_schema(p, schema, err);
    bool joint = settings->forecast.channels == CHANNELS_JOINT;
    p->n_channels = joint ? 1 : p->n_values;
    p->n_dims = joint ? p->n_values : 1;
    if (rc >= 0) rc = plan_missing(p, err);
    if (rc >= 0) rc = plan_transform(p, err);
    if (rc >= 0) rc = plan_horizons(p, err);
    if (rc >= 0) rc = plan_scaling(p, err);
    if (rc >= 0) rc = plan_season(p, err);
    if (rc >= 0) rc = plan_networks(p, err);
    if (rc >= 0) rc = plan_experts(p, err);
    if (rc >= 0) plan_points(p);
    if (rc >= 0) plan_outlook(p);
    if (rc >= 0) rc = plan_layout(p, err);
    if (rc < 0) {
        plan_close(p);
        return rc;
    }
    p->single = plan_single(p);
    *out = p;
    return EDDY_OK;
}

void plan_close(struct plan *p)
{
    if (!p) return;
    plan_free_names(p->schema.names, p->schema.n_values);
    plan_free_names(p->schema.categories, p->schema.n_categories);
    free((void *)(uintptr_t)p->outlook.first);
    free(p->missing), free(p->transform), free(p->band_z);
    free(p->fixed_mean), free(p->fixed_deviation);
    plan_experts_close(p);
    plan_networks_close(p);
    row_layout_free(&p->layout);
    free(p);
}

/* No forecast waits yet. */
static void plan_prepare_channel(const struct plan *p, unsigned char *row, int channel)
{
    double *xhat = (double *)(void *)(row + p->at_outlook + (size_t)channel * p->outlook_bytes);
    size_t n = p->outlook.first[p->outlook.n_horizons] * (size_t)p->n_dims;
    for (size_t i = 0; i < n; i++) xhat[i] = NAN;
}

void plan_prepare_row(void *plan, unsigned char *row)
{
    const struct plan *p = plan;
    for (int c = 0; c < p->n_channels; c++) plan_prepare_channel(p, row, c);
    for (int i = 0; i < p->n_experts; i++) {
        const struct plan_expert *e = &p->experts[i];
        for (int v = 0; e->at_state >= 0 && e->part->init && v < p->n_values; v++)
            e->part->init(e->settings, &e->shape, row + e->at_state + (size_t)v * e->bytes);
    }
    for (int i = 0; i < p->n_judges; i++) {
        const struct plan_judge *j = &p->judges[i];
        const int *horizons;
        const int n_horizons = plan_judge_horizons(p, j, &horizons);
        if (j->part->init && j->at_state >= 0) j->part->init(j->settings, p->n_values, n_horizons, row + j->at_state);
    }
}

/* SQLite keeps a row's columns, its index entry and page overhead besides the row's bytes; measured on full files. */
static const size_t DISK_OVERHEAD_BYTES = 64;

void plan_estimate(const struct plan *p, size_t key_len, struct plan_estimate *out)
{
    out->resident_bytes = keyspace_bytes_per_key(&p->layout, key_len);
    out->disk_bytes = p->layout.row_bytes + 2 * key_len + DISK_OVERHEAD_BYTES;
    out->model_bytes = (4 * p->model->n_params + p->model->n_packed) * sizeof(float);
}
