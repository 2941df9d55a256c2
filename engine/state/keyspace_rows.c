/* Where the rows of keys in use lie.  A key's slot is its header, room for a short key, and its row:
 *
 *   slot = [ struct key_row 88 | key if it has at most 40 bytes | row, 64-byte aligned ]
 *
 * All of them are linked in the order in which they came into memory; keyspace_leave.c says who leaves first. */
#include <stdlib.h>
#include <string.h>

#include "eddy_codec.h"
#include "engine/state/keyspace_private.h"

struct key_row *row_find(const struct keyspace *ks, uint64_t hash, const char *key, size_t key_len)
{
    uint32_t slot, at = keytable_first(&ks->table, hash);
    while ((slot = keytable_next(&ks->table, hash, &at)) != KEYTABLE_NONE) {
        struct key_row *r = slab_at(&ks->slots, slot);
        if (r->hash == hash && r->key_len == key_len && (!key_len || !memcmp(r->key, key, key_len))) return r;
    }
    return NULL;
}

void use_unlink(struct keyspace *ks, struct key_row *r)
{
    *(r->newer ? &r->newer->older : &ks->newest) = r->older;
    *(r->older ? &r->older->newer : &ks->oldest) = r->newer;
}

void use_link(struct keyspace *ks, struct key_row *r)
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

void row_drop(struct keyspace *ks, struct key_row *r)
{
    keytable_remove(&ks->table, r->hash, r->slot);
    use_unlink(ks, r);
    row_give(ks, r);
}

void row_init(struct keyspace *ks, struct key_row *r)
{
    r->next_off = 0;
    r->time_ns = EDDY_NO_TIME;
    r->count = 0;
    r->flags = 0;
    if (ks->layout->row_bytes) memset(r->row, 0, ks->layout->row_bytes);
    if (ks->prepare) ks->prepare(ks->context, r->row);
}

void row_retire(struct keyspace *ks, struct key_row *r)
{
    if (r->state & ROW_DIRTY) ks->n_dirty--;
    if (r->state & ROW_GONE) ks->n_gone--;
    row_drop(ks, r);
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

/* As it was saved, borrowed from where that is; EDDY_ENOTFOUND when nobody knows the key. */
static eddy_status row_saved(struct keyspace *ks, uint64_t hash, const char *key, size_t key_len,
                             struct stored_row *out, struct eddy_error *err)
{
    eddy_status rc = EDDY_ENOTFOUND;
    if (ks->storage)
        rc = save_find(ks, hash, key, key_len, out, err);
    else if (ks->store)
        rc = store_get_row(ks->store, key, key_len, out, err);
    if (rc >= 0 && out->row_bytes != ks->layout->row_bytes)
        rc = eddy_fail(err, EDDY_EMISMATCH, "state file %s: rows have %zu bytes, the configuration asks for %zu",
                       store_file(ks->store), out->row_bytes, ks->layout->row_bytes);
    return rc;
}

eddy_status keyspace_peek(struct keyspace *ks, uint64_t hash, const char *key, size_t key_len, size_t at,
                          size_t bytes, void *to, int64_t *time_ns, struct eddy_error *err)
{
    struct stored_row stored;
    const struct key_row *r = row_find(ks, hash, key, key_len);
    if (r && r->state & ROW_GONE) return EDDY_ENOTFOUND;
    const eddy_status rc = r ? EDDY_OK : row_saved(ks, hash, key, key_len, &stored, err);
    if (rc < 0) return rc;
    memcpy(to, (r ? r->row : stored.row) + at, bytes);
    *time_ns = r ? r->time_ns : stored.time_ns;
    if (!r && ks->reader) store_done(ks->reader);
    return EDDY_OK;
}

/* From the store into memory. */
eddy_status row_load(struct keyspace *ks, uint64_t hash, const char *key, size_t key_len, struct key_row **out,
                     struct eddy_error *err)
{
    struct stored_row stored;
    eddy_status rc = row_saved(ks, hash, key, key_len, &stored, err);
    if (rc < 0) return rc;
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

eddy_status row_create(struct keyspace *ks, uint64_t hash, const char *key, size_t key_len, struct key_row **out,
                       struct eddy_error *err)
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
