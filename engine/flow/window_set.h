/* Training windows of a whole history, gathered from its lanes as their epochs end: what `eddy train` learns from.
 *
 * Size    at most `most_bytes`; beyond it every second window goes, chosen by rank, and from then on every second one that
 *         comes, and so on: an even sample that does not depend on the order of the lanes.
 * Order   window_set_sort(): by topic and partition, offset, channel.
 * Threads one. */
#ifndef ENGINE_FLOW_WINDOW_SET_H
#define ENGINE_FLOW_WINDOW_SET_H

#include "engine/flow/plan.h"

struct window_set_item {
    int lane; /* number of its topic and partition, in the order of their first windows; after a sort in their own */
    uint64_t rank;
    int64_t offset;
    int channel;
    float *block; /* [floats] as lane_cut_windows() lays it out */
};

struct window_set {
    size_t most_bytes, floats;
    uint64_t below; /* ranks that count; UINT64_MAX at first */
    int64_t n, cap;
    struct window_set_item *item;
    int n_lanes;
    struct window_set_lane {
        char *topic;
        int32_t partition;
    } * lanes;
    struct eddy_buffer values; /* names of the values, with commas between, NUL-terminated; of the first lane */
};

eddy_status window_set_add(struct window_set *, const struct plan *, const char *topic, int32_t partition,
                           const struct window_set_item *, struct eddy_error *); /* block is copied */
void window_set_sort(struct window_set *);
void window_set_free(struct window_set *); /* {0} is fine */

#endif
