/* A layer that hands its input on and writes down what it was told, for tests of those who call layers.  Its settings
 * are the record: each probe needs one of its own. */
#ifndef TESTS_UNIT_MODEL_PROBE_H
#define TESTS_UNIT_MODEL_PROBE_H

#include "engine/model/layers.h"

enum { PROBE_MOST = 64 };

/* One row of one step. */
struct probe_seen {
    int step;
    float x, elapsed_s, label; /* of the first input and the first label; 0 where there are no labels */
    uint64_t draw;
};

struct probe {
    /* What it plans. */
    int stride, lag;
    bool head, forgets; /* forgets: no state, not even the count that a stride needs */
    /* What it was told: rows of step(), in order; start [B] and d_y [T, B] of backward(), of the first state and output. */
    int n_seen, n_slopes;
    struct probe_seen seen[PROBE_MOST];
    float start[PROBE_MOST], d_y[PROBE_MOST];
};

extern const struct eddy_layer probe_layer;

#endif
