/* One run of a masked encoder over the places of its window, forward and back: the arithmetic behind masked_encoder.c. */
#ifndef ENGINE_MODEL_MASKED_RUN_H
#define ENGINE_MODEL_MASKED_RUN_H

#include "eddy_layer.h"
#include "engine/model/attend.h"

enum { MASKED_MAX_BLOCKS = 8 };

struct masked {
    int n_in, units, heads, blocks, inner, window, stride, lag;
    float mask;
};

/* Where the tensors lie in params; those of a block from the start of the block. */
struct masked_params {
    size_t in_bias, mask, position, blocks, norm, end;
    size_t qkv_bias, out, out_bias, w1, b1, w2, b2, norm1, norm2, block; /* block: floats of one */
};
/* The same for packed: panels, then what is not multiplied. */
struct masked_packed {
    size_t plain, blocks, norm, end;
    size_t out, first, second, norms, block;
};
struct masked_params masked_places(const struct masked *);
struct masked_packed masked_packed(const struct masked *);
size_t masked_run_floats(const struct masked *, bool keep); /* of the memory of a run */
size_t masked_back_floats(const struct masked *);           /* of scratch for the way back */
size_t masked_multiply_adds(const struct masked *);         /* of a run */
void masked_weights(const struct masked *, uint64_t seed, float *params);
void masked_panels(const struct masked *, const float *params, float *packed);
bool masked_tensor_of(const struct masked *, int i, struct eddy_tensor_info *out);

/* Places first .. end - 1 of a window. */
struct masked_span {
    int first, end;
};
/* What a block leaves for the way back, all [W, ..]. */
struct masked_block {
    float *h, *u, *qkv, *p, *o, *middle, *v, *r, *saved1, *saved2; /* h: what came in; p [W, heads, W] */
};
struct masked_run {
    struct masked_span known;          /* places that exist: the last ones, as many as the key has steps */
    struct masked_span wanted;         /* of them those that are answered: nothing asks the last block for others */
    const float *x[ATTEND_MAX_WINDOW]; /* [n_in] of each place */
    bool hidden[ATTEND_MAX_WINDOW];
    const float *d_y[ATTEND_MAX_WINDOW]; /* [U] gradients by y; NULL = none */
    float *d_x[ATTEND_MAX_WINDOW];       /* [n_in] added to; NULL = not wanted */
    struct masked_block block[MASKED_MAX_BLOCKS];
    size_t shares;               /* floats of p for each place */
    float *h, *y, *saved, *sums; /* what leaves the last block, and its normalisation [W, U]; sums: scratch */
};
/* A run of a key that has `steps` >= 1 in its window.  keep: masked_descend() will follow; without it the blocks share
 * their memory. */
void masked_run_open(const struct masked *, struct masked_run *, int steps, bool keep, float *memory);
void masked_forward(const struct masked *, const float *packed, struct masked_run *);
void masked_descend(const struct masked *, const float *params, const struct masked_run *, float *d_params,
                    float *scratch);

#endif
