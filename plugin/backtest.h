/* The report of a replay (`--report R.html`): one self-contained page with the series, worst first, what was forecast
 * and scored, and the figures over horizons and time.
 *
 * The page (plugin/page) is fixed; the data goes into it as one JSON document whose texts may hold anything.
 *
 * Memory   rows are kept as floats, 5 + 16 per value bytes and the time, up to `max_bytes` in all; beyond it all series
 *          are thinned: of every bucket of rows those with the least and the greatest value and the greatest score stay,
 *          and all rows around alerts, incidents and label windows.  Series that come when there is no more room have a
 *          row in the overview and no chart.
 * Size     at most BACKTEST_CHARTS keys have charts, those with the worst and some with the best figures, and about
 *          BACKTEST_POINTS points in all: some 25 MB.
 * Errors   EDDY_ENOMEM; EDDY_EIO from backtest_write(), naming the path.
 * Threads  one thread. */
#ifndef PLUGIN_BACKTEST_H
#define PLUGIN_BACKTEST_H

#include "plugin/metrics.h"

enum {
    BACKTEST_POINTS = 500000,
    BACKTEST_CHARTS = 120,
    BACKTEST_BEST = 20,
    BACKTEST_ROWS = 2000 /* of the overview */
};

struct backtest;

eddy_status backtest_open(int64_t max_bytes /* 0 = 256 MiB */, const struct windows *labels, struct backtest **,
                          struct eddy_error *);
void backtest_close(struct backtest *); /* NULL is fine */

/* number: what metrics_add() said of this result.  Out of memory: the report stops and backtest_write() fails. */
void backtest_add(struct backtest *, int64_t number, const struct eddy_result *);
/* How training stands; to be called now and then, e.g. when backtest_wants_train() says so. */
bool backtest_wants_train(const struct backtest *);
void backtest_train(struct backtest *, const struct driver_stats *);

struct backtest_about {
    const char *title, *version;
    const struct metrics *metrics;
    const struct metrics_run *run;
    double threshold;
};
eddy_status backtest_write(struct backtest *, const struct backtest_about *, const char *path, struct eddy_error *);

#endif
