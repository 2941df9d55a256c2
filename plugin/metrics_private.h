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

/* Of one class: labels that say it, verdicts that say it, and those where both do. */
struct metrics_class {
    char *name;
    int64_t n, predicted, correct;
};

/* Over the results with a known label and known probabilities. */
struct metrics_classes {
    int n_classes;
    struct metrics_class *item; /* [n_classes] */
    int64_t n, n_correct;
    double log_loss, brier; /* sums */
};

/* Over all values of the smoothed events. */
struct metrics_smoothed {
    int64_t n;
    double squared, absolute; /* sums */
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
    struct metrics_classes classes;
    struct metrics_smoothed smoothed;
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

/* metrics_labels.c: classes and smoothed values.  They write and print nothing while nothing was judged. */
bool metrics_classes_add(struct metrics_classes *, const struct eddy_result *); /* false: out of memory */
void metrics_classes_free(struct metrics_classes *);
void metrics_classes_write(const struct metrics_classes *, struct json_out *);
void metrics_classes_print(const struct metrics_classes *, FILE *out);
void metrics_smoothed_add(struct metrics_smoothed *, const struct eddy_result *);
void metrics_smoothed_write(const struct metrics_smoothed *, struct json_out *);
void metrics_smoothed_print(const struct metrics_smoothed *, FILE *out);

#endif
