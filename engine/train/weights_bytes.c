/* Weights as bytes for the store, little-endian whatever the machine:
 *
 *   u32 magic  u32 format  u64 version  u64 n_params  u64 n_networks  u64 n_tensors
 *   i64 steps  i64 refused  f64 loss  f64 grad_norm  f64 fast  f64 slow  f64 spread  f64 share   of each network
 *   f64 grad_norm  f64 update_norm                                                               of each tensor
 *   f32 master [n_params]  f32 moment [..]  f32 variance [..]  f32 ema [..]
 *   u64 XXH3 of all bytes before it
 *
 * The packed weights are made again on reading.  Format 1 had one network without the counts behind n_params, without
 * the figures from `fast` on and without those of tensors.  These are left out also where the network's layers count
 * their tensors otherwise than they once did: they are for looking at. */
#include "engine/train/weights.h"

#include <math.h>
#include <xxhash.h>

#include "config/little_endian.h"

enum {
    MAGIC = 0x57594445 /* "EDYW" */,
    FORMAT = 2,
    HEADER_BYTES_1 = 24,
    HEADER_BYTES = 40,
    PROGRESS_BYTES_1 = 32,
    PROGRESS_BYTES = 64,
    HEALTH_BYTES = 16,
    CHECKSUM_BYTES = 8,
    ARRAYS = 4
};

/* What the header says, and where the parts begin. */
struct weights_layout {
    uint32_t format;
    uint64_t n_params, n_networks, n_tensors;
    size_t progress, progress_bytes, health, arrays, end;
};

static void layout_parts(struct weights_layout *l)
{
    l->progress = l->format == 1 ? HEADER_BYTES_1 : HEADER_BYTES;
    l->progress_bytes = l->format == 1 ? PROGRESS_BYTES_1 : PROGRESS_BYTES;
    l->health = l->progress + (size_t)l->n_networks * l->progress_bytes;
    l->arrays = l->health + (size_t)l->n_tensors * HEALTH_BYTES;
    l->end = l->arrays + ARRAYS * sizeof(float) * (size_t)l->n_params + CHECKSUM_BYTES;
}

/* False when a count cannot be; then nothing is laid out. */
static bool layout_read(const char *bytes, size_t n, struct weights_layout *l)
{
    l->format = le_get_u32(bytes + 4);
    l->n_params = le_get_u64(bytes + 16);
    l->n_networks = 1;
    l->n_tensors = 0;
    if (l->format > 1 && n >= HEADER_BYTES) {
        l->n_networks = le_get_u64(bytes + 24);
        l->n_tensors = le_get_u64(bytes + 32);
    }
    if (l->format < 1 || l->n_networks > EDDY_MAX_NETWORKS || l->n_tensors > n / HEALTH_BYTES ||
        l->n_params > n / (ARRAYS * sizeof(float)))
        return false;
    layout_parts(l);
    return true;
}

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
    le_put_f64(to + 32, p->pace.fast);
    le_put_f64(to + 40, p->pace.slow);
    le_put_f64(to + 48, p->pace.spread);
    le_put_f64(to + 56, p->pace.share);
}

static bool get_progress(const char *from, uint32_t format, struct train_progress *p)
{
    *p = (struct train_progress){.steps = (int64_t)le_get_u64(from),
                                 .refused = (int64_t)le_get_u64(from + 8),
                                 .loss = le_get_f64(from + 16),
                                 .grad_norm = le_get_f64(from + 24)};
    if (format > 1)
        p->pace = (struct train_pace){le_get_f64(from + 32), le_get_f64(from + 40), le_get_f64(from + 48),
                                      le_get_f64(from + 56)};
    return p->steps >= 0 && p->refused >= 0 && isfinite(p->pace.fast) && isfinite(p->pace.slow) &&
           isfinite(p->pace.spread) && p->pace.share >= 0 && p->pace.share <= 1;
}

/* Progress, health and arrays, each to its place. */
static void put_parts(char *bytes, const struct weights_layout *l, const struct weights *w)
{
    const float *const arrays[ARRAYS] = {w->master, w->moment, w->variance, w->ema};
    for (int k = 0; k < w->n_networks; k++)
        put_progress(bytes + l->progress + (size_t)k * PROGRESS_BYTES, &w->progress[k]);
    for (int i = 0; i < w->n_tensors; i++) {
        le_put_f64(bytes + l->health + (size_t)i * HEALTH_BYTES, w->health[i].grad_norm);
        le_put_f64(bytes + l->health + (size_t)i * HEALTH_BYTES + 8, w->health[i].update_norm);
    }
    for (size_t i = 0; i < ARRAYS; i++)
        le_put_floats(bytes + l->arrays + i * w->n_params * sizeof(float), arrays[i], w->n_params);
}

/* False when a number cannot be. */
static bool get_parts(const char *bytes, const struct weights_layout *l, struct weights *w)
{
    const struct train_state s = weights_train_state(w, &(struct model_slice){.first_param = 0}, 0);
    float *const arrays[ARRAYS] = {s.master, s.moment, s.variance, s.ema};
    bool good = true;
    for (int k = 0; k < w->n_networks; k++)
        good &= get_progress(bytes + l->progress + (size_t)k * l->progress_bytes, l->format, weights_progress(w, k));
    for (int i = 0; l->n_tensors == (uint64_t)w->n_tensors && i < w->n_tensors; i++) {
        const char *from = bytes + l->health + (size_t)i * HEALTH_BYTES;
        weights_health(w)[i] = (struct train_health){le_get_f64(from), le_get_f64(from + 8)};
    }
    for (size_t i = 0; i < ARRAYS; i++)
        good &= get_floats(bytes + l->arrays + i * w->n_params * sizeof(float), arrays[i], w->n_params);
    for (size_t i = 0; i < w->n_params; i++) good &= !(s.variance[i] < 0);
    return good;
}

eddy_status weights_encode(const struct weights *w, struct eddy_buffer *out, struct eddy_error *err)
{
    struct weights_layout l = {.format = FORMAT,
                               .n_params = w->n_params,
                               .n_networks = (uint64_t)w->n_networks,
                               .n_tensors = (uint64_t)w->n_tensors};
    layout_parts(&l);
    if (eddy_buffer_reserve(out, l.end) < 0)
        return eddy_fail(err, EDDY_ENOMEM, "out of memory for the bytes of %zu weights", w->n_params);
    char *bytes = out->data + out->len;
    le_put_u32(bytes, MAGIC);
    le_put_u32(bytes + 4, FORMAT);
    le_put_u64(bytes + 8, w->version);
    le_put_u64(bytes + 16, l.n_params);
    le_put_u64(bytes + 24, l.n_networks);
    le_put_u64(bytes + 32, l.n_tensors);
    put_parts(bytes, &l, w);
    le_put_u64(bytes + l.end - CHECKSUM_BYTES, XXH3_64bits(bytes, l.end - CHECKSUM_BYTES));
    out->len += l.end;
    return EDDY_OK;
}

/* Sizes, sum and meaning of the header. */
static eddy_status weights_check(const struct model *model, const char *bytes, size_t n, struct weights_layout *l,
                                 struct eddy_error *err)
{
    if (n < HEADER_BYTES_1 + CHECKSUM_BYTES)
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: %zu bytes are too few", n);
    const uint32_t format = le_get_u32(bytes + 4);
    if (le_get_u32(bytes) != MAGIC)
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: these bytes are something else");
    if (format > FORMAT)
        return eddy_fail(err, EDDY_EVERSION, "stored weights: format %u is newer than this program's %d", format,
                         FORMAT);
    if (le_get_u64(bytes + n - CHECKSUM_BYTES) != XXH3_64bits(bytes, n - CHECKSUM_BYTES))
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: the checksum does not fit the %zu bytes", n);
    if (!layout_read(bytes, n, l) || n != l->end)
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: %zu bytes do not hold format %u with %llu weights", n,
                         format, (unsigned long long)l->n_params);
    if (l->n_params != model->n_params || l->n_networks != (uint64_t)model->n)
        return eddy_fail(err, EDDY_EMISMATCH,
                         "stored weights: %llu in %llu networks were stored, the configured ones have %zu in %d",
                         (unsigned long long)l->n_params, (unsigned long long)l->n_networks, model->n_params,
                         model->n);
    return EDDY_OK;
}

eddy_status weights_decode(const struct model *model, const void *data, size_t n, struct weights **out,
                           struct eddy_error *err)
{
    *out = NULL;
    struct weights_layout l = {0};
    struct weights *w = NULL;
    eddy_status rc = weights_check(model, data, n, &l, err);
    if (rc >= 0) rc = weights_initial(model, 0, &w, err);
    if (rc < 0) return rc;
    w->version = le_get_u64((const char *)data + 8);
    if (!get_parts(data, &l, w)) {
        weights_unref(w);
        return eddy_fail(err, EDDY_ECORRUPT, "stored weights: a number in them cannot be");
    }
    weights_pack_all(model, w);
    *out = w;
    return EDDY_OK;
}
