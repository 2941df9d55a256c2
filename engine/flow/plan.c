#include "engine/flow/plan.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flow/codec_categories.h"
#include "engine/forecast/bands.h"
#include "engine/forecast/calendar.h"
#include "engine/forecast/scale.h"
#include "engine/state/keyspace.h"

enum { INPUTS_PER_VALUE = 3 /* level, difference, known */, MAX_NETWORK_OUTPUTS = 65536 };

static eddy_status plan_no_memory(struct eddy_error *err)
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

/* The configuration was checked: only settings made in another way hold an unknown word. */
static int plan_policy(const char *word)
{
    for (int i = 0; missing_policy_words[i]; i++)
        if (strcmp(missing_policy_words[i], word) == 0) return i;
    return MISSING_LAST;
}

/* Names what there is instead: the option may come from a command line, and the values from the first record. */
static eddy_status plan_no_value(const struct plan *p, const char *name, struct eddy_error *err)
{
    char known[256];
    size_t len = 0;
    for (int v = 0; v < p->n_values && len < sizeof(known); v++)
        len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", v ? ", " : "", p->schema.names[v]);
    return eddy_fail(err, EDDY_ECONFIG, "forecast.missing.%s: the series has no value of that name, only %s%s", name,
                     known, len < sizeof(known) ? "" : " ..");
}

/* `forecast.missing`: a policy per value, `default` for the others. */
static eddy_status plan_missing(struct plan *p, struct eddy_error *err)
{
    const struct eddy_map *map = &p->settings->forecast.missing;
    int others = MISSING_LAST;
    for (int i = 0; i < map->n; i++)
        if (strcmp(map->item[i].name, "default") == 0) others = plan_policy(map->item[i].value);

    p->missing = calloc((size_t)p->n_values, sizeof(*p->missing));
    if (!p->missing) return plan_no_memory(err);
    for (int v = 0; v < p->n_values; v++) p->missing[v] = others;
    for (int i = 0; i < map->n; i++) {
        int v = 0;
        while (v < p->n_values && strcmp(p->schema.names[v], map->item[i].name) != 0) v++;
        if (v < p->n_values)
            p->missing[v] = plan_policy(map->item[i].value);
        else if (strcmp(map->item[i].name, "default") != 0 && *p->schema.names[0])
            return plan_no_value(p, map->item[i].name, err);
    }
    return EDDY_OK;
}

static eddy_status plan_horizons(struct plan *p, struct eddy_error *err)
{
    const struct eddy_ints *horizons = &p->settings->forecast.horizons;
    size_t *first = calloc((size_t)horizons->n + 1, sizeof(*first));
    if (!first) return plan_no_memory(err);
    for (int j = 0; j < horizons->n; j++) first[j + 1] = first[j] + (size_t)horizons->item[j];
    p->outlook = (struct outlook_shape){horizons->n, p->n_dims, horizons->item, first};
    p->outlook_bytes = outlook_bytes(&p->outlook);
    p->n_bands = p->settings->forecast.bands.n;
    p->tracker_floats = bands_floats(p->n_bands);
    return EDDY_OK;
}

static eddy_status plan_network(struct plan *p, struct eddy_error *err)
{
    const struct settings *s = p->settings;
    int n_in = INPUTS_PER_VALUE * p->n_dims + 1 + (s->forecast.calendar ? CALENDAR_INPUTS : 0) +
               (p->n_channels > 1 ? p->n_channels : 0);
    int64_t n_out = (int64_t)p->n_dims * p->outlook.n_horizons;
    if (n_out > MAX_NETWORK_OUTPUTS)
        return eddy_fail(err, EDDY_ECONFIG,
                         "%d values x %d horizons are %lld outputs of one network; at most %d (channels: independent "
                         "gives each value its own)",
                         p->n_dims, p->outlook.n_horizons, (long long)n_out, MAX_NETWORK_OUTPUTS);
    const struct network_shape shape = {.n_in = n_in, .n_dims = p->n_dims, .n_horizons = p->outlook.n_horizons};
    eddy_status rc = network_open(&s->forecast.network, &shape, &p->network, err);
    if (rc < 0) return rc;

    /* A window must reach from an origin to the label of the largest horizon, and start where a state was kept. */
    int64_t every = s->train.every, steps = s->train.window;
    int64_t reach = p->outlook.horizons[p->outlook.n_horizons - 1] + 1;
    if (steps < reach) steps = reach;
    steps = (steps + every - 1) / every * every;
    p->window = (struct window_shape){(int)steps, n_in, (int)n_out, p->network->n_state};
    p->n_starts = (int)(steps / every);
    p->training = s->train.mode != TRAIN_OFF;
    p->point_bytes = sizeof(struct point_head) + (size_t)p->n_dims * sizeof(struct point);
    return EDDY_OK;
}

/* Sections whose bytes mean something else under other horizons or bands take them into their version. */
static uint32_t plan_meaning(uint32_t version, const void *numbers, size_t n_bytes)
{
    const unsigned char *at = numbers;
    for (size_t i = 0; i < n_bytes; i++) version = (version ^ at[i]) * 16777619u;
    return version;
}

/* One row of the directory that is being laid out. */
struct planned_section {
    int64_t *at;
    const char *name;
    int type;
    uint32_t version;
    size_t bytes;
};

static eddy_status plan_add(struct plan *p, const struct planned_section *s, struct eddy_error *err)
{
    if (s->bytes == 0) return EDDY_OK;
    *s->at = row_layout_add(&p->layout, s->name, s->type, s->version, s->bytes, err);
    return *s->at < 0 ? (eddy_status)*s->at : EDDY_OK;
}

static eddy_status plan_detectors(struct plan *p, struct eddy_error *err)
{
    const struct eddy_choices *chosen = &p->settings->detect.detectors;
    p->at_detector = calloc((size_t)chosen->n + 1, sizeof(*p->at_detector));
    if (!p->at_detector) return plan_no_memory(err);
    for (int i = 0; i < chosen->n; i++) {
        const struct eddy_detector *d = (const struct eddy_detector *)(const void *)chosen->item[i].part;
        char name[64];
        (void)snprintf(name, sizeof(name), "detect.%d.%.40s", i, d->part.name);
        size_t bytes = d->state_bytes(chosen->item[i].settings, p->n_values, p->outlook.n_horizons);
        uint32_t version = plan_meaning(d->state_version, p->outlook.horizons,
                                        (size_t)p->outlook.n_horizons * sizeof(int));
        struct planned_section section = {&p->at_detector[i], name, SECTION_BYTES, version, bytes};
        p->at_detector[i] = -1;
        eddy_status rc = plan_add(p, &section, err);
        if (rc < 0) return rc;
    }
    return EDDY_OK;
}

static eddy_status plan_layout(struct plan *p, struct eddy_error *err)
{
    size_t channels = (size_t)p->n_channels, values = (size_t)p->n_values, state = p->network->n_state;
    size_t horizons = (size_t)p->outlook.n_horizons, steps = p->training ? (size_t)p->window.n_steps : 0;
    size_t own = p->settings->forecast.scope == SCOPE_KEY ? p->network->n_params : 0;
    const struct eddy_reals *coverages = &p->settings->forecast.bands;
    const uint32_t outlook = plan_meaning(1, p->outlook.horizons, horizons * sizeof(int));
    const uint32_t bands = plan_meaning(outlook, coverages->item, (size_t)coverages->n * sizeof(double));
    const struct planned_section sections[] = {
        {&p->at_state, "network.state", SECTION_F32, 1, channels * state * sizeof(float)},
        {&p->at_starts, "train.starts", SECTION_F32, 1,
         p->training ? channels * (size_t)p->n_starts * state * sizeof(float) : 0},
        {&p->at_weights, "network.weights", SECTION_F32, 1, 4 * own * sizeof(float)},
        {&p->at_trackers, "bands", SECTION_F32, bands, values * horizons * p->tracker_floats * sizeof(float)},
        {&p->at_clock, "clock", SECTION_F64, 1, sizeof(double)},
        {&p->at_scale, "scale", SECTION_BYTES, 1, values * sizeof(struct scale)},
        {&p->at_steps, "steps", SECTION_I64, 1, channels * sizeof(int64_t)},
        {&p->at_optimiser, "optimiser", SECTION_I64, 1, own ? sizeof(int64_t) : 0},
        {&p->at_outlook, "outlook", SECTION_BYTES, outlook, channels * p->outlook_bytes},
        {&p->at_points, "train.points", SECTION_BYTES, 1, channels * steps * p->point_bytes},
    };
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) *sections[i].at = -1;
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        eddy_status rc = plan_add(p, &sections[i], err);
        if (rc < 0) return rc;
    }
    return plan_detectors(p, err);
}

eddy_status plan_open(const struct settings *settings, const struct eddy_schema *schema, struct plan **out,
                      struct eddy_error *err)
{
    *out = NULL;
    if (schema->n_values < 1) return eddy_fail(err, EDDY_EINVAL, "a series needs at least one value");
    struct plan *p = calloc(1, sizeof(*p));
    if (!p) return plan_no_memory(err);
    p->settings = settings;

    eddy_status rc = plan_schema(p, schema, err);
    bool joint = settings->forecast.channels == CHANNELS_JOINT;
    p->n_channels = joint ? 1 : p->n_values;
    p->n_dims = joint ? p->n_values : 1;
    if (rc >= 0) rc = plan_missing(p, err);
    if (rc >= 0) rc = plan_horizons(p, err);
    if (rc >= 0) rc = plan_network(p, err);
    if (rc >= 0) rc = plan_layout(p, err);
    if (rc < 0) {
        plan_close(p);
        return rc;
    }
    *out = p;
    return EDDY_OK;
}

void plan_close(struct plan *p)
{
    if (!p) return;
    plan_free_names(p->schema.names, p->schema.n_values);
    plan_free_names(p->schema.categories, p->schema.n_categories);
    free((void *)(uintptr_t)p->outlook.first);
    free(p->missing);
    free(p->at_detector);
    network_close(p->network);
    row_layout_free(&p->layout);
    free(p);
}

void plan_forget_network(struct row_layout *stored)
{
    static const char *const names[] = {"network.state", "train.starts", "network.weights", "optimiser"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) row_layout_remove(stored, names[i]);
}

eddy_status plan_fingerprint(const struct plan *p, struct eddy_buffer *out)
{
    eddy_status rc = network_fingerprint(p->network, out);
    for (int j = 0; j < p->outlook.n_horizons && rc >= 0; j++) {
        char text[16];
        int n = snprintf(text, sizeof(text), " %d", p->outlook.horizons[j]);
        rc = eddy_buffer_append(out, text, (size_t)n);
    }
    return rc;
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
    const struct eddy_choices *chosen = &p->settings->detect.detectors;
    for (int i = 0; i < chosen->n; i++) {
        const struct eddy_detector *d = (const struct eddy_detector *)(const void *)chosen->item[i].part;
        if (d->init && p->at_detector[i] >= 0)
            d->init(chosen->item[i].settings, p->n_values, p->outlook.n_horizons, row + p->at_detector[i]);
    }
}

/* SQLite keeps a row's columns, its index entry and page overhead besides the row's bytes; measured on full files. */
static const size_t DISK_OVERHEAD_BYTES = 64;

void plan_estimate(const struct plan *p, size_t key_len, struct plan_estimate *out)
{
    out->resident_bytes = keyspace_bytes_per_key(&p->layout, key_len);
    out->disk_bytes = p->layout.row_bytes + 2 * key_len + DISK_OVERHEAD_BYTES;
    out->model_bytes = (4 * p->network->n_params + p->network->n_packed) * sizeof(float);
}

void plan_print_estimate(const struct plan *p, size_t key_len, int64_t n_keys, FILE *out)
{
    struct plan_estimate e;
    plan_estimate(p, key_len, &e);
    fprintf(out, "per key, resident: %zu bytes = row + header, hash entry and key of %zu bytes\n", e.resident_bytes,
            key_len);
    fprintf(out, "  row = %zu bytes, sections rounded up to a multiple of 64:\n", p->layout.row_bytes);
    for (int i = 0; i < p->layout.n; i++)
        fprintf(out, "    %-24s %8" PRIu64 "\n", p->layout.sections[i].name, p->layout.sections[i].bytes);
    fprintf(out, "per key, on disk:  about %zu bytes\n", e.disk_bytes);
    fprintf(out, "model:             %zu bytes per partition (weights, optimiser, average, serving copy)\n",
            e.model_bytes);
    double mib = 1024.0 * 1024.0, keys = (double)n_keys;
    fprintf(out, "%" PRId64 " keys:          %.1f MiB resident, %.1f MiB on disk\n", n_keys,
            keys * (double)e.resident_bytes / mib, keys * (double)e.disk_bytes / mib);
}
