/* The figures of a replay: how good the forecasts were that the pipeline wrote, measured from its results alone.
 *
 * For every series (key and value) the outstanding forecasts are remembered; when the event that lies h events of that
 * key later arrives, the forecast for horizon h is judged against it.  Persistence (the last value known when the
 * forecast was made) is judged on exactly the same pairs.  A pair counts when the value, the forecast and the
 * persistence are all known.
 *
 * Pooling  by_horizon and cumulative pool the errors of all series in their own raw units, so a series with huge numbers
 *          decides them; `relative_mse` is therefore given as well: the geometric mean over series of
 *          mse / persistence_mse, in which every series counts the same (series whose persistence never errs, or that
 *          are never wrong, are left out; `series` says how many counted).  `mase` is the mean over series of mae
 *          divided by the mean absolute step of that series.
 * Scale    with `scale`, errors are divided by the population standard deviation of the series' values in those rows;
 *          series that have none (`unscaled`) are left out.  mase, smape and relative_mse know no units.
 * Pinball  of a level q: max(q e, (q - 1) e), e = y - forecast; the mean over the edges of all bands, whose levels are
 *          (1 -+ coverage) / 2, and the forecast itself as the median.
 * Season   the seasonal forecast of row t + h made in row t is the newest known row of the same phase, t + h - m ceil(h /
 *          m); m by `forecast.season` at the pace of the key's first events; `seasonal_mse` is over those of the pairs
 *          for which that row exists and holds a value.
 * Experts  where results tell of them: each one's own mse and its relative_mse, over what it had said for the rows that
 *          are judged, and its mean weight in the forecasts made in the rows of `score`.
 * Alarms   with `labels`, the rows of `score` in every series that they name.  A row is alarmed when it is an anomaly or
 *          an incident is open.  A window is hit by an alarmed row inside, its delay counts from the window's first row;
 *          a false alarm is a run of alarmed rows that begins outside all windows; `pointwise` pools rows.  `nab` is the
 *          benchmark's own score (plugin/nab.h) over all rows, `gain` what a series adds to it in the standard profile.
 * Classes  are judged where the label and the probabilities are known: `accuracy` of the most probable class (the first
 *          of equals), `log_loss` the mean of -ln p of the true class, p no smaller than 1e-15, `brier` the mean of the
 *          squared distance between the probabilities and the truth (0..2), `base_rate_brier` the same for the shares of
 *          the classes among these labels, known in hindsight.  Labels that name no class of the network do not count.
 * Moves    `brier` is the mean squared distance between the probabilities of down, flat and up and what came (0..2), from
 *          the last value known when the forecast was made; `brier_climatology` the same for the shares of the moves of
 *          each series and horizon, known in hindsight: no small thing to beat.
 * Smoothed values are judged against the values as they came; `smoothed` pools all series in their raw units.
 * Memory   per key and value 8 bytes x (2 + (2 + 2 x bands, + 3 with moves) x sum of horizons) for what is outstanding, 128 bytes
 *          per horizon for the sums, 24 per band and 16 per expert, and 8 bytes per step of the season and of the horizons, up to
 *          `max_bytes` in all: keys that come later are not measured, and `unmeasured` counts their events.
 *          A row of a labelled series takes 9 bytes; `unjudged` counts those beyond the limit.
 * Threads  one thread. */
#ifndef PLUGIN_METRICS_H
#define PLUGIN_METRICS_H

#include "config/settings.h"
#include "eddy_codec.h"
#include "engine/flow/driver.h"
#include "plugin/json_out.h"

struct metrics;

struct windows;

/* Rows from..to-1 of every series; to = 0: not given. */
struct metrics_rows {
    int64_t from, to;
};
/* "A:B", or "A:" for all from A on; false when it is neither, or no row. */
bool metrics_rows_parse(const char *text, struct metrics_rows *);

enum { METRICS_BYTES = 256 << 20 };

struct metrics_request {
    const struct settings *settings;
    struct metrics_rows score, scale;
    const struct windows *labels; /* known anomalies, plugin/windows.h, borrowed; NULL = none */
    bool by_partition; /* a key belongs to its topic and partition (Kafka); files are one partition, a key goes on
                          from file to file */
    int64_t max_bytes; /* 0 = METRICS_BYTES */
};

eddy_status metrics_open(const struct metrics_request *, struct metrics **, struct eddy_error *);
void metrics_close(struct metrics *); /* NULL is fine */

/* Takes one result in (the driver's on_result); returns the number of its key, by first appearance, or -1 when it is not
 * measured.  Out of memory: the metrics stop and metrics_write() fails. */
int64_t metrics_add(struct metrics *, const struct eddy_result *);

/* Moves all that `from` has collected, of other partitions and for the same request, to `into`; `from` is only good for
 * closing then. */
void metrics_merge(struct metrics *into, struct metrics *from);
void metrics_labels_warn(const struct metrics *,
                         const char *path); /* labels that judge nothing, by name; after the run */

/* What the metrics cannot know by themselves. */
struct metrics_run {
    const struct driver_stats *stats;
    const char *state_hash;    /* NULL = unknown */
    const char *config_sha256; /* NULL = unknown */
};
eddy_status metrics_write(const struct metrics *, const struct metrics_run *, struct json_out *, struct eddy_error *);
/* The same as a short table for people. */
eddy_status metrics_print(const struct metrics *, const struct metrics_run *, FILE *out, struct eddy_error *);

/* One row of by_horizon, pooled over all series; NaN = unknown; false when there is no i-th horizon. */
struct metrics_horizon {
    int h;
    int64_t n;
    double mse, mae, rmse, smape, mase, pinball, relative_mse, persistence_mse, persistence_mae, seasonal_mse,
        relative_seasonal;
    double brier, brier_climatology; /* of moves */
    double coverage, width;          /* of the widest band: share of values inside, mean width; NaN = unknown */
    int64_t n_series;                /* series behind relative_mse */
};
bool metrics_horizon(const struct metrics *, int i, struct metrics_horizon *);
/* Of one key, over all its values. */
struct metrics_found {
    int64_t n_series, rows, alerts, hit, missed, false_alarms;
    int64_t true_positives, false_positives, true_negatives, false_negatives; /* rows */
    double delay_rows;                                                        /* median over hits; NaN = no hit */
    double gain;                                                              /* nab_gain() of the standard profile */
};
struct metrics_summary {
    const char *key; /* [key_len] borrowed from the metrics */
    size_t key_len;
    int64_t number, rows;
    double relative_mse;  /* geometric mean over values and horizons; NaN = unknown */
    double mae, coverage; /* of the first horizon, the latter of the widest band */
    bool labelled;
    struct metrics_found found; /* when labelled */
};
int64_t metrics_keys(const struct metrics *);
eddy_status metrics_summaries(const struct metrics *, struct metrics_summary *out /* [metrics_keys()] by number */,
                              struct eddy_error *);
int64_t metrics_unmeasured(const struct metrics *); /* events of keys beyond max_bytes */

#endif
