/* A model's tensors as a file names and shapes them. */
#ifndef ENGINE_MODEL_MODEL_NAMES_H
#define ENGINE_MODEL_MODEL_NAMES_H

#include "engine/model/model.h"
#include "engine/model/safetensors.h"

struct model_tensor {
    char *name;
    struct safetensors_shape shape;
    size_t first, n; /* its numbers in the model's params */
    bool added;      /* a second bias, which eddy does not have: added to what lies at `first` */
    size_t n_free;   /* of a second bias: the numbers behind the first n_free must be 0 */
};

struct model_names {
    int n, cap;
    struct model_tensor *items;
};

/* {0} before; free it after a failure too (EDDY_ENOMEM is all that can go wrong). */
eddy_status model_names_fill(struct model_names *, const struct model *);
void model_names_free(struct model_names *);

#endif
