/* What the store's own files share; they alone see sqlite3.
 *   store_open.c  opens, checks and closes a file      store_format.c  tables of every format, upgrades
 *   store_room.c  disk space before it is needed       store_rows.c    rows of keys
 *   store_meta.c  named blobs and model versions       store_verify.c  every check that can be made
 *   store_contents.c  what it should hold in all     store_aside.c   out of the way with a damaged file
 *   store_changes.c  what a copy elsewhere lacks
 *   store.c       statements, transactions, errors
 *
 * Formats        Everything that is written down has a number of its own, raised when its bytes change their meaning:
 *                  tables of the file       1      store_format.c, in PRAGMA user_version
 *                  directory of the rows    EWL1   row_layout.c, the mark that it begins with
 *                  a section of the row     each   flow/plan.c and eddy_detector.state_version, in the directory
 *                  named blob "lane"        1      flow/lane_store.c          schema, network: text without a number
 *                  named blob "train"       1      flow/lane_store.c
 *                  named blob ".contents"   1      store_contents.c
 *                  weights                  1      train/weights_bytes.c
 *                  export                   1      export_record.h
 *                All numbers in them are little-endian, but for the sections: a row is stored as it lies in memory.
 *
 * Transactions   The first write opens one; store_commit() ends it.  SQLite takes a whole transaction back by itself when
 *                it runs out of disk in the middle, and rows that were evicted from memory would be gone with it.  So
 *                room in the log is reserved before every write (store_reserve), where failing harms nothing.  Should
 *                SQLite take it back all the same, the store is `lost`: every later call fails, and the caller starts
 *                again from the last checkpoint. */
#ifndef ENGINE_STATE_STORE_PRIVATE_H
#define ENGINE_STATE_STORE_PRIVATE_H

#include <sqlite3.h>

#include "engine/state/store.h"

enum {
    STORE_APPLICATION_ID = 0x65646479, /* "eddy" */
    STORE_PAGE_BYTES = 4096,
    STORE_FRAME_BYTES = STORE_PAGE_BYTES + 24 /* a page in the log */
};

enum store_statement {
    STORE_BEGIN,
    STORE_COMMIT,
    STORE_ROW_GET,
    STORE_ROW_PUT,
    STORE_ROW_DELETE,
    STORE_ROW_AFTER,
    STORE_ROW_COUNT,
    STORE_ROW_EXPIRED,
    STORE_ROW_DELETE_ID,
    STORE_META_GET,
    STORE_META_PUT,
    STORE_MODEL_GET,
    STORE_MODEL_PUT,
    STORE_MODEL_PRUNE,
    STORE_STATEMENTS
};

/* What a file holds in all (store_contents.c). */
struct store_contents {
    uint64_t n, sum;
};
enum { STORE_UNCOUNTED, STORE_ROWS, STORE_META, STORE_MODELS }; /* kinds of things in it */

struct store {
    sqlite3 *db;
    sqlite3_stmt *statements[STORE_STATEMENTS]; /* prepared at first use */
    sqlite3_stmt *lent;                         /* its columns are with the caller until the next call */
    char *path;
    int mode;                       /* enum store_mode */
    bool is_new;                    /* nothing has ever been committed */
    bool found;                     /* the file was there at opening */
    bool writing;                   /* a transaction with writes is open */
    bool lost;                      /* SQLite took the open transaction back */
    bool changed;                   /* something was committed since opening */
    struct store_contents contents; /* with the open changes */
    int log_fd;                     /* of <path>-wal, for reserving; -1 before the first write */
    int64_t room_bytes;             /* reserved and not yet asked for */
    int64_t oldest_ns;              /* no row has an earlier time_ns; INT64_MIN = nobody has looked */
    struct store_changes *changes;  /* NULL: nobody asks */
    int64_t dirty_bytes;            /* upper bound of the log that the open transaction may still write */
};

/* store.c */
eddy_status store_fail(struct store *, const char *doing, struct eddy_error *); /* from SQLite's last error */
eddy_status store_ready(struct store *,
                        struct eddy_error *); /* ends a loan of columns; fails when the store is lost */
eddy_status store_statement(struct store *, enum store_statement, sqlite3_stmt **, struct eddy_error *);
eddy_status store_run(struct store *, sqlite3_stmt *, const char *doing,
                      struct eddy_error *); /* to its end, and reset */
eddy_status store_exec(struct store *, const char *doing, const char *sql, struct eddy_error *);
eddy_status store_query_int(struct store *, const char *sql, int64_t *out, struct eddy_error *);
/* Before every write of about `bytes`: opens the transaction if none is open, and reserves room. */
eddy_status store_begin(struct store *, size_t bytes, struct eddy_error *);
void store_take_back(struct store *); /* ends the loan of columns */
void store_checkpoint_log(
    struct store *); /* moves the log into the file and empties it, when no reader is in the way */
int64_t store_log_bytes(const struct store *);

/* store_format.c: the tables of a file.  Formats are in ascending order; the last one is written. */
struct store_format {
    int version;
    const char *const *sql; /* its tables in order of name, as their texts stand in the file; NULL ends them */
    /* Makes the tables of the format before it into these, texts and all; within a transaction.  NULL in the first. */
    eddy_status (*upgrade)(struct store *, struct eddy_error *);
};
const struct store_format *store_formats(int *n);
eddy_status store_create_tables(struct store *, struct eddy_error *);
eddy_status store_check_tables(struct store *, const struct store_format *, struct eddy_error *);
/* Refuses what is none of `formats`; brings an older one up to the last in the open transaction, for the caller to
 * commit. A reader changes nothing, so it refuses older formats, too. */
eddy_status store_adopt_format(struct store *, const struct store_format *formats, int n, int64_t version,
                               struct eddy_error *);

/* store_contents.c */
#define STORE_CONTENTS_META ".contents"
eddy_status store_contents_open(struct store *, struct eddy_error *); /* before the first statement */
/* Run an upsert of a thing with this sum, or a DELETE that is RETURNING sum, as store_run does. */
eddy_status store_run_put(struct store *, sqlite3_stmt *, int kind, uint64_t sum, const char *doing,
                          struct eddy_error *);
eddy_status store_run_delete(struct store *, sqlite3_stmt *, int kind, const char *doing, struct eddy_error *);
eddy_status store_contents_write(struct store *, struct eddy_error *); /* into the open transaction, at its end */
/* Reads everything: EDDY_ECORRUPT when a checksum, the index of the keys or (check) the sum over all is wrong. */
eddy_status store_contents_count(struct store *, struct store_contents *, struct eddy_error *);
eddy_status store_contents_check(struct store *, struct eddy_error *);

/* store_changes.c */
void store_note(struct store *, const struct stored_row *, bool gone); /* cannot fail */

/* store_room.c */
eddy_status store_reserve(struct store *, int64_t bytes, struct eddy_error *);

/* store_meta.c: names that begin with '.' are the store's own, and refused from outside. */
eddy_status store_write_meta(struct store *, const char *name, const void *bytes, size_t n, struct eddy_error *);
eddy_status store_read_meta(struct store *, const char *name, struct eddy_buffer *, struct eddy_error *);

/* store_rows.c */
eddy_status store_check_row(struct store *, const struct stored_row *, uint64_t sum, struct eddy_error *);
/* Columns first.. of a statement are key, next_off, time_ns, count, flags, sum, row. */
eddy_status store_read_columns(struct store *, sqlite3_stmt *, int first, struct stored_row *, struct eddy_error *);
/* The next row in order of id, borrowed like one that was asked for; INT64_MIN is before all.  1, or 0: there is none. */
eddy_status store_row_after(struct store *, int64_t *id, struct stored_row *, struct eddy_error *);

#endif
