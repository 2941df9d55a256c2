/* What a configuration makes of a series: the network, the training window and the directory of a key's row.
 * Planned once per lane from settings and schema, read only afterwards; `eddy check` and `eddy estimate` print it.
 *
 * A key has n_channels network instances of n_dims values each: with `channels: independent` one per value (they share
 * the weights, a one-hot of the channel is an input), with `joint` a single one for all values. */
#ifndef ENGINE_FLOW_PLAN_H
#define ENGINE_FLOW_PLAN_H

#include <stdio.h>

#include "config/settings.h"
#include "eddy_codec.h"
#include "eddy_detector.h"
#include "engine/state/row_layout.h"
#include "engine/train/tbptt.h"

struct plan {
    const struct settings *settings;
    struct eddy_schema schema; /* owned */
    int n_values, n_channels, n_dims, n_horizons, n_bands;
    const int *horizons;    /* [n_horizons] */
    int max_horizon;
    int *missing;           /* [n_values] enum missing_policy */
    struct network *network;
    struct window_shape window; /* n_steps is `train.window` stretched to max_horizon + 1 and rounded up to `every` */
    int n_starts;           /* states kept for window starts: n_steps / every */
    bool training;
    struct row_layout layout;
    /* Offsets of the sections in a row; -1 = absent. */
    int64_t at_clock, at_scale, at_state, at_points, at_starts, at_pending, at_bands, at_weights;
    int64_t *at_detector;   /* [settings->detect.detectors.n] */
};

enum missing_policy { MISSING_LAST, MISSING_FORECAST, MISSING_SKIP };

eddy_status plan_open(const struct settings *, const struct eddy_schema *, struct plan **, struct eddy_error *);
void plan_close(struct plan *); /* NULL is fine */

/* Bytes per key for keys of `key_len` bytes, resident and on disk, and the formula in words (several lines). */
struct plan_estimate {
    size_t resident_bytes, disk_bytes, model_bytes;
};
void plan_estimate(const struct plan *, size_t key_len, struct plan_estimate *);
void plan_print_estimate(const struct plan *, size_t key_len, int64_t n_keys, FILE *out);

#endif
