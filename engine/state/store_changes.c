/* What has changed since somebody last asked, for a copy of the state elsewhere: every row
 * that is written or deleted is noted in a side log as well.
 *
 * A note never makes a write fail.  When it finds no room, or when the log would be longer than two copies of the state,
 * it is given up, and whoever asks next copies everything. */
#include <stdlib.h>
#include <string.h>

#include "engine/state/side_log.h"
#include "engine/state/store_private.h"

enum { CHANGES_ROOM = 1 << 16 };

struct store_changes {
    struct side_log log;
    int64_t n;
    bool lost;              /* since the last take something was not noted */
    unsigned char no_row[]; /* [row_bytes] what is noted of a row that is gone */
};

eddy_status store_track(struct store *s, size_t row_bytes, struct eddy_error *err)
{
    s->changes = calloc(1, sizeof(*s->changes) + row_bytes);
    if (!s->changes) return eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", s->path);
    side_log_open(&s->changes->log, s->path, row_bytes);
    return EDDY_OK;
}

void store_changes_close(struct store *s)
{
    if (!s->changes) return;
    side_log_close(&s->changes->log);
    free(s->changes);
    s->changes = NULL;
}

static void changes_lose(struct store_changes *c)
{
    const size_t row_bytes = c->log.row_bytes;
    const char *beside = c->log.beside;
    side_log_close(&c->log);
    side_log_open(&c->log, beside, row_bytes);
    c->lost = true;
    c->n = 0;
}

void store_note(struct store *s, const struct stored_row *r, bool gone)
{
    struct store_changes *c = s->changes;
    if (!c || c->lost) return;
    struct stored_row noted = *r;
    if (gone) noted.row = c->no_row;
    const bool fits = gone || r->row_bytes == c->log.row_bytes;
    const bool room = (uint64_t)c->n < 2 * s->contents.n + CHANGES_ROOM;
    if (!fits || !room || side_log_append(&c->log, &noted, gone, false, NULL) < 0)
        changes_lose(c);
    else
        c->n++;
}

struct noting {
    struct store *store;
    int64_t since;
};

static eddy_status note_newer(void *context, const struct stored_row *r, struct eddy_error *err)
{
    const struct noting *n = context;
    struct store_changes *c = n->store->changes;
    if (r->next_off <= n->since) return EDDY_OK;
    c->n++;
    return side_log_append(&c->log, r, false, false, err);
}

eddy_status store_note_since(struct store *s, int64_t since, struct eddy_error *err)
{
    struct noting noting = {s, since};
    if (since < 0) changes_lose(s->changes);
    s->changes->lost = false;
    return store_scan(s, note_newer, &noting, err);
}

bool store_take_changes(struct store *s, struct side_log *out)
{
    struct store_changes *c = s->changes;
    if (c->lost) return false;
    *out = c->log;
    side_log_open(&c->log, s->path, out->row_bytes);
    c->n = 0;
    return true;
}
