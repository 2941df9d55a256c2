/* Model files in the safetensors format, which PyTorch and others read and write: named tensors, nothing that runs.
 *
 *   u64 n   n bytes of JSON, padded with spaces   the tensors' numbers       all little-endian
 *   JSON    {"__metadata__": {NAME: TEXT, ..},
 *            TENSOR: {"dtype": "F32", "shape": [2, 3], "data_offsets": [first byte, byte after the last]}, ..}
 *
 * A file comes from anywhere, so opening checks all of it: sizes, names, shapes, and that the tensors fill the bytes
 * behind the header exactly, without holes or overlaps, as the format demands.  Of the dtypes F32 and F64 are known.
 *
 * Memory   an open file points into the caller's bytes, which must outlive it; names live as long as the file.
 * Threads  an open file is read only.
 * Errors   each names `path`: EDDY_ECORRUPT for what no safetensors file may be, EDDY_EUNSUPPORTED for other dtypes. */
#ifndef ENGINE_MODEL_SAFETENSORS_H
#define ENGINE_MODEL_SAFETENSORS_H

#include <stdint.h>

#include "eddy_buffer.h"

enum { SAFETENSORS_DIMS = 4, SAFETENSORS_MAX_HEADER = 1 << 20 /* bytes; that of a thousand tensors has a tenth */ };

struct safetensors_shape {
    int n; /* 0 = a single number */
    int64_t of[SAFETENSORS_DIMS];
};

struct safetensor {
    const char *name;
    struct safetensors_shape shape;
    size_t n;       /* numbers */
    int bytes_each; /* 4 or 8 */
    const unsigned char *data;
};

struct safetensors {
    int n;
    struct safetensor *tensors; /* [n] in the order of their data */
    void *header;               /* the parsed JSON */
};

eddy_status safetensors_open(const char *path, const void *bytes, size_t n, struct safetensors **,
                             struct eddy_error *);
void safetensors_close(struct safetensors *); /* NULL is fine */
/* NULL when there is none of that name. */
const struct safetensor *safetensors_find(const struct safetensors *, const char *name);
const char *safetensors_metadata(const struct safetensors *, const char *name);
double safetensors_number(const struct safetensor *, size_t i); /* as it is stored: it may be infinite or no number */
/* "[2, 3]" */
void safetensors_shape_text(const struct safetensors_shape *, char *text, size_t room);

/* ---- writing ---- */

struct safetensors_text {
    const char *name, *text;
};
struct safetensors_part {
    const char *name;
    struct safetensors_shape shape;
    const float *data; /* as many as the shape says; NULL = zeros */
};

/* Appends a whole file; the texts must be UTF-8.  EDDY_EINVAL names a text that is not. */
eddy_status safetensors_write(const struct safetensors_text *metadata, int n_metadata,
                              const struct safetensors_part *, int n, struct eddy_buffer *out, struct eddy_error *);

#endif
