/* What came back, set against what is true: the demo's figures, and nothing that was not counted.
 *
 * Errors   are measured against the simulated values, over every pair of a forecast and a reading that came: nothing is
 *          left out, warm-up, faults and all.  Persistence forecasts the newest reading that the key had.
 * Faults   a fault is hit by an alert between its first step and `grace` steps after its last: so long, forecasts made
 *          during the fault wait for their reading (grace = the longest horizon).  Any other alert is false.
 * Memory   borrows the simulation; tally_close() frees the rest. */
#ifndef PLUGIN_DEMO_TALLY_H
#define PLUGIN_DEMO_TALLY_H

#include "plugin/demo/scored.h"
#include "plugin/demo/simulation.h"

struct tally_point {
    double yhat, lower, upper, score;
    bool seen, anomaly;
};

struct tally_errors {
    int horizon;
    int64_t n;                           /* pairs */
    double absolute, persistence;        /* sums of absolute errors */
    double squared, persistence_squared; /* sums of squares */
    int64_t n_bands, n_covered;
};

enum tally_share { TALLY_ALL, TALLY_LATE, N_TALLY_SHARES }; /* everything; origins in the last quarter */

struct tally_fault {
    bool hit;
    int alert; /* step of the first alert that hits it */
};

struct tally {
    const struct simulation *truth;
    bool relative;              /* errors in basis points of the true value instead of its unit */
    int grace;                  /* steps */
    struct tally_point *points; /* [n_series, n_steps] */
    double *newest;             /* [n_series, n_steps] the newest reading at each step; NaN = none yet */
    struct scored *last;        /* [n_series] result of the series' latest step so far */
    int *last_step;             /* [n_series] -1 = none */
    int n_horizons;
    struct tally_errors errors[N_TALLY_SHARES][SCORED_MAX_HORIZONS];
    int64_t n_scored;   /* events with a score */
    int64_t n_repeated; /* scores for an event that had one already */
    int64_t n_strange;  /* scores for events that were never sent, or with another value than was sent */
    int64_t n_alerts;
    int64_t n_bands, n_covered; /* one step ahead, as the record says for its own event */
};

eddy_status tally_open(const struct simulation *, const int *horizons, int n_horizons, bool relative, struct tally *,
                       struct eddy_error *);
void tally_close(struct tally *); /* {0} is fine */
void tally_add(struct tally *, const struct scored *);
int64_t tally_events(const struct tally *); /* how many there are to be scored */

/* After the last tally_add(): faults [truth->n_faults] is filled; returns the number of false alarms. */
int64_t tally_judge(const struct tally *, struct tally_fault *faults);

static inline const struct tally_point *tally_at(const struct tally *t, int series, int step)
{
    return &t->points[(int64_t)series * t->truth->n_steps + step];
}

#endif
