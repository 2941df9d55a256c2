/* Learning from a history many times over: what `eddy train` does with the windows that a first pass has gathered.
 *
 * Hold-out   the last tenth of each lane's windows is never trained on; after every epoch the weights are judged on it, and
 *            those that do best are the result.  Starting weights are judged too, so the result is never worse there.
 * Order      the first epoch takes the windows in stream order, each later one in an order of its own, drawn from the seed.
 * Pace       in the last third of `epochs` the learning rate falls along half a cosine to a fiftieth: a stream never ends, but
 *            a course does, and small steps at its end rid the weights of the noise of single windows.  A train.schedule
 *            other than constant goes before that.
 * Stopping   with such a schedule, `patience` epochs in a row that do not improve on the best are the last ones.  A rate that
 *            falls is at its best at the end.
 * Threads    one; the same windows give the same weights. */
#ifndef ENGINE_FLOW_PRETRAIN_H
#define ENGINE_FLOW_PRETRAIN_H

#include <signal.h>

#include "engine/flow/window_set.h"
#include "engine/train/trainer.h"

struct pretrain_epoch {
    int64_t epoch;         /* 0 = the weights it started from */
    double loss, held_out; /* mean over the windows that are trained on, NaN for epoch 0; over the others */
    int64_t steps;         /* of the optimiser so far */
    bool best;             /* no epoch before it did as well on what is held out */
};

struct pretrain {
    const struct plan *plan;
    const struct window_set *windows; /* sorted */
    struct weights *base;
    int64_t epochs, patience;          /* at most; see above */
    const volatile sig_atomic_t *stop; /* may be NULL */
    void (*on_epoch)(void *context, const struct pretrain_epoch *);
    void *context;
};

/* EDDY_EINVAL when there are too few windows to hold any out. */
eddy_status pretrain_run(const struct pretrain *, struct weights **best, struct eddy_error *);

#endif
