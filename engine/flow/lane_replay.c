/* Past windows that are trained on once more: the pool they are drawn from, and the order in which a job sees them.
 *
 *   pool      the last train.replay_windows of those fresh windows that were admitted; an epoch's enter it in offset order
 *             when the epoch is closed, the n-th one ever with probability
 *                 p = min(1, replay_windows / min(n, replay_span))
 *             So the pool is an even sample of the last replay_span fresh windows of all keys (before there are so many:
 *             of most of those so far), in memory that does not grow.
 *   draws     round(train.replay x fresh windows) of an epoch's job, with replacement, from the pool as it was before
 *   order     one batch of fresh windows, then its share of replayed ones, and so on
 *
 * A window goes into the pool as it was cut: its first state and its labels are those of then.  Choices are drawn from
 * seed, offset and epoch alone, so a replay of the stream makes the same ones.
 *
 * Batches   blocks in the pool are never written to; a batch only appends, lane_abort() takes that back and
 *           lane_commit() frees what has fallen out of the pool. */
#include <stdlib.h>
#include <string.h>

#include "engine/flow/blob.h"
#include "engine/flow/lane_private.h"

enum { REPLAY_FORMAT = 1 };

static const uint64_t ADMIT = 0x61646d6974u, DRAW = 0x64726177u; /* purposes of random numbers */

static eddy_status replay_no_memory(const struct lane *l, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory for replayed windows", l->topic,
                     (int)l->request.partition);
}

/* Blocks that count; older ones wait for the commit. */
static int replay_size(const struct lane *l)
{
    const int64_t most = l->plan->settings->train.replay_windows;
    return l->replay.n < most ? l->replay.n : (int)most;
}

static bool replay_admits(const struct lane *l, const struct lane_window *w)
{
    const struct train_settings *t = &l->plan->settings->train;
    const uint64_t draw = eddy_random_bits((uint64_t)l->plan->settings->seed ^ ADMIT,
                                           (uint64_t)w->offset * (uint64_t)l->plan->n_channels +
                                               (uint64_t)w->channel);
    const int64_t among = l->replay.seen < t->replay_span ? l->replay.seen : t->replay_span;
    return among <= t->replay_windows || draw % (uint64_t)among < (uint64_t)t->replay_windows;
}

/* Appends a copy. */
static eddy_status replay_push(struct lane *l, const float *block, struct eddy_error *err)
{
    struct lane_replay *pool = &l->replay;
    const size_t bytes = lane_window_floats(l->plan) * sizeof(float);
    if (pool->n == pool->cap) {
        const int cap = pool->cap ? 2 * pool->cap : 64;
        float **grown = realloc(pool->item, (size_t)cap * sizeof(*grown));
        if (!grown) return replay_no_memory(l, err);
        pool->item = grown;
        pool->cap = cap;
    }
    float *copy = l->n_spare > 0 ? l->spare[--l->n_spare] : malloc(bytes);
    if (!copy) return replay_no_memory(l, err);
    memcpy(copy, block, bytes);
    pool->item[pool->n++] = copy;
    return EDDY_OK;
}

eddy_status lane_replay_admit(struct lane *l, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    if (!(l->plan->settings->train.replay > 0)) return rc;
    for (int i = 0; i < l->windows.n && rc >= 0; i++) {
        l->replay.seen++;
        if (replay_admits(l, &l->windows.item[i])) rc = replay_push(l, l->windows.item[i].block, err);
    }
    return rc;
}

int lane_replay_most(const struct plan *p)
{
    const struct train_settings *t = &p->settings->train;
    return (int)((double)t->windows * (1 + t->replay) + 0.5) + 1;
}

int lane_replay_mix(const struct lane *l, int64_t boundary, const float **blocks)
{
    const struct train_settings *t = &l->plan->settings->train;
    const int size = replay_size(l), fresh = l->windows.n;
    const float *const *pool = (const float *const *)l->replay.item + (l->replay.n - size);
    const uint64_t seed = eddy_random_bits((uint64_t)l->plan->settings->seed ^ DRAW, (uint64_t)boundary);
    int n = 0, drawn = 0;
    for (int i = 0; i < fresh; i++) {
        blocks[n++] = l->windows.item[i].block;
        if (size == 0 || ((i + 1) % t->batch != 0 && i + 1 < fresh)) continue;
        const int due = (int)((double)(i + 1) * t->replay + 0.5);
        for (; drawn < due; drawn++) blocks[n++] = pool[eddy_random_bits(seed, (uint64_t)drawn) % (uint64_t)size];
    }
    return n;
}

/* ---- batches ---- */

void lane_replay_commit(struct lane *l)
{
    const int size = replay_size(l), old = l->replay.n - size;
    for (int i = 0; i < old; i++) lane_drop_window(l, l->replay.item[i]);
    if (old > 0) memmove(l->replay.item, l->replay.item + old, (size_t)size * sizeof(*l->replay.item));
    l->replay.n = size;
}

void lane_replay_abort(struct lane *l)
{
    while (l->replay.n > l->mark.n_replay) lane_drop_window(l, l->replay.item[--l->replay.n]);
    l->replay.seen = l->mark.replay_seen;
}

void lane_replay_close(struct lane *l)
{
    for (int i = 0; i < l->replay.n; i++) free(l->replay.item[i]);
    free(l->replay.item);
}

/* ---- checkpoints ---- */

eddy_status lane_replay_blob(const struct lane *l, struct eddy_buffer *b)
{
    const size_t floats = lane_window_floats(l->plan);
    eddy_status rc = blob_u32(b, REPLAY_FORMAT, EDDY_OK);
    rc = blob_u64(b, floats, rc);
    rc = blob_i64(b, l->replay.seen, rc);
    rc = blob_u32(b, (uint32_t)l->replay.n, rc);
    for (int i = 0; i < l->replay.n; i++) rc = blob_floats(b, l->replay.item[i], floats, rc);
    return rc;
}

static eddy_status replay_read(struct lane *l, struct blob_reader *r, bool *good, struct eddy_error *err)
{
    uint64_t floats = 0;
    int64_t seen = 0;
    uint32_t n = 0;
    eddy_status rc = EDDY_OK;
    *good = blob_get_u64(r, &floats) && blob_get_i64(r, &seen) && seen >= 0 && blob_get_u32(r, &n);
    if (*good && floats != lane_window_floats(l->plan)) return EDDY_OK; /* other windows now: these are of no use */
    l->replay.seen = seen;
    for (uint32_t i = 0; *good && rc >= 0 && i < n; i++) {
        *good = blob_get_floats(r, l->gathered, (size_t)floats);
        if (*good) rc = replay_push(l, l->gathered, err);
    }
    if (rc >= 0) lane_replay_commit(l); /* the pool may have been larger then */
    return rc;
}

eddy_status lane_replay_restore(struct lane *l, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    uint32_t format = 0;
    if (!(l->plan->settings->train.replay > 0)) return EDDY_OK;
    eddy_status rc = store_get_meta(l->store, "replay", &b, err);
    if (rc == EDDY_ENOTFOUND) return EDDY_OK; /* a checkpoint from before there was a pool, or without one */
    struct blob_reader reader = {b.data, b.len};
    bool good = rc >= 0 && blob_get_u32(&reader, &format) && format > 0;
    if (good && format > REPLAY_FORMAT) rc = blob_newer("replay", format, REPLAY_FORMAT, err);
    if (rc >= 0 && good) rc = replay_read(l, &reader, &good, err);
    if (rc >= 0 && !good)
        rc = eddy_fail(err, EDDY_ECORRUPT, "%s[%d]: the stored windows to replay are damaged", l->topic,
                       (int)l->request.partition);
    eddy_buffer_free(&b);
    return rc;
}
