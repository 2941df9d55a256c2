/* Keys in use.  A key's slot is its header, room for a short key, and its row:
 *
 *   slot = [ struct key_row 88 | key if it has at most 40 bytes | row, 64-byte aligned ]
 *
 * The keys are linked by last use, newest first; a touch moves a key to the front.  As a touch also makes it dirty, the
 * dirty keys stand in front but for rare failures, and a flush walks from there until it has met them all. */
#include <assert.h>
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
    ks->undo.copied_bytes = q->layout->copied_bytes;
    slab_open(&ks->slots, SLOT_HEAD_BYTES + q->layout->row_bytes);

    *out = ks;
    return EDDY_OK;
}

void keyspace_close(struct keyspace *ks)
{
    if (!ks) return;
    save_close(ks);
    for (struct key_row *r = ks->newest; r; r = r->older)
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

enum { PREFETCH_BYTES = 512 /* of a slot; what follows comes by itself, as it is copied in order */ };

void keyspace_prefetch(const struct keyspace *ks, uint64_t hash)
{
    if (ks->table.entries) __builtin_prefetch(&ks->table.entries[keytable_first(&ks->table, hash)]);
}

void keyspace_prefetch_row(const struct keyspace *ks, uint64_t hash)
{
    enum { LINE = 64 };
    uint32_t at = keytable_first(&ks->table, hash);
    const uint32_t slot = keytable_next(&ks->table, hash, &at);
    if (slot == KEYTABLE_NONE) return;
    const char *line = slab_at(&ks->slots, slot), *end = line + SLOT_HEAD_BYTES + ks->layout->copied_bytes;
    if (end > line + PREFETCH_BYTES) end = line + PREFETCH_BYTES;
    for (; line < end; line += LINE) __builtin_prefetch(line);
}

static struct key_row *row_find(const struct keyspace *ks, uint64_t hash, const char *key, size_t key_len)
{
    uint32_t slot, at = keytable_first(&ks->table, hash);
    while ((slot = keytable_next(&ks->table, hash, &at)) != KEYTABLE_NONE) {
        struct key_row *r = slab_at(&ks->slots, slot);
        if (r->hash == hash && r->key_len == key_len && (!key_len || !memcmp(r->key, key, key_len))) return r;
    }
    return NULL;
}

static void use_unlink(struct keyspace *ks, struct key_row *r)
{
    *(r->newer ? &r->newer->older : &ks->newest) = r->older;
    *(r->older ? &r->older->newer : &ks->oldest) = r->newer;
}

static void use_link(struct keyspace *ks, struct key_row *r)
{
    r->newer = NULL;
    r->older = ks->newest;
    *(ks->newest ? &ks->newest->newer : &ks->oldest) = r;
    ks->newest = r;
}

/* A slot with its key, in no list yet; NULL when memory is out. */
static struct key_row *row_take(struct keyspace *ks, uint64_t hash, const char *key, size_t key_len)
{
    char *long_key = NULL;
    if (key_len > UINT32_MAX || keytable_reserve(&ks->table) < 0) return NULL;
    if (key_len > KEY_INLINE_BYTES && !(long_key = malloc(key_len))) return NULL;
    uint32_t number = slab_take(&ks->slots);
    if (number != SLAB_NONE && ks->storage && save_room(ks, number) < 0) {
        slab_give(&ks->slots, number);
        number = SLAB_NONE;
    }
    if (number == SLAB_NONE) {
        free(long_key);
        return NULL;
    }
    struct slot *slot = slab_at(&ks->slots, number);
    char *place = long_key ? long_key : slot->key;
    if (key_len) memcpy(place, key, key_len);
    if (long_key) ks->long_key_bytes += key_len;
    slot->row = (struct key_row){.key = place,
                                 .key_len = (uint32_t)key_len,
                                 .row = (unsigned char *)slot + SLOT_HEAD_BYTES,
                                 .state = ROW_USED | (long_key ? ROW_LONG_KEY : 0),
                                 .slot = number,
                                 .hash = hash};
    return &slot->row;
}

static void row_give(struct keyspace *ks, struct key_row *r)
{
    if (r->state & ROW_LONG_KEY) {
        ks->long_key_bytes -= r->key_len;
        free((void *)(uintptr_t)r->key);
    }
    r->state = 0; /* whoever walks over the slots sees that it is free */
    slab_give(&ks->slots, r->slot);
}

static void row_enter(struct keyspace *ks, struct key_row *r)
{
    keytable_add(&ks->table, r->hash, r->slot);
    use_link(ks, r);
}

static void row_drop(struct keyspace *ks, struct key_row *r)
{
    keytable_remove(&ks->table, r->hash, r->slot);
    use_unlink(ks, r);
    row_give(ks, r);
}

static void row_init(struct keyspace *ks, struct key_row *r)
{
    r->next_off = 0;
    r->time_ns = EDDY_NO_TIME;
    r->count = 0;
    r->flags = 0;
    if (ks->layout->row_bytes) memset(r->row, 0, ks->layout->row_bytes);
    if (ks->prepare) ks->prepare(ks->context, r->row);
}

eddy_status keyspace_no_memory(struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "keys in memory: out of memory");
}

/* First touch in the batch: undo log, dirty, newest. */
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
    use_unlink(ks, r);
    use_link(ks, r);
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

/* Right sums say that a row is as it was written, not that it may be worked on. */
static eddy_status row_check(const struct keyspace *ks, const struct key_row *r, struct eddy_error *err)
{
    char text[STORE_KEY_TEXT];
    const struct stored_row as_stored = save_as_stored(ks, r);
    const char *what = ks->unsound ? ks->unsound(ks->context, &as_stored) : NULL;
    if (!what) return EDDY_OK;
    return eddy_fail(err, EDDY_ECORRUPT, "state file %s: the row of key \"%s\" holds numbers that cannot be: %s",
                     store_file(ks->store), store_key_text(r->key, r->key_len, text), what);
}

/* From the store into memory, as it was saved; EDDY_ENOTFOUND when the store does not know the key. */
static eddy_status row_load(struct keyspace *ks, uint64_t hash, const char *key, size_t key_len, struct key_row **out,
                            struct eddy_error *err)
{
    struct stored_row stored;
    eddy_status rc = EDDY_ENOTFOUND;
    if (ks->storage)
        rc = save_find(ks, hash, key, key_len, &stored, err);
    else if (ks->store)
        rc = store_get_row(ks->store, key, key_len, &stored, err);
    if (rc < 0) return rc;
    if (stored.row_bytes != ks->layout->row_bytes)
        return eddy_fail(err, EDDY_EMISMATCH, "state file %s: rows have %zu bytes, the configuration asks for %zu",
                         store_file(ks->store), stored.row_bytes, ks->layout->row_bytes);
    struct key_row *r = row_take(ks, hash, key, key_len);
    if (!r) return keyspace_no_memory(err);
    r->next_off = stored.next_off;
    r->time_ns = stored.time_ns;
    r->count = stored.count;
    r->flags = stored.flags;
    r->state |= ROW_STORED;
    if (stored.row_bytes) memcpy(r->row, stored.row, stored.row_bytes);
    if (ks->reader) store_done(ks->reader); /* a row that is lent keeps the log from being emptied */
    rc = row_check(ks, r, err);
    if (rc < 0) {
        row_give(ks, r);
        return rc;
    }
    row_enter(ks, r);
    ks->stats.restored++;
    *out = r;
    return EDDY_OK;
}

static eddy_status row_create(struct keyspace *ks, uint64_t hash, const char *key, size_t key_len,
                              struct key_row **out, struct eddy_error *err)
{
    struct key_row *r = row_take(ks, hash, key, key_len);
    if (!r) return keyspace_no_memory(err);
    if (undo_note(&ks->undo, r, true) < 0) {
        row_give(ks, r);
        return keyspace_no_memory(err);
    }
    row_init(ks, r);
    r->state |= ROW_TOUCHED | ROW_DIRTY;
    if (ks->storage) save_note_dirty(ks, r);
    ks->n_dirty++;
    ks->stats.created++;
    row_enter(ks, r);
    *out = r;
    return EDDY_OK;
}

eddy_status keyspace_get(struct keyspace *ks, uint64_t hash, const char *key, size_t key_len, struct key_row **out,
                         struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    struct key_row *r = row_find(ks, hash, key, key_len);
    if (!r) {
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

void row_retire(struct keyspace *ks, struct key_row *r)
{
    if (r->state & ROW_DIRTY) ks->n_dirty--;
    if (r->state & ROW_GONE) ks->n_gone--;
    row_drop(ks, r);
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

static void batch_begin(struct keyspace *ks)
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
    for (struct key_row *r = ks->newest, *next; r && ks->n_dirty && rc == EDDY_OK; r = next) {
        next = r->older;
        if (!(r->state & ROW_DIRTY)) continue;
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
