#include "plugin/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/state/keyspace.h"
#include "plugin/metrics_private.h"

/* Everything about one key, in one allocation:
 *     name     [name_len]           topic, partition and key, or the key alone
 *     last     [V]                  last known value, NaN before
 *     ring     for each horizon h of H: slots [h] of {forecast, persistence, [n_bands] of {lower, upper}} [V] */
struct metrics_key {
    uint64_t hash;
    int64_t count; /* results of this key so far */
    size_t name_len;
    char *name;
    double *last;
    double *ring;
    struct metrics_sum *sums; /* [V, H] */
    double *step_sum;         /* [V] sum of |y - last| */
    int64_t *steps;           /* [V] how many */
};

static const int64_t MAX_BYTES = 256LL << 20;
enum { SLOT_FORECAST, SLOT_PERSISTENCE, SLOT_EDGES };

eddy_status metrics_open(const struct metrics_request *request, struct metrics **out, struct eddy_error *err)
{
    *out = calloc(1, sizeof(**out));
    if (!*out) return eddy_fail(err, EDDY_ENOMEM, "metrics: out of memory");
    (*out)->settings = request->settings;
    (*out)->by_partition = request->by_partition;
    (*out)->max_bytes = request->max_bytes ? request->max_bytes : MAX_BYTES;
    return EDDY_OK;
}

static void metrics_key_free(struct metrics_key *k)
{
    if (!k) return;
    free(k->name);
    free(k->last);
    free(k->sums);
    free(k->steps);
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
    free(m->bands);
    for (int v = 0; v < m->n_values; v++) free(m->names[v]);
    free(m->names);
    metrics_classes_free(&m->classes);
    eddy_buffer_free(&m->scratch);
    free(m);
}

/* The shape of everything comes with the first result. */
static bool metrics_shape(struct metrics *m, const struct eddy_result *r)
{
    int n_values = r->schema->n_values;
    m->horizons = calloc((size_t)r->n_horizons + 1, sizeof(*m->horizons));
    m->at_ring = calloc((size_t)r->n_horizons + 1, sizeof(*m->at_ring));
    m->names = calloc((size_t)n_values + 1, sizeof(*m->names));
    m->coverages = calloc((size_t)r->n_bands + 1, sizeof(*m->coverages));
    m->bands = calloc((size_t)n_values * (size_t)r->n_horizons * (size_t)r->n_bands + 1, sizeof(*m->bands));
    if (!m->horizons || !m->at_ring || !m->names || !m->coverages || !m->bands) return false;

    m->n_values = n_values;
    m->n_horizons = r->n_horizons;
    m->n_bands = r->n_bands;
    m->slot_doubles = SLOT_EDGES + 2 * (size_t)r->n_bands;
    for (int b = 0; b < r->n_bands; b++) m->coverages[b] = r->coverages[b];
    size_t at = 0;
    for (int i = 0; i < r->n_horizons; i++) {
        m->horizons[i] = r->horizons[i];
        m->at_ring[i] = at;
        at += (size_t)r->horizons[i] * m->slot_doubles * (size_t)n_values;
    }
    m->ring_doubles = at;
    for (int v = 0; v < n_values; v++)
        if (!(m->names[v] = strdup(r->schema->names[v]))) return false;
    return true;
}

static struct metrics_key *metrics_key_new(const struct metrics *m, uint64_t hash, const char *name, size_t name_len)
{
    size_t n_values = (size_t)m->n_values;
    struct metrics_key *k = calloc(1, sizeof(*k));
    if (!k) return NULL;
    k->name = malloc(name_len ? name_len : 1);
    k->last = malloc((2 * n_values + m->ring_doubles) * sizeof(double));
    k->sums = calloc(n_values * (size_t)m->n_horizons + 1, sizeof(*k->sums));
    k->steps = calloc(n_values, sizeof(*k->steps));
    if (!k->name || !k->last || !k->sums || !k->steps) {
        metrics_key_free(k);
        return NULL;
    }
    k->hash = hash;
    k->name_len = name_len;
    memcpy(k->name, name, name_len);
    k->step_sum = k->last + n_values;
    k->ring = k->step_sum + n_values;
    for (size_t v = 0; v < n_values; v++) k->step_sum[v] = 0;
    for (size_t v = 0; v < n_values; v++) k->last[v] = NAN;
    for (size_t i = 0; i < m->ring_doubles; i++) k->ring[i] = NAN;
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
    size_t values = (size_t)m->n_values, allocation = 16;
    return (int64_t)(sizeof(struct metrics_key) + name_len + (2 * values + m->ring_doubles) * sizeof(double) +
                     values * (size_t)m->n_horizons * sizeof(struct metrics_sum) + values * sizeof(int64_t) +
                     2 * sizeof(struct metrics_key *) + 5 * allocation);
}

/* The key of a result.  EDDY_ELIMIT: it is not measured. */
static eddy_status metrics_find(struct metrics *m, const struct eddy_result *r, struct metrics_key **out)
{
    if (!metrics_name(m, r)) return EDDY_ENOMEM;
    if (4 * (m->n_keys + 1) > 3 * m->cap && !metrics_grow(m)) return EDDY_ENOMEM;
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
    m->table[at] = *out;
    m->n_keys++;
    m->bytes += bytes;
    return EDDY_OK;
}

/* slot[.] of value v: the forecast for horizon i that fills the place of event `count` of the key. */
static double *metrics_slot(const struct metrics *m, struct metrics_key *k, int i, int64_t count, int v)
{
    size_t place = (size_t)(count % m->horizons[i]);
    return k->ring + m->at_ring[i] + (place * (size_t)m->n_values + (size_t)v) * m->slot_doubles;
}

static struct metrics_band *metrics_bands(const struct metrics *m, int i, int v)
{
    return m->bands + (v * m->n_horizons + i) * m->n_bands;
}

static void metrics_judge_bands(struct metrics_band *bands, int n_bands, double y, const double *edges)
{
    for (int b = 0; b < n_bands; b++, edges += 2) {
        if (!isfinite(edges[0]) || !isfinite(edges[1])) continue;
        bands[b].n++;
        bands[b].inside += y >= edges[0] && y <= edges[1];
        bands[b].width += edges[1] - edges[0];
    }
}

/* False when there is no pair to judge. */
static bool metrics_judge(struct metrics_sum *s, double y, const double *slot)
{
    double forecast = slot[SLOT_FORECAST], persistence = slot[SLOT_PERSISTENCE];
    if (!isfinite(y) || !isfinite(forecast) || !isfinite(persistence)) return false;
    double e = y - forecast, p = y - persistence, size = fabs(y) + fabs(forecast);
    s->n++;
    s->squared += e * e;
    s->absolute += fabs(e);
    s->symmetric += size > 0 ? 200 * fabs(e) / size : 0;
    s->persistence_squared += p * p;
    s->persistence_absolute += fabs(p);
    return true;
}

/* Puts what the result forecasts for value v and horizon i into its slot. */
static void metrics_keep(const struct metrics *m, const struct eddy_result *r, int i, int v, double last,
                         double *slot)
{
    int at = i * m->n_values + v, plane = m->n_horizons * m->n_values;
    slot[SLOT_FORECAST] = r->forecast[at];
    slot[SLOT_PERSISTENCE] = last;
    for (int b = 0; b < m->n_bands; b++) {
        slot[SLOT_EDGES + 2 * b] = r->band_lower[b * plane + at];
        slot[SLOT_EDGES + 2 * b + 1] = r->band_upper[b * plane + at];
    }
}

void metrics_add(struct metrics *m, const struct eddy_result *r)
{
    if (m->failed) return;
    if (!metrics_classes_add(&m->classes, r)) goto fail;
    if (r->label_only) return;
    if (!m->horizons && !metrics_shape(m, r)) goto fail;
    metrics_smoothed_add(&m->smoothed, r);
    struct metrics_key *k;
    eddy_status rc = metrics_find(m, r, &k);
    m->unmeasured += rc == EDDY_ELIMIT;
    if (rc == EDDY_ELIMIT) return;
    if (rc < 0) goto fail;

    for (int v = 0; v < m->n_values; v++) {
        double y = r->y[v];
        if (isfinite(y) && isfinite(k->last[v])) {
            k->step_sum[v] += fabs(y - k->last[v]);
            k->steps[v]++;
        }
        if (isfinite(y)) k->last[v] = y;
        /* The forecast that this event answers was made h events ago, in the slot that is now filled anew. */
        for (int i = 0; i < m->n_horizons; i++) {
            double *slot = metrics_slot(m, k, i, k->count, v);
            if (metrics_judge(&k->sums[v * m->n_horizons + i], y, slot))
                metrics_judge_bands(metrics_bands(m, i, v), m->n_bands, y, slot + SLOT_EDGES);
            metrics_keep(m, r, i, v, k->last[v], slot);
        }
    }
    k->count++;
    return;
fail:
    m->failed = true;
}

static void metrics_sum_add(struct metrics_sum *to, const struct metrics_sum *s)
{
    to->n += s->n;
    to->squared += s->squared;
    to->absolute += s->absolute;
    to->symmetric += s->symmetric;
    to->persistence_squared += s->persistence_squared;
    to->persistence_absolute += s->persistence_absolute;
}

void metrics_pool(const struct metrics *m, int i, int value, struct metrics_pooled *out)
{
    *out = (struct metrics_pooled){0};
    double log_ratio = 0, scaled = 0;
    int64_t n_scaled = 0;
    for (size_t at = 0; at < m->cap; at++) {
        const struct metrics_key *k = m->table[at];
        for (int v = 0; k && v < m->n_values; v++) {
            if (value >= 0 && v != value) continue;
            const struct metrics_sum *s = &k->sums[v * m->n_horizons + i];
            metrics_sum_add(&out->sum, s);
            if (s->n && s->squared > 0 && s->persistence_squared > 0) {
                log_ratio += log(s->squared / s->persistence_squared);
                out->n_series++;
            }
            if (s->n && k->steps[v] && k->step_sum[v] > 0) {
                scaled += s->absolute / (double)s->n / (k->step_sum[v] / (double)k->steps[v]);
                n_scaled++;
            }
        }
    }
    out->relative_mse = out->n_series ? exp(log_ratio / (double)out->n_series) : NAN;
    out->mase = n_scaled ? scaled / (double)n_scaled : NAN;
}

void metrics_band_of(const struct metrics *m, int i, int value, int b, struct metrics_band *out)
{
    *out = (struct metrics_band){0};
    for (int v = 0; v < m->n_values; v++) {
        if (value >= 0 && v != value) continue;
        const struct metrics_band *s = metrics_bands(m, i, v) + b;
        out->n += s->n;
        out->inside += s->inside;
        out->width += s->width;
    }
}

static double per(double sum, int64_t n)
{
    return n ? sum / (double)n : NAN;
}

void metrics_horizon_of(const struct metrics *m, int i, int value, struct metrics_horizon *out)
{
    struct metrics_pooled pooled;
    metrics_pool(m, i, value, &pooled);
    const struct metrics_sum *s = &pooled.sum;
    struct metrics_band widest = {0};
    if (m->n_bands) metrics_band_of(m, i, value, m->n_bands - 1, &widest);
    *out = (struct metrics_horizon){.h = m->horizons[i],
                                    .n = s->n,
                                    .mse = per(s->squared, s->n),
                                    .mae = per(s->absolute, s->n),
                                    .rmse = sqrt(per(s->squared, s->n)),
                                    .smape = per(s->symmetric, s->n),
                                    .mase = pooled.mase,
                                    .relative_mse = pooled.relative_mse,
                                    .coverage = per((double)widest.inside, widest.n),
                                    .width = per(widest.width, widest.n),
                                    .persistence_mse = per(s->persistence_squared, s->n),
                                    .persistence_mae = per(s->persistence_absolute, s->n),
                                    .n_series = pooled.n_series};
}

int64_t metrics_unmeasured(const struct metrics *m)
{
    return m->unmeasured;
}

bool metrics_horizon(const struct metrics *m, int i, struct metrics_horizon *out)
{
    if (i < 0 || i >= m->n_horizons) return false;
    metrics_horizon_of(m, i, -1, out);
    return true;
}
