/* What metrics.c (collecting) and metrics_write.c (reporting) share. */
#ifndef PLUGIN_METRICS_PRIVATE_H
#define PLUGIN_METRICS_PRIVATE_H

#include "plugin/metrics.h"

struct metrics_key;

/* Sums over the judged pairs of one series and horizon. */
struct metrics_sum {
    int64_t n;
    double squared, absolute, symmetric, persistence_squared, persistence_absolute;
};

/* Pairs that had this band, how many of them lay inside, and the sum of its widths. */
struct metrics_band {
    int64_t n, inside;
    double width;
};

struct metrics {
    const struct settings *settings;
    bool by_partition;
    bool failed; /* out of memory while collecting */
    int n_values, n_horizons, n_bands;
    int *horizons;              /* [n_horizons]; NULL before the first result */
    size_t *at_ring;            /* [n_horizons] first double of each horizon's ring */
    size_t slot_doubles;        /* of one outstanding forecast */
    size_t ring_doubles;        /* of one key */
    double *coverages;          /* [n_bands] ascending */
    struct metrics_band *bands; /* [n_values, n_horizons, n_bands], over all keys */
    char **names;               /* [n_values] */
    struct metrics_key **table; /* [cap] open addressing, a power of two */
    size_t cap, n_keys;
    int64_t bytes, max_bytes, unmeasured; /* taken by keys, their limit, events of keys beyond it */
    struct eddy_buffer scratch;
};

struct metrics_pooled {
    struct metrics_sum sum;
    double relative_mse, mase; /* NaN = unknown */
    int64_t n_series;
};
/* Over all keys; value -1 = over all values too. */
void metrics_pool(const struct metrics *, int horizon, int value, struct metrics_pooled *);
void metrics_band_of(const struct metrics *, int horizon, int value, int band, struct metrics_band *);
void metrics_horizon_of(const struct metrics *, int horizon, int value, struct metrics_horizon *);

#endif
