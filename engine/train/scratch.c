#include "engine/train/scratch.h"

#include <stdint.h>
#include <stdlib.h>

#include "engine/math/matmul.h"

enum { ALIGN_BYTES = 64 };

struct train_scratch *train_scratch_open(void)
{
    matmul_single_thread();
    return calloc(1, sizeof(struct train_scratch));
}

void train_scratch_close(struct train_scratch *s)
{
    if (!s) return;
    free(s->batch);
    free(s->step);
    free(s->runs);
    free(s);
}

eddy_status train_scratch_grow(float **array, size_t *floats, size_t n, struct eddy_error *err)
{
    if (n <= *floats) return EDDY_OK;
    const size_t limit = (size_t)PTRDIFF_MAX / sizeof(float) - ALIGN_BYTES;
    const size_t bytes = n > limit ? 0 : (n * sizeof(float) + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
    free(*array);
    *floats = 0;
    *array = bytes ? aligned_alloc(ALIGN_BYTES, bytes) : NULL;
    if (!*array) return eddy_fail(err, EDDY_ENOMEM, "out of memory for a training batch of %zu numbers", n);
    *floats = n;
    return EDDY_OK;
}
