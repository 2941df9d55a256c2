/* Adding up over series: see metrics.h for what is pooled in which units. */
#include <math.h>

#include "plugin/metrics_private.h"

/* unit: what the raw errors are divided by. */
static void metrics_sum_add(struct metrics_sum *to, const struct metrics_sum *s, double unit)
{
    to->n += s->n;
    to->n_pinball += s->n_pinball;
    to->n_seasonal += s->n_seasonal;
    to->squared += s->squared / (unit * unit);
    to->absolute += s->absolute / unit;
    to->symmetric += s->symmetric;
    to->pinball += s->pinball / unit;
    to->persistence_squared += s->persistence_squared / (unit * unit);
    to->persistence_absolute += s->persistence_absolute / unit;
    to->seasonal_squared += s->seasonal_squared / (unit * unit);
    to->n_moves += s->n_moves;
    to->brier += s->brier;
    to->climatology += metrics_moves_climatology(s);
}

double metrics_unit(const struct metrics *m, const struct metrics_key *k, int v)
{
    if (!m->scale.to) return 1;
    const struct metrics_scale *s = &k->scale[v];
    return s->n && s->squared > 0 ? sqrt(s->squared / (double)s->n) : NAN;
}

/* The keys that a pool is over: all of the table, or one. */
static const struct metrics_key *pool_key(const struct metrics *m, const struct metrics_key *only, size_t at)
{
    return only ? only : m->table[at];
}

int64_t metrics_unscaled(const struct metrics *m)
{
    int64_t n = 0;
    for (size_t at = 0; at < m->cap; at++)
        for (int v = 0; m->table[at] && v < m->n_values; v++) n += isnan(metrics_unit(m, m->table[at], v));
    return n;
}

struct pool {
    struct metrics_sum sum;
    double log_ratio, log_seasonal, scaled;
    int64_t n_ratios, n_seasonal, n_scaled;
};

static void metrics_pool_series(const struct metrics *m, const struct metrics_key *k, int i, int v, struct pool *p)
{
    const struct metrics_sum *s = &k->sums[v * m->n_horizons + i];
    double unit = metrics_unit(m, k, v);
    if (isnan(unit)) return;
    metrics_sum_add(&p->sum, s, unit);
    if (s->n && s->squared > 0 && s->persistence_squared > 0) {
        p->log_ratio += log(s->squared / s->persistence_squared);
        p->n_ratios++;
    }
    if (s->n_seasonal && s->seasonal_squared > 0 && s->persistence_squared > 0) {
        p->log_seasonal += log(s->seasonal_squared / (double)s->n_seasonal / (s->persistence_squared / (double)s->n));
        p->n_seasonal++;
    }
    if (s->n && k->steps[v] && k->step_sum[v] > 0) {
        p->scaled += s->absolute / (double)s->n / (k->step_sum[v] / (double)k->steps[v]);
        p->n_scaled++;
    }
}

void metrics_pool(const struct metrics *m, const struct metrics_key *only, int i, int value,
                  struct metrics_pooled *out)
{
    struct pool p = {0};
    for (size_t at = 0; at < (only ? 1 : m->cap); at++) {
        const struct metrics_key *k = pool_key(m, only, at);
        for (int v = 0; k && v < m->n_values; v++)
            if (value < 0 || v == value) metrics_pool_series(m, k, i, v, &p);
    }
    out->sum = p.sum;
    out->n_series = p.n_ratios;
    out->relative_mse = p.n_ratios ? exp(p.log_ratio / (double)p.n_ratios) : NAN;
    out->relative_seasonal = p.n_seasonal ? exp(p.log_seasonal / (double)p.n_seasonal) : NAN;
    out->mase = p.n_scaled ? p.scaled / (double)p.n_scaled : NAN;
}

void metrics_band_of(const struct metrics *m, const struct metrics_key *only, int i, int value, int b,
                     struct metrics_band *out)
{
    *out = (struct metrics_band){0};
    for (size_t at = 0; at < (only ? 1 : m->cap); at++) {
        const struct metrics_key *k = pool_key(m, only, at);
        for (int v = 0; k && v < m->n_values; v++) {
            double unit = metrics_unit(m, k, v);
            if ((value >= 0 && v != value) || isnan(unit)) continue;
            const struct metrics_band *s = metrics_bands(m, k, i, v) + b;
            out->n += s->n;
            out->inside += s->inside;
            out->width += s->width / unit;
        }
    }
}

static double per(double sum, int64_t n)
{
    return n ? sum / (double)n : NAN;
}

void metrics_horizon_of(const struct metrics *m, const struct metrics_key *only, int i, int value,
                        struct metrics_horizon *out)
{
    struct metrics_pooled pooled;
    metrics_pool(m, only, i, value, &pooled);
    const struct metrics_sum *s = &pooled.sum;
    struct metrics_band widest = {0};
    if (m->n_bands) metrics_band_of(m, only, i, value, m->n_bands - 1, &widest);
    *out = (struct metrics_horizon){.h = m->horizons[i],
                                    .n = s->n,
                                    .mse = per(s->squared, s->n),
                                    .mae = per(s->absolute, s->n),
                                    .rmse = sqrt(per(s->squared, s->n)),
                                    .smape = per(s->symmetric, s->n),
                                    .mase = pooled.mase,
                                    .pinball = per(s->pinball, s->n_pinball),
                                    .relative_mse = pooled.relative_mse,
                                    .relative_seasonal = pooled.relative_seasonal,
                                    .coverage = per((double)widest.inside, widest.n),
                                    .width = per(widest.width, widest.n),
                                    .persistence_mse = per(s->persistence_squared, s->n),
                                    .persistence_mae = per(s->persistence_absolute, s->n),
                                    .seasonal_mse = per(s->seasonal_squared, s->n_seasonal),
                                    .brier = per(s->brier, s->n_moves),
                                    .brier_climatology = per(s->climatology, s->n_moves),
                                    .n_series = pooled.n_series};
}

bool metrics_horizon(const struct metrics *m, int i, struct metrics_horizon *out)
{
    if (i < 0 || i >= m->n_horizons) return false;
    metrics_horizon_of(m, NULL, i, -1, out);
    return true;
}

int64_t metrics_keys(const struct metrics *m)
{
    return (int64_t)m->n_keys;
}

static eddy_status metrics_summary_of(const struct metrics *m, const struct metrics_key *k,
                                      struct metrics_summary *out, struct eddy_error *err)
{
    double log_sum = 0;
    int n = 0;
    struct metrics_horizon first = {.mae = NAN, .coverage = NAN};
    for (int i = 0; i < m->n_horizons; i++) {
        struct metrics_pooled pooled;
        metrics_pool(m, k, i, -1, &pooled);
        if (isnan(pooled.relative_mse)) continue;
        log_sum += log(pooled.relative_mse);
        n++;
    }
    if (m->n_horizons) metrics_horizon_of(m, k, 0, -1, &first);
    *out = (struct metrics_summary){.key = k->name + k->key_at,
                                    .key_len = k->name_len - k->key_at,
                                    .number = k->number,
                                    .rows = k->count,
                                    .relative_mse = n ? exp(log_sum / n) : NAN,
                                    .mae = first.mae,
                                    .coverage = first.coverage,
                                    .labelled = k->track != NULL};
    return k->track ? metrics_found_key(m, k, &out->found, err) : EDDY_OK;
}

eddy_status metrics_summaries(const struct metrics *m, struct metrics_summary *out, struct eddy_error *err)
{
    for (size_t at = 0; at < m->cap; at++) {
        const struct metrics_key *k = m->table[at];
        eddy_status rc = k ? metrics_summary_of(m, k, &out[k->number], err) : EDDY_OK;
        if (rc < 0) return rc;
    }
    return EDDY_OK;
}
