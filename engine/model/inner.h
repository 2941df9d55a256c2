/* A layer inside another layer, used through eddy_layer.h alone.  It is planned anew from its settings at every call:
 * that is cheap, and keeps plans free of memory that somebody owns. */
#ifndef ENGINE_MODEL_INNER_H
#define ENGINE_MODEL_INNER_H

#include "eddy_layer.h"

struct inner {
    const struct eddy_layer *layer;
    struct eddy_layer_plan plan;
};

/* Plans a layer that answers each of its n_in inputs at once and remembers; refuses others by the name `outer`. */
eddy_status inner_plan(const char *outer, const struct eddy_choice *, int n_in, struct inner *out,
                       struct eddy_error *);
/* The same for one that was planned before. */
struct inner inner_of(const struct eddy_choice *, int n_in);

bool inner_tensor(const struct inner *, int i, struct eddy_tensor_info *out);
size_t inner_multiply_adds(const struct inner *); /* of one step of one row */

/* Seeds of random choices for runs of the inner layer that start at `step`, into to [n]; NULL when there are none. */
const uint64_t *inner_draws(const uint64_t *draws, int n, int step, uint64_t *to);

#endif
