/* How the learning rate changes: a share of train.learning_rate, from the optimiser's step count alone, or for `plateau`
 * from running averages of the loss that travel with the weights.  So a replay takes the same steps.
 *
 *   t = 1, 2, .. the step to be made,  n = train.schedule_steps,  floor = train.schedule_floor
 *
 *   constant       1
 *   warmup         min(1, t / n)
 *   inverse_sqrt   t / n up to n, then max(floor, sqrt(n / t))                  (Vaswani et al. 2017)
 *   cosine         floor + (1 - floor) (1 + cos(pi u)) / 2, u the share of the period that is over; periods of n, 2n, 4n, ..
 *                  steps, so that restarts get rarer                             (SGDR, Loshchilov and Hutter 2017)
 *   plateau        after each step:  slow += k (loss - slow),  spread += k (|loss - slow| - spread),  k = max(1/n, 1/t),
 *                  fast the same with 8/n;  from t = n on, rising when fast > slow + spread / 2: share (1 + 8/n), 1 at most;  standing
 *                  when fast > slow - spread / 10: share n/(n + 1), floor at least.  Differences count in spreads,
 *                  because a loss may be of any size and below 0.
 * Threads  reentrant. */
#ifndef ENGINE_TRAIN_SCHEDULE_H
#define ENGINE_TRAIN_SCHEDULE_H

#include "config/settings.h"

/* Of `plateau`; all 0 before the first step. */
struct train_pace {
    double fast, slow, spread, share;
};

/* For step t; `pace` is read by `plateau` only, and NULL is a new one. */
double schedule_share(const struct train_settings *, int64_t t, const struct train_pace *);
/* After step t. */
void schedule_note(const struct train_settings *, int64_t t, double loss, struct train_pace *);

#endif
