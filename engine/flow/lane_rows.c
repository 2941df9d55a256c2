/* The rows of a turn: how many events it takes, each event's row, and the waves in which no key is twice.
 *
 * Rows that are too long for the cache to hold all of a turn's are taken in blocks: all waves of the first few keys, then
 * those of the next ones.  Results do not depend on the order among keys. */
#include <string.h>

#include "engine/flow/lane_private.h"

/* The partition's clock is its newest event time, but a jump by more than half a ttl counts only when LANE_CONFIRM
 * events in a row confirm it: one broken clock among the keys, even the first, forgets nobody.  Returns the time before
 * which a key has been idle for too long. */
static int64_t lane_tick(struct lane *l, int64_t time_ns)
{
    enum { LANE_CONFIRM = 16 };
    struct lane_clock *c = &l->clock;
    int64_t ttl = l->plan->settings->state.ttl;
    bool jump = c->now == EDDY_NO_TIME ||
                (time_ns > c->now && (uint64_t)time_ns - (uint64_t)c->now > (uint64_t)ttl / 2);
    if (!jump) {
        if (time_ns > c->now) c->now = time_ns;
        c->n_ahead = 0;
    } else {
        if (c->n_ahead == 0 || time_ns < c->ahead) c->ahead = time_ns;
        if (++c->n_ahead >= LANE_CONFIRM) *c = (struct lane_clock){.now = c->ahead};
    }
    return lane_expired_before(c, ttl);
}

int64_t lane_expired_before(const struct lane_clock *c, int64_t ttl)
{
    return ttl > 0 && c->now != EDDY_NO_TIME && c->now >= INT64_MIN + 1 + ttl ? c->now - ttl : INT64_MIN;
}

/* A turn goes over its rows several times (undo log, judging, the networks' step, forecasts): as many different ones as
 * the second cache holds with their copies, but no fewer than make a good batch for the networks. */
int lane_most_rows(const struct plan *p)
{
    enum { LEAST_ROWS = 64 };
    const size_t CACHE_BYTES = (size_t)1 << 19, most = CACHE_BYTES / (2 * p->layout.copied_bytes + 1);
    return most < LEAST_ROWS ? LEAST_ROWS : most > INT32_MAX ? INT32_MAX : (int)most;
}

/* Keys whose rows stay in the second cache from one of their events to the next. */
static int lane_block_rows(const struct lane *l)
{
    const size_t BLOCK_BYTES = (size_t)1 << 20, most = BLOCK_BYTES / (l->plan->layout.row_bytes + 1);
    return most < 1 ? 1 : most > INT32_MAX ? INT32_MAX : (int)most;
}

/* Of the events from `from` on, up to `to`, which it returns; the table's entries are on their way then. */
static int hash_keys(struct lane *l, const struct lane_event *events, int from, int to)
{
    for (int i = from; i < to; i++) {
        if (events[i].kind == LANE_SKIP) continue;
        l->items[i].hash = keyspace_hash(events[i].event.key, events[i].event.key_len);
        keyspace_prefetch(l->keys, l->items[i].hash);
    }
    return to;
}

eddy_status lane_find_rows(struct lane *l, const struct lane_event *events, int n, int64_t until, int *n_waves,
                           struct eddy_error *err)
{
    enum { AHEAD = 24, ROWS_AHEAD = 8 };
    const int most_rows = lane_most_rows(l->plan), block_rows = lane_block_rows(l);
    int n_rows = 0, taken = 0, n_hashed = 0;
    *n_waves = 0;
    for (; taken < n && n_rows < most_rows; taken++) {
        const int i = taken;
        struct lane_item *item = &l->items[i];
        if (i > 0 && (events[i].kind == LANE_FORGET || events[i].offset >= until)) break;
        n_hashed = hash_keys(l, events, n_hashed, i + AHEAD < n ? i + AHEAD : n);
        if (i + ROWS_AHEAD < n && events[i + ROWS_AHEAD].kind != LANE_SKIP)
            keyspace_prefetch_row(l->keys, l->items[i + ROWS_AHEAD].hash);
        item->row = NULL;
        item->wave = 0;
        item->stepped = false;
        if (events[i].kind == LANE_SKIP) {
            item->expired_before = lane_expired_before(&l->clock, l->plan->settings->state.ttl);
            continue;
        }

        const struct eddy_event *e = &events[i].event;
        eddy_status rc = keyspace_get(l->keys, item->hash, e->key, e->key_len, &item->row, err);
        if (rc < 0) return rc;
        if (events[i].offset < item->row->next_off)
            return eddy_fail(err, EDDY_ECORRUPT,
                             "%s[%d]: key \"%.*s\" was folded up to offset %lld, but offset %lld comes again",
                             l->topic, (int)l->request.partition, (int)e->key_len, e->key,
                             (long long)item->row->next_off, (long long)events[i].offset);
        const struct lane_item *before = item->row->work > 0 ? &l->items[item->row->work - 1] : NULL;
        item->wave = before ? before->wave + 1 : 0;
        item->block = before ? before->block : n_rows++ / block_rows;
        item->row->work = (uint32_t)i + 1;
        if (item->wave >= *n_waves) *n_waves = item->wave + 1;
        item->expired_before = lane_tick(l, e->time_ns);
        if (l->silence) rc = lane_silence_event(l, &events[i], item->hash, err);
        if (rc < 0) return rc;
    }
    for (int i = 0; i < taken; i++)
        if (l->items[i].row) l->items[i].row->work = 0;
    return taken;
}

/* Counting sort by wave: order [n], and where each wave begins in it. */
static void sort_by_wave(struct lane *l, int n, int n_waves)
{
    memset(l->wave_first, 0, (size_t)(n_waves + 1) * sizeof(*l->wave_first));
    for (int i = 0; i < n; i++)
        if (l->items[i].row) l->wave_first[l->items[i].wave + 1]++;
    for (int w = 0; w < n_waves; w++) l->wave_first[w + 1] += l->wave_first[w];
    for (int i = 0; i < n; i++)
        if (l->items[i].row) l->order[l->wave_first[l->items[i].wave]++] = i;
    for (int w = n_waves; w > 0; w--) l->wave_first[w] = l->wave_first[w - 1];
    l->wave_first[0] = 0;
}

/* What is in order of waves also by blocks, block by block: there are few. */
static int sort_by_block(struct lane *l, int n_sorted, int n_blocks)
{
    int n = 0, n_waves = 0;
    memcpy(l->by_wave, l->order, (size_t)n_sorted * sizeof(*l->order));
    for (int block = 0; block < n_blocks; block++) {
        int wave = -1;
        for (int k = 0; k < n_sorted; k++) {
            const struct lane_item *item = &l->items[l->by_wave[k]];
            if (item->block != block) continue;
            if (item->wave != wave) l->wave_first[n_waves++] = n;
            wave = item->wave;
            l->order[n++] = l->by_wave[k];
        }
    }
    l->wave_first[n_waves] = n;
    return n_waves;
}

/* No key is twice: what has a row is in order. */
static void take_one_wave(struct lane *l, int n, int n_waves)
{
    int n_taken = 0;
    for (int i = 0; i < n; i++)
        if (l->items[i].row) l->order[n_taken++] = i;
    l->wave_first[0] = 0;
    l->wave_first[n_waves] = n_taken;
}

int lane_sort_waves(struct lane *l, int n, int n_waves)
{
    int n_blocks = 0;
    if (n_waves < 2) {
        take_one_wave(l, n, n_waves);
        return n_waves;
    }
    sort_by_wave(l, n, n_waves);
    for (int i = 0; i < n; i++)
        if (l->items[i].row && l->items[i].block >= n_blocks) n_blocks = l->items[i].block + 1;
    if (n_blocks < 2) return n_waves;
    return sort_by_block(l, l->wave_first[n_waves], n_blocks);
}
