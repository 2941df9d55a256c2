/* What the files of the metrics share: metrics.c keeps the keys and hands results on; metrics_pairs.c judges forecasts,
 * metrics_moves.c probabilities of moves, metrics_season.c those of the season, metrics_pool.c adds up over keys, metrics_write.c reports. */
#ifndef PLUGIN_METRICS_PRIVATE_H
#define PLUGIN_METRICS_PRIVATE_H

#include "config/season.h"
#include "plugin/metrics.h"
#include "plugin/nab.h"

/* Sums over the judged pairs of one series and horizon, in raw units. */
struct metrics_sum {
    int64_t n, n_pinball, n_seasonal; /* pairs; with all levels known; with a value a season ago */
    double squared, absolute, symmetric, pinball, persistence_squared, persistence_absolute, seasonal_squared;
    int64_t n_moves, moved[3]; /* pairs with probabilities of moves, and what came: down, flat, up */
    double brier, climatology; /* the latter is known once a series is complete: see metrics_pool.c */
};

/* Pairs that had this band, how many of them lay inside, and the sum of its widths. */
struct metrics_band {
    int64_t n, inside;
    double width;
};

/* Mean and squared distances from it of the rows that scale a series. */
struct metrics_scale {
    int64_t n;
    double mean, squared;
};

/* The values of one key's last seasons. */
enum { METRICS_GAPS = 9 };
struct metrics_season {
    int steps;                 /* of one season; 0 = not known (yet) */
    int n_gaps;                /* METRICS_GAPS: the pace is known, and steps settled */
    int64_t last_ns;           /* time of the last event */
    int64_t gap[METRICS_GAPS]; /* ns between the first events */
    int room;                  /* rows in `past` */
    double *past;              /* [room, V] value of row r at r % room; NULL while steps is 0 */
};

/* The rows of a series whose truth is known: 9 bytes each. */
struct metrics_track {
    const struct windows_series *truth;
    struct nab_window *window; /* [truth->n] rows that lie in each; last < first: none does */
    int64_t n, cap;
    double *score; /* [n] */
    bool *alarmed; /* [n] an anomaly, or within an incident */
    int64_t alerts;
};

/* Of one expert at one horizon: its own errors in one series; its weights in all. */
struct metrics_expert {
    int64_t n;
    double squared;
};
struct metrics_weight {
    int64_t n;
    double sum;
};
struct metrics_experts {
    int n;                         /* 0: results do not tell */
    char **names;                  /* [n] */
    struct metrics_weight *weight; /* [n, n_horizons] */
};

/* Everything about one key. */
struct metrics_key {
    uint64_t hash;
    int64_t count;           /* results of this key so far */
    int64_t number;          /* by first appearance */
    size_t name_len, key_at; /* where the key begins in the name */
    char *name;              /* [name_len] topic, partition and key, or the key alone */
    double *last;            /* [V] last known value, NaN before; in one allocation with step_sum and ring */
    double *step_sum;        /* [V] sum of |y - last| */
    /* for each horizon h of H: slots [h] of [V] of {forecast, persistence, [n_bands] of {lower, upper}} */
    double *ring;
    struct metrics_sum *sums;    /* [V, H] */
    struct metrics_band *bands;  /* [V, H, n_bands] */
    struct metrics_scale *scale; /* [V] */
    int64_t *steps;              /* [V] how many step_sum has */
    struct metrics_season season;
    struct metrics_expert *experts; /* [n_experts, H, V] */
    struct metrics_track *track;    /* NULL: nobody knows the truth of this series */
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
    struct metrics_rows score, scale;
    struct season_rule season;
    const struct windows *labels; /* NULL = none */
    int64_t unjudged;             /* rows of labelled series beyond max_bytes */
    bool failed;                  /* out of memory while collecting */
    bool moves;                   /* results have probabilities of moves */
    int n_values, n_horizons, n_bands;
    int *horizons;              /* [n_horizons]; NULL before the first result */
    size_t *at_ring;            /* [n_horizons] first double of each horizon's ring */
    size_t slot_doubles;        /* of one outstanding forecast */
    size_t ring_doubles;        /* of one key */
    double *coverages;          /* [n_bands] ascending */
    char **names;               /* [n_values] */
    struct metrics_key **table; /* [cap] open addressing, a power of two */
    size_t cap, n_keys;
    int64_t bytes, max_bytes, unmeasured; /* taken by keys, their limit, events of keys beyond it */
    int64_t incidents;                    /* opened */
    struct metrics_classes classes;
    struct metrics_smoothed smoothed;
    struct metrics_experts experts;
    struct eddy_buffer scratch;
};

/* metrics_pairs.c */
bool metrics_shape(struct metrics *, const struct eddy_result *); /* by the first result; false: out of memory */
void metrics_pairs_clear(const struct metrics *, struct metrics_key *);
/* Judges what had been forecast for this result and keeps what it forecasts. */
void metrics_pairs_add(const struct metrics *, struct metrics_key *, const struct eddy_result *);
struct metrics_band *metrics_bands(const struct metrics *, const struct metrics_key *, int horizon, int value);

/* metrics.c: places for so many more keys; false: out of memory. */
bool metrics_room(struct metrics *, size_t more);

bool metrics_rows_have(const struct metrics_rows *, int64_t row);

/* metrics_experts.c.  It writes and prints nothing while results do not tell of experts. */
bool metrics_experts_shape(struct metrics *,
                           const struct eddy_result *); /* by the first result; false: out of memory */
void metrics_experts_free(struct metrics_experts *);
void metrics_experts_add(struct metrics *, struct metrics_key *, const struct eddy_result *);
void metrics_experts_write(const struct metrics *, struct json_out *);
void metrics_experts_print(const struct metrics *, FILE *out);

/* metrics_moves.c */
void metrics_moves_keep(const struct metrics *, const struct eddy_result *, int horizon, int value,
                        double *said /* [3] */);
void metrics_moves_judge(const struct metrics *, struct metrics_sum *, int value, double y, double last,
                         const double *said);
/* The sum of Brier scores of the shares of the moves that came. */
double metrics_moves_climatology(const struct metrics_sum *);
void metrics_moves_print(const struct metrics *, FILE *out);

/* metrics_season.c */
bool metrics_season_add(struct metrics *, struct metrics_key *,
                        const struct eddy_result *); /* false: out of memory */
/* What a season ago was known of the row that comes h after its forecast; NaN = unknown. */
double metrics_season_naive(const struct metrics *, const struct metrics_key *, int64_t row, int h, int value);

/* metrics_detect.c: alarms against label windows. */
void metrics_incidents_add(struct metrics *, const struct eddy_result *);
/* False: out of memory. */
bool metrics_track_add(struct metrics *, struct metrics_key *, const struct eddy_result *);
void metrics_track_free(struct metrics_track *); /* NULL is fine */
/* Of one key that has a track. */
eddy_status metrics_found_key(const struct metrics *, const struct metrics_key *, struct metrics_found *,
                              struct eddy_error *);
eddy_status metrics_detect_write(const struct metrics *, struct json_out *, struct eddy_error *);
eddy_status metrics_detect_print(const struct metrics *, FILE *out, struct eddy_error *);

/* metrics_pool.c: over all keys; value -1 = over all values too.  Key NULL = all. */
struct metrics_pooled {
    struct metrics_sum sum;                       /* in the units of the report */
    double relative_mse, relative_seasonal, mase; /* NaN = unknown */
    int64_t n_series;
};
void metrics_pool(const struct metrics *, const struct metrics_key *, int horizon, int value,
                  struct metrics_pooled *);
void metrics_band_of(const struct metrics *, const struct metrics_key *, int horizon, int value, int band,
                     struct metrics_band *);
void metrics_horizon_of(const struct metrics *, const struct metrics_key *, int horizon, int value,
                        struct metrics_horizon *);
/* What a series' errors are divided by; NaN: it has no deviation and is left out. */
double metrics_unit(const struct metrics *, const struct metrics_key *, int value);
int64_t metrics_unscaled(const struct metrics *); /* series without a deviation to divide by */

/* metrics_labels.c: classes and smoothed values.  They write and print nothing while nothing was judged. */
bool metrics_classes_add(struct metrics_classes *, const struct eddy_result *); /* false: out of memory */
void metrics_classes_free(struct metrics_classes *);
void metrics_classes_write(const struct metrics_classes *, struct json_out *);
void metrics_classes_print(const struct metrics_classes *, FILE *out);
void metrics_smoothed_add(struct metrics_smoothed *, const struct eddy_result *);
void metrics_smoothed_write(const struct metrics_smoothed *, struct json_out *);
void metrics_smoothed_print(const struct metrics_smoothed *, FILE *out);

#endif
