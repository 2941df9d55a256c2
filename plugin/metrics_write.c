/* Reporting what metrics.c collected: JSON for programs (CONTRACT, "Metrics of a replay"), a table for people. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/metrics_private.h"

/* The key under which a band's figures stand, e.g. "0.9". */
static void band_name(double coverage, char out[32])
{
    (void)snprintf(out, 32, "%.9g", coverage);
}

/* "coverage": share of values inside, and "width": mean distance of the edges, for every band. */
static void write_bands(const struct metrics *m, int i, int value, struct json_out *j)
{
    for (int width = 0; width < 2; width++) {
        json_open(j, width ? "width" : "coverage", '{');
        for (int b = 0; b < m->n_bands; b++) {
            char name[32];
            struct metrics_band band;
            metrics_band_of(m, NULL, i, value, b, &band);
            double n = band.n ? (double)band.n : NAN;
            band_name(m->coverages[b], name);
            json_real(j, name, (width ? band.width : (double)band.inside) / n);
        }
        json_close(j, '}');
    }
}

static void write_horizon(const struct metrics *m, int i, int value, struct json_out *j)
{
    struct metrics_horizon row, *h = &row;
    metrics_horizon_of(m, NULL, i, value, h);
    json_open(j, NULL, '{');
    json_int(j, "h", h->h);
    json_int(j, "n", h->n);
    json_real(j, "mse", h->mse);
    json_real(j, "mae", h->mae);
    json_real(j, "rmse", h->rmse);
    json_real(j, "mase", h->mase);
    json_real(j, "smape", h->smape);
    json_real(j, "pinball", h->pinball);
    write_bands(m, i, value, j);
    json_real(j, "persistence_mse", h->persistence_mse);
    json_real(j, "persistence_mae", h->persistence_mae);
    json_real(j, "seasonal_mse", h->seasonal_mse);
    json_real(j, "relative_mse", h->relative_mse);
    json_real(j, "relative_seasonal_mse", h->relative_seasonal);
    json_int(j, "series", h->n_series);
    if (m->moves) {
        json_real(j, "brier", h->brier);
        json_real(j, "brier_climatology", h->brier_climatology);
    }
    json_close(j, '}');
}

static void write_by_horizon(const struct metrics *m, int value, struct json_out *j)
{
    json_open(j, "by_horizon", '[');
    for (int i = 0; i < m->n_horizons; i++) write_horizon(m, i, value, j);
    json_close(j, ']');
}

/* H averages the errors over all steps 1..H, as published tables do; it exists as far as no step is left out. */
static void write_cumulative(const struct metrics *m, int value, struct json_out *j)
{
    struct metrics_sum sum = {0};
    json_open(j, "cumulative", '[');
    for (int i = 0; i < m->n_horizons && m->horizons[i] == i + 1; i++) {
        struct metrics_pooled step;
        metrics_pool(m, NULL, i, value, &step);
        sum.n += step.sum.n;
        sum.squared += step.sum.squared;
        sum.absolute += step.sum.absolute;
        sum.persistence_squared += step.sum.persistence_squared;
        sum.n_seasonal += step.sum.n_seasonal;
        sum.seasonal_squared += step.sum.seasonal_squared;
        double n = sum.n ? (double)sum.n : NAN;
        json_open(j, NULL, '{');
        json_int(j, "H", m->horizons[i]);
        json_real(j, "mse", sum.squared / n);
        json_real(j, "mae", sum.absolute / n);
        json_real(j, "persistence_mse", sum.persistence_squared / n);
        json_real(j, "seasonal_mse", sum.n_seasonal ? sum.seasonal_squared / (double)sum.n_seasonal : NAN);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void write_forecast(const struct metrics *m, struct json_out *j)
{
    json_open(j, "forecast", '{');
    json_text(j, "units", m->scale.to ? "scaled" : "raw");
    json_int(j, "unmeasured", m->unmeasured);
    if (m->scale.to) json_int(j, "unscaled", metrics_unscaled(m));
    write_by_horizon(m, -1, j);
    write_cumulative(m, -1, j);
    metrics_experts_write(m, j);
    if (m->n_values > 1) {
        json_open(j, "by_value", '{');
        for (int v = 0; v < m->n_values; v++) {
            json_open(j, m->names[v], '{');
            write_by_horizon(m, v, j);
            write_cumulative(m, v, j);
            json_close(j, '}');
        }
        json_close(j, '}');
    }
    json_close(j, '}');
}

static eddy_status metrics_usable(const struct metrics *m, struct eddy_error *err)
{
    if (!m->failed) return EDDY_OK;
    return eddy_fail(err, EDDY_ENOMEM, "metrics: out of memory after %zu keys", m->n_keys);
}

eddy_status metrics_write(const struct metrics *m, const struct metrics_run *run, struct json_out *j,
                          struct eddy_error *err)
{
    eddy_status rc = metrics_usable(m, err);
    if (rc < 0) return rc;
    const struct driver_stats *s = run->stats;
    double rate = s->seconds > 0 ? (double)s->events / s->seconds : NAN;
    char model[32];
    (void)snprintf(model, sizeof(model), "v%llu", (unsigned long long)s->model);

    json_open(j, NULL, '{');
    json_int(j, "events", s->events);
    json_int(j, "keys", s->keys);
    json_int(j, "bad", s->bad);
    json_real(j, "seconds", s->seconds);
    json_real(j, "events_per_second", rate);
    json_real(j, "us_per_event", s->events ? 1e6 * s->seconds / (double)s->events : NAN);
    json_text(j, "state_hash", run->state_hash);
    json_int(j, "late", s->late);
    json_int(j, "duplicates", s->duplicates);
    write_forecast(m, j);
    metrics_classes_write(&m->classes, j);
    metrics_smoothed_write(&m->smoothed, j);
    json_open(j, "detect", '{');
    json_real(j, "threshold", m->settings->detect.threshold);
    json_int(j, "alerts", s->alerts);
    rc = metrics_detect_write(m, j, err);
    if (rc < 0) return rc;
    json_close(j, '}');
    json_open(j, "train", '{');
    json_int(j, "updates", s->updates);
    json_int(j, "refused", s->refused);
    json_int(j, "drifts", s->drifts);
    json_real(j, "loss", s->loss);
    json_real(j, "grad_norm", s->grad_norm);
    json_close(j, '}');
    json_text(j, "config_sha256", run->config_sha256);
    json_text(j, "model", model);
    json_close(j, '}');
    return EDDY_OK;
}

/* "-" for what is not known. */
static const char *number(double value, char out[32])
{
    if (isfinite(value))
        (void)snprintf(out, 32, "%.5g", value);
    else
        (void)snprintf(out, 32, "-");
    return out;
}

static void print_horizon(const struct metrics *m, int i, FILE *out)
{
    struct metrics_horizon h;
    char a[32], b[32], c[32], d[32], e[32];
    metrics_horizon_of(m, NULL, i, -1, &h);
    fprintf(out, "%8d %10lld %12s %12s %12s %10s %10s\n", h.h, (long long)h.n, number(h.mae, a), number(h.mse, b),
            number(h.persistence_mse, c), number(h.relative_mse, d), number(h.coverage, e));
}

eddy_status metrics_print(const struct metrics *m, const struct metrics_run *run, FILE *out, struct eddy_error *err)
{
    eddy_status rc = metrics_usable(m, err);
    if (rc < 0) return rc;
    const struct driver_stats *s = run->stats;
    char a[32], b[32], band[32];
    band_name(m->n_bands ? m->coverages[m->n_bands - 1] : NAN, band);
    fprintf(out, "events     %lld (%lld bad), %lld keys\n", (long long)s->events, (long long)s->bad,
            (long long)s->keys);
    fprintf(out, "time       %s s, %s events/s\n", number(s->seconds, a),
            number(s->seconds > 0 ? (double)s->events / s->seconds : NAN, b));
    fprintf(out, "alerts     %lld at threshold %s\n", (long long)s->alerts, number(m->settings->detect.threshold, a));
    rc = metrics_detect_print(m, out, err);
    if (rc < 0) return rc;
    fprintf(out, "training   %lld updates, %lld refused, loss %s, model v%llu\n", (long long)s->updates,
            (long long)s->refused, number(s->loss, a), (unsigned long long)s->model);
    metrics_classes_print(&m->classes, out);
    metrics_smoothed_print(&m->smoothed, out);
    if (run->state_hash) fprintf(out, "state      %s\n", run->state_hash);
    if (m->unmeasured)
        fprintf(out, "unmeasured %lld events of keys beyond the memory of these figures\n", (long long)m->unmeasured);
    if (!m->n_horizons) return EDDY_OK;
    fprintf(out, "\n%8s %10s %12s %12s %12s %10s %9s%s\n", "horizon", "forecasts", "mae", "mse", "persistence",
            "relative", "in ", band);
    /* A long list of horizons: the first, some between and the last tell enough; the JSON has them all. */
    int step = m->n_horizons > 12 ? (m->n_horizons + 11) / 12 : 1;
    for (int i = 0; i < m->n_horizons; i += step) print_horizon(m, i, out);
    if ((m->n_horizons - 1) % step != 0) print_horizon(m, m->n_horizons - 1, out);
    metrics_experts_print(m, out);
    metrics_moves_print(m, out);
    return EDDY_OK;
}
