/* Alarms against label windows.  The rows of a labelled series are kept: the benchmark's probation depends on how many
 * there are, and its best threshold on all scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/log.h"
#include "plugin/metrics_private.h"
#include "plugin/windows.h"

void metrics_track_free(struct metrics_track *t)
{
    if (!t) return;
    free(t->window);
    free(t->score);
    free(t->alarmed);
    free(t);
}

static bool track_begin(const struct metrics *m, struct metrics_key *k, const struct eddy_result *r)
{
    const struct windows_series *truth = windows_find(m->labels, r->key, r->key_len);
    if (!truth) return true;
    struct metrics_track *t = k->track = calloc(1, sizeof(*t));
    if (!t || !(t->window = calloc((size_t)truth->n + 1, sizeof(*t->window)))) return false;
    t->truth = truth;
    for (int w = 0; w < truth->n; w++) t->window[w].last = -1;
    return true;
}

/* EDDY_ELIMIT: no more rows are kept. */
static eddy_status track_room(struct metrics *m, struct metrics_track *t)
{
    if (t->n < t->cap) return EDDY_OK;
    int64_t cap = t->cap ? t->cap + t->cap / 2 : 1024;
    int64_t bytes = (cap - t->cap) * (int64_t)(sizeof(*t->score) + sizeof(*t->alarmed));
    if (m->bytes + bytes > m->max_bytes) return EDDY_ELIMIT;
    double *score = realloc(t->score, (size_t)cap * sizeof(*score));
    if (score) t->score = score;
    bool *alarmed = realloc(t->alarmed, (size_t)cap * sizeof(*alarmed));
    if (alarmed) t->alarmed = alarmed;
    if (!score || !alarmed) return EDDY_ENOMEM;
    t->cap = cap;
    m->bytes += bytes;
    return EDDY_OK;
}

bool metrics_track_add(struct metrics *m, struct metrics_key *k, const struct eddy_result *r)
{
    if (k->count == 0 && !track_begin(m, k, r)) return false;
    struct metrics_track *t = k->track;
    if (!t) return true;
    eddy_status rc = t->n == k->count ? track_room(m, t) : EDDY_ELIMIT;
    m->unjudged += rc == EDDY_ELIMIT;
    if (rc < 0) return rc == EDDY_ELIMIT;
    for (int w = 0; w < t->truth->n; w++) {
        if (r->time_ns < t->truth->span[w].start_ns || r->time_ns > t->truth->span[w].end_ns) continue;
        if (t->window[w].last < 0) t->window[w].first = t->n;
        t->window[w].last = t->n;
    }
    t->score[t->n] = r->score;
    t->alarmed[t->n] = r->anomaly || r->incident;
    t->alerts += r->anomaly;
    t->n++;
    return true;
}

/* ---- one series ---- */

static bool track_inside(const struct metrics_track *t, int64_t row)
{
    for (int w = 0; w < t->truth->n; w++)
        if (row >= t->window[w].first && row <= t->window[w].last) return true;
    return false;
}

static void found_rows(const struct metrics_track *t, int64_t from, int64_t to, struct metrics_found *f)
{
    for (int64_t i = from; i < to; i++) {
        bool inside = track_inside(t, i), alarmed = t->alarmed[i];
        f->true_positives += inside && alarmed;
        f->false_negatives += inside && !alarmed;
        f->false_positives += !inside && alarmed;
        f->true_negatives += !inside && !alarmed;
        f->false_alarms += !inside && alarmed && (i == 0 || !t->alarmed[i - 1]);
    }
    f->rows += to > from ? to - from : 0;
}

/* delay[.]: takes those of the hits; returns how many. */
static int found_windows(const struct metrics_track *t, int64_t from, int64_t to, struct metrics_found *f,
                         double *delay /* [n windows] */)
{
    int n = 0;
    for (int w = 0; w < t->truth->n; w++) {
        const struct nab_window *in = &t->window[w];
        int64_t i = in->first > from ? in->first : from, end = in->last < to ? in->last + 1 : to;
        if (i >= end) continue; /* no row of it is judged */
        while (i < end && !t->alarmed[i]) i++;
        f->hit += i < end;
        f->missed += i == end;
        if (i < end) delay[n++] = (double)(i - in->first);
    }
    return n;
}

static struct nab_series track_nab(const struct metrics_track *t, struct nab_window *room /* [truth->n] */)
{
    struct nab_series s = {.n = t->n, .score = t->score, .window = room};
    for (int w = 0; w < t->truth->n; w++)
        if (t->window[w].last >= 0) room[s.n_windows++] = t->window[w];
    return s;
}

static int found_track(const struct metrics *m, const struct metrics_track *t, struct metrics_found *f, double *delay)
{
    int64_t to = m->score.to < t->n ? m->score.to : t->n;
    f->n_series++;
    f->alerts += t->alerts;
    found_rows(t, m->score.from, to, f);
    return found_windows(t, m->score.from, to, f, delay);
}

static int delay_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double delay_median(double *delay, int n)
{
    qsort(delay, (size_t)n, sizeof(*delay), delay_order);
    return n ? (delay[(n - 1) / 2] + delay[n / 2]) / 2 : NAN;
}

eddy_status metrics_found_key(const struct metrics *m, const struct metrics_key *k, struct metrics_found *f,
                              struct eddy_error *err)
{
    const struct metrics_track *t = k->track;
    double *delay = calloc((size_t)t->truth->n + 1, sizeof(*delay));
    struct nab_window *room = calloc((size_t)t->truth->n + 1, sizeof(*room));
    *f = (struct metrics_found){0};
    eddy_status rc = delay && room ? EDDY_OK : eddy_fail(err, EDDY_ENOMEM, "metrics: out of memory");
    if (rc >= 0) {
        const struct nab_series nab = track_nab(t, room);
        f->delay_rows = delay_median(delay, found_track(m, t, f, delay));
        f->gain = nab_gain(&nab, m->settings->detect.threshold, &nab_profiles[0]);
    }
    free(delay);
    free(room);
    return rc;
}

/* ---- all of them ---- */

struct detect {
    int n_series;
    const struct metrics_key **key; /* [n_series] by name */
    struct nab_series *nab;         /* [n_series] */
    struct nab_window *window;      /* of all series in turn */
    double *delay;                  /* [all windows] */
    struct metrics_found found;
};

static int key_order(const void *a, const void *b)
{
    const struct metrics_key *x = *(const struct metrics_key *const *)a, *y = *(const struct metrics_key *const *)b;
    size_t n = x->name_len < y->name_len ? x->name_len : y->name_len;
    int order = n ? memcmp(x->name, y->name, n) : 0;
    return order ? order : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

static void detect_free(struct detect *d)
{
    free(d->key);
    free(d->nab);
    free(d->window);
    free(d->delay);
}

static eddy_status detect_begin(const struct metrics *m, struct detect *d, struct eddy_error *err)
{
    size_t n_windows = 0;
    d->key = calloc(m->n_keys + 1, sizeof(*d->key));
    d->nab = calloc(m->n_keys + 1, sizeof(*d->nab));
    if (!d->key || !d->nab) return eddy_fail(err, EDDY_ENOMEM, "metrics: out of memory");
    for (size_t at = 0; at < m->cap; at++) {
        if (!m->table[at] || !m->table[at]->track) continue;
        d->key[d->n_series++] = m->table[at];
        n_windows += (size_t)m->table[at]->track->truth->n;
    }
    qsort(d->key, (size_t)d->n_series, sizeof(*d->key), key_order);
    d->window = calloc(n_windows + 1, sizeof(*d->window));
    d->delay = calloc(n_windows + 1, sizeof(*d->delay));
    return d->window && d->delay ? EDDY_OK : eddy_fail(err, EDDY_ENOMEM, "metrics: out of memory");
}

static void detect_all(const struct metrics *m, struct detect *d)
{
    struct nab_window *room = d->window;
    int n_delays = 0;
    for (int k = 0; k < d->n_series; k++) {
        const struct metrics_track *t = d->key[k]->track;
        d->nab[k] = track_nab(t, room);
        room += d->nab[k].n_windows;
        n_delays += found_track(m, t, &d->found, d->delay + n_delays);
    }
    d->found.delay_rows = delay_median(d->delay, n_delays);
}

static double share(int64_t part, int64_t whole)
{
    return whole ? (double)part / (double)whole : NAN;
}

void metrics_incidents_add(struct metrics *m, const struct eddy_result *r)
{
    for (int i = 0; i < r->n_incidents; i++) m->incidents += r->incidents[i].state == EDDY_INCIDENT_OPEN;
}

static void write_found(const struct metrics_found *f, struct json_out *j)
{
    int64_t tp = f->true_positives, fp = f->false_positives, fn = f->false_negatives, tn = f->true_negatives;
    json_open(j, "windows", '{');
    json_int(j, "hit", f->hit);
    json_int(j, "missed", f->missed);
    json_real(j, "delay_rows_median", f->delay_rows);
    json_close(j, '}');
    json_int(j, "false_alarms", f->false_alarms);
    json_open(j, "pointwise", '{');
    json_int(j, "rows", f->rows);
    json_real(j, "precision", share(tp, tp + fp));
    json_real(j, "recall", share(tp, tp + fn));
    json_real(j, "f1", share(2 * tp, 2 * tp + fp + fn));
    json_real(j, "far", share(fp, fp + tn));
    json_real(j, "mar", share(fn, fn + tp));
    json_close(j, '}');
}

static eddy_status write_nab(const struct metrics *m, const struct detect *d, struct json_out *j,
                             struct eddy_error *err)
{
    json_open(j, "nab", '{');
    for (int p = 0; p < NAB_PROFILES; p++) {
        struct nab_best best;
        eddy_status rc = nab_best(d->nab, d->n_series, &nab_profiles[p], &best, err);
        if (rc < 0) return rc;
        json_open(j, nab_profiles[p].name, '{');
        json_real(j, "score", nab_score(d->nab, d->n_series, m->settings->detect.threshold, &nab_profiles[p]));
        json_real(j, "best", best.score);
        json_real(j, "best_threshold", best.threshold);
        json_close(j, '}');
    }
    json_close(j, '}');
    return EDDY_OK;
}

static eddy_status write_by_series(const struct metrics *m, const struct detect *d, struct json_out *j,
                                   struct eddy_error *err)
{
    json_open(j, "by_series", '{');
    for (int k = 0; k < d->n_series; k++) {
        struct metrics_found f;
        eddy_status rc = metrics_found_key(m, d->key[k], &f, err);
        if (rc < 0) return rc;
        json_open(j, d->key[k]->track->truth->name, '{');
        json_int(j, "alerts", f.alerts);
        write_found(&f, j);
        json_real(j, "gain", f.gain);
        json_close(j, '}');
    }
    json_close(j, '}');
    return EDDY_OK;
}

eddy_status metrics_detect_write(const struct metrics *m, struct json_out *j, struct eddy_error *err)
{
    struct detect d = {0};
    json_int(j, "incidents", m->incidents);
    if (!m->labels) return EDDY_OK;
    eddy_status rc = detect_begin(m, &d, err);
    if (rc >= 0) {
        detect_all(m, &d);
        json_int(j, "series", d.n_series);
        json_int(j, "unjudged", m->unjudged);
        rc = write_nab(m, &d, j, err);
    }
    if (rc >= 0) {
        write_found(&d.found, j);
        rc = write_by_series(m, &d, j, err);
    }
    detect_free(&d);
    return rc;
}

eddy_status metrics_detect_print(const struct metrics *m, FILE *out, struct eddy_error *err)
{
    struct detect d = {0};
    if (m->incidents) fprintf(out, "incidents  %lld\n", (long long)m->incidents);
    if (!m->labels) return EDDY_OK;
    eddy_status rc = detect_begin(m, &d, err);
    if (rc >= 0) {
        detect_all(m, &d);
        const struct metrics_found *f = &d.found;
        fprintf(out, "windows    %lld hit, %lld missed, %lld false alarms in %lld rows of %lld labelled series\n",
                (long long)f->hit, (long long)f->missed, (long long)f->false_alarms, (long long)f->rows,
                (long long)f->n_series);
        double score = nab_score(d.nab, d.n_series, m->settings->detect.threshold, &nab_profiles[0]);
        if (isfinite(score)) fprintf(out, "nab        %.2f (standard profile, at this threshold)\n", score);
    }
    detect_free(&d);
    return rc;
}

/* ---- labels that judged nothing ---- */

static void warn_outside(const struct metrics_track *t, const char *path)
{
    int outside = 0;
    for (int w = 0; w < t->truth->n; w++) outside += t->window[w].last < 0;
    if (outside > 0)
        log_warn("labels", "%s: %s: %d of its %d windows hold no row", path, t->truth->name, outside, t->truth->n);
}

void metrics_labels_warn(const struct metrics *m, const char *path)
{
    if (!m->labels) return;
    bool *seen = calloc((size_t)m->labels->n + 1, sizeof(*seen));
    if (!seen) return; /* it was only advice */
    for (size_t at = 0; at < m->cap; at++) {
        const struct metrics_track *t = m->table[at] ? m->table[at]->track : NULL;
        if (!t) continue;
        seen[t->truth - m->labels->series] = true;
        warn_outside(t, path);
    }
    for (int i = 0; i < m->labels->n; i++)
        if (!seen[i])
            log_warn("labels", "%s: %s: the data has no such series, or several whose names end in it", path,
                     m->labels->series[i].name);
    free(seen);
}
