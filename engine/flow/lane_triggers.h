/* When a round of training is due, and how large it is.
 *
 *   event time  with train.every_time T windows wait until the partition's clock (struct lane_clock) has moved by T since
 *               the last round; the first round does not wait
 *   drift       with train.drift_rounds: the live loss of an epoch
 *                   L = mean over values of min(|x - xhat| / sigma, 16),  one horizon: the nearest;
 *                       xhat: the first network's that forecasts, or what is written out when none does by itself;
 *                       sigma: the value's scale before the event
 *               y = log L: late, its mean with gain max(1/n, 1/4) an epoch; usual, with max(1/n, 1/128), but never above
 *               late; spread, the mean |y - usual|.  After 24 epochs drift is late > usual + max(log 1.5, 3 spread): then a
 *               round is due at once, and for train.drift_epochs epochs every round goes that many times more over its
 *               fresh windows.  usual stands still until those are over and begins anew with what is late then, so
 *               there is no second time before.
 *
 * Everything is decided where epochs end, from records alone: L is summed in whole numbers, so no order of the waves can
 * be seen in it. */
#ifndef ENGINE_FLOW_LANE_TRIGGERS_H
#define ENGINE_FLOW_LANE_TRIGGERS_H

#include "config/settings.h"
#include "engine/flow/blob.h"

struct lane_triggers {
    int64_t trained_at;     /* clock at the last round; EDDY_NO_TIME = none yet */
    int64_t loss_sum;       /* of the running epoch, in 2^-16 */
    int64_t losses;         /* how many are in it */
    int64_t pressing_until; /* epoch before which rounds are larger; 0 = they are not */
    int64_t epochs;         /* with errors */
    double late, usual, spread;
};

void triggers_error(struct lane_triggers *, double error, double sigma); /* not a number: not counted */
/* The epoch before `boundary` is over; true when the loss has just been found to drift. */
bool triggers_epoch(struct lane_triggers *, const struct train_settings *, int64_t boundary);
/* Whether the windows may go into a round at `boundary`, or wait: `now` is the clock. */
bool triggers_due(const struct lane_triggers *, const struct train_settings *, int64_t boundary, int64_t now);
/* How often a round at `boundary` goes over its fresh windows; 1 = as usual. */
int triggers_rounds(const struct lane_triggers *, const struct train_settings *, int64_t boundary);

eddy_status triggers_blob(const struct lane_triggers *, struct eddy_buffer *, eddy_status before);
bool triggers_get(struct lane_triggers *,
                  struct blob_reader *); /* false: cut off, or not what triggers_blob() wrote */

#endif
