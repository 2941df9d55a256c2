/* Truncated back-propagation through time over windows of one network.
 *
 * A window is the last T steps of one series with the state that preceded them:
 *     block [window_floats]  start [n_state] | elapsed_s [T] | x [T, n_in] | target [T, n_targets]
 * A target of NaN is a label that has not arrived, or a missing value: it adds nothing to the loss.
 *
 * Loss        that of the network (loss.h), mean over the labels of the batch; the gradient is multiplied by n_targets so
 *             that many horizons do not dilute one; the loss that is reported is the plain mean.
 * Step        global-norm clip, Adam (b1 .9, b2 .999, eps 1e-8, bias corrected), then the average that serves:
 *             ema += (1 - b)(w - ema), b = min(decay, 1 - 5 / (step + 5)) and never below 0.
 * Guard       a step whose loss, gradient or new weights are not finite is refused: nothing changes, `refused` counts.
 * Order       sums run in window order, so equal inputs give equal bits.
 * Threads     reentrant with separate scratch. */
#ifndef ENGINE_TRAIN_TBPTT_H
#define ENGINE_TRAIN_TBPTT_H

#include "engine/model/network.h"

struct window_shape {
    int n_steps, n_in, n_targets; /* n_targets: labels of a step */
    size_t n_state;
};
size_t window_floats(const struct window_shape *);
float *window_start(const struct window_shape *, float *block);
float *window_elapsed(const struct window_shape *, float *block);
float *window_x(const struct window_shape *, float *block);
float *window_target(const struct window_shape *, float *block);

/* What training changes, wherever it lives: in a weights snapshot (shared) or in a key's row (scope: key). */
struct train_state {
    float *master;   /* [n_params] the weights that the optimiser moves */
    float *moment;   /* [n_params] Adam's first moment */
    float *variance; /* [n_params] Adam's second moment */
    float *ema;      /* [n_params] the average that serves */
    int64_t *steps;  /* optimiser steps so far */
};
struct train_report {
    double loss, grad_norm; /* of the last accepted step; grad_norm before clipping */
    int64_t steps, refused;
};

struct train_scratch; /* grows to the largest batch seen */
struct train_scratch *train_scratch_open(void);
void train_scratch_close(struct train_scratch *);

/* n_targets times the gradient of the mean loss over n windows (blocks one after another), written to grad [n_params];
 * the loss is NaN when there is no label at all.  `draw` seeds dropout, masks and teacher forcing. */
eddy_status tbptt_gradient(const struct network *, const struct window_shape *, const float *params,
                           const float *windows, int n, uint64_t draw, float *grad, double *loss,
                           struct train_scratch *, struct eddy_error *);

/* One optimiser step over n windows; `report` is added to.  A refused step, and windows without any label, are EDDY_OK.
 * EDDY_ENOMEM: nothing changed. */
eddy_status train_step(const struct network *, const struct window_shape *, const struct train_settings *,
                       struct train_state *, const float *windows, int n, struct train_report *,
                       struct train_scratch *, struct eddy_error *);

#endif
