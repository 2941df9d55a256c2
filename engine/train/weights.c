/* Weights snapshots: one block of memory each, the arrays behind the header. */
#include "engine/train/weights.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN_BYTES = 64, ALIGN_FLOATS = ALIGN_BYTES / (int)sizeof(float) };

/* Snapshots that came from one another.  Memory that the last reference lets go of waits for the next snapshot: a fresh
 * block would have to be cleared by the system page by page, and most networks of a model may never move. */
struct weights_block;
struct weights_family {
    atomic_int refs; /* snapshots that somebody holds */
    _Atomic(struct weights_block *) spare;
};

struct weights_block {
    struct weights weights; /* first: callers hold a pointer to it */
    atomic_int refs;
    struct weights_family *family;
    unsigned moved; /* bit k: network k may differ from what the family began with */
    size_t n_packed;
    float *packed, *master; /* the same arrays, writable; moment, variance and ema follow master */
    struct train_progress progress[EDDY_MAX_NETWORKS];
    struct train_health health[]; /* [n_tensors]; the floats begin behind it */
};

static struct weights_block *weights_block(struct weights *w)
{
    return (struct weights_block *)(void *)w;
}

static size_t weights_round_up(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

struct weights_sizes {
    size_t n_params, n_packed;
    int n_networks, n_tensors;
};

/* Room for one: header, healths, then the floats at `first` bytes. */
static struct weights_block *weights_room(const struct weights_sizes *z, size_t *first)
{
    const size_t healths = (size_t)z->n_tensors * sizeof(struct train_health);
    const size_t floats = weights_round_up(z->n_packed, ALIGN_FLOATS) + 4 * z->n_params;
    *first = weights_round_up(sizeof(struct weights_block) + healths, ALIGN_BYTES);
    return aligned_alloc(ALIGN_BYTES, *first + weights_round_up(floats * sizeof(float), ALIGN_BYTES));
}

/* Arrays are left unset, progress and health are those before the first step.  family NULL: it begins one. */
static struct weights *weights_new(const struct weights_sizes *z, struct weights_family *family)
{
    size_t first;
    struct weights_block *b = weights_room(z, &first);
    if (b && !family) family = calloc(1, sizeof(*family));
    if (!b || !family) {
        free(b);
        return NULL;
    }
    (void)atomic_fetch_add_explicit(&family->refs, 1, memory_order_relaxed);
    float *packed = (float *)(void *)((char *)b + first),
          *master = packed + weights_round_up(z->n_packed, ALIGN_FLOATS);
    b->weights = (struct weights){
        .n_params = z->n_params,
        .master = master,
        .moment = master + z->n_params,
        .variance = master + 2 * z->n_params,
        .ema = master + 3 * z->n_params,
        .packed = packed,
        .n_networks = z->n_networks,
        .progress = b->progress,
        .n_tensors = z->n_tensors,
        .health = b->health,
    };
    for (int k = 0; k < z->n_networks; k++) b->progress[k] = (struct train_progress){.loss = NAN, .grad_norm = NAN};
    for (int i = 0; i < z->n_tensors; i++) b->health[i] = (struct train_health){NAN, NAN};
    atomic_init(&b->refs, 1);
    b->family = family;
    b->moved = 0;
    b->n_packed = z->n_packed;
    b->packed = packed;
    b->master = master;
    return &b->weights;
}

struct train_progress *weights_progress(struct weights *w, int network)
{
    return &weights_block(w)->progress[network];
}

struct train_health *weights_health(struct weights *w)
{
    return weights_block(w)->health;
}

struct train_state weights_train_state(struct weights *w, const struct model_slice *slice, int network)
{
    float *master = weights_block(w)->master + slice->first_param;
    weights_block(w)->moved |= 1u << network;
    struct train_progress *progress = weights_progress(w, network);
    const size_t n = w->n_params;
    return (struct train_state){master,         master + n,       master + 2 * n,
                                master + 3 * n, &progress->steps, &progress->pace};
}

void weights_pack(const struct model_slice *s, struct weights *w)
{
    /* equals master when train.ema is 0 */
    network_pack(s->net, w->ema + s->first_param, weights_block(w)->packed + s->first_packed);
}

void weights_pack_all(const struct model *model, struct weights *w)
{
    for (int k = 0; k < model->n; k++) weights_pack(&model->slices[k], w);
}

/* Of the given params [n_params], or NULL: drawn from the seed. */
static eddy_status weights_start(const struct model *model, const float *params, uint64_t seed, struct weights **out,
                                 struct eddy_error *err)
{
    *out = NULL;
    const size_t n = model->n_params;
    const struct weights_sizes sizes = {n, model->n_packed, model->n, model->n_tensors};
    struct weights *w = weights_new(&sizes, NULL);
    if (!w) return eddy_fail(err, EDDY_ENOMEM, "out of memory for the weights of %zu parameters", n);
    float *master = weights_block(w)->master;
    if (params)
        memcpy(master, params, n * sizeof(float));
    else
        model_init(model, seed, master);
    memset(master + n, 0, 2 * n * sizeof(float)); /* moment and variance */
    memcpy(master + 3 * n, master, n * sizeof(float));
    weights_pack_all(model, w);
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

/* A block of base's family, for the caller alone; *differs: networks whose arrays may not be base's, a bit each. */
static struct weights_block *weights_follow(const struct weights_block *base, unsigned *differs)
{
    const struct weights *w = &base->weights;
    const struct weights_sizes sizes = {w->n_params, base->n_packed, w->n_networks, w->n_tensors};
    struct weights_block *b = atomic_exchange(&base->family->spare, NULL);
    if (!b) {
        *differs = ~0u;
        struct weights *fresh = weights_new(&sizes, base->family);
        return fresh ? weights_block(fresh) : NULL;
    }
    *differs = b->moved | base->moved;
    atomic_init(&b->refs, 1);
    (void)atomic_fetch_add_explicit(&b->family->refs, 1, memory_order_relaxed);
    return b;
}

struct weights *weights_next(const struct model *model, const struct weights *base)
{
    unsigned differs;
    const struct weights_block *from = weights_block((struct weights *)(uintptr_t)base); /* only read */
    struct weights_block *b = weights_follow(from, &differs);
    if (!b) return NULL;
    for (int k = 0; k < model->n; k++) {
        const struct model_slice *s = &model->slices[k], *next = k + 1 < model->n ? s + 1 : NULL;
        if (!(differs >> k & 1)) continue;
        const size_t n_packed = (next ? next->first_packed : from->n_packed) - s->first_packed,
                     n_params = (next ? next->first_param : base->n_params) - s->first_param;
        memcpy(b->packed + s->first_packed, from->packed + s->first_packed, n_packed * sizeof(float));
        for (size_t array = 0; array < 4; array++) {
            const size_t first = array * base->n_params + s->first_param;
            memcpy(b->master + first, from->master + first, n_params * sizeof(float));
        }
    }
    memcpy(b->progress, from->progress, sizeof(b->progress));
    memcpy(b->health, from->health, (size_t)base->n_tensors * sizeof(*b->health));
    b->moved = from->moved;
    b->weights.version = base->version + 1;
    return &b->weights;
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
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1) return;
    struct weights_family *family = b->family;
    free(atomic_exchange(&family->spare, b));
    if (atomic_fetch_sub_explicit(&family->refs, 1, memory_order_acq_rel) != 1) return;
    free(atomic_exchange(&family->spare, NULL));
    free(family);
}
