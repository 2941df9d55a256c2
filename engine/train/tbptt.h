/* Truncated back-propagation through time over windows of one network.
 *
 * A window is the last T steps of one series with the state that preceded them:
 *     block [window_floats]  start [n_state] | elapsed_s [T] | x [T, n_in] | target [T, n_targets]
 * A target of NaN is a label that has not arrived, or a missing value: it adds nothing to the loss.  The steps that
 * follow the gradient are optimiser.h.
 *
 * Loss        that of the network (loss.h), mean over the labels of the batch; the gradient is multiplied by n_targets so
 *             that many horizons do not dilute one; the loss that is reported is the plain mean.
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

struct train_scratch; /* grows to the largest batch seen */
struct train_scratch *train_scratch_open(void);
void train_scratch_close(struct train_scratch *);

/* n_targets times the gradient of the mean loss over n windows (blocks one after another), written to grad [n_params];
 * the loss is NaN when there is no label at all.  `draw` seeds dropout, masks and teacher forcing. */
eddy_status tbptt_gradient(const struct network *, const struct window_shape *, const float *params,
                           const float *windows, int n, uint64_t draw, float *grad, double *loss,
                           struct train_scratch *, struct eddy_error *);

#endif
