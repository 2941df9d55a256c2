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
 * seed, offset and epoch alone, so a replay of the stream makes the same ones. */
#include "engine/flow/blob.h"
#include "engine/flow/lane_private.h"

enum { REPLAY_FORMAT = 1 };

static const uint64_t ADMIT = 0x61646d6974u, DRAW = 0x64726177u; /* purposes of random numbers */

static bool replay_admits(const struct lane *l, const struct lane_window *w)
{
    const struct train_settings *t = &l->plan->settings->train;
    const uint64_t draw = lane_window_draw(l, w, ADMIT);
    const int64_t among = l->replay_seen < t->replay_span ? l->replay_seen : t->replay_span;
    return among <= t->replay_windows || draw % (uint64_t)among < (uint64_t)t->replay_windows;
}

eddy_status lane_replay_admit(struct lane *l, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    if (!(l->plan->settings->train.replay > 0)) return rc;
    for (int i = 0; i < l->windows.n && rc >= 0; i++) {
        l->replay_seen++;
        if (replay_admits(l, &l->windows.item[i]))
            rc = lane_pool_push(l, &l->replay, l->windows.item[i].block, 0, err);
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
    const int fresh = l->windows.n;
    int size = 0;
    const float *const *pool = lane_pool_last(&l->replay, t->replay_windows, &size);
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

/* ---- checkpoints ---- */

eddy_status lane_replay_blob(const struct lane *l, struct eddy_buffer *b)
{
    const eddy_status rc = blob_i64(b, l->replay_seen, blob_u32(b, REPLAY_FORMAT, EDDY_OK));
    return lane_pool_put(l, &l->replay, b, rc);
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
    good = good && rc >= 0 && blob_get_i64(&reader, &l->replay_seen) && l->replay_seen >= 0;
    if (good) rc = lane_pool_get(l, &l->replay, &reader, &good, err);
    lane_pool_commit(l, &l->replay, l->plan->settings->train.replay_windows); /* it may have been larger then */
    if (rc >= 0 && !good)
        rc = eddy_fail(err, EDDY_ECORRUPT, "%s[%d]: the stored windows to replay are damaged", l->topic,
                       (int)l->request.partition);
    eddy_buffer_free(&b);
    return rc;
}
