/* Windows that outlive their epoch: those to replay (lane_replay.c) and those held out (lane_held.c).  Oldest first.
 *
 * Batches   blocks are never written to; a batch only appends, lane_abort() takes that back and lane_commit() frees what
 *           there is no room for any more. */
#include <stdlib.h>
#include <string.h>

#include "engine/flow/blob.h"
#include "engine/flow/lane_private.h"

eddy_status lane_pool_push(struct lane *l, struct lane_pool *pool, const float *block, int64_t epoch,
                           struct eddy_error *err)
{
    const size_t bytes = lane_window_floats(l->plan) * sizeof(float);
    if (pool->n == pool->cap) {
        const int cap = pool->cap ? 2 * pool->cap : 64;
        float **grown = realloc(pool->item, (size_t)cap * sizeof(*grown));
        if (grown) pool->item = grown;
        int64_t *epochs = realloc(pool->epoch, (size_t)cap * sizeof(*epochs));
        if (epochs) pool->epoch = epochs;
        if (!grown || !epochs) return lane_no_memory_for(l, "past training windows", err);
        pool->cap = cap;
    }
    float *copy = l->spare.n > 0 ? l->spare.item[--l->spare.n] : malloc(bytes);
    if (!copy) return lane_no_memory_for(l, "past training windows", err);
    memcpy(copy, block, bytes);
    pool->epoch[pool->n] = epoch;
    pool->item[pool->n++] = copy;
    return EDDY_OK;
}

const float *const *lane_pool_last(const struct lane_pool *pool, int64_t most, int *n)
{
    *n = pool->n < most ? pool->n : (int)most;
    return *n > 0 ? (const float *const *)pool->item + (pool->n - *n) : NULL;
}

void lane_pool_commit(struct lane *l, struct lane_pool *pool, int64_t most)
{
    const int size = pool->n < most ? pool->n : (int)most, old = pool->n - size;
    for (int i = 0; i < old; i++) lane_spare_window(l, pool->item[i]);
    if (old > 0) {
        memmove(pool->item, pool->item + old, (size_t)size * sizeof(*pool->item));
        memmove(pool->epoch, pool->epoch + old, (size_t)size * sizeof(*pool->epoch));
    }
    pool->n = size;
}

void lane_pool_abort(struct lane *l, struct lane_pool *pool, int n)
{
    while (pool->n > n) lane_spare_window(l, pool->item[--pool->n]);
}

void lane_pool_close(struct lane_pool *pool)
{
    for (int i = 0; i < pool->n; i++) free(pool->item[i]);
    free(pool->item);
    free(pool->epoch);
}

eddy_status lane_pool_put(const struct lane *l, const struct lane_pool *pool, struct eddy_buffer *b, eddy_status rc)
{
    const size_t floats = lane_window_floats(l->plan);
    rc = blob_u64(b, floats, rc);
    rc = blob_u32(b, (uint32_t)pool->n, rc);
    for (int i = 0; i < pool->n; i++) rc = blob_floats(b, pool->item[i], floats, rc);
    return rc;
}

eddy_status lane_pool_get(struct lane *l, struct lane_pool *pool, struct blob_reader *r, bool *good,
                          struct eddy_error *err)
{
    uint64_t floats = 0;
    uint32_t n = 0;
    eddy_status rc = EDDY_OK;
    *good = blob_get_u64(r, &floats) && blob_get_u32(r, &n);
    if (*good && floats != lane_window_floats(l->plan)) return EDDY_OK; /* other windows now: these are of no use */
    for (uint32_t i = 0; *good && rc >= 0 && i < n; i++) {
        *good = blob_get_floats(r, l->gathered, (size_t)floats);
        if (*good) rc = lane_pool_push(l, pool, l->gathered, 0, err);
    }
    return rc;
}
