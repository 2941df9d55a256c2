/* The undo log of a batch: rows as they were before the batch touched them, one entry per row, and pieces of rows as they were
 * before each change.  A row is copied up to copied_bytes; what lies behind that is in pieces or unchanged.
 *
 * Memory   two blocks that grow to the largest batch and are kept.
 * Threads  one thread. */
#ifndef ENGINE_STATE_UNDO_H
#define ENGINE_STATE_UNDO_H

#include "engine/state/keyspace.h"

struct undo_log {
    unsigned char *rows; /* [room] entries of entry_bytes, aligned as rows are */
    size_t used, room;
    size_t copied_bytes, entry_bytes;
    struct eddy_buffer pieces;
    size_t promised; /* room in `pieces` that undo_promise() has set aside */
    size_t last;     /* where the last piece begins */
};

void undo_open(struct undo_log *, size_t copied_bytes);
/* Notes header and row; a row that the batch itself created is noted without its contents. */
eddy_status undo_note(struct undo_log *, struct key_row *, bool created);
/* Sets room aside for n more pieces of so many bytes together, until the log is cleared. */
eddy_status undo_promise(struct undo_log *, size_t n, size_t bytes);
/* Notes bytes of a row that is in the log; in room that was promised. */
void undo_note_piece(struct undo_log *, struct key_row *, size_t at, size_t bytes);
/* Calls back for each row, in the order of noting; `created` ones have nothing to restore. */
void undo_each(struct undo_log *, void (*each)(void *context, struct key_row *, bool created), void *context);
/* The same, with header, state and row put back before each call (not for created ones). */
void undo_restore(struct undo_log *, void (*each)(void *context, struct key_row *, bool created), void *context);
bool undo_is_empty(const struct undo_log *);
size_t undo_bytes(const struct undo_log *);
void undo_clear(struct undo_log *); /* keeps the memory */
void undo_free(struct undo_log *);

#endif
