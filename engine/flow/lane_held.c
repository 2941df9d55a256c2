/* Windows held out: a candidate is judged by the last LANE_HELD_MOST of them, of the last HELD_EPOCHS epochs, against the
 * weights that it comes from (judge.h).  Of few keys there may be none: then all that are finite are adopted.
 *
 * Neighbouring windows share most of their events, so not windows are drawn but stretches of a series: one in HELD_SHARE,
 * HELD_STRETCH windows long, by seed, key, value and place alone.  A window that lies in such stretches is held out, one that
 * lies outside is trained on, and one in between is neither: no event of a window held out is ever trained on
 * (but those before train.champion was on, if the window reaches back so far).
 * Longer stretches lose fewer windows, but come more rarely: those held out would be of another time than the candidate. */
#include <string.h>

#include "engine/flow/blob.h"
#include "engine/flow/lane_private.h"

enum { HELD_FORMAT = 2, HELD_SHARE = 8, HELD_STRETCH = 2, HELD_EPOCHS = 32 };

static const uint64_t HOLD = 0x686f6c64u; /* purpose of random numbers */

bool lane_held_draw(const struct lane *l, const struct key_row *r, int channel, uint64_t *rank)
{
    const struct plan *p = l->plan;
    if (!(p->settings->train.champion > 0)) return true;
    const int64_t end = lane_steps(l, r)[channel], first = end > p->n_steps ? end - p->n_steps : 0;
    const int64_t stretch = (int64_t)HELD_STRETCH * p->n_steps;
    const uint64_t seed = (uint64_t)p->settings->seed ^ HOLD;
    const uint64_t series = eddy_random_bits(keyspace_hash(r->key, r->key_len) ^ seed, (uint64_t)channel);
    const bool held = eddy_random_bits(series, (uint64_t)(first / stretch)) % HELD_SHARE == 0;
    *rank = (*rank & ~1ull) | held;
    return held == (eddy_random_bits(series, (uint64_t)((end - 1) / stretch)) % HELD_SHARE == 0);
}

eddy_status lane_held_take(struct lane *l, int64_t boundary, struct eddy_error *err)
{
    int kept = 0;
    eddy_status rc = EDDY_OK;
    if (!(l->plan->settings->train.champion > 0)) return rc;
    for (int i = 0; i < l->windows.n; i++) {
        const struct lane_window w = l->windows.item[i];
        if (rc < 0 || !(w.rank & 1)) {
            l->windows.item[kept++] = w;
            continue;
        }
        rc = lane_pool_push(l, &l->held, w.block, boundary, err);
        lane_drop_window(l, w.block);
    }
    l->windows.n = kept;
    return rc;
}

const float *const *lane_held_recent(const struct lane *l, int64_t boundary, int *n)
{
    int64_t recent = 0;
    while (recent < l->held.n && l->held.epoch[l->held.n - 1 - recent] > boundary - HELD_EPOCHS) recent++;
    return lane_pool_last(&l->held, recent < LANE_HELD_MOST ? recent : LANE_HELD_MOST, n);
}

eddy_status lane_held_blob(const struct lane *l, struct eddy_buffer *b)
{
    eddy_status rc = lane_pool_put(l, &l->held, b, blob_u32(b, HELD_FORMAT, EDDY_OK));
    for (int i = 0; i < l->held.n; i++) rc = blob_i64(b, l->held.epoch[i], rc);
    return rc;
}

static eddy_status held_get(struct lane *l, struct blob_reader *r, bool *good, struct eddy_error *err)
{
    const eddy_status rc = lane_pool_get(l, &l->held, r, good, err);
    for (int i = 0; i < l->held.n && *good && rc >= 0; i++) *good = blob_get_i64(r, &l->held.epoch[i]);
    return rc;
}

eddy_status lane_held_restore(struct lane *l, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    uint32_t format = 0;
    if (!(l->plan->settings->train.champion > 0)) return EDDY_OK;
    eddy_status rc = store_get_meta(l->store, "held", &b, err);
    if (rc == EDDY_ENOTFOUND) return EDDY_OK; /* nothing was held out then */
    struct blob_reader reader = {b.data, b.len};
    bool good = rc >= 0 && blob_get_u32(&reader, &format) && format > 0;
    if (good && format > HELD_FORMAT) rc = blob_newer("held", format, HELD_FORMAT, err);
    if (rc >= 0 && good && format == HELD_FORMAT) rc = held_get(l, &reader, &good, err); /* 1: trained on in part */
    if (rc >= 0 && !good)
        rc = eddy_fail(err, EDDY_ECORRUPT, "%s[%d]: the stored windows that were held out are damaged", l->topic,
                       (int)l->request.partition);
    eddy_buffer_free(&b);
    return rc;
}
