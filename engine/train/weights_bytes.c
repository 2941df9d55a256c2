/* Weights as bytes for the store, little-endian whatever the machine:
 *
 *   u32 magic  u32 format  u64 version  u64 n_params  u64 n_networks
 *   i64 steps  i64 refused  f64 loss  f64 grad_norm              of each network
 *   f32 master [n_params]  f32 moment [..]  f32 variance [..]  f32 ema [..]
 *   u64 XXH3 of all bytes before it
 *
 * The packed weights are made again on reading.  Format 1 had no n_networks and one network. */
#include "engine/train/weights.h"

#include <math.h>
#include <xxhash.h>

#include "config/little_endian.h"

enum {
    MAGIC = 0x57594445 /* "EDYW" */,
    FORMAT = 2,
    PROGRESS_AT_1 = 24, /* where the first network's progress begins in format 1, and in format 2 */
    PROGRESS_AT = 32,
    PROGRESS_BYTES = 32,
    CHECKSUM_BYTES = 8,
    ARRAYS = 4
};

/* False when one of them is not finite. */
static bool get_floats(const char *from, float *v, size_t n)
{
    bool finite = true;
    le_get_floats(v, from, n);
    for (size_t i = 0; i < n; i++) finite &= isfinite(v[i]) != 0;
    return finite;
}

static void put_progress(char *to, const struct train_progress *p)
{
    le_put_u64(to, (uint64_t)p->steps);
    le_put_u64(to + 8, (uint64_t)p->refused);
    le_put_f64(to + 16, p->loss);
    le_put_f64(to + 24, p->grad_norm);
}

static bool get_progress(const char *from, struct train_progress *p)
{
    p->steps = (int64_t)le_get_u64(from);
    p->refused = (int64_t)le_get_u64(from + 8);
    p->loss = le_get_f64(from + 16);
    p->grad_norm = le_get_f64(from + 24);
    return p->steps >= 0 && p->refused >= 0;
}

eddy_status weights_encode(const struct weights *w, struct eddy_buffer *out, struct eddy_error *err)
{
    const size_t header = PROGRESS_AT + (size_t)w->n_networks * PROGRESS_BYTES;
    const size_t array_bytes = w->n_params * sizeof(float), n = header + ARRAYS * array_bytes + CHECKSUM_BYTES;
    if (eddy_buffer_reserve(out, n) < 0)
        return eddy_fail(err, EDDY_ENOMEM, "out of memory for the bytes of %zu weights", w->n_params);
    char *bytes = out->data + out->len, *arrays = bytes + header;
    le_put_u32(bytes, MAGIC);
    le_put_u32(bytes + 4, FORMAT);
    le_put_u64(bytes + 8, w->version);
    le_put_u64(bytes + 16, w->n_params);
    le_put_u64(bytes + 24, (uint64_t)w->n_networks);
    for (int k = 0; k < w->n_networks; k++)
        put_progress(bytes + PROGRESS_AT + (size_t)k * PROGRESS_BYTES, &w->progress[k]);
    le_put_floats(arrays, w->master, w->n_params);
    le_put_floats(arrays + array_bytes, w->moment, w->n_params);
    le_put_floats(arrays + 2 * array_bytes, w->variance, w->n_params);
    le_put_floats(arrays + 3 * array_bytes, w->ema, w->n_params);
    le_put_u64(bytes + n - CHECKSUM_BYTES, XXH3_64bits(bytes, n - CHECKSUM_BYTES));
    out->len += n;
    return EDDY_OK;
}

/* Where the parts of the stored bytes lie. */
struct weights_parts {
    const char *progress, *arrays;
};

/* Sizes, sum and meaning of the header. */
static eddy_status weights_check(const struct model *model, const char *bytes, size_t n, struct weights_parts *out,
                                 struct eddy_error *err)
{
    if (n < PROGRESS_AT_1 + PROGRESS_BYTES + CHECKSUM_BYTES)
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: %zu bytes are too few", n);
    const uint32_t format = le_get_u32(bytes + 4);
    if (le_get_u32(bytes) != MAGIC)
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: these bytes are something else");
    if (format > FORMAT)
        return eddy_fail(err, EDDY_EVERSION, "stored weights: format %u is newer than this program's %d", format,
                         FORMAT);
    if (le_get_u64(bytes + n - CHECKSUM_BYTES) != XXH3_64bits(bytes, n - CHECKSUM_BYTES))
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: the checksum does not fit the %zu bytes", n);
    const uint64_t n_params = le_get_u64(bytes + 16), networks = format == 1 ? 1 : le_get_u64(bytes + 24);
    const size_t progress_at = format == 1 ? PROGRESS_AT_1 : PROGRESS_AT;
    const size_t header = progress_at + (size_t)networks * PROGRESS_BYTES;
    if (format < 1 || networks < 1 || networks > EDDY_MAX_NETWORKS || n < header + CHECKSUM_BYTES ||
        n_params > n / (ARRAYS * sizeof(float)) ||
        n != header + ARRAYS * sizeof(float) * (size_t)n_params + CHECKSUM_BYTES)
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: %zu bytes do not hold format %u with %llu weights", n,
                         format, (unsigned long long)n_params);
    if (n_params != model->n_params || networks != (uint64_t)model->n)
        return eddy_fail(err, EDDY_EMISMATCH,
                         "stored weights: %llu in %llu networks were stored, the configured ones have %zu in %d",
                         (unsigned long long)n_params, (unsigned long long)networks, model->n_params, model->n);
    *out = (struct weights_parts){bytes + progress_at, bytes + header};
    return EDDY_OK;
}

eddy_status weights_decode(const struct model *model, const void *data, size_t n, struct weights **out,
                           struct eddy_error *err)
{
    *out = NULL;
    const char *bytes = data;
    struct weights_parts parts = {NULL, NULL};
    eddy_status rc = weights_check(model, bytes, n, &parts, err);
    if (rc < 0) return rc;
    struct weights *w = NULL;
    if ((rc = weights_initial(model, 0, &w, err)) < 0) return rc;

    const struct model_slice whole = {.first_param = 0};
    const struct train_state s = weights_train_state(w, &whole, 0);
    const size_t array_bytes = model->n_params * sizeof(float);
    bool good = true;
    w->version = le_get_u64(bytes + 8);
    for (int k = 0; k < model->n; k++)
        good &= get_progress(parts.progress + (size_t)k * PROGRESS_BYTES, weights_progress(w, k));
    good &= get_floats(parts.arrays, s.master, model->n_params);
    good &= get_floats(parts.arrays + array_bytes, s.moment, model->n_params);
    good &= get_floats(parts.arrays + 2 * array_bytes, s.variance, model->n_params);
    good &= get_floats(parts.arrays + 3 * array_bytes, s.ema, model->n_params);
    for (size_t i = 0; i < model->n_params; i++) good &= !(s.variance[i] < 0);
    if (!good) {
        weights_unref(w);
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: a number in them cannot be");
    }
    weights_pack(model, w);
    *out = w;
    return EDDY_OK;
}
