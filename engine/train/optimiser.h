/* One step of the optimiser over windows of one network.
 *
 * Gradient    tbptt.h; each number limited to train.clip_value, then all of them scaled down to a norm of
 *             train.clip_norm.  What is reported is the norm before both.
 * Step        w decays by the rate times train.weight_decay (tensors that are weights: tensors.h), then Adam, RMSprop or
 *             SGD with momentum as PyTorch has them (optimiser_inline.h), Adam bias corrected, epsilon 1e-8; the rate is
 *             train.learning_rate times its schedule (schedule.h).
 * Average     what serves: ema += (1 - b)(w - ema), b = min(train.ema, 1 - 5 / (step + 5)) and never below 0.
 * Guard       a step whose loss, gradient or new weights are not finite is refused: nothing changes, `refused` counts.
 * Threads     reentrant with separate scratch. */
#ifndef ENGINE_TRAIN_OPTIMISER_H
#define ENGINE_TRAIN_OPTIMISER_H

#include "engine/train/schedule.h"
#include "engine/train/tbptt.h"

/* What training changes, wherever it lives: in a weights snapshot (shared) or in a key's row (scope: key). */
struct train_state {
    float *master;           /* [n_params] the weights that the optimiser moves */
    float *moment;           /* [n_params] adam: mean of the gradients; sgd: the last step */
    float *variance;         /* [n_params] adam, rmsprop: mean of the squared gradients */
    float *ema;              /* [n_params] the average that serves */
    int64_t *steps;          /* optimiser steps so far */
    struct train_pace *pace; /* of train.schedule plateau; NULL = the rate stays as it is */
};

/* How one weight tensor took the last accepted step, NaN before. */
struct train_health {
    double grad_norm;   /* before clipping */
    double update_norm; /* of the change of its weights */
};

struct train_report {
    double loss, grad_norm; /* of the last accepted step; grad_norm before clipping */
    int64_t steps, refused;
    struct train_health *health; /* [tensors_count()] written by accepted steps; NULL = not wanted */
};

/* `report` is added to.  A refused step, and windows without any label, are EDDY_OK.  EDDY_ENOMEM: nothing changed. */
eddy_status train_step(const struct network *, const struct window_shape *, const struct train_settings *,
                       struct train_state *, const float *windows, int n, struct train_report *,
                       struct train_scratch *, struct eddy_error *);
size_t train_step_bytes(const struct network *, const struct window_shape *, int n); /* of the scratch, behind it */

#endif
