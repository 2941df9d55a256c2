/* Making new weights, for the trainer: a snapshot is written to only while nobody else has seen it. */
#ifndef ENGINE_TRAIN_WEIGHTS_H
#define ENGINE_TRAIN_WEIGHTS_H

#include "engine/train/trainer.h"

/* A copy of `base` with the next version, for the caller alone; NULL = out of memory. */
struct weights *weights_next(const struct model *, const struct weights *base);

/* What training may change in it, of one network; steps and pace point into it too. */
struct train_state weights_train_state(struct weights *, const struct model_slice *, int network);
struct train_progress *weights_progress(struct weights *, int network);
struct train_health *weights_health(struct weights *); /* [n_tensors] */

/* Packs the averages of one network or of all for serving; the last thing before others see it. */
void weights_pack(const struct model_slice *, struct weights *);
void weights_pack_all(const struct model *, struct weights *);

#endif
