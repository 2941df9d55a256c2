/* The report: one self-contained HTML page with a chart for every series.
 *
 * The page (page.html) is fixed; the data goes into it as one JSON document, so every text here may hold anything, keys
 * with markup and broken UTF-8 included.  It loads nothing from anywhere.
 *
 * Series longer than their share of REPORT_POINTS are thinned: of each bucket the points with the least and greatest
 * value, the greatest score and all alerts stay.
 *
 * Memory   nothing is kept; the buffer belongs to the caller.
 * Errors   EDDY_ENOMEM; EDDY_EIO from report_write(), naming the path. */
#ifndef PLUGIN_DEMO_REPORT_H
#define PLUGIN_DEMO_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "eddy_buffer.h"

enum { REPORT_POINTS = 60000 }; /* in all series together, alerts not counted: keeps the page below 3 MB */

struct report_tile {
    const char *label, *value, *note;
};

struct report_point {
    int64_t time_ns;
    double y, yhat, lower, upper; /* NaN = missing */
    double score;
    bool anomaly;
};

/* A known truth, shaded in the chart. */
struct report_span {
    int64_t start_ns, end_ns;
    const char *kind;
    bool hit;
    int64_t delay_ns; /* from the start to the alert, if hit */
};

struct report_forecast {
    int64_t time_ns;
    double yhat, lower, upper;
};

struct report_series {
    const char *group, *key, *field, *unit;
    const struct report_point *points; /* [n_points] by time */
    int n_points;
    const struct report_span *spans; /* [n_spans] */
    int n_spans;
    const struct report_forecast *ahead; /* [n_ahead] from the last point on */
    int n_ahead;
};

/* A pair of bars. */
struct report_error {
    const char *group, *label, *unit;
    double eddy, persistence;
};

struct report {
    const char *title, *lead; /* lead: a sentence or two */
    const char *footer;
    const struct report_tile *tiles;
    int n_tiles;
    const struct report_series *series;
    int n_series;
    const struct report_error *errors;
    int n_errors;
};

eddy_status report_format(const struct report *, struct eddy_buffer *out, struct eddy_error *);
eddy_status report_write(const struct report *, const char *path, struct eddy_error *);

#endif
