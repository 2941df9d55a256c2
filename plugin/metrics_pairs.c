/* Forecasts against what came: what is outstanding lies in a ring per horizon, and row t + h finds there what row t had
 * said of it.
 *     pinball of level q    q e for e >= 0, else (q - 1) e;    e = y - forecast */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/metrics_private.h"

enum { SLOT_FORECAST, SLOT_PERSISTENCE, SLOT_EDGES };

/* The shape of everything comes with the first result. */
bool metrics_shape(struct metrics *m, const struct eddy_result *r)
{
    int n_values = r->schema->n_values;
    m->horizons = calloc((size_t)r->n_horizons + 1, sizeof(*m->horizons));
    m->at_ring = calloc((size_t)r->n_horizons + 1, sizeof(*m->at_ring));
    m->names = calloc((size_t)n_values + 1, sizeof(*m->names));
    m->coverages = calloc((size_t)r->n_bands + 1, sizeof(*m->coverages));
    if (!m->horizons || !m->at_ring || !m->names || !m->coverages) return false;

    m->n_values = n_values;
    m->n_horizons = r->n_horizons;
    m->n_bands = r->n_bands;
    m->moves = r->moves;
    m->slot_doubles = SLOT_EDGES + 2 * (size_t)r->n_bands + (r->moves ? 3 : 0);
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

/* slot[.] of value v: the forecast for horizon i that fills the place of event `count` of the key. */
static double *metrics_slot(const struct metrics *m, struct metrics_key *k, int i, int64_t count, int v)
{
    size_t place = (size_t)(count % m->horizons[i]);
    return k->ring + m->at_ring[i] + (place * (size_t)m->n_values + (size_t)v) * m->slot_doubles;
}

struct metrics_band *metrics_bands(const struct metrics *m, const struct metrics_key *k, int i, int v)
{
    return k->bands + (v * m->n_horizons + i) * m->n_bands;
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

static double pinball(double level, double e)
{
    return e >= 0 ? level * e : (level - 1) * e;
}

/* Mean over the forecast as the median and the edges of all bands; NaN where one is unknown. */
static double metrics_pinball(const struct metrics *m, double y, const double *slot)
{
    double sum = pinball(0.5, y - slot[SLOT_FORECAST]);
    const double *edge = slot + SLOT_EDGES;
    for (int b = 0; b < m->n_bands; b++, edge += 2) {
        double outside = (1 - m->coverages[b]) / 2;
        if (!isfinite(edge[0]) || !isfinite(edge[1])) return NAN;
        sum += pinball(outside, y - edge[0]) + pinball(1 - outside, y - edge[1]);
    }
    return sum / (1 + 2 * m->n_bands);
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

/* What is known only for some of the pairs. */
static void metrics_judge_more(struct metrics_sum *s, double y, double pinball_loss, double seasonal)
{
    if (isfinite(pinball_loss)) {
        s->n_pinball++;
        s->pinball += pinball_loss;
    }
    if (isfinite(seasonal)) {
        s->n_seasonal++;
        s->seasonal_squared += (y - seasonal) * (y - seasonal);
    }
}

/* Puts what the result forecasts for value v and horizon i into its slot; the rows that are not scored say nothing. */
static void metrics_keep(const struct metrics *m, const struct eddy_result *r, int i, int v, bool scored, double last,
                         double *slot)
{
    int at = i * m->n_values + v, plane = m->n_horizons * m->n_values;
    slot[SLOT_FORECAST] = scored ? r->forecast[at] : NAN;
    slot[SLOT_PERSISTENCE] = last;
    for (int b = 0; b < m->n_bands; b++) {
        slot[SLOT_EDGES + 2 * b] = r->band_lower[b * plane + at];
        slot[SLOT_EDGES + 2 * b + 1] = r->band_upper[b * plane + at];
    }
    if (m->moves) metrics_moves_keep(m, r, i, v, slot + SLOT_EDGES + 2 * m->n_bands);
}

static void metrics_learn_scale(struct metrics_scale *s, double y)
{
    double from_mean = y - s->mean;
    s->n++;
    s->mean += from_mean / (double)s->n;
    s->squared += from_mean * (y - s->mean);
}

bool metrics_rows_have(const struct metrics_rows *rows, int64_t row)
{
    return row >= rows->from && row < rows->to;
}

void metrics_pairs_clear(const struct metrics *m, struct metrics_key *k)
{
    for (int v = 0; v < m->n_values; v++) k->step_sum[v] = 0;
    for (int v = 0; v < m->n_values; v++) k->last[v] = NAN;
    for (size_t i = 0; i < m->ring_doubles; i++) k->ring[i] = NAN;
}

static void metrics_judge_value(const struct metrics *m, struct metrics_key *k, int v, double y)
{
    for (int i = 0; i < m->n_horizons; i++) {
        /* The forecast that this event answers was made h events ago, in the slot that is then filled anew. */
        const double *slot = metrics_slot(m, k, i, k->count, v);
        struct metrics_sum *sum = &k->sums[v * m->n_horizons + i];
        if (!metrics_judge(sum, y, slot)) continue;
        metrics_judge_bands(metrics_bands(m, k, i, v), m->n_bands, y, slot + SLOT_EDGES);
        metrics_judge_more(sum, y, metrics_pinball(m, y, slot),
                           metrics_season_naive(m, k, k->count, m->horizons[i], v));
        if (m->moves) metrics_moves_judge(m, sum, v, y, slot[SLOT_PERSISTENCE], slot + SLOT_EDGES + 2 * m->n_bands);
    }
}

void metrics_pairs_add(const struct metrics *m, struct metrics_key *k, const struct eddy_result *r)
{
    bool scored = metrics_rows_have(&m->score, k->count), scales = metrics_rows_have(&m->scale, k->count);
    for (int v = 0; v < m->n_values; v++) {
        double y = r->y[v];
        metrics_judge_value(m, k, v, y);
        if (isfinite(y) && isfinite(k->last[v])) {
            k->step_sum[v] += fabs(y - k->last[v]);
            k->steps[v]++;
        }
        if (isfinite(y)) k->last[v] = y;
        if (isfinite(y) && scales) metrics_learn_scale(&k->scale[v], y);
        for (int i = 0; i < m->n_horizons; i++)
            metrics_keep(m, r, i, v, scored, k->last[v], metrics_slot(m, k, i, k->count, v));
    }
}
