/* The page: fixed text around one JSON document.
 *     {"title", "version", "threshold", "metrics": [what --metrics has], "omitted", "training": [[events, loss, norm], ..],
 *      "experts": {"names": [..], "weights": [[events, [of each]], ..]},
 *      "overview": [{"key", "rows", "relative", "mae", "coverage", "alerts", ..}, ..] worst first,
 *      "charts": [{"key", "tick", "t", "s", "a", "i", "spans": [[from, to], ..], "values": [{"name", "y", "f", "l", "u",
 *                 "fans": [[t, y, [yhat, ..], [lower, ..], [upper, ..]], ..]}, ..]}, ..]}
 * Times are seconds; t holds differences in ticks; a and i are the rows with an alert, with an open incident. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/backtest_private.h"
#include "plugin/windows.h"

struct writing {
    struct backtest *b;
    const struct backtest_about *about;
    struct json_out j;
    struct metrics_summary *summary; /* [n] worst first */
    int64_t n;
};

/* ---- which series are the worst ---- */

/* The more the worse: what is missing to a perfect detection, else the error against persistence. */
static double badness(const struct metrics_summary *s)
{
    const struct metrics_found *f = &s->found;
    if (s->labelled) return 2 * (double)(f->hit + f->missed) - f->gain;
    return isnan(s->relative_mse) ? -1 : s->relative_mse;
}

static int worst_first(const void *a, const void *b)
{
    const struct metrics_summary *x = a, *y = b;
    double p = badness(x), q = badness(y);
    if (x->labelled != y->labelled) return y->labelled - x->labelled;
    return p != q ? (p < q) - (p > q) : (x->number > y->number) - (x->number < y->number);
}

static struct backtest_series *series_of(const struct writing *w, int64_t at)
{
    int64_t number = w->summary[at].number;
    if (number >= w->b->cap_slots || w->b->slot[number] < 0) return NULL;
    return w->b->series[w->b->slot[number]];
}

static bool has_chart(const struct writing *w, int64_t at)
{
    bool chosen = at < BACKTEST_CHARTS - BACKTEST_BEST || at >= w->n - BACKTEST_BEST;
    return chosen && series_of(w, at) && series_of(w, at)->n > 0;
}

/* Until all charts together have at most BACKTEST_POINTS points, or nothing more can go. */
static void thin_to_size(const struct writing *w)
{
    for (int turn = 0; turn < 24; turn++) {
        int64_t points = 0;
        int n_charts = 0;
        for (int64_t i = 0; i < w->n; i++) {
            if (!has_chart(w, i)) continue;
            points += (int64_t)series_of(w, i)->n * w->b->n_values;
            n_charts++;
        }
        if (points <= BACKTEST_POINTS) return;
        for (int64_t i = 0; i < w->n; i++)
            if (has_chart(w, i) && (int64_t)series_of(w, i)->n * w->b->n_values * n_charts >= BACKTEST_POINTS)
                backtest_thin(w->b, series_of(w, i), backtest_bucket(w->b));
    }
}

/* ---- the document ---- */

static void write_time(struct json_out *j, const char *name, int64_t ns)
{
    json_digits(j, name, (double)ns / 1e9, 14);
}

static void write_overview(struct writing *w)
{
    struct json_out *j = &w->j;
    json_open(j, "overview", '[');
    for (int64_t i = 0; i < w->n; i++) {
        const struct metrics_summary *s = &w->summary[i];
        if (i >= BACKTEST_ROWS - BACKTEST_BEST && i < w->n - BACKTEST_BEST) continue;
        json_open(j, NULL, '{');
        json_bytes(j, "key", s->key, s->key_len);
        json_int(j, "rows", s->rows);
        json_digits(j, "relative", s->relative_mse, 4);
        json_digits(j, "mae", s->mae, 4);
        json_digits(j, "coverage", s->coverage, 4);
        json_bool(j, "chart", has_chart(w, i));
        if (s->labelled) {
            json_int(j, "alerts", s->found.alerts);
            json_int(j, "hit", s->found.hit);
            json_int(j, "missed", s->found.missed);
            json_int(j, "false", s->found.false_alarms);
            json_digits(j, "delay", s->found.delay_rows, 4);
        }
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void write_training(struct writing *w)
{
    json_open(&w->j, "training", '[');
    for (int i = 0; i < w->b->n_training; i++) {
        const struct backtest_training *t = &w->b->training[i];
        json_open(&w->j, NULL, '[');
        json_int(&w->j, NULL, t->events);
        json_digits(&w->j, NULL, t->loss, 5);
        json_digits(&w->j, NULL, t->grad_norm, 5);
        json_close(&w->j, ']');
    }
    json_close(&w->j, ']');
}

/* ns per unit of t. */
static int64_t tick_of(const struct backtest_series *s)
{
    int64_t tick = 1000000000;
    for (int i = 0; i < s->n && tick > 1000; i++)
        while (tick > 1000 && s->time_ns[i] % tick) tick /= 1000;
    return tick;
}

static void write_rows(struct writing *w, const struct backtest_series *s)
{
    struct json_out *j = &w->j;
    int64_t tick = tick_of(s), before = 0;
    json_digits(j, "tick", (double)tick / 1e9, 3);
    json_open(j, "t", '[');
    for (int i = 0; i < s->n; i++) {
        int64_t now = s->time_ns[i] / tick;
        json_int(j, NULL, now - before);
        before = now;
    }
    json_close(j, ']');
    json_open(j, "s", '[');
    for (int i = 0; i < s->n; i++) json_digits(j, NULL, round(s->score[i] * 1e3) / 1e3, 3);
    json_close(j, ']');
    for (int flag = ROW_ALERT; flag <= ROW_INCIDENT; flag *= 2) {
        json_open(j, flag == ROW_ALERT ? "a" : "i", '[');
        for (int i = 0; i < s->n; i++)
            if (s->flags[i] & flag) json_int(j, NULL, i);
        json_close(j, ']');
    }
}

static void write_spans(struct writing *w, const struct backtest_series *s)
{
    json_open(&w->j, "spans", '[');
    for (int i = 0; s->truth && i < s->truth->n; i++) {
        json_open(&w->j, NULL, '[');
        write_time(&w->j, NULL, s->truth->span[i].start_ns);
        write_time(&w->j, NULL, s->truth->span[i].end_ns);
        json_close(&w->j, ']');
    }
    json_close(&w->j, ']');
}

static void write_fan(struct writing *w, const struct backtest_fan *f, int v)
{
    const struct backtest *b = w->b;
    if (!f->part) return;
    json_open(&w->j, NULL, '[');
    write_time(&w->j, NULL, f->time_ns);
    json_digits(&w->j, NULL, f->y[v], 6);
    for (int part = 0; part < FAN_PARTS; part++) {
        json_open(&w->j, NULL, '[');
        for (int i = 0; i < b->n_horizons; i++)
            json_digits(&w->j, NULL, f->part[(part * b->n_horizons + i) * b->n_values + v], 5);
        json_close(&w->j, ']');
    }
    json_close(&w->j, ']');
}

static void write_value(struct writing *w, const struct backtest_series *s, int v)
{
    static const char *const names[COLUMNS] = {"y", "f", "l", "u"};
    json_open(&w->j, NULL, '{');
    json_text(&w->j, "name", w->b->names[v]);
    for (int c = 0; c < COLUMNS; c++) {
        json_open(&w->j, names[c], '[');
        for (int i = 0; i < s->n; i++)
            json_digits(&w->j, NULL,
                        s->column[((size_t)i * COLUMNS + (size_t)c) * (size_t)w->b->n_values + (size_t)v],
                        c == COLUMN_Y ? 6 : 5);
        json_close(&w->j, ']');
    }
    json_open(&w->j, "fans", '[');
    for (int i = 0; i < s->n_fans; i++) write_fan(w, &s->fan[i], v);
    write_fan(w, &s->last, v);
    json_close(&w->j, ']');
    json_close(&w->j, '}');
}

static void write_charts(struct writing *w)
{
    json_open(&w->j, "charts", '[');
    for (int64_t i = 0; i < w->n; i++) {
        if (!has_chart(w, i)) continue;
        const struct backtest_series *s = series_of(w, i);
        json_open(&w->j, NULL, '{');
        json_bytes(&w->j, "key", w->summary[i].key, w->summary[i].key_len);
        json_int(&w->j, "rows", s->rows);
        write_rows(w, s);
        write_spans(w, s);
        json_open(&w->j, "values", '[');
        for (int v = 0; v < w->b->n_values; v++) write_value(w, s, v);
        json_close(&w->j, ']');
        json_close(&w->j, '}');
    }
    json_close(&w->j, ']');
}

static eddy_status write_document(struct writing *w, struct eddy_error *err)
{
    struct json_out *j = &w->j;
    json_open(j, NULL, '{');
    json_text(j, "title", w->about->title);
    json_text(j, "version", w->about->version);
    json_real(j, "threshold", w->about->threshold);
    json_int(j, "omitted", w->b->omitted);
    json_int(j, "keys", w->n);
    json_open(j, "horizons", '[');
    for (int i = 0; i < w->b->n_horizons; i++) json_int(j, NULL, w->b->horizons[i]);
    json_close(j, ']');
    json_open(j, "metrics", '[');
    eddy_status rc = metrics_write(w->about->metrics, w->about->run, j, err);
    json_close(j, ']');
    write_training(w);
    backtest_experts_write(w->b, j);
    write_overview(w);
    write_charts(w);
    json_close(j, '}');
    return rc;
}

static eddy_status write_page(struct writing *w, struct eddy_error *err)
{
    const char *mark = memmem(backtest_html, backtest_html_bytes(), BACKTEST_DATA, strlen(BACKTEST_DATA));
    if (!mark) return eddy_fail(err, EDDY_EINVAL, "report: the page has no place for the data");
    fwrite(backtest_html, 1, (size_t)(mark - backtest_html), w->j.out);
    eddy_status rc = write_document(w, err);
    mark += strlen(BACKTEST_DATA);
    fwrite(mark, 1, (size_t)(backtest_html + backtest_html_bytes() - mark), w->j.out);
    return rc;
}

eddy_status backtest_write(struct backtest *b, const struct backtest_about *about, const char *path,
                           struct eddy_error *err)
{
    if (b->failed) return eddy_fail(err, EDDY_ENOMEM, "report: out of memory after %d series", b->n_series);
    struct writing w = {.b = b, .about = about, .n = metrics_keys(about->metrics)};
    w.summary = calloc((size_t)w.n + 1, sizeof(*w.summary));
    if (!w.summary) return eddy_fail(err, EDDY_ENOMEM, "report: out of memory");
    eddy_status rc = metrics_summaries(about->metrics, w.summary, err);
    FILE *out = rc < 0 ? NULL : fopen(path, "we");
    if (rc >= 0 && !out) rc = eddy_fail(err, EDDY_EIO, "report %s: %s", path, strerror(errno));
    if (rc >= 0) {
        qsort(w.summary, (size_t)w.n, sizeof(*w.summary), worst_first);
        thin_to_size(&w);
        w.j = json_begin(out);
        w.j.in_markup = true;
        rc = write_page(&w, err);
        bool failed = ferror(out) != 0;
        if ((fclose(out) != 0 || failed) && rc >= 0)
            rc = eddy_fail(err, EDDY_EIO, "report %s: %s", path, strerror(errno));
    }
    free(w.summary);
    return rc;
}
