/* How rows leave memory.  A touch moves nothing: it would have to reach for the rows before and behind in the list, of which
 * neither is in a cache.  It marks the row instead, and a marked one that has come to the old end goes round once more
 * without its mark (a second chance, as the CLOCK algorithm gives it), so that keys leave that have not been used since
 * they came into memory or last stood there. */
#include <assert.h>

#include "engine/state/keyspace_private.h"

/* Makes the store agree with a dirty key. */
static eddy_status row_save(struct keyspace *ks, struct key_row *r, struct eddy_error *err)
{
    const struct stored_row stored = save_as_stored(ks, r);
    eddy_status rc = r->state & ROW_GONE ? store_delete_row(ks->store, r->key, r->key_len, err)
                                         : store_put_row(ks->store, &stored, err);
    if (rc < 0) return rc;
    r->state = (r->state & ~(uint32_t)ROW_DIRTY) | ROW_STORED;
    ks->n_dirty--;
    return EDDY_OK;
}

eddy_status keyspace_evict(struct keyspace *ks, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    int64_t keep = ks->shrink ? 0 : ks->max_resident;
    if (!ks->store) return EDDY_OK;

    while (ks->oldest && ks->slots.n_used > keep && !(ks->oldest->state & ROW_TOUCHED)) {
        struct key_row *r = ks->oldest;
        if (r->state & ROW_AGAIN) {
            r->state &= ~(uint32_t)ROW_AGAIN;
            use_unlink(ks, r);
            use_link(ks, r);
            continue;
        }
        if (ks->storage)
            rc = save_before_leaving(ks, r, err);
        else if (r->state & ROW_DIRTY)
            rc = row_save(ks, r, err);
        if (rc < 0) break;
        if (!(r->state & ROW_GONE)) ks->stats.evicted++;
        row_retire(ks, r);
    }
    if (ks->shrink && !ks->slots.n_used) {
        keytable_free(&ks->table);
        slab_release(&ks->slots);
        undo_free(&ks->undo);
        ks->shrink = false;
    }
    if (undo_is_empty(&ks->undo)) batch_begin(ks);
    return rc;
}

void keyspace_set_max_resident(struct keyspace *ks, int64_t keys)
{
    ks->max_resident = keys;
    ks->shrink = ks->store && keys < (int64_t)ks->slots.n_fresh / 2 && ks->slots.n_used > keys;
}

eddy_status keyspace_flush(struct keyspace *ks, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    assert(undo_is_empty(&ks->undo)); /* in the middle of a batch it would write what may yet be taken back */
    if (!ks->store) return EDDY_OK;
    if (ks->storage) return save_flush(ks, err);
    for (uint32_t slot = 0; slot < ks->slots.n_fresh && ks->n_dirty && rc == EDDY_OK; slot++) {
        struct key_row *r = row_of_slot(ks, slot);
        if (!(r->state & ROW_USED) || !(r->state & ROW_DIRTY)) continue;
        rc = row_save(ks, r, err);
        if (rc == EDDY_OK && r->state & ROW_GONE) row_retire(ks, r);
    }
    batch_begin(ks);
    return rc;
}

int64_t keyspace_sweep(struct keyspace *ks, int64_t before, struct eddy_error *err)
{
    int64_t n = 0, stored = 0;
    eddy_status rc = EDDY_OK;
    assert(undo_is_empty(&ks->undo) && !ks->storage);

    for (struct key_row *r = ks->newest, *next; r && rc == EDDY_OK; r = next) {
        next = r->older;
        if (r->state & ROW_GONE || r->time_ns >= before) continue;
        if (r->state & ROW_STORED) rc = store_delete_row(ks->store, r->key, r->key_len, err);
        if (rc < 0) break;
        row_retire(ks, r);
        n++;
    }
    /* What the store knows of resident keys may be old: it learns the newest before it judges by time. */
    if (rc == EDDY_OK) rc = keyspace_flush(ks, err);
    if (rc == EDDY_OK && ks->store) stored = store_sweep(ks->store, before, err);
    batch_begin(ks);
    ks->stats.expired += n + (stored > 0 ? stored : 0);
    return rc < 0 ? rc : stored < 0 ? stored : n + stored;
}
