/* The state file of one source partition: a SQLite database in WAL mode.  Only store*.c know sqlite3.
 *
 * All writes since the last store_commit() are one open transaction: rows that were evicted in between live there, and
 * a crash takes them back to the checkpoint.  Reads see them.
 *
 * Checks   every row carries a 64-bit XXH3 over all of its columns; the file carries eddy's application_id, a schema
 *          version, the identity (name, topic, partition), the row directory and a sum over all that it holds.
 *          Opening for writing reads the whole file and compares.
 * Errors   each names the file.  EDDY_EFULL disk full (nothing lost: the last checkpoint stands, the open changes stay
 *          open, commit may be tried again), EDDY_EIO, EDDY_ECORRUPT, EDDY_EVERSION newer or not eddy's, EDDY_EMISMATCH
 *          other identity or directory, EDDY_EBUSY held by another process.  Where a process may meet RLIMIT_FSIZE it
 *          ignores SIGXFSZ.
 * Files    0600 inside 0700 directories; one flock on <dir>/lock per process and pipeline (store_lock).
 * Threads  one at a time per store; which one may change, as long as their calls are ordered. */
#ifndef ENGINE_STATE_STORE_H
#define ENGINE_STATE_STORE_H

#include "engine/state/row_layout.h"

struct store;
struct side_log;

struct store_identity {
    const char *name; /* settings.name */
    const char *topic;
    int32_t partition;
};
enum store_mode {
    STORE_WRITE,     /* create or open */
    STORE_READ_ONLY, /* ENOTFOUND when absent; never locks out a running pipeline; sees one checkpoint throughout */
    STORE_LATEST, /* beside one in mode STORE_WRITE in this process: each call sees the last commit; changes nothing */
    STORE_MEMORY, /* nothing on disk */
    STORE_SCRATCH /* create or open a file that nobody needs after a crash: no log, nothing is synced */
};

/* The fixed part of a key's row as stored. */
struct stored_row {
    const char *key;
    size_t key_len;
    int64_t next_off, time_ns, count;
    uint32_t flags;
    const unsigned char *row; /* borrowed: put(): from the caller; get()/scan(): until the next call on the store */
    size_t row_bytes;
};

/* Locks <state.path>/<name>/ for this process; EDDY_EBUSY names the holder's pid. */
struct store_lock;
eddy_status store_lock_open(const char *state_path, const char *name, struct store_lock **, struct eddy_error *);
void store_lock_close(struct store_lock *);

/* A name of this pipeline's instance, drawn at the first call and kept in <state_path>/<name>/instance, so that brokers
 * know the process again.  The caller holds the lock. */
enum { STORE_INSTANCE_DIGITS = 16 };
eddy_status store_instance(const char *state_path, const char *name, char out[STORE_INSTANCE_DIGITS + 1],
                           struct eddy_error *);
/* The file of a partition: <state.path>/<name>/<topic>-<partition>.db, topic escaped for the file system.  malloc'ed. */
char *store_path(const char *state_path, const struct store_identity *);
/* Calls back for every state file of a pipeline, in order of path. */
eddy_status store_list(const char *state_path, const char *name,
                       eddy_status (*each)(void *context, const char *path, const struct store_identity *,
                                           struct eddy_error *),
                       void *context, struct eddy_error *);

/* Without an identity (NULL) any partition's file will do, but it must be there. */
eddy_status store_open(const char *path, const struct store_identity *, enum store_mode, struct store **,
                       struct eddy_error *);
/* Moves a file that nobody has open to <path>.corrupt-<unix time>, with what SQLite keeps beside it; *moved is malloc'ed.
 * EDDY_EIO, EDDY_ENOMEM. */
eddy_status store_set_aside(const char *path, char **moved, struct eddy_error *);
/* Removes a file that nobody has open, with what SQLite keeps beside it. */
void store_remove(const char *path);
/* Makes what became of a file's name durable. */
void store_sync_directory(const char *path);
bool store_is_new(const struct store *);      /* it has never been committed */
bool store_was_found(const struct store *);   /* a writer opened a file of an earlier life, be it an empty one */
const char *store_file(const struct store *); /* its path, for messages */
enum { STORE_KEY_TEXT = 100 };
const char *store_key_text(const char *key, size_t key_len, char out[STORE_KEY_TEXT]); /* a key, for messages */
/* Whose state it is; the names point into `text`. */
eddy_status store_identity(struct store *, struct eddy_buffer *text, struct store_identity *, struct eddy_error *);
/* Another connection (STORE_LATEST) would see all that this one sees; what a new file lacks counts as nothing. */
bool store_can_follow(const struct store *);
void store_done(struct store *);  /* gives back what a call has lent */
void store_close(struct store *); /* drops what is not committed; NULL is fine */

/* Small named blobs ("position", "schema", "layout", "train", ..).  ENOTFOUND when absent.  Names that begin with '.' are
 * the store's own. */
eddy_status store_get_meta(struct store *, const char *name, struct eddy_buffer *, struct eddy_error *);
eddy_status store_put_meta(struct store *, const char *name, const void *bytes, size_t n, struct eddy_error *);
eddy_status store_list_meta(struct store *,
                            eddy_status (*each)(void *context, const char *name, const void *bytes, size_t n,
                                                struct eddy_error *),
                            void *context, struct eddy_error *); /* in order of name */

/* Rows are as the stored layout says; store_migrate() rewrites all rows for another one: `prepare` fills a fresh row
 * for the new layout before equal sections are copied over it. */
eddy_status store_get_row(struct store *, const char *key, size_t key_len, struct stored_row *, struct eddy_error *);
eddy_status store_put_row(struct store *, const struct stored_row *, struct eddy_error *);
eddy_status store_delete_row(struct store *, const char *key, size_t key_len, struct eddy_error *);
eddy_status store_migrate(struct store *, const struct row_layout *from, const struct row_layout *to,
                          void (*prepare)(void *context, unsigned char *row), void *context, struct eddy_error *);
/* Rows in key order (bytes, shorter first when equal); stop early by a negative status. */
eddy_status store_scan(struct store *,
                       eddy_status (*each)(void *context, const struct stored_row *, struct eddy_error *),
                       void *context, struct eddy_error *);
int64_t store_count(struct store *, struct eddy_error *);
/* Forgets rows whose time_ns < before. Returns how many.  Reads all rows, unless it knows that none can be that old. */
int64_t store_sweep(struct store *, int64_t before, struct eddy_error *);

/* Model versions, at most INT64_MAX; put_model() dates them with the wall clock. */
eddy_status store_put_model(struct store *, uint64_t version, const void *bytes, size_t n, struct eddy_error *);
eddy_status store_put_dated_model(struct store *, uint64_t version, int64_t wall_time_s, const void *bytes, size_t n,
                                  struct eddy_error *);
eddy_status store_get_model(struct store *, uint64_t version, struct eddy_buffer *, struct eddy_error *);
eddy_status store_list_models(struct store *,
                              eddy_status (*each)(void *context, uint64_t version, size_t bytes, int64_t wall_time_s,
                                                  struct eddy_error *),
                              void *context, struct eddy_error *);
eddy_status store_prune_models(struct store *, int keep, struct eddy_error *);

/* ---- for a copy elsewhere: store_changes.c ----
 * From track() on every row that is put or deleted is noted in a log beside the file (side_log.h), so that a copy can
 * follow; close() forgets it.  note_since() asks for all rows with next_off > since that are there now as well (-1 = all,
 * instead of what was noted before); note_more() does it, looking at so many rows a call, while the store goes on: 1: all
 * are noted; 0: call again.  When it fails the log is lost. */
eddy_status store_track(struct store *, size_t row_bytes, struct eddy_error *);
void store_untrack(struct store *); /* nothing is noted any more, and what was is forgotten */
void store_note_since(struct store *, int64_t since);
eddy_status store_note_more(struct store *, int rows, struct eddy_error *);
/* Hands over what was noted since the last take, the caller closes it before the store, and begins another log.  False:
 * rows are still to be noted, or some are lost (no room on the disk, or nobody took it for long): note_since(-1), and take
 * when all are noted.  Between commits, what was taken is what the commits changed. */
bool store_take_changes(struct store *, struct side_log *out);
/* How many rows, named blobs and model versions there are, and a sum over them that does not care for their order: two
 * stores of one identity that hold the same have the same. */
void store_sum(const struct store *, uint64_t *n, uint64_t *sum);

/* Makes everything since the last commit durable, as one transaction. */
eddy_status store_commit(struct store *, struct eddy_error *);
/* SQLite's own check, every sum of rows, models and named blobs, every f32/f64 section finite; names the first fault.
 * Without a layout the sections are not looked at.  Returns rows checked. */
int64_t store_verify(struct store *, const struct row_layout *, struct eddy_error *);

#endif
