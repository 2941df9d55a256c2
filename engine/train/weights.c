/* Weights snapshots: one block of memory each, the arrays behind the header. */
#include "engine/train/weights.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN_BYTES = 64, ALIGN_FLOATS = ALIGN_BYTES / (int)sizeof(float) };

struct weights_block {
    struct weights weights; /* first: callers hold a pointer to it */
    atomic_int refs;
    size_t n_packed;
    float *packed, *master; /* the same arrays, writable; moment, variance and ema follow master */
    struct train_progress progress[EDDY_MAX_NETWORKS];
};

static struct weights_block *weights_block(struct weights *w)
{
    return (struct weights_block *)(void *)w;
}

static size_t weights_round_up(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* Arrays are left unset. */
static struct weights *weights_new(size_t n_params, size_t n_packed, int n_networks)
{
    const size_t header = weights_round_up(sizeof(struct weights_block), ALIGN_BYTES);
    const size_t floats = weights_round_up(n_packed, ALIGN_FLOATS) + 4 * n_params;
    struct weights_block *b = aligned_alloc(ALIGN_BYTES,
                                            header + weights_round_up(floats * sizeof(float), ALIGN_BYTES));
    if (!b) return NULL;
    float *packed = (float *)(void *)((char *)b + header),
          *master = packed + weights_round_up(n_packed, ALIGN_FLOATS);
    b->weights = (struct weights){
        .n_params = n_params,
        .master = master,
        .moment = master + n_params,
        .variance = master + 2 * n_params,
        .ema = master + 3 * n_params,
        .packed = packed,
        .n_networks = n_networks,
        .progress = b->progress,
    };
    for (int k = 0; k < n_networks; k++) b->progress[k] = (struct train_progress){.loss = NAN, .grad_norm = NAN};
    atomic_init(&b->refs, 1);
    b->n_packed = n_packed;
    b->packed = packed;
    b->master = master;
    return &b->weights;
}

struct train_progress *weights_progress(struct weights *w, int network)
{
    return &weights_block(w)->progress[network];
}

struct train_state weights_train_state(struct weights *w, const struct model_slice *slice, int network)
{
    float *master = weights_block(w)->master + slice->first_param;
    const size_t n = w->n_params;
    return (struct train_state){master, master + n, master + 2 * n, master + 3 * n,
                                &weights_progress(w, network)->steps};
}

void weights_pack(const struct model *model, struct weights *w)
{
    model_pack(model, w->ema, weights_block(w)->packed); /* equals master when train.ema is 0 */
}

/* Of the given params [n_params], or NULL: drawn from the seed. */
static eddy_status weights_start(const struct model *model, const float *params, uint64_t seed, struct weights **out,
                                 struct eddy_error *err)
{
    *out = NULL;
    const size_t n = model->n_params;
    struct weights *w = weights_new(n, model->n_packed, model->n);
    if (!w) return eddy_fail(err, EDDY_ENOMEM, "out of memory for the weights of %zu parameters", n);
    float *master = weights_block(w)->master;
    if (params)
        memcpy(master, params, n * sizeof(float));
    else
        model_init(model, seed, master);
    memset(master + n, 0, 2 * n * sizeof(float)); /* moment and variance */
    memcpy(master + 3 * n, master, n * sizeof(float));
    weights_pack(model, w);
    *out = w;
    return EDDY_OK;
}

eddy_status weights_initial(const struct model *model, uint64_t seed, struct weights **out, struct eddy_error *err)
{
    return weights_start(model, NULL, seed, out, err);
}

eddy_status weights_given(const struct model *model, const float *params, uint64_t version, struct weights **out,
                          struct eddy_error *err)
{
    eddy_status rc = weights_start(model, params, 0, out, err);
    if (rc >= 0) (*out)->version = version;
    return rc;
}

struct weights *weights_next(const struct weights *base)
{
    const struct weights_block *from = weights_block((struct weights *)(uintptr_t)base); /* only read */
    struct weights *w = weights_new(base->n_params, from->n_packed, base->n_networks);
    if (!w) return NULL;
    struct weights_block *b = weights_block(w);
    memcpy(b->packed, base->packed, from->n_packed * sizeof(float));
    memcpy(b->master, base->master, 4 * base->n_params * sizeof(float));
    memcpy(b->progress, from->progress, sizeof(b->progress));
    w->version = base->version + 1;
    return w;
}

struct weights *weights_ref(struct weights *w)
{
    (void)atomic_fetch_add_explicit(&weights_block(w)->refs, 1, memory_order_relaxed);
    return w;
}

void weights_unref(struct weights *w)
{
    if (!w) return;
    struct weights_block *b = weights_block(w);
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1) free(b);
}
