/* Small blobs for the store: numbers one after another, little-endian whatever the machine.
 *
 * Writing   each call appends and hands on the first failure: rc = blob_u32(b, 1, EDDY_OK); rc = blob_i64(b, x, rc); ..
 * Reading   false when too few bytes are left. */
#ifndef ENGINE_FLOW_BLOB_H
#define ENGINE_FLOW_BLOB_H

#include <stdbool.h>
#include <stdint.h>

#include "eddy_buffer.h"

/* Named blobs of a lane begin with a u32 format; directory, names and networks have formats of their own. */
enum { LANE_FORMAT = 1, TRAIN_FORMAT = 4, SHARE_FORMAT = 1, OPEN_FORMAT = 2 };

eddy_status blob_u32(struct eddy_buffer *, uint32_t, eddy_status before);
eddy_status blob_u64(struct eddy_buffer *, uint64_t, eddy_status before);
eddy_status blob_i64(struct eddy_buffer *, int64_t, eddy_status before);
eddy_status blob_floats(struct eddy_buffer *, const float *v /* [n] */, size_t n, eddy_status before);

struct blob_reader {
    const char *at;
    size_t left;
};
bool blob_get_u32(struct blob_reader *, uint32_t *);
bool blob_get_u64(struct blob_reader *, uint64_t *);
bool blob_get_i64(struct blob_reader *, int64_t *);
bool blob_get_floats(struct blob_reader *, float *v /* [n] */, size_t n);

/* EDDY_EVERSION for a blob that a newer program wrote. */
eddy_status blob_newer(const char *name, uint32_t format, int known, struct eddy_error *);

#endif
