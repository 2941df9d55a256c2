/* A partition's state as a stream of bytes, to carry to another machine or keep as a copy.
 *
 * Format   one line of text
 *              eddy-state 1 <name> <topic> <partition> <sum>
 *          (topic with %XX as in file names, sum of the line before it as 16 hex digits), then records
 *              type u8 | bytes u64 | payload [bytes] | sum u64
 *          with all numbers little-endian:
 *              M  named blob: u32 length of the name, name, value
 *              W  model:      u64 version, i64 wall time in s, weights
 *              R  row:        u32 length of the key, u32 flags, i64 next_off, i64 time_ns, i64 count, key, row
 *              E  end:        u64 how many records came before
 *          Each sum is an XXH3 over its record and the sum before it, so a record that was altered, dropped or moved is
 *          found, and named by its number.  Several exports may follow each other in one stream.  Rows are bytes as they
 *          lie in memory on the machines eddy runs on (little-endian, IEEE 754).
 * Errors   reading: EDDY_ECORRUPT names the record, EDDY_EVERSION another format, EDDY_EIO.
 * Threads  one thread per stream and store. */
#ifndef ENGINE_STATE_EXPORT_H
#define ENGINE_STATE_EXPORT_H

#include <stdio.h>

#include "engine/state/store.h"

/* Writes all of the store: named blobs, models, rows in key order.  A store opened read only gives one checkpoint. */
eddy_status store_export(struct store *, FILE *to, struct eddy_error *);

/* Reads the first line of the next export in the stream; EDDY_ENOTFOUND at its end.  The names point into `text`. */
eddy_status store_import_identity(FILE *from, struct eddy_buffer *text, struct store_identity *, struct eddy_error *);
/* Reads the records behind that line into a new store at `path`, as one checkpoint of `identity` (the one that was read,
 * or another to give the state a new name).  Refuses a path that exists; leaves nothing behind when it fails. */
eddy_status store_import(FILE *from, const char *path, const struct store_identity *identity, struct eddy_error *);

#endif
