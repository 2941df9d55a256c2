/* The networks of a pipeline under one set of weights: their parameters one network after another in flat arrays, so that
 * initialising, packing, saving and adopting them is one loop each.
 *
 * Memory   the networks are borrowed and outlive the model.
 * Threads  an open model is read only and shared by all threads. */
#ifndef ENGINE_MODEL_MODEL_H
#define ENGINE_MODEL_MODEL_H

#include "engine/model/network.h"

struct model_slice {
    const char *name; /* of the network */
    const struct network *net;
    size_t first_param, first_packed; /* floats from the start of the model's arrays */
    int first_tensor;                 /* tensors of the networks before it */
};

struct model {
    int n, n_tensors;
    size_t n_params, n_packed;
    struct model_slice *slices; /* [n] */
};

eddy_status model_open(const char *const *names, struct network *const *networks, int n, struct model **out,
                       struct eddy_error *);
void model_close(struct model *); /* NULL is fine */

/* Network 0 draws from `seed` itself, the others from seeds derived from it. */
void model_init(const struct model *, uint64_t seed, float *params);
void model_pack(const struct model *, const float *params, float *packed);
eddy_status model_fingerprint(const struct model *, struct eddy_buffer *);
/* The table of `eddy model summary`, network by network. */
void model_summary(const struct model *, FILE *out);

#endif
