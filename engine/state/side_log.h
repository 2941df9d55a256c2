/* Rows on their way to the store: an append-only log in an unnamed file beside the state file, and an index over those of
 * its records that must be found again.
 *
 * A crash takes the file away, which is right: what stands in it belongs to a checkpoint that was not yet made.
 *
 * Record   i64 next_off, time_ns, count | u32 flags, key_len, gone, 0 | key [key_len] | row [row_bytes]
 * Memory   the newest SIDE_LOG_TAIL_BYTES of the log, more only while the disk takes nothing; 16 bytes of index per found
 *          key at a load of 3/8 to 3/4.
 * Errors   EDDY_EFULL: there is no room on the disk, nothing was changed.  EDDY_EIO, EDDY_ENOMEM.
 * Threads  one thread, and a second one in side_log_each() while nobody writes. */
#ifndef ENGINE_STATE_SIDE_LOG_H
#define ENGINE_STATE_SIDE_LOG_H

#include "engine/state/store.h"

enum { SIDE_LOG_TAIL_BYTES = 256 << 10 };

struct side_entry {
    uint64_t hash;
    uint64_t at; /* where the record begins, plus 1; 0 = free */
};

struct side_log {
    const char *beside; /* the state file's path; the log lies in its directory */
    size_t row_bytes;
    int fd;                  /* -1 until the tail is written for the first time */
    uint64_t file_bytes;     /* in the file; the tail comes after them */
    struct eddy_buffer tail; /* not yet in the file */
    struct eddy_buffer scratch;
    struct side_entry *entries; /* [mask + 1] */
    size_t mask, n_entries;
};

void side_log_open(struct side_log *, const char *beside, size_t row_bytes);
void side_log_close(struct side_log *);
/* Empty as after opening; the file, which may take long to free, is handed to the caller: -1 or to be closed. */
int side_log_reset(struct side_log *);
bool side_log_empty(const struct side_log *);
size_t side_log_memory(const struct side_log *);

/* Appends a record that nobody looks for.  `must`: fails only for memory, whatever the disk says. */
eddy_status side_log_append(struct side_log *, const struct stored_row *, bool gone, bool must, struct eddy_error *);
/* Appends a record that side_log_find() finds, or writes it over the one of this key. */
eddy_status side_log_put(struct side_log *, uint64_t hash, const struct stored_row *, bool gone, struct eddy_error *);
/* 1: `out` is what was put last, borrowed until the next call; 0: the key is not there. */
eddy_status side_log_find(struct side_log *, uint64_t hash, const char *key, size_t key_len, struct stored_row *out,
                          bool *gone, struct eddy_error *);
/* Calls back for every record in order. */
eddy_status side_log_each(const struct side_log *,
                          eddy_status (*each)(void *context, const struct stored_row *, bool gone,
                                              struct eddy_error *),
                          void *context, struct eddy_error *);

/* A place in a log that nobody writes to; {0} is its beginning. */
struct side_cursor {
    uint64_t at, next; /* of the record in hand; behind it */
    struct eddy_buffer read;
    uint64_t read_from;
};
/* 1: `out` is the record at the cursor, borrowed until the next call; 0: the end.  The cursor stays, so that a record may be
 * looked at twice; side_cursor_on() moves it behind the record. */
eddy_status side_log_at(const struct side_log *, struct side_cursor *, struct stored_row *out, bool *gone,
                        struct eddy_error *);
void side_cursor_on(struct side_cursor *);
void side_cursor_close(struct side_cursor *); /* back to the beginning, without memory */

#endif
