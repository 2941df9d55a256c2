/* Reads one line of eddy's output back: the record of CONTRACT for a series with one value.
 *
 * Memory   strings point into the line.
 * Errors   EDDY_EDATA, saying what was expected and where (byte of the line). */
#ifndef PLUGIN_DEMO_SCORED_H
#define PLUGIN_DEMO_SCORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eddy_error.h"

enum { SCORED_MAX_HORIZONS = 16 };

struct scored_forecast {
    int h; /* steps ahead */
    double yhat, lower, upper;
};

struct scored {
    const char *key; /* as written: escapes are left in */
    int key_len;
    int64_t time_ns;
    double y, yhat, lower, upper; /* NaN = null */
    double score;
    bool anomaly;
    int n_forecasts;
    struct scored_forecast forecasts[SCORED_MAX_HORIZONS];
};

eddy_status scored_read(const char *line, size_t len, struct scored *, struct eddy_error *);

#endif
