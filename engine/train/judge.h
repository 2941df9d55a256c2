/* How well weights do on windows: the loss of each window, without learning from it.
 *
 *   loss of a window   mean over its labels (loss.h), NaN when it has none
 * Order    windows are looked at in turn, so equal inputs give equal bits.
 * Threads  reentrant with separate scratch. */
#ifndef ENGINE_TRAIN_JUDGE_H
#define ENGINE_TRAIN_JUDGE_H

#include "engine/train/trainer.h"

/* Of one network: each [n]. */
eddy_status judge_windows(const struct network *, const struct window_shape *, const float *params,
                          const float *windows, int n, double *each, struct train_scratch *, struct eddy_error *);
/* Mean over windows with labels and over the networks that learn; NaN when there is no label at all. */
eddy_status judge_model(const struct model *, const float *params, const struct train_windows *,
                        struct train_scratch *, double *loss, struct eddy_error *);

/* Whether the candidate is worse than the base on the windows held out, at any network: the mean of its losses lies more
 * than `tolerance` standard deviations of the base's losses above theirs.  Fewer than 8 windows with labels: it is not. */
eddy_status judge_candidate(const struct model *, const struct train_windows *, double tolerance, const float *base,
                            const float *candidate, struct train_scratch *, bool *worse, struct eddy_error *);

#endif
