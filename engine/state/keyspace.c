/* Batches of changes to keys in use: what a batch touches is in the undo log, with its header, until the batch is committed or
 * aborted.  Where rows lie is in keyspace_rows.c, how they leave memory in keyspace_leave.c. */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "eddy_codec.h"
#include "engine/state/keyspace_private.h"

eddy_status keyspace_open(const struct keyspace_request *q, struct keyspace **out, struct eddy_error *err)
{
    struct keyspace *ks = calloc(1, sizeof(*ks));
    if (!ks) return eddy_fail(err, EDDY_ENOMEM, "keys in memory: out of memory");
    ks->layout = q->layout;
    ks->store = q->store;
    ks->prepare = q->prepare;
    ks->unsound = q->unsound;
    ks->context = q->context;
    ks->max_resident = q->max_resident;
    undo_open(&ks->undo, q->layout->copied_bytes);
    slab_open(&ks->slots, SLOT_HEAD_BYTES + q->layout->row_bytes);

    *out = ks;
    return EDDY_OK;
}

void keyspace_close(struct keyspace *ks)
{
    if (!ks) return;
    save_close(ks);
    for (struct key_row *r = ks->long_key_bytes ? ks->newest : NULL; r; r = r->older)
        if (r->state & ROW_LONG_KEY) free((void *)(uintptr_t)r->key);
    keytable_free(&ks->table);
    slab_free(&ks->slots);
    undo_free(&ks->undo);
    free(ks);
}

uint64_t keyspace_hash(const char *key, size_t key_len)
{
    return XXH3_64bits(key, key_len);
}

enum { PREFETCH_BYTES = 4096 /* of a slot; what follows comes by itself, as it is copied in order */ };

void keyspace_prefetch(const struct keyspace *ks, uint64_t hash)
{
    if (ks->table.entries) __builtin_prefetch(&ks->table.entries[keytable_first(&ks->table, hash)]);
}

void keyspace_prefetch_row(const struct keyspace *ks, uint64_t hash)
{
    enum { LINE = 64, INTO_SECOND_CACHE = 2 /* the first would wait for its few places */ };
    uint32_t at = keytable_first(&ks->table, hash);
    const uint32_t slot = keytable_next(&ks->table, hash, &at);
    if (slot == KEYTABLE_NONE) return;
    const char *line = slab_at(&ks->slots, slot), *end = line + SLOT_HEAD_BYTES + ks->layout->copied_bytes;
    if (end > line + PREFETCH_BYTES) end = line + PREFETCH_BYTES;
    _Pragma("GCC unroll 4") /* the loop counts as much as it asks for */
        for (; line < end; line += LINE) __builtin_prefetch(line, 0, INTO_SECOND_CACHE);
}

eddy_status keyspace_no_memory(struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "keys in memory: out of memory");
}

/* First touch in the batch: undo log, dirty. */
static eddy_status row_touch(struct keyspace *ks, struct key_row *r, struct eddy_error *err)
{
    if (r->state & ROW_TOUCHED) return EDDY_OK;
    eddy_status rc = ks->storage ? save_before_change(ks, r, err) : EDDY_OK;
    if (rc < 0) return rc;
    if (undo_note(&ks->undo, r, false) < 0) return keyspace_no_memory(err);
    if (!(r->state & ROW_DIRTY)) ks->n_dirty++;
    r->state |= ROW_TOUCHED | ROW_DIRTY;
    r->work = 0;
    if (ks->storage) save_note_dirty(ks, r);
    return EDDY_OK;
}

/* A row that the batch has touched becomes as new, what no copy holds included. */
static eddy_status row_begin_anew(struct keyspace *ks, struct key_row *r, struct eddy_error *err)
{
    const size_t copied = ks->layout->copied_bytes, rest = ks->layout->row_bytes - copied;
    if (rest > 0) {
        if (undo_promise(&ks->undo, 1, rest) < 0) return keyspace_no_memory(err);
        undo_note_piece(&ks->undo, r, copied, rest);
    }
    row_init(ks, r);
    return EDDY_OK;
}

eddy_status keyspace_get(struct keyspace *ks, uint64_t hash, const char *key, size_t key_len, struct key_row **out,
                         struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    struct key_row *r = row_find(ks, hash, key, key_len);
    if (r) {
        r->state |= ROW_AGAIN;
    } else {
        rc = row_load(ks, hash, key, key_len, &r, err);
        if (rc == EDDY_ENOTFOUND) return row_create(ks, hash, key, key_len, out, err);
    }
    if (rc == EDDY_OK) rc = row_touch(ks, r, err);
    if (rc < 0) return rc;
    if (r->state & ROW_GONE) {
        rc = row_begin_anew(ks, r, err);
        if (rc < 0) return rc;
        r->state &= ~(uint32_t)ROW_GONE;
        ks->n_gone--;
        ks->stats.created++;
    }
    *out = r;
    return EDDY_OK;
}

eddy_status keyspace_reset(struct keyspace *ks, struct key_row *r, struct eddy_error *err)
{
    eddy_status rc = row_touch(ks, r, err);
    if (rc == EDDY_OK) rc = row_begin_anew(ks, r, err);
    return rc;
}

eddy_status keyspace_promise_notes(struct keyspace *ks, size_t n, size_t bytes, struct eddy_error *err)
{
    return undo_promise(&ks->undo, n, bytes) < 0 ? keyspace_no_memory(err) : EDDY_OK;
}

void keyspace_note(struct keyspace *ks, struct key_row *r, size_t at, size_t bytes)
{
    undo_note_piece(&ks->undo, r, at, bytes);
}

eddy_status keyspace_forget(struct keyspace *ks, const char *key, size_t key_len, struct eddy_error *err)
{
    uint64_t hash = keyspace_hash(key, key_len);
    eddy_status rc = EDDY_OK;
    struct key_row *r = row_find(ks, hash, key, key_len);
    if (r && r->state & ROW_GONE) return 0;
    if (!r) rc = row_load(ks, hash, key, key_len, &r, err);
    if (rc == EDDY_ENOTFOUND) return 0;
    if (rc == EDDY_OK) rc = row_touch(ks, r, err);
    if (rc < 0) return rc;
    r->state |= ROW_GONE;
    ks->n_gone++;
    return 1;
}

static void commit_row(void *context, struct key_row *r, bool created)
{
    struct keyspace *ks = context;
    (void)created;
    r->state &= ~(uint32_t)ROW_TOUCHED;
    if ((r->state & (ROW_GONE | ROW_STORED)) == ROW_GONE) row_retire(ks, r);
}

static void abort_row(void *context, struct key_row *r, bool created)
{
    if (created) row_drop(context, r); /* the counts go back as a whole */
}

void batch_begin(struct keyspace *ks)
{
    undo_clear(&ks->undo);
    ks->n_dirty_before = ks->n_dirty;
    ks->n_gone_before = ks->n_gone;
}

void keyspace_commit(struct keyspace *ks)
{
    undo_each(&ks->undo, commit_row, ks);
    batch_begin(ks);
    keyspace_evict(ks, NULL); /* what cannot be written now stays resident */
}

void keyspace_abort(struct keyspace *ks)
{
    undo_restore(&ks->undo, abort_row, ks);
    ks->n_dirty = ks->n_dirty_before;
    ks->n_gone = ks->n_gone_before;
    batch_begin(ks);
}

int64_t keyspace_resident(const struct keyspace *ks)
{
    return ks->slots.n_used - ks->n_gone;
}

int64_t keyspace_resident_bytes(const struct keyspace *ks)
{
    return (int64_t)(sizeof(*ks) + slab_bytes(&ks->slots) + keytable_bytes(&ks->table) + ks->long_key_bytes +
                     undo_bytes(&ks->undo) + save_memory(ks));
}

size_t keyspace_bytes_per_key(const struct row_layout *layout, size_t key_len)
{
    /* The table is between 3/8 and 3/4 full, so an entry takes at most 8 / (3/8) bytes; malloc adds up to 24 to a key. */
    size_t entry = sizeof(struct keytable_entry) * 8 / 3 + 1;
    size_t long_key = key_len > KEY_INLINE_BYTES ? key_len + 24 : 0;
    return SLOT_HEAD_BYTES + layout->row_bytes + entry + long_key;
}

void keyspace_stats(const struct keyspace *ks, struct keyspace_stats *out)
{
    *out = ks->stats;
    out->dirty = ks->n_dirty;
}
