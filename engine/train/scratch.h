/* The memory that training reuses from batch to batch.  Private to engine/train. */
#ifndef ENGINE_TRAIN_SCRATCH_H
#define ENGINE_TRAIN_SCRATCH_H

#include "engine/train/tbptt.h"

struct layer_run; /* batch.h */

struct train_scratch {
    float *batch; /* one window batch: see batch.c */
    size_t batch_floats;
    float *step; /* gradient and new weights: see optimiser.c */
    size_t step_floats;
    struct layer_run *runs; /* [n_runs] */
    int n_runs;
    int64_t n_labels; /* of the last gradient */
};

/* Makes *array at least n floats long; its contents are lost when it grows. */
eddy_status train_scratch_grow(float **array, size_t *floats, size_t n, struct eddy_error *err);

#endif
