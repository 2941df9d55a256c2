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
    bool noting;            /* rows that are there already are being noted .. */
    int64_t since, at_id;   /* .. those with next_off > since, behind that one */
    unsigned char no_row[]; /* [row_bytes] what is noted of a row that is gone */
};

eddy_status store_track(struct store *s, size_t row_bytes, struct eddy_error *err)
{
    s->changes = calloc(1, sizeof(*s->changes) + row_bytes);
    if (!s->changes) return eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", s->path);
    side_log_open(&s->changes->log, s->path, row_bytes);
    return EDDY_OK;
}

void store_untrack(struct store *s)
{
    if (!s->changes) return;
    side_log_close(&s->changes->log);
    free(s->changes);
    s->changes = NULL;
}

/* Half a log never counts as a whole one. */
static void changes_lose(struct store_changes *c)
{
    const size_t row_bytes = c->log.row_bytes;
    const char *beside = c->log.beside;
    side_log_close(&c->log);
    side_log_open(&c->log, beside, row_bytes);
    c->lost = true;
    c->noting = false;
    c->n = 0;
}

static eddy_status changes_append(struct store_changes *c, const struct stored_row *r, bool gone,
                                  struct eddy_error *err)
{
    struct stored_row noted = *r;
    if (gone) noted.row = c->no_row;
    if (!gone && r->row_bytes != c->log.row_bytes)
        return eddy_fail(err, EDDY_EMISMATCH, "state file %s: a row of %zu bytes, not %zu", c->log.beside,
                         r->row_bytes, c->log.row_bytes);
    c->n++;
    return side_log_append(&c->log, &noted, gone, false, err);
}

void store_note(struct store *s, const struct stored_row *r, bool gone)
{
    struct store_changes *c = s->changes;
    if (!c || c->lost) return;
    const bool room = (uint64_t)c->n < 2 * s->contents.n + CHANGES_ROOM;
    if (!room || changes_append(c, r, gone, NULL) < 0) changes_lose(c);
}

void store_note_since(struct store *s, int64_t since)
{
    struct store_changes *c = s->changes;
    if (since < 0) changes_lose(c);
    c->lost = false;
    c->noting = true;
    c->since = since;
    c->at_id = INT64_MIN;
}

/* A row that is written meanwhile is noted by that: whichever note comes last is what there is. */
eddy_status store_note_more(struct store *s, int rows, struct eddy_error *err)
{
    struct store_changes *c = s->changes;
    struct stored_row r;
    eddy_status rc = EDDY_OK;
    for (int i = 0; c->noting && i < rows && rc >= 0; i++) {
        rc = store_row_after(s, &c->at_id, &r, err);
        if (rc == 0) c->noting = false;
        if (rc > 0 && r.next_off > c->since) rc = changes_append(c, &r, false, err);
    }
    store_take_back(s);
    if (rc < 0) changes_lose(c);
    return rc < 0 ? rc : !c->noting;
}

bool store_take_changes(struct store *s, struct side_log *out)
{
    struct store_changes *c = s->changes;
    if (c->lost || c->noting) return false;
    *out = c->log;
    side_log_open(&c->log, s->path, out->row_bytes);
    c->n = 0;
    return true;
}
