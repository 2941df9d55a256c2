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
#include "engine/forecast/outlook.h"
#include "engine/state/row_layout.h"
#include "engine/train/tbptt.h"

/* One step of the past, kept for training windows: struct point_head, then per value of the channel a struct point. */
struct point_head {
    int64_t time_ns;
    float elapsed_s, elapsed; /* seconds; squashed to -1..1 around the key's usual interval */
};
struct point {
    double anchor;      /* the value, or the last known one */
    float sigma, z, dz; /* scale; level and difference in units of it */
    float known;        /* 1, or 0 for a missing value */
};

struct plan {
    const struct settings *settings;
    struct eddy_schema schema; /* owned; categories are the codec's, unless the caller's schema has some */
    int n_values, n_channels, n_dims, n_bands;
    struct outlook_shape outlook; /* horizons */
    int *missing;                 /* [n_values] enum missing_policy */
    struct network *network;
    struct window_shape
        window;   /* n_steps is `train.window` stretched past the largest horizon, a multiple of `every` */
    int n_starts; /* states kept for window starts: n_steps / every */
    bool training;
    size_t point_bytes, outlook_bytes, tracker_floats; /* per channel and step; per channel; per value and horizon */
    struct row_layout layout;
    /* Offsets of the sections in a row; -1 = absent.  The shapes are per key. */
    int64_t at_clock;     /* double: usual seconds between events */
    int64_t at_scale;     /* [n_values] struct scale */
    int64_t at_steps;     /* [n_channels] int64_t: steps of the network */
    int64_t at_state;     /* [n_channels, n_state] float */
    int64_t at_outlook;   /* [n_channels, outlook_bytes] */
    int64_t at_trackers;  /* [n_values, n_horizons, tracker_floats] float */
    int64_t at_points;    /* [n_channels, n_steps, point_bytes]   training only */
    int64_t at_starts;    /* [n_channels, n_starts, n_state] float training only */
    int64_t at_weights;   /* master | moment | variance | ema, each [n_params] float; scope: key only */
    int64_t at_optimiser; /* int64_t: optimiser steps, 0 = weights not yet made; scope: key only */
    int64_t *at_detector; /* [settings->detect.detectors.n] */
};

eddy_status plan_open(const struct settings *, const struct eddy_schema *, struct plan **, struct eddy_error *);
void plan_close(struct plan *); /* NULL is fine */
/* What stored weights must agree with to be used again: the network, and the horizons that its outputs mean. */
eddy_status plan_fingerprint(const struct plan *, struct eddy_buffer *);
/* Takes what only the network that made it can read out of a stored directory: its state, and weights of a key's own. */
void plan_forget_network(struct row_layout *stored);
/* Makes a zeroed row that of a new key; `plan` is a struct plan *, as keyspaces and stores hand it on. */
void plan_prepare_row(void *plan, unsigned char *row);

/* Bytes per key for keys of `key_len` bytes, resident and on disk, and the formula in words (several lines). */
struct plan_estimate {
    size_t resident_bytes, disk_bytes, model_bytes;
};
void plan_estimate(const struct plan *, size_t key_len, struct plan_estimate *);
void plan_print_estimate(const struct plan *, size_t key_len, int64_t n_keys, FILE *out);

#endif
