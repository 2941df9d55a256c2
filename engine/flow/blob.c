#include "engine/flow/blob.h"

#include "config/little_endian.h"

eddy_status blob_u32(struct eddy_buffer *b, uint32_t v, eddy_status before)
{
    unsigned char bytes[4];
    le_put_u32(bytes, v);
    return before < 0 ? before : eddy_buffer_append(b, bytes, sizeof(bytes));
}

eddy_status blob_u64(struct eddy_buffer *b, uint64_t v, eddy_status before)
{
    unsigned char bytes[8];
    le_put_u64(bytes, v);
    return before < 0 ? before : eddy_buffer_append(b, bytes, sizeof(bytes));
}

eddy_status blob_i64(struct eddy_buffer *b, int64_t v, eddy_status before)
{
    return blob_u64(b, (uint64_t)v, before);
}

eddy_status blob_floats(struct eddy_buffer *b, const float *v /* [n] */, size_t n, eddy_status before)
{
    eddy_status rc = before < 0 ? before : eddy_buffer_reserve(b, n * sizeof(float));
    if (rc < 0) return rc;
    le_put_floats(b->data + b->len, v, n);
    b->len += n * sizeof(float);
    return EDDY_OK;
}

static const char *blob_take(struct blob_reader *r, size_t n)
{
    const char *at = r->at;
    if (r->left < n) return NULL;
    r->at += n;
    r->left -= n;
    return at;
}

bool blob_get_u32(struct blob_reader *r, uint32_t *v)
{
    const char *at = blob_take(r, 4);
    if (at) *v = le_get_u32(at);
    return at;
}

bool blob_get_u64(struct blob_reader *r, uint64_t *v)
{
    const char *at = blob_take(r, 8);
    if (at) *v = le_get_u64(at);
    return at;
}

bool blob_get_i64(struct blob_reader *r, int64_t *v)
{
    const char *at = blob_take(r, 8);
    if (at) *v = (int64_t)le_get_u64(at);
    return at;
}

bool blob_get_floats(struct blob_reader *r, float *v /* [n] */, size_t n)
{
    const char *at = blob_take(r, n * sizeof(float));
    if (at) le_get_floats(v, at, n);
    return at;
}

eddy_status blob_newer(const char *name, uint32_t format, int known, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_EVERSION,
                     "state: the stored \"%s\" has format %u, written by a newer eddy; this one reads up to %d", name,
                     format, known);
}
