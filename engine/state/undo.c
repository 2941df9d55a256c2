#include "engine/state/undo.h"

#include <string.h>

struct undo_entry {
    struct key_row *row;
    int64_t next_off, time_ns, count;
    uint32_t flags, state;
    uint64_t created; /* 0 or 1; the row's bytes follow when 0 */
};

eddy_status undo_note(struct undo_log *log, struct key_row *r, bool created)
{
    size_t bytes = sizeof(struct undo_entry) + (created ? 0 : log->row_bytes);
    if (eddy_buffer_reserve(&log->entries, bytes) < 0) return EDDY_ENOMEM;

    struct undo_entry e = {.row = r,
                           .next_off = r->next_off,
                           .time_ns = r->time_ns,
                           .count = r->count,
                           .flags = r->flags,
                           .state = r->state,
                           .created = created};
    char *to = log->entries.data + log->entries.len;
    memcpy(to, &e, sizeof(e));
    if (!created && log->row_bytes) memcpy(to + sizeof(e), r->row, log->row_bytes);
    log->entries.len += bytes;
    return EDDY_OK;
}

static void put_back(const struct undo_entry *e, const char *row, size_t row_bytes)
{
    e->row->next_off = e->next_off;
    e->row->time_ns = e->time_ns;
    e->row->count = e->count;
    e->row->flags = e->flags;
    e->row->state = e->state;
    if (row_bytes) memcpy(e->row->row, row, row_bytes);
}

static void walk(struct undo_log *log, bool restore, void (*each)(void *context, struct key_row *, bool created),
                 void *context)
{
    for (size_t at = 0; at < log->entries.len;) {
        struct undo_entry e;
        memcpy(&e, log->entries.data + at, sizeof(e));
        at += sizeof(e);
        if (!e.created) {
            if (restore) put_back(&e, log->entries.data + at, log->row_bytes);
            at += log->row_bytes;
        }
        each(context, e.row, e.created);
    }
}

void undo_each(struct undo_log *log, void (*each)(void *context, struct key_row *, bool created), void *context)
{
    walk(log, false, each, context);
}

void undo_restore(struct undo_log *log, void (*each)(void *context, struct key_row *, bool created), void *context)
{
    walk(log, true, each, context);
}

void undo_clear(struct undo_log *log)
{
    log->entries.len = 0;
}

void undo_free(struct undo_log *log)
{
    eddy_buffer_free(&log->entries);
}
