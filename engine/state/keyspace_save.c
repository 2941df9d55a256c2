#include <assert.h>

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/failpoint.h"
#include "engine/state/keyspace_private.h"

enum { WAIT_ROWS = 1 << 16 };

/* ---- open and close ---- */

static eddy_status close_run(struct storage_job *job, struct eddy_error *err)
{
    (void)err;
    close(((struct close_job *)(void *)job)->fd);
    return EDDY_OK;
}
_Static_assert(offsetof(struct close_job, job) == 0, "close_run() finds the file so");

static eddy_status save_run(struct storage_job *, struct eddy_error *);

void keyspace_go_background(struct keyspace *ks, struct storage *storage)
{
    assert(store_can_follow(ks->store) && ks->n_dirty == 0);
    ks->storage = storage;
    ks->readable = !store_is_new(ks->store);
    side_log_open(&ks->active, store_file(ks->store), ks->layout->row_bytes);
    side_log_open(&ks->frozen, store_file(ks->store), ks->layout->row_bytes);
    ks->job.run = save_run;
    ks->closing.job.run = close_run;
}

bool keyspace_in_background(const struct keyspace *ks)
{
    return ks->storage != NULL;
}

void save_close(struct keyspace *ks)
{
    if (!ks->storage) return;
    storage_cancel(ks->storage, &ks->job);
    (void)storage_wait(ks->storage, &ks->closing.job, -1, NULL);
    side_log_close(&ks->active);
    side_log_close(&ks->frozen);
    store_close(ks->reader);
    free(ks->dirty);
    free(ks->cut);
}

size_t save_memory(const struct keyspace *ks)
{
    if (!ks->storage) return 0;
    return side_log_memory(&ks->active) + side_log_memory(&ks->frozen) + 2 * ks->n_words * sizeof(*ks->dirty);
}

/* ---- rows ---- */

eddy_status save_room(struct keyspace *ks, uint32_t slot)
{
    const uint32_t need = slot / 64 + 1;
    if (need <= ks->n_words) { /* whatever used the slot before left its bits */
        ks->dirty[slot >> 6] &= ~(UINT64_C(1) << (slot & 63));
        ks->cut[slot >> 6] &= ~(UINT64_C(1) << (slot & 63));
        return EDDY_OK;
    }
    const uint32_t words = need < 64 ? 64 : need + need / 8;
    uint64_t *dirty = realloc(ks->dirty, words * sizeof(*dirty));
    if (dirty) ks->dirty = dirty;
    uint64_t *cut = realloc(ks->cut, words * sizeof(*cut));
    if (cut) ks->cut = cut;
    if (!dirty || !cut) return EDDY_ENOMEM;
    memset(dirty + ks->n_words, 0, (words - ks->n_words) * sizeof(*dirty));
    memset(cut + ks->n_words, 0, (words - ks->n_words) * sizeof(*cut));
    ks->n_words = words;
    return EDDY_OK;
}

void save_note_dirty(struct keyspace *ks, const struct key_row *r)
{
    ks->dirty[r->slot >> 6] |= UINT64_C(1) << (r->slot & 63);
}

struct stored_row save_as_stored(const struct keyspace *ks, const struct key_row *r)
{
    return (struct stored_row){.key = r->key,
                               .key_len = r->key_len,
                               .next_off = r->next_off,
                               .time_ns = r->time_ns,
                               .count = r->count,
                               .flags = r->flags,
                               .row = r->row,
                               .row_bytes = ks->layout->row_bytes};
}

static void row_is_clean(struct keyspace *ks, struct key_row *r, uint32_t log_number)
{
    r->state &= ROW_LOG_MASK & ~(uint32_t)ROW_DIRTY;
    r->state |= ROW_STORED | ROW_LOGGED | log_number << ROW_LOG_SHIFT;
    ks->n_dirty--;
    ks->n_dirty_before--; /* it was dirty before the batch as well: what the batch touches is in no cut */
}

/* A row that was dirty at the cut and has not been touched since: its bit goes out. */
static bool cut_take(struct keyspace *ks, const struct key_row *r)
{
    if (!bit_is_set(ks->cut, r->slot)) return false;
    ks->cut[r->slot >> 6] &= ~(UINT64_C(1) << (r->slot & 63));
    return (r->state & ROW_DIRTY) != 0;
}

static void cut_put_back(struct keyspace *ks, const struct key_row *r)
{
    ks->cut[r->slot >> 6] |= UINT64_C(1) << (r->slot & 63);
}

eddy_status save_before_change(struct keyspace *ks, struct key_row *r, struct eddy_error *err)
{
    if (!cut_take(ks, r)) return EDDY_OK;
    const struct stored_row stored = save_as_stored(ks, r);
    eddy_status rc = side_log_append(&ks->frozen, &stored, (r->state & ROW_GONE) != 0, true, err);
    if (rc < 0)
        cut_put_back(ks, r);
    else if (!(r->state & ROW_GONE)) /* one that is gone stays dirty, so that it leaves with the next cut */
        row_is_clean(ks, r, ks->log_number - 1);
    else
        save_note_dirty(ks, r);
    return rc;
}

/* A log that no checkpoint holds yet has the row, but not in its index. */
static bool row_is_in_log(const struct keyspace *ks, const struct key_row *r)
{
    const uint32_t number = r->state >> ROW_LOG_SHIFT;
    if (!(r->state & ROW_LOGGED)) return false;
    return number == (ks->log_number & ROW_LOG_MASK) ||
           (ks->saving != SAVE_NONE && number == ((ks->log_number - 1) & ROW_LOG_MASK));
}

eddy_status save_before_leaving(struct keyspace *ks, struct key_row *r, struct eddy_error *err)
{
    const bool in_cut = cut_take(ks, r);
    if (!(r->state & ROW_DIRTY) && !row_is_in_log(ks, r)) return EDDY_OK;
    const struct stored_row stored = save_as_stored(ks, r);
    eddy_status rc = side_log_put(in_cut ? &ks->frozen : &ks->active, r->hash, &stored, (r->state & ROW_GONE) != 0,
                                  err);
    if (rc < 0 && in_cut) cut_put_back(ks, r);
    return rc;
}

static eddy_status find_in_log(struct side_log *log, uint64_t hash, const char *key, size_t key_len,
                               struct stored_row *out, struct eddy_error *err)
{
    bool gone = false;
    eddy_status rc = side_log_find(log, hash, key, key_len, out, &gone, err);
    return rc > 0 && gone ? EDDY_ENOTFOUND : rc;
}

eddy_status save_find(struct keyspace *ks, uint64_t hash, const char *key, size_t key_len, struct stored_row *out,
                      struct eddy_error *err)
{
    eddy_status rc = find_in_log(&ks->active, hash, key, key_len, out, err);
    if (rc == 0) rc = find_in_log(&ks->frozen, hash, key, key_len, out, err);
    if (rc != 0) return rc < 0 ? rc : EDDY_OK;
    if (!ks->readable) return EDDY_ENOTFOUND;
    if (!ks->reader) rc = store_open(store_file(ks->store), NULL, STORE_LATEST, &ks->reader, err);
    return rc < 0 ? rc : store_get_row(ks->reader, key, key_len, out, err);
}

/* ---- the storage thread's part ---- */

struct applying {
    struct store *store;
    const struct storage_job *job; /* NULL: nobody cancels it */
};

static eddy_status apply_record(void *context, const struct stored_row *r, bool gone, struct eddy_error *err)
{
    const struct applying *a = context;
    if (a->job && storage_unwanted(a->job))
        return eddy_fail(err, EDDY_EAGAIN, "the checkpoint is not wanted any more");
    return gone ? store_delete_row(a->store, r->key, r->key_len, err) : store_put_row(a->store, r, err);
}

/* The frozen log does not change meanwhile, and the loop leaves the store alone. */
static eddy_status save_run(struct storage_job *job, struct eddy_error *err)
{
    struct keyspace *ks = (struct keyspace *)(void *)((char *)job - offsetof(struct keyspace, job));
    struct applying applying = {ks->store, job};
    eddy_status rc = side_log_each(&ks->frozen, apply_record, &applying, err);
    if (rc >= 0 && ks->save.before != INT64_MIN) {
        const int64_t n = store_sweep(ks->store, ks->save.before, err);
        ks->swept += n > 0 ? n : 0;
        rc = n < 0 ? (eddy_status)n : EDDY_OK;
    }
    if (rc >= 0 && ks->save.finish) rc = ks->save.finish(ks->save.context, ks->store, err);
    if (rc < 0) return rc;
    FAILPOINT("before_store_commit");
    rc = store_commit(ks->store, err);
    FAILPOINT("after_store_commit");
    return rc;
}

/* ---- the loop's part ---- */

bool keyspace_saving(const struct keyspace *ks)
{
    return ks->saving != SAVE_NONE;
}

eddy_status keyspace_save_begin(struct keyspace *ks, const struct keyspace_save *save)
{
    assert(ks->storage && ks->saving == SAVE_NONE && undo_is_empty(&ks->undo));
    const struct side_log frozen = ks->frozen;
    ks->frozen = ks->active;
    ks->active = frozen; /* empty */
    ks->log_number++;
    uint64_t *const none = ks->cut; /* no bit is set: the last cut was copied to its end */
    ks->cut = ks->dirty;
    ks->dirty = none;
    ks->save = *save;
    ks->swept = 0;
    ks->cursor = 0;
    ks->saving = SAVE_COPYING;
    return EDDY_OK;
}

/* A row that has been idle for too long leaves memory with the cut; the store's sweep does the rest, unless what stands
 * there is not what was in memory. */
static eddy_status cut_expire(struct keyspace *ks, struct key_row *r, bool in_cut, struct eddy_error *err)
{
    if (in_cut && r->state & ROW_STORED) {
        const struct stored_row stored = save_as_stored(ks, r);
        const eddy_status rc = side_log_put(&ks->frozen, r->hash, &stored, true, err);
        if (rc < 0) return rc;
    } else if (!(r->state & ROW_STORED)) {
        ks->stats.expired++;
    }
    if (r->state & ROW_DIRTY) ks->n_dirty_before--;
    row_retire(ks, r);
    return EDDY_OK;
}

static eddy_status cut_copy(struct keyspace *ks, struct key_row *r, struct eddy_error *err)
{
    const bool gone = (r->state & ROW_GONE) != 0;
    const struct stored_row stored = save_as_stored(ks, r);
    /* One that leaves must be found: an older record of it may be in the index. */
    const eddy_status rc = gone ? side_log_put(&ks->frozen, r->hash, &stored, true, err)
                                : side_log_append(&ks->frozen, &stored, false, false, err);
    if (rc < 0) return rc;
    row_is_clean(ks, r, ks->log_number - 1);
    if (gone) {
        ks->n_gone_before--;
        row_retire(ks, r);
    }
    return EDDY_OK;
}

static eddy_status cut_row(struct keyspace *ks, struct key_row *r, struct eddy_error *err)
{
    const bool in_cut = cut_take(ks, r), changed = r->state & ROW_DIRTY && !in_cut;
    const bool expired = !(r->state & (ROW_GONE | ROW_TOUCHED)) && !changed && r->time_ns < ks->save.before;
    eddy_status rc = EDDY_OK;
    if (expired)
        rc = cut_expire(ks, r, in_cut, err);
    else if (in_cut)
        rc = cut_copy(ks, r, err);
    if (rc < 0 && in_cut) cut_put_back(ks, r);
    return rc;
}

/* Copies at most `rows` rows; true in *all when none is left.  A sweep looks at every row, else only bits are read. */
static eddy_status cut_slice(struct keyspace *ks, int rows, bool *all, struct eddy_error *err)
{
    const bool sweep = ks->save.before != INT64_MIN;
    const uint32_t end = ks->slots.n_fresh;
    for (; ks->cursor < end && rows > 0; ks->cursor++) {
        if (!sweep && !ks->cut[ks->cursor >> 6]) {
            ks->cursor |= 63;
            continue;
        }
        if (!sweep && !bit_is_set(ks->cut, ks->cursor)) continue;
        struct key_row *r = row_of_slot(ks, ks->cursor);
        if (!(r->state & ROW_USED)) continue;
        const eddy_status rc = cut_row(ks, r, err);
        if (rc < 0) return rc;
        rows--;
    }
    *all = ks->cursor >= end;
    return EDDY_OK;
}

/* Bits of slots that were given back lie in no row's way, but the next cut must begin without any. */
static void cut_end(struct keyspace *ks)
{
    if (ks->n_words) memset(ks->cut, 0, ks->n_words * sizeof(*ks->cut));
    ks->saving = SAVE_WRITING;
    storage_submit(ks->storage, &ks->job);
}

static void save_done(struct keyspace *ks)
{
    ks->saving = SAVE_NONE;
    ks->readable = true;
    ks->stats.expired += ks->swept;
    (void)storage_wait(ks->storage, &ks->closing.job, -1, NULL); /* it was submitted a whole checkpoint ago */
    const int fd = side_log_reset(&ks->frozen);
    if (fd < 0) return;
    ks->closing.fd = fd;
    storage_submit(ks->storage, &ks->closing.job);
}

static eddy_status save_poll(struct keyspace *ks, int timeout_ms, struct eddy_error *err)
{
    const eddy_status rc = storage_wait(ks->storage, &ks->job, timeout_ms, err);
    if (rc == EDDY_EAGAIN) return 0;
    if (rc == EDDY_EFULL) ks->saving = SAVE_STUCK;
    if (rc < 0) return rc;
    save_done(ks);
    return 1;
}

static eddy_status save_step(struct keyspace *ks, int rows, int timeout_ms, struct eddy_error *err)
{
    bool all = false;
    eddy_status rc = EDDY_OK;
    switch (ks->saving) {
    case SAVE_COPYING:
        rc = cut_slice(ks, rows, &all, err);
        if (rc >= 0 && all) cut_end(ks);
        return rc;
    case SAVE_STUCK:
        ks->saving = SAVE_WRITING;
        storage_submit(ks->storage, &ks->job);
        return 0;
    case SAVE_WRITING: return save_poll(ks, timeout_ms, err);
    default: return 1;
    }
}

eddy_status keyspace_save_step(struct keyspace *ks, int rows, struct eddy_error *err)
{
    return save_step(ks, rows, 0, err);
}

eddy_status keyspace_save_wait(struct keyspace *ks, struct eddy_error *err)
{
    eddy_status rc = 0;
    while (rc == 0) rc = save_step(ks, WAIT_ROWS, -1, err);
    return rc < 0 ? rc : EDDY_OK;
}

/* What the active log holds stays there, too: a checkpoint writes it again, and until then the rows are found in it. */
eddy_status save_flush(struct keyspace *ks, struct eddy_error *err)
{
    struct applying applying = {ks->store, NULL};
    eddy_status rc = keyspace_save_wait(ks, err);
    for (uint32_t slot = 0; rc >= 0 && ks->n_dirty > 0 && slot < ks->slots.n_fresh; slot++) {
        struct key_row *r = row_of_slot(ks, slot);
        if (!bit_is_set(ks->dirty, slot) || !(r->state & ROW_DIRTY)) continue;
        const bool gone = (r->state & ROW_GONE) != 0;
        const struct stored_row stored = save_as_stored(ks, r);
        rc = side_log_put(&ks->active, r->hash, &stored, gone,
                          err); /* in the index: it may be evicted and change again */
        if (rc < 0) break;
        row_is_clean(ks, r, ks->log_number);
        if (gone) row_retire(ks, r);
    }
    ks->n_dirty_before = ks->n_dirty;
    ks->n_gone_before = ks->n_gone;
    return rc < 0 ? rc : side_log_each(&ks->active, apply_record, &applying, err);
}
