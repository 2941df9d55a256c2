/* Windows held out: one in HELD_SHARE of those that an epoch has, chosen by seed, offset and value alone, is never trained
 * on; a candidate is judged by the last LANE_HELD_MOST of them against the weights that it comes from (judge.h). */
#include <string.h>

#include "engine/flow/blob.h"
#include "engine/flow/lane_private.h"

enum { HELD_FORMAT = 1, HELD_SHARE = 8 };

static const uint64_t HOLD = 0x686f6c64u; /* purpose of random numbers */

static bool held_wants(const struct lane *l, const struct lane_window *w)
{
    return lane_window_draw(l, w, HOLD) % HELD_SHARE == 0;
}

eddy_status lane_held_take(struct lane *l, struct eddy_error *err)
{
    int kept = 0;
    eddy_status rc = EDDY_OK;
    if (!(l->plan->settings->train.champion > 0)) return rc;
    for (int i = 0; i < l->windows.n; i++) {
        const struct lane_window w = l->windows.item[i];
        if (rc < 0 || !held_wants(l, &w)) {
            l->windows.item[kept++] = w;
            continue;
        }
        rc = lane_pool_push(l, &l->held, w.block, err);
        lane_drop_window(l, w.block);
    }
    l->windows.n = kept;
    return rc;
}

eddy_status lane_held_blob(const struct lane *l, struct eddy_buffer *b)
{
    return lane_pool_put(l, &l->held, b, blob_u32(b, HELD_FORMAT, EDDY_OK));
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
    if (rc >= 0 && good) rc = lane_pool_get(l, &l->held, &reader, &good, err);
    if (rc >= 0 && !good)
        rc = eddy_fail(err, EDDY_ECORRUPT, "%s[%d]: the stored windows that were held out are damaged", l->topic,
                       (int)l->request.partition);
    eddy_buffer_free(&b);
    return rc;
}
