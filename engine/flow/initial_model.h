/* Weights that came from outside: what a lane starts from instead of a draw, and a new version for one that has begun.
 *
 * <state.path>/<name>/initial.safetensors, if it is there, is what partitions without a checkpoint start from.  What the
 * experts' keys shared (lane_share.h) lies beside a model file, as FILE.shared. */
#ifndef ENGINE_FLOW_INITIAL_MODEL_H
#define ENGINE_FLOW_INITIAL_MODEL_H

#include "engine/flow/plan.h"
#include "engine/state/store.h"
#include "engine/train/trainer.h"

char *initial_model_path(const char *state_path, const char *name); /* malloc'ed; NULL = out of memory */

/* The weights in a model file, as version 0.  A damaged file is EDDY_EMISMATCH, never EDDY_ECORRUPT: that would be said of
 * the state, which would be set aside for it. */
eddy_status initial_model_read(const struct plan *, const char *path, struct weights **, struct eddy_error *);
/* What a new lane on this state directory starts from; *out is NULL when nothing is kept there, or when the store has a
 * checkpoint, which goes on with its own. */
eddy_status initial_model_kept(const struct plan *, const char *state_path, struct store *, struct weights **out,
                               struct eddy_error *);

/* EDDY_ENOTFOUND when there is none beside it; the model file itself need not be there. */
eddy_status initial_shared_read(const char *model_path, struct eddy_buffer *, struct eddy_error *);
/* The status of taking over what was read there, for a damaged file as initial_model_read() has it. */
eddy_status initial_shared_sound(const char *model_path, eddy_status, struct eddy_error *);
eddy_status initial_shared_write(const char *model_path, const struct eddy_buffer *, struct eddy_error *);

/* Makes `params` [n_params] the weights in use: a version above all that the store keeps, with nothing learned yet.  The
 * caller commits.  EDDY_ENOTFOUND without a checkpoint; EDDY_EMISMATCH when it belongs to another network. */
eddy_status initial_model_adopt(const struct plan *, struct store *, const float *params, uint64_t *version,
                                struct eddy_error *);
/* EDDY_OK when the stored weights belong to the planned networks, else EDDY_EMISMATCH. */
eddy_status initial_model_fits(const struct plan *, struct store *, struct eddy_error *);

#endif
