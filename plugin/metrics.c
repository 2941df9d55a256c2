#include "plugin/metrics.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/state/keyspace.h"
#include "plugin/metrics_private.h"

static bool rows_number(const char **at, int64_t *out)
{
    char *end;
    if (!isdigit((unsigned char)**at)) return false;
    errno = 0;
    *out = strtoll(*at, &end, 10);
    *at = end;
    return errno == 0;
}

bool metrics_rows_parse(const char *text, struct metrics_rows *out)
{
    out->to = INT64_MAX;
    if (!rows_number(&text, &out->from) || *text++ != ':') return false;
    if (*text && !rows_number(&text, &out->to)) return false;
    return !*text && out->from < out->to;
}

eddy_status metrics_open(const struct metrics_request *request, struct metrics **out, struct eddy_error *err)
{
    *out = calloc(1, sizeof(**out));
    if (!*out) return eddy_fail(err, EDDY_ENOMEM, "metrics: out of memory");
    (*out)->settings = request->settings;
    (*out)->by_partition = request->by_partition;
    (*out)->score = request->score;
    (*out)->scale = request->scale;
    (*out)->labels = request->labels;
    if (!(*out)->score.to) (*out)->score.to = INT64_MAX;
    const char *season = request->settings->forecast.season;
    if (season) (void)parse_season(season, &(*out)->season); /* its faults were found with the configuration's */
    (*out)->max_bytes = request->max_bytes ? request->max_bytes : METRICS_BYTES;
    return EDDY_OK;
}

static void metrics_key_free(struct metrics_key *k)
{
    if (!k) return;
    free(k->name);
    free(k->last);
    free(k->sums);
    free(k->bands);
    free(k->scale);
    free(k->experts);
    free(k->steps);
    free(k->season.past);
    metrics_track_free(k->track);
    free(k);
}

void metrics_close(struct metrics *m)
{
    if (!m) return;
    for (size_t i = 0; i < m->cap; i++) metrics_key_free(m->table[i]);
    free(m->table);
    free(m->at_ring);
    free(m->horizons);
    free(m->coverages);
    for (int v = 0; v < m->n_values; v++) free(m->names[v]);
    free(m->names);
    metrics_classes_free(&m->classes);
    metrics_experts_free(&m->experts);
    eddy_buffer_free(&m->scratch);
    free(m);
}

static struct metrics_key *metrics_key_new(const struct metrics *m, uint64_t hash, const char *name, size_t name_len)
{
    size_t n_values = (size_t)m->n_values;
    struct metrics_key *k = calloc(1, sizeof(*k));
    if (!k) return NULL;
    k->name = malloc(name_len ? name_len : 1);
    k->last = malloc((2 * n_values + m->ring_doubles) * sizeof(double));
    k->sums = calloc(n_values * (size_t)m->n_horizons + 1, sizeof(*k->sums));
    k->bands = calloc(n_values * (size_t)m->n_horizons * (size_t)m->n_bands + 1, sizeof(*k->bands));
    k->scale = calloc(n_values, sizeof(*k->scale));
    k->experts = calloc((size_t)m->experts.n * n_values * (size_t)m->n_horizons + 1, sizeof(*k->experts));
    k->steps = calloc(n_values, sizeof(*k->steps));
    if (!k->name || !k->last || !k->sums || !k->bands || !k->scale || !k->experts || !k->steps) {
        metrics_key_free(k);
        return NULL;
    }
    k->hash = hash;
    k->name_len = name_len;
    memcpy(k->name, name, name_len);
    k->step_sum = k->last + n_values;
    k->ring = k->step_sum + n_values;
    metrics_pairs_clear(m, k);
    return k;
}

static bool metrics_grow(struct metrics *m)
{
    size_t cap = m->cap ? 2 * m->cap : 1024;
    struct metrics_key **table = calloc(cap, sizeof(struct metrics_key *));
    if (!table) return false;
    for (size_t i = 0; i < m->cap; i++) {
        if (!m->table[i]) continue;
        size_t at = m->table[i]->hash & (cap - 1);
        while (table[at]) at = (at + 1) & (cap - 1);
        table[at] = m->table[i];
    }
    free(m->table);
    m->table = table;
    m->cap = cap;
    return true;
}

bool metrics_room(struct metrics *m, size_t more)
{
    while (4 * (m->n_keys + more) > 3 * m->cap)
        if (!metrics_grow(m)) return false;
    return true;
}

/* The name under which a result's key is known; borrowed from the scratch buffer. */
static bool metrics_name(struct metrics *m, const struct eddy_result *r)
{
    m->scratch.len = 0;
    if (m->by_partition) {
        if (eddy_buffer_append(&m->scratch, r->topic, strlen(r->topic) + 1) < 0) return false;
        if (eddy_buffer_append(&m->scratch, &r->partition, sizeof(r->partition)) < 0) return false;
    }
    return eddy_buffer_append(&m->scratch, r->key, r->key_len) >= 0;
}

/* What one more key takes. */
static int64_t metrics_key_bytes(const struct metrics *m, size_t name_len)
{
    size_t values = (size_t)m->n_values, allocation = 16, horizons = (size_t)m->n_horizons;
    size_t of_horizon = sizeof(struct metrics_sum) + (size_t)m->n_bands * sizeof(struct metrics_band) +
                        (size_t)m->experts.n * sizeof(struct metrics_expert);
    return (int64_t)(sizeof(struct metrics_key) + name_len + (2 * values + m->ring_doubles) * sizeof(double) +
                     values * (horizons * of_horizon + sizeof(struct metrics_scale) + sizeof(int64_t)) +
                     2 * sizeof(struct metrics_key *) + 8 * allocation);
}

/* The key of a result.  EDDY_ELIMIT: it is not measured. */
static eddy_status metrics_find(struct metrics *m, const struct eddy_result *r, struct metrics_key **out)
{
    if (!metrics_name(m, r)) return EDDY_ENOMEM;
    if (!metrics_room(m, 1)) return EDDY_ENOMEM;
    uint64_t hash = keyspace_hash(m->scratch.data, m->scratch.len);
    size_t at = hash & (m->cap - 1);
    for (; m->table[at]; at = (at + 1) & (m->cap - 1)) {
        struct metrics_key *k = m->table[at];
        if (k->hash == hash && k->name_len == m->scratch.len &&
            (k->name_len == 0 || memcmp(k->name, m->scratch.data, k->name_len) == 0)) {
            *out = k;
            return EDDY_OK;
        }
    }
    int64_t bytes = metrics_key_bytes(m, m->scratch.len);
    if (m->bytes + bytes > m->max_bytes) return EDDY_ELIMIT;
    *out = metrics_key_new(m, hash, m->scratch.data, m->scratch.len);
    if (!*out) return EDDY_ENOMEM;
    (*out)->number = (int64_t)m->n_keys;
    (*out)->key_at = m->scratch.len - r->key_len;
    m->table[at] = *out;
    m->n_keys++;
    m->bytes += bytes;
    return EDDY_OK;
}

int64_t metrics_add(struct metrics *m, const struct eddy_result *r)
{
    if (m->failed) return -1;
    if (!metrics_classes_add(&m->classes, r)) goto fail;
    if (r->label_only) return -1;
    if (!m->horizons && (!metrics_shape(m, r) || !metrics_experts_shape(m, r))) goto fail;
    if (r->schema->n_values != m->n_values) { /* of a partition whose records have other values */
        m->unmeasured++;
        return -1;
    }
    metrics_smoothed_add(&m->smoothed, r);
    metrics_incidents_add(m, r);
    struct metrics_key *k;
    eddy_status rc = metrics_find(m, r, &k);
    m->unmeasured += rc == EDDY_ELIMIT;
    if (rc == EDDY_ELIMIT) return -1;
    if (rc < 0) goto fail;

    if (!metrics_season_add(m, k, r)) goto fail;
    metrics_pairs_add(m, k, r);
    metrics_experts_add(m, k, r);
    if (m->labels && !metrics_track_add(m, k, r)) goto fail;
    k->count++;
    return k->number;
fail:
    m->failed = true;
    return -1;
}

int64_t metrics_unmeasured(const struct metrics *m)
{
    return m->unmeasured;
}
