/* Weights as bytes for the store, little-endian whatever the machine:
 *
 *   u32 magic  u32 format  u64 version  u64 n_params  i64 steps  i64 refused  f64 loss  f64 grad_norm
 *   f32 master [n_params]  f32 moment [..]  f32 variance [..]  f32 ema [..]
 *   u64 XXH3 of all bytes before it
 *
 * The packed weights are made again on reading. */
#include "engine/train/weights.h"

#include <math.h>
#include <xxhash.h>

#include "config/little_endian.h"

enum { MAGIC = 0x57594445 /* "EDYW" */, FORMAT = 1, HEADER_BYTES = 56, CHECKSUM_BYTES = 8, ARRAYS = 4 };

/* False when one of them is not finite. */
static bool get_floats(const char *from, float *v, size_t n)
{
    bool finite = true;
    le_get_floats(v, from, n);
    for (size_t i = 0; i < n; i++) finite &= isfinite(v[i]) != 0;
    return finite;
}

eddy_status weights_encode(const struct weights *w, struct eddy_buffer *out, struct eddy_error *err)
{
    const size_t floats = ARRAYS * w->n_params;
    const size_t n = HEADER_BYTES + floats * sizeof(float) + CHECKSUM_BYTES;
    if (eddy_buffer_reserve(out, n) < 0)
        return eddy_fail(err, EDDY_ENOMEM, "out of memory for the bytes of %zu weights", w->n_params);
    char *bytes = out->data + out->len, *arrays = bytes + HEADER_BYTES;
    const size_t array_bytes = w->n_params * sizeof(float);
    le_put_u32(bytes, MAGIC);
    le_put_u32(bytes + 4, FORMAT);
    le_put_u64(bytes + 8, w->version);
    le_put_u64(bytes + 16, w->n_params);
    le_put_u64(bytes + 24, (uint64_t)w->steps);
    le_put_u64(bytes + 32, (uint64_t)w->refused);
    le_put_f64(bytes + 40, w->loss);
    le_put_f64(bytes + 48, w->grad_norm);
    le_put_floats(arrays, w->master, w->n_params);
    le_put_floats(arrays + array_bytes, w->moment, w->n_params);
    le_put_floats(arrays + 2 * array_bytes, w->variance, w->n_params);
    le_put_floats(arrays + 3 * array_bytes, w->ema, w->n_params);
    le_put_u64(bytes + n - CHECKSUM_BYTES, XXH3_64bits(bytes, n - CHECKSUM_BYTES));
    out->len += n;
    return EDDY_OK;
}

/* Sizes, sum and meaning of the header. */
static eddy_status weights_check(const struct network *net, const char *bytes, size_t n, struct eddy_error *err)
{
    if (n < HEADER_BYTES + CHECKSUM_BYTES)
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: %zu bytes are too few", n);
    if (le_get_u32(bytes) != MAGIC)
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: these bytes are something else");
    if (le_get_u32(bytes + 4) > FORMAT)
        return eddy_fail(err, EDDY_EVERSION, "stored weights: format %u is newer than this program's %d",
                         le_get_u32(bytes + 4), FORMAT);
    if (le_get_u64(bytes + n - CHECKSUM_BYTES) != XXH3_64bits(bytes, n - CHECKSUM_BYTES))
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: the checksum does not fit the %zu bytes", n);
    const size_t stored = (n - HEADER_BYTES - CHECKSUM_BYTES) / (ARRAYS * sizeof(float));
    const uint64_t n_params = le_get_u64(bytes + 16);
    if (n_params != stored || n != HEADER_BYTES + ARRAYS * sizeof(float) * stored + CHECKSUM_BYTES ||
        le_get_u32(bytes + 4) != FORMAT)
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: %zu bytes do not hold format %u with %llu weights", n,
                         le_get_u32(bytes + 4), (unsigned long long)n_params);
    if (stored != net->n_params)
        return eddy_fail(err, EDDY_EMISMATCH, "stored weights: %zu were stored, the configured network has %zu",
                         stored, net->n_params);
    return EDDY_OK;
}

eddy_status weights_decode(const struct network *net, const void *data, size_t n, struct weights **out,
                           struct eddy_error *err)
{
    *out = NULL;
    const char *bytes = data;
    eddy_status rc = weights_check(net, bytes, n, err);
    if (rc < 0) return rc;
    struct weights *w = NULL;
    if ((rc = weights_initial(net, 0, &w, err)) < 0) return rc;

    const struct train_state s = weights_train_state(w);
    const size_t array_bytes = net->n_params * sizeof(float);
    const char *arrays = bytes + HEADER_BYTES;
    w->version = le_get_u64(bytes + 8);
    w->steps = (int64_t)le_get_u64(bytes + 24);
    w->refused = (int64_t)le_get_u64(bytes + 32);
    w->loss = le_get_f64(bytes + 40);
    w->grad_norm = le_get_f64(bytes + 48);
    bool good = w->steps >= 0 && w->refused >= 0;
    good &= get_floats(arrays, s.master, net->n_params);
    good &= get_floats(arrays + array_bytes, s.moment, net->n_params);
    good &= get_floats(arrays + 2 * array_bytes, s.variance, net->n_params);
    good &= get_floats(arrays + 3 * array_bytes, s.ema, net->n_params);
    for (size_t i = 0; i < net->n_params; i++) good &= !(s.variance[i] < 0);
    if (!good) {
        weights_unref(w);
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: a number in them cannot be");
    }
    weights_pack(net, w);
    *out = w;
    return EDDY_OK;
}
