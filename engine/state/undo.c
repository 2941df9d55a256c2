#include "engine/state/undo.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { UNDO_ALIGN = 64 };

struct undo_entry {
    struct key_row *row;
    int64_t next_off, time_ns, count;
    uint32_t flags, state;
    uint64_t created; /* 0 or 1; the bytes are undefined when 1 */
    _Alignas(UNDO_ALIGN) unsigned char bytes[];
};

struct undo_piece {
    struct key_row *row;
    size_t at, bytes, before; /* where in the log the piece before begins; the row's bytes follow */
};

void undo_open(struct undo_log *log, size_t copied_bytes)
{
    const size_t bytes = sizeof(struct undo_entry) + copied_bytes;
    *log = (struct undo_log){.copied_bytes = copied_bytes,
                             .entry_bytes = (bytes + UNDO_ALIGN - 1) / UNDO_ALIGN * UNDO_ALIGN};
}

static eddy_status undo_grow(struct undo_log *log)
{
    enum { FIRST_ENTRIES = 16 };
    const size_t room = log->room ? 2 * log->room : FIRST_ENTRIES * log->entry_bytes;
    unsigned char *rows = room > log->room ? aligned_alloc(UNDO_ALIGN, room) : NULL;
    if (!rows) return EDDY_ENOMEM;
    if (log->used) memcpy(rows, log->rows, log->used);
    free(log->rows);
    log->rows = rows;
    log->room = room;
    return EDDY_OK;
}

eddy_status undo_note(struct undo_log *log, struct key_row *r, bool created)
{
    if (log->used == log->room && undo_grow(log) < 0) return EDDY_ENOMEM;
    struct undo_entry *e = (struct undo_entry *)(void *)(log->rows + log->used);
    e->row = r;
    e->next_off = r->next_off;
    e->time_ns = r->time_ns;
    e->count = r->count;
    e->flags = r->flags;
    e->state = r->state;
    e->created = created;
    if (!created && log->copied_bytes) memcpy(e->bytes, r->row, log->copied_bytes);
    log->used += log->entry_bytes;
    return EDDY_OK;
}

eddy_status undo_promise(struct undo_log *log, size_t n, size_t bytes)
{
    const size_t promised = log->promised + n * sizeof(struct undo_piece) + bytes;
    if (eddy_buffer_reserve(&log->pieces, promised) < 0) return EDDY_ENOMEM;
    log->promised = promised;
    return EDDY_OK;
}

void undo_note_piece(struct undo_log *log, struct key_row *r, size_t at, size_t bytes)
{
    const struct undo_piece piece = {r, at, bytes, log->last};
    char *to = log->pieces.data + log->pieces.len;
    assert(sizeof(piece) + bytes <= log->promised);
    memcpy(to, &piece, sizeof(piece));
    memcpy(to + sizeof(piece), r->row + at, bytes);
    log->last = log->pieces.len;
    log->pieces.len += sizeof(piece) + bytes;
    log->promised -= sizeof(piece) + bytes;
}

/* The newest first: of several pieces that overlap the oldest is what was there before. */
static void put_back_pieces(struct undo_log *log)
{
    for (size_t end = log->pieces.len, at = log->last; end > 0;) {
        struct undo_piece piece;
        memcpy(&piece, log->pieces.data + at, sizeof(piece));
        memcpy(piece.row->row + piece.at, log->pieces.data + at + sizeof(piece), piece.bytes);
        end = at;
        at = piece.before;
    }
}

static void put_back(const struct undo_entry *e, size_t bytes)
{
    e->row->next_off = e->next_off;
    e->row->time_ns = e->time_ns;
    e->row->count = e->count;
    e->row->flags = e->flags;
    e->row->state = e->state;
    if (bytes) memcpy(e->row->row, e->bytes, bytes);
}

static void walk(struct undo_log *log, bool restore, void (*each)(void *context, struct key_row *, bool created),
                 void *context)
{
    for (size_t at = 0; at < log->used; at += log->entry_bytes) {
        const struct undo_entry *e = (const struct undo_entry *)(const void *)(log->rows + at);
        if (restore && !e->created) put_back(e, log->copied_bytes);
        each(context, e->row, e->created);
    }
}

void undo_each(struct undo_log *log, void (*each)(void *context, struct key_row *, bool created), void *context)
{
    walk(log, false, each, context);
}

void undo_restore(struct undo_log *log, void (*each)(void *context, struct key_row *, bool created), void *context)
{
    put_back_pieces(log);
    walk(log, true, each, context);
}

bool undo_is_empty(const struct undo_log *log)
{
    return log->used == 0;
}

size_t undo_bytes(const struct undo_log *log)
{
    return log->room + log->pieces.cap;
}

void undo_clear(struct undo_log *log)
{
    log->used = log->pieces.len = log->promised = log->last = 0;
}

void undo_free(struct undo_log *log)
{
    free(log->rows);
    eddy_buffer_free(&log->pieces);
    undo_open(log, log->copied_bytes);
}
