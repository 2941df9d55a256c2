/* The inside of a keyspace: keyspace.c (batches), keyspace_rows.c (where rows lie), keyspace_leave.c (eviction, flush) and
 * keyspace_save.c (checkpoints in the background).
 *
 * With a storage thread nothing is written on the loop's thread but two side logs:
 *   active   rows that were evicted since the last cut
 *   frozen   what a checkpoint in the making needs: the log that was active until its cut, then the rows that were dirty
 *            at the cut and still in memory, as they were then
 * A row is looked for in memory, active, frozen, and then in the last checkpoint, through a connection of the loop's own.
 * Rows that a cut still has to copy are bits in `cut`, and whoever touches or evicts one copies it before.  A row that was
 * copied while it stays in memory is in no index; its log's number stands in its state, so that its eviction writes it
 * again as long as no checkpoint holds it. */
#ifndef ENGINE_STATE_KEYSPACE_PRIVATE_H
#define ENGINE_STATE_KEYSPACE_PRIVATE_H

#include "engine/state/keyspace.h"
#include "engine/state/keytable.h"
#include "engine/state/side_log.h"
#include "engine/state/slab.h"
#include "engine/state/storage.h"
#include "engine/state/undo.h"

enum { KEY_INLINE_BYTES = 40, SLOT_HEAD_BYTES = 128 };

enum row_state {
    ROW_TOUCHED = 1, /* in this batch, so it is in the undo log and pinned */
    ROW_DIRTY = 2,   /* differs from the store, or is not there */
    ROW_STORED = 4,  /* the store has a row for this key, or will have it when the logs are written */
    ROW_GONE = 8,    /* forgotten; kept until the store has forgotten it, too */
    ROW_LONG_KEY = 16,
    ROW_USED = 32,      /* the slot is not free */
    ROW_LOGGED = 64,    /* copied into a log, but not into its index */
    ROW_AGAIN = 128,    /* used again since it came into memory or last stood at the old end */
    ROW_LOG_SHIFT = 16, /* above: the low bits of the number of the log that holds it */
    ROW_LOG_MASK = 0xffff
};

struct slot {
    struct key_row row;
    char key[KEY_INLINE_BYTES];
};
_Static_assert(sizeof(struct slot) == SLOT_HEAD_BYTES, "the row behind it must stay aligned");

enum save_state {
    SAVE_NONE,
    SAVE_COPYING, /* rows of the cut are still to be copied */
    SAVE_WRITING, /* the storage thread is at it */
    SAVE_STUCK    /* there was no room on the disk; the frozen log waits for the next try */
};

struct close_job { /* a file of a log that is no longer needed */
    struct storage_job job;
    int fd;
};

struct keyspace {
    const struct row_layout *layout;
    struct store *store; /* with a storage thread: the thread's while saving is SAVE_WRITING */
    void (*prepare)(void *context, unsigned char *row);
    const char *(*unsound)(void *context, const struct stored_row *);
    void *context;
    int64_t max_resident;
    bool shrink; /* max_resident was lowered so far that memory should be given back */

    struct keytable table;
    struct slab_pool slots;
    struct undo_log undo;
    struct key_row *newest, *oldest; /* in the order in which they came or went round */
    size_t long_key_bytes;
    int64_t n_dirty, n_gone;               /* now */
    int64_t n_dirty_before, n_gone_before; /* the batch: what an abort goes back to */
    struct keyspace_stats stats;

    /* with a storage thread */
    struct storage *storage; /* NULL = without */
    struct store *reader;    /* NULL until it is needed */
    bool readable;           /* a checkpoint has been made */
    struct side_log active, frozen;
    uint32_t log_number;   /* of the active one; the frozen one has the number before */
    uint64_t *dirty, *cut; /* [n_words] one bit per slot; `dirty` may have bits of rows that are clean by now */
    uint32_t n_words;
    int saving;      /* enum save_state */
    uint32_t cursor; /* slots below have been copied */
    struct keyspace_save save;
    struct storage_job job;
    struct close_job closing;
    int64_t swept; /* by the storage thread, in this save */
};

/* keyspace.c */
eddy_status keyspace_no_memory(struct eddy_error *);
void batch_begin(struct keyspace *);

/* keyspace_rows.c */
struct key_row *row_find(const struct keyspace *, uint64_t hash, const char *key,
                         size_t key_len); /* in memory, or NULL */
/* From the store into memory, as it was saved; EDDY_ENOTFOUND when the store does not know the key. */
eddy_status row_load(struct keyspace *, uint64_t hash, const char *key, size_t key_len, struct key_row **,
                     struct eddy_error *);
eddy_status row_create(struct keyspace *, uint64_t hash, const char *key, size_t key_len, struct key_row **,
                       struct eddy_error *);          /* a new one, in the undo log */
void row_init(struct keyspace *, struct key_row *);   /* as new */
void row_drop(struct keyspace *, struct key_row *);   /* leaves memory */
void row_retire(struct keyspace *, struct key_row *); /* the same; the counts of dirty and gone keys follow */
void use_unlink(struct keyspace *, struct key_row *);
void use_link(struct keyspace *, struct key_row *); /* as the newest */

/* keyspace_save.c; all but the first three only with a storage thread */
struct stored_row save_as_stored(const struct keyspace *, const struct key_row *); /* borrowed from the row */
void save_close(struct keyspace *);
size_t save_memory(const struct keyspace *);
eddy_status save_room(struct keyspace *, uint32_t slot); /* bits for this slot */
void save_note_dirty(struct keyspace *, const struct key_row *);
/* Before a row changes: copies it when a cut still needs it as it is. */
eddy_status save_before_change(struct keyspace *, struct key_row *, struct eddy_error *);
/* Before a row leaves memory: whatever no checkpoint holds goes into a log. */
eddy_status save_before_leaving(struct keyspace *, struct key_row *, struct eddy_error *);
eddy_status save_find(struct keyspace *, uint64_t hash, const char *key, size_t key_len, struct stored_row *,
                      struct eddy_error *);
eddy_status save_flush(struct keyspace *, struct eddy_error *);

static inline struct key_row *row_of_slot(const struct keyspace *ks, uint32_t slot)
{
    return slab_at(&ks->slots, slot); /* its first member */
}

static inline bool bit_is_set(const uint64_t *bits, uint32_t slot)
{
    return bits[slot >> 6] >> (slot & 63) & 1;
}

#endif
