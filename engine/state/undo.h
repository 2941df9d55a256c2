/* The undo log of a batch: rows as they were before the batch touched them, one entry per row.
 *
 * Memory   one block that grows to the largest batch and is kept.
 * Threads  one thread. */
#ifndef ENGINE_STATE_UNDO_H
#define ENGINE_STATE_UNDO_H

#include "engine/state/keyspace.h"

struct undo_log {
    struct eddy_buffer entries;
    size_t row_bytes;
};

/* Notes header and row; a row that the batch itself created is noted without its contents. */
eddy_status undo_note(struct undo_log *, struct key_row *, bool created);
/* Calls back for each entry, in the order of noting; `created` ones have nothing to restore. */
void undo_each(struct undo_log *, void (*each)(void *context, struct key_row *, bool created), void *context);
/* The same, with header, state and row put back before each call (not for created ones). */
void undo_restore(struct undo_log *, void (*each)(void *context, struct key_row *, bool created), void *context);
void undo_clear(struct undo_log *); /* keeps the memory */
void undo_free(struct undo_log *);

#endif
