#include "plugin/nab.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "engine/math/precise.h"

const struct nab_profile nab_profiles[NAB_PROFILES] = {
    {"standard", 0.11, 1},
    {"low_fp", 0.22, 1},
    {"low_fn", 0.11, 2},
};

static double sigmoid(double y)
{
    return y > 3 ? -1 : 2 / (1 + precise_exp(5 * y)) - 1;
}

static int64_t first_counting(int64_t n)
{
    int64_t probation = n * 15 / 100;
    return probation < 750 ? probation : 750;
}

/* What a detection in row i is worth.  *window: the one that it lies in, or -1. */
static double row_worth(const struct nab_series *s, int64_t i, const struct nab_profile *p, int *window)
{
    int before = -1;
    *window = -1;
    for (int w = 0; w < s->n_windows && s->window[w].first <= i; w++)
        if (i <= s->window[w].last)
            *window = w;
        else
            before = w;
    if (*window >= 0) {
        const struct nab_window *in = &s->window[*window];
        double rows = (double)(in->last - in->first + 1);
        return sigmoid(-(double)(in->last - i + 1) / rows) / sigmoid(-1);
    }
    if (before < 0) return -p->fp;
    const struct nab_window *after = &s->window[before];
    return p->fp * sigmoid((double)(i - after->last) / (double)(after->last - after->first));
}

double nab_gain(const struct nab_series *s, double threshold, const struct nab_profile *p)
{
    double gain = 0;
    int taken = -1; /* windows come in the order of rows, and the first detection is the best */
    for (int64_t i = first_counting(s->n); i < s->n; i++) {
        int window;
        if (!(s->score[i] >= threshold)) continue;
        double worth = row_worth(s, i, p, &window);
        if (window >= 0 && window == taken) continue;
        if (window >= 0) taken = window;
        gain += window >= 0 ? worth + p->fn : worth;
    }
    return gain;
}

/* Of a gain: perfect - null is 1 + fn for every window. */
static double normalised(double gain, int64_t n_windows, const struct nab_profile *p)
{
    return n_windows ? 100 * gain / ((double)n_windows * (1 + p->fn)) : NAN;
}

static int64_t windows_of(const struct nab_series *s, int n_series)
{
    int64_t n = 0;
    for (int k = 0; k < n_series; k++) n += s[k].n_windows;
    return n;
}

double nab_score(const struct nab_series *s, int n_series, double threshold, const struct nab_profile *p)
{
    double gain = 0;
    for (int k = 0; k < n_series; k++) gain += nab_gain(&s[k], threshold, p);
    return normalised(gain, windows_of(s, n_series), p);
}

/* ---- the sweep: rows from the highest score down, each adding what it is worth ---- */

struct nab_row {
    double score, worth;
    int64_t window; /* over all series; -1 = outside */
};

static int row_order(const void *a, const void *b)
{
    const struct nab_row *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

static int64_t nab_rows(const struct nab_series *s, int n_series, const struct nab_profile *p, struct nab_row *rows)
{
    int64_t n = 0, at_window = 0;
    for (int k = 0; k < n_series; k++) {
        for (int64_t i = first_counting(s[k].n); i < s[k].n; i++) {
            int window;
            if (!isfinite(s[k].score[i])) continue;
            double worth = row_worth(&s[k], i, p, &window);
            rows[n++] = (struct nab_row){s[k].score[i], worth, window < 0 ? -1 : at_window + window};
        }
        at_window += s[k].n_windows;
    }
    qsort(rows, (size_t)n, sizeof(*rows), row_order);
    return n;
}

/* earned[window]: what its best detection so far is worth, with what having none would have cost. */
static double row_adds(const struct nab_row *row, const struct nab_profile *p, double *earned)
{
    if (row->window < 0) return row->worth;
    double *now = &earned[row->window], worth = row->worth + p->fn, more = worth > *now ? worth - *now : 0;
    *now += more;
    return more;
}

eddy_status nab_best(const struct nab_series *s, int n_series, const struct nab_profile *p, struct nab_best *out,
                     struct eddy_error *err)
{
    int64_t n = 0, n_windows = windows_of(s, n_series);
    for (int k = 0; k < n_series; k++) n += s[k].n;
    struct nab_row *rows = malloc(((size_t)n + 1) * sizeof(*rows));
    double *earned = calloc((size_t)n_windows + 1, sizeof(*earned));
    eddy_status rc = rows && earned ? EDDY_OK : eddy_fail(err, EDDY_ENOMEM, "nab: out of memory");
    if (rc >= 0) {
        double gain = 0, best = 0;
        out->threshold = NAN;
        n = nab_rows(s, n_series, p, rows);
        for (int64_t i = 0; i < n; i++) {
            gain += row_adds(&rows[i], p, earned);
            bool last_of_equals = i + 1 == n || rows[i + 1].score < rows[i].score;
            if (!last_of_equals || gain <= best) continue;
            best = gain;
            out->threshold = rows[i].score;
        }
        out->score = normalised(best, n_windows, p);
    }
    free(rows);
    free(earned);
    return rc;
}
