#include "plugin/demo/tally.h"

#include <math.h>
#include <stdlib.h>

/* The newest reading of each series at each step, for persistence. */
static void tally_newest(struct tally *t)
{
    for (int series = 0; series < t->truth->n_series; series++) {
        double newest = NAN;
        for (int step = 0; step < t->truth->n_steps; step++) {
            double x = simulation_value(t->truth, step, series);
            if (!isnan(x)) newest = x;
            t->newest[(int64_t)series * t->truth->n_steps + step] = newest;
        }
    }
}

eddy_status tally_open(const struct simulation *truth, const int *horizons, int n_horizons, bool relative,
                       struct tally *t, struct eddy_error *err)
{
    size_t n_series = (size_t)truth->n_series, n = n_series * (size_t)truth->n_steps;
    *t = (struct tally){.truth = truth, .relative = relative, .n_horizons = n_horizons};
    if (n_horizons < 1 || n_horizons > SCORED_MAX_HORIZONS)
        return eddy_fail(err, EDDY_EINVAL, "demo: %d horizons, at most %d", n_horizons, SCORED_MAX_HORIZONS);

    t->points = calloc(n, sizeof(*t->points));
    t->newest = calloc(n, sizeof(*t->newest));
    t->last = calloc(n_series, sizeof(*t->last));
    t->last_step = calloc(n_series, sizeof(*t->last_step));
    if (!t->points || !t->newest || !t->last || !t->last_step) {
        tally_close(t);
        return eddy_fail(err, EDDY_ENOMEM, "demo: out of memory for the results");
    }
    for (int i = 0; i < truth->n_series; i++) t->last_step[i] = -1;
    for (int share = 0; share < N_TALLY_SHARES; share++)
        for (int h = 0; h < n_horizons; h++) t->errors[share][h].horizon = horizons[h];
    t->grace = horizons[n_horizons - 1];
    tally_newest(t);
    return EDDY_OK;
}

void tally_close(struct tally *t)
{
    if (!t) return;
    free(t->points);
    free(t->newest);
    free(t->last);
    free(t->last_step);
    *t = (struct tally){0};
}

int64_t tally_events(const struct tally *t)
{
    return (int64_t)t->truth->n_series * t->truth->n_steps;
}

static void errors_add(struct tally_errors *e, const struct scored_forecast *f, double truth, double persistence,
                       double unit)
{
    double error = (f->yhat - truth) * unit, naive = (persistence - truth) * unit;
    e->n++;
    e->absolute += fabs(error);
    e->persistence += fabs(naive);
    e->squared += error * error;
    e->persistence_squared += naive * naive;
    if (isnan(f->lower) || isnan(f->upper)) return;
    e->n_bands++;
    e->n_covered += truth >= f->lower && truth <= f->upper;
}

static void tally_forecasts(struct tally *t, const struct scored *r, int series, int step)
{
    double persistence = t->newest[(int64_t)series * t->truth->n_steps + step];
    bool late = step >= t->truth->n_steps - t->truth->n_steps / 4;
    for (int i = 0; i < r->n_forecasts; i++) {
        const struct scored_forecast *f = &r->forecasts[i];
        if (f->h < 1 || f->h >= t->truth->n_steps - step || isnan(f->yhat) || isnan(persistence)) continue;
        double truth = simulation_value(t->truth, step + f->h, series);
        if (isnan(truth)) continue;
        double unit = t->relative ? 1e4 / truth : 1;
        for (int h = 0; h < t->n_horizons; h++) {
            if (t->errors[TALLY_ALL][h].horizon != f->h) continue;
            errors_add(&t->errors[TALLY_ALL][h], f, truth, persistence, unit);
            if (late) errors_add(&t->errors[TALLY_LATE][h], f, truth, persistence, unit);
        }
    }
}

/* What comes back must be what was sent, to the digits that were written. */
static bool tally_same(const struct tally *t, double sent, double back)
{
    return isnan(sent) ? isnan(back) : fabs(sent - back) < .5 * pow(10, -t->truth->decimals);
}

void tally_add(struct tally *t, const struct scored *r)
{
    int series = simulation_series(t->truth, r->key, r->key_len), step = simulation_step(t->truth, r->time_ns);
    if (series < 0 || step < 0 || !tally_same(t, simulation_value(t->truth, step, series), r->y)) {
        t->n_strange++;
        return;
    }
    struct tally_point *p = &t->points[(int64_t)series * t->truth->n_steps + step];
    if (p->seen) {
        t->n_repeated++;
        return;
    }
    *p = (struct tally_point){r->yhat, r->lower, r->upper, r->score, true, r->anomaly};
    t->n_scored++;
    t->n_alerts += r->anomaly;
    if (!isnan(r->y) && !isnan(r->lower) && !isnan(r->upper)) {
        t->n_bands++;
        t->n_covered += r->y >= r->lower && r->y <= r->upper;
    }
    tally_forecasts(t, r, series, step);
    if (step > t->last_step[series]) {
        t->last_step[series] = step;
        t->last[series] = *r;
        t->last[series].key = NULL; /* pointed into the record */
    }
}

int64_t tally_judge(const struct tally *t, struct tally_fault *faults)
{
    int64_t n_false = 0;
    for (int i = 0; i < t->truth->n_faults; i++) faults[i] = (struct tally_fault){0};
    for (int series = 0; series < t->truth->n_series; series++)
        for (int step = 0; step < t->truth->n_steps; step++) {
            if (!tally_at(t, series, step)->anomaly) continue;
            bool known = false;
            for (int i = 0; i < t->truth->n_faults; i++) {
                const struct fault *f = &t->truth->faults[i];
                if (f->series != series || step < f->first || step > f->last + t->grace) continue;
                known = true;
                if (!faults[i].hit) faults[i] = (struct tally_fault){true, step};
            }
            n_false += !known;
        }
    return n_false;
}
