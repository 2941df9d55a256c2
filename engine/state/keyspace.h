/* The keys of one partition: resident rows in a hash table; beyond a limit, those that have not been used for long are in
 * the store.
 *
 * A batch is what happens between two keyspace_commit() or keyspace_abort() calls.  The first touch of a row in a batch
 * copies it to the undo log, up to layout->copied_bytes; what lies behind them is noted before each change.  Keys touched in
 * the batch are pinned: neither evicted nor flushed.
 *
 * Memory   rows live in slabs, 64-byte aligned, at a fixed place until they are evicted; nothing is allocated per event
 *          except for new keys.  When max_resident has been lowered to less than half of what there is room for, the
 *          next eviction writes out and drops all keys, which gives the slabs back; they return as they are used.
 * Errors   those of the store, and EDDY_ENOMEM.  A failed get changes nothing.  A failed eviction or flush (EDDY_EFULL)
 *          leaves every key that was not written resident and dirty: go on, and try again later.
 * Threads  one thread; with a storage thread that one has the store while a checkpoint is written (keyspace_save_*), and
 *          nobody else may use it then. */
#ifndef ENGINE_STATE_KEYSPACE_H
#define ENGINE_STATE_KEYSPACE_H

#include "engine/state/storage.h"
#include "engine/state/store.h"

/* One resident key.  The fields up to `flags` and the row belong to the lane, which changes them in place after keyspace_get(); the rest is private. */
struct key_row {
    int64_t next_off; /* offset after the last event folded into this row */
    int64_t time_ns;  /* event time of the last event; EDDY_NO_TIME for a new key */
    int64_t count;    /* events folded */
    uint32_t flags;   /* free for the lane */
    uint32_t key_len;
    const char *key;
    unsigned char *row; /* [row_bytes] */
    uint32_t work;      /* free for the lane within a batch (wave number); not stored */
    /* private */
    uint32_t state;
    uint32_t slot;
    uint64_t hash;
    struct key_row *newer, *older;
};

struct keyspace;

struct keyspace_request {
    const struct row_layout *layout; /* outlives the keyspace */
    struct store *store;             /* NULL: nothing can be evicted, all keys stay resident */
    int64_t max_resident;            /* keys; at least the keys of one batch are held whatever it says */
    void (*prepare)(void *context, unsigned char *row); /* fills the row of a new key; it is zeroed before */
    /* What of a row out of the store cannot be (a name for the message), NULL when it is fine; may be NULL. */
    const char *(*unsound)(void *context, const struct stored_row *);
    void *context;
};

eddy_status keyspace_open(const struct keyspace_request *, struct keyspace **, struct eddy_error *);
void keyspace_close(struct keyspace *); /* writes nothing; NULL is fine */

uint64_t keyspace_hash(const char *key, size_t key_len);
/* Hints for a get that follows: first for the table, some gets later for the row, whose place the table tells. */
void keyspace_prefetch(const struct keyspace *, uint64_t hash);
void keyspace_prefetch_row(const struct keyspace *, uint64_t hash);
/* Memory, else the store, else a new row (count 0).  The row is in the undo log afterwards and marked dirty. */
eddy_status keyspace_get(struct keyspace *, uint64_t hash, const char *key, size_t key_len, struct key_row **,
                         struct eddy_error *);
/* Copies bytes of a row as it is, and the time of its last event, and leaves the key where it lies: no part of the batch.
 * ENOTFOUND when it is unknown. */
eddy_status keyspace_peek(struct keyspace *, uint64_t hash, const char *key, size_t key_len, size_t at, size_t bytes,
                          void *to, int64_t *time_ns, struct eddy_error *);
/* Makes the row as new (tombstone, ttl): what a get of an unknown key gives; undone by an abort like any change. */
eddy_status keyspace_reset(struct keyspace *, struct key_row *, struct eddy_error *);
/* Forgets a key for good (also in the store); undone by an abort.  ENOTFOUND is not an error: returns 0 or 1. */
eddy_status keyspace_forget(struct keyspace *, const char *key, size_t key_len, struct eddy_error *);

/* Before n changes behind layout->copied_bytes, of so many bytes together: then noting them cannot fail.  Holds for the batch. */
eddy_status keyspace_promise_notes(struct keyspace *, size_t n, size_t bytes, struct eddy_error *);
/* Before such a change of a row that the batch has got: these bytes of it come back with an abort. */
void keyspace_note(struct keyspace *, struct key_row *, size_t at, size_t bytes);

void keyspace_commit(struct keyspace *); /* the batch stands; evicts down to max_resident when it can */
eddy_status keyspace_evict(struct keyspace *, struct eddy_error *); /* called between batches: down to max_resident */
void keyspace_abort(struct keyspace *); /* every row, header and new key as before the batch */
void keyspace_set_max_resident(struct keyspace *, int64_t keys);

/* Between batches: writes all dirty rows into the store's open transaction (the caller commits the store).  Waits for a
 * checkpoint in the making. */
eddy_status keyspace_flush(struct keyspace *, struct eddy_error *);
/* Between batches, without a storage thread: forgets resident and stored keys with time_ns < before. Returns how many. */
int64_t keyspace_sweep(struct keyspace *, int64_t before, struct eddy_error *);

/* ---- checkpoints that the loop does not wait for ----
 * From go_background() on rows are written by a storage thread; between batches, with no key in memory that is dirty and a
 * store that store_can_follow().
 * begin: the cut, at once whatever the number of keys.  step: copies at most `rows` rows of the cut into a side log; when
 * all are there the storage thread writes them in one transaction, with what finish() adds, and commits.  Batches,
 * evictions and gets go on meanwhile. */
struct keyspace_save {
    int64_t before; /* keys last seen before this are forgotten; INT64_MIN = none */
    eddy_status (*finish)(void *context, struct store *,
                          struct eddy_error *); /* on the storage thread; may be NULL */
    void *context;
};
void keyspace_go_background(struct keyspace *, struct storage *);
bool keyspace_in_background(const struct keyspace *);
bool keyspace_saving(const struct keyspace *); /* one has begun, and its rows are not yet committed */
eddy_status keyspace_save_begin(struct keyspace *,
                                const struct keyspace_save *); /* between batches; none is going on */
/* 1: it is durable.  0: call again.  EDDY_EFULL: nothing is lost, and the next call tries again.  Other errors are final. */
eddy_status keyspace_save_step(struct keyspace *, int rows, struct eddy_error *);
eddy_status keyspace_save_wait(struct keyspace *, struct eddy_error *); /* steps until it is durable or fails */

int64_t keyspace_resident(const struct keyspace *);
int64_t keyspace_resident_bytes(const struct keyspace *); /* what it holds in all: rows, table, undo log */
struct keyspace_stats {
    int64_t created, restored, evicted, expired; /* keys, since opening; aborted batches count */
    int64_t dirty;                               /* keys that the next flush would write */
};
void keyspace_stats(const struct keyspace *, struct keyspace_stats *);
size_t keyspace_bytes_per_key(const struct row_layout *, size_t key_len); /* the formula of `eddy estimate` */

/* XXH3-128 over all keys in key order: u64 key_len, u64 row_bytes, i64 count, i64 time_ns, with `positions` i64
 * next_off, all little-endian, then key and row.  Keys with time_ns < expired_before are left out.  Reads the store, so
 * flush first. */
struct state_hash;
eddy_status state_hash_rows(struct store *, int64_t expired_before, bool positions, struct state_hash *,
                            struct eddy_error *);
struct state_hash *state_hash_open(void);
void state_hash_add(struct state_hash *, const void *bytes, size_t n);
void state_hash_hex(struct state_hash *, char out[33]); /* 32 digits + NUL */
void state_hash_close(struct state_hash *);

#endif
