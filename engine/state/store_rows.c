#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "config/little_endian.h"
#include "engine/state/store_private.h"

/* Over all columns: a flipped bit in next_off would do as much harm as one in the row. */
static uint64_t row_sum(const struct stored_row *r)
{
    unsigned char head[48];
    le_put_u64(head, (uint64_t)r->next_off);
    le_put_u64(head + 8, (uint64_t)r->time_ns);
    le_put_u64(head + 16, (uint64_t)r->count);
    le_put_u64(head + 24, r->flags);
    le_put_u64(head + 32, r->key_len);
    le_put_u64(head + 40, r->row_bytes);
    uint64_t sum = XXH3_64bits(head, sizeof(head));
    sum = XXH3_64bits_withSeed(r->key, r->key_len, sum);
    return XXH3_64bits_withSeed(r->row, r->row_bytes, sum);
}

eddy_status store_check_row(struct store *s, const struct stored_row *r, uint64_t sum, struct eddy_error *err)
{
    char text[STORE_KEY_TEXT];
    if (sum == row_sum(r)) return EDDY_OK;
    return eddy_fail(err, EDDY_ECORRUPT, "state file %s: the row of key \"%s\" fails its checksum", s->path,
                     store_key_text(r->key, r->key_len, text));
}

eddy_status store_read_columns(struct store *s, sqlite3_stmt *stmt, int first, struct stored_row *out,
                               struct eddy_error *err)
{
    const void *key = sqlite3_column_blob(stmt, first), *row = sqlite3_column_blob(stmt, first + 6);
    *out = (struct stored_row){
        .key = key ? key : "", /* a blob of no bytes has no address */
        .key_len = (size_t)sqlite3_column_bytes(stmt, first),
        .next_off = sqlite3_column_int64(stmt, first + 1),
        .time_ns = sqlite3_column_int64(stmt, first + 2),
        .count = sqlite3_column_int64(stmt, first + 3),
        .flags = (uint32_t)sqlite3_column_int64(stmt, first + 4),
        .row = row ? row : (const unsigned char *)"",
        .row_bytes = (size_t)sqlite3_column_bytes(stmt, first + 6),
    };
    return store_check_row(s, out, (uint64_t)sqlite3_column_int64(stmt, first + 5), err);
}

static void bind_bytes(sqlite3_stmt *stmt, int at, const void *bytes, size_t n)
{
    sqlite3_bind_blob64(stmt, at, n ? bytes : "", n, SQLITE_STATIC); /* no address would mean NULL, not empty */
}

eddy_status store_get_row(struct store *s, const char *key, size_t key_len, struct stored_row *out,
                          struct eddy_error *err)
{
    sqlite3_stmt *get;
    eddy_status rc = store_statement(s, STORE_ROW_GET, &get, err);
    if (rc < 0) return rc;

    bind_bytes(get, 1, key, key_len);
    s->lent = get;
    switch (sqlite3_step(get)) {
    case SQLITE_ROW: rc = store_read_columns(s, get, 0, out, err); break;
    case SQLITE_DONE:
        rc = EDDY_ENOTFOUND; /* the usual answer for a new key: no text is written for it */
        if (err) {
            err->code = rc;
            err->reason = "";
            err->message[0] = '\0';
        }
        break;
    default: rc = store_fail(s, "reading a row", err);
    }
    if (rc < 0) store_take_back(s);
    return rc;
}

eddy_status store_put_row(struct store *s, const struct stored_row *r, struct eddy_error *err)
{
    sqlite3_stmt *put;
    eddy_status rc = store_begin(s, r->row_bytes + 2 * r->key_len, err);
    if (rc < 0 || (rc = store_statement(s, STORE_ROW_PUT, &put, err)) < 0) return rc;

    bind_bytes(put, 1, r->key, r->key_len);
    sqlite3_bind_int64(put, 2, r->next_off);
    sqlite3_bind_int64(put, 3, r->time_ns);
    sqlite3_bind_int64(put, 4, r->count);
    sqlite3_bind_int64(put, 5, r->flags);
    const uint64_t sum = row_sum(r);
    sqlite3_bind_int64(put, 6, (int64_t)sum);
    bind_bytes(put, 7, r->row, r->row_bytes);
    if (r->time_ns < s->oldest_ns) s->oldest_ns = r->time_ns;
    rc = store_run_put(s, put, STORE_ROWS, sum, "writing a row", err);
    if (rc >= 0) store_note(s, r, false);
    return rc;
}

eddy_status store_delete_row(struct store *s, const char *key, size_t key_len, struct eddy_error *err)
{
    sqlite3_stmt *del;
    eddy_status rc = store_begin(s, key_len, err);
    if (rc < 0 || (rc = store_statement(s, STORE_ROW_DELETE, &del, err)) < 0) return rc;

    bind_bytes(del, 1, key, key_len);
    rc = store_run_delete(s, del, STORE_ROWS, "deleting a row", err);
    if (rc >= 0) store_note(s, &(struct stored_row){.key = key, .key_len = key_len}, true);
    return rc;
}

eddy_status store_scan(struct store *s,
                       eddy_status (*each)(void *context, const struct stored_row *, struct eddy_error *),
                       void *context, struct eddy_error *err)
{
    sqlite3_stmt *stmt = NULL; /* of its own, so that `each` may call the store */
    struct stored_row r;
    int step = SQLITE_DONE;
    eddy_status rc = store_ready(s, err);
    if (rc < 0) return rc;

    if (sqlite3_prepare_v2(s->db, "SELECT key, next_off, time_ns, count, flags, sum, row FROM rows ORDER BY key", -1,
                           &stmt, NULL) != SQLITE_OK)
        return store_fail(s, "reading rows", err);
    while (rc >= 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        rc = store_read_columns(s, stmt, 0, &r, err);
        if (rc >= 0) rc = each(context, &r, err);
    }
    if (rc >= 0 && step != SQLITE_DONE) rc = store_fail(s, "reading rows", err);
    sqlite3_finalize(stmt);
    return rc < 0 ? rc : EDDY_OK;
}

eddy_status store_row_after(struct store *s, int64_t *id, struct stored_row *out, struct eddy_error *err)
{
    sqlite3_stmt *next;
    eddy_status rc = store_statement(s, STORE_ROW_AFTER, &next, err);
    if (rc < 0) return rc;
    sqlite3_bind_int64(next, 1, *id);
    s->lent = next;
    const int step = sqlite3_step(next);
    if (step == SQLITE_DONE) return 0;
    if (step != SQLITE_ROW) return store_fail(s, "reading rows", err);
    *id = sqlite3_column_int64(next, 0);
    rc = store_read_columns(s, next, 1, out, err);
    return rc < 0 ? rc : 1;
}

int64_t store_count(struct store *s, struct eddy_error *err)
{
    sqlite3_stmt *stmt;
    eddy_status rc = store_statement(s, STORE_ROW_COUNT, &stmt, err);
    if (rc < 0) return rc;
    int64_t n = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0)
                                                 : store_fail(s, "counting rows", err);
    sqlite3_reset(stmt);
    return n;
}

/* The key of a row that is about to go, for whoever follows the changes. */
static eddy_status sweep_key(struct store *s, sqlite3_stmt *find, struct eddy_buffer *key, struct eddy_error *err)
{
    const void *bytes = sqlite3_column_blob(find, 1);
    const size_t n = (size_t)sqlite3_column_bytes(find, 1);
    key->len = 0;
    return s->changes && eddy_buffer_append(key, n ? bytes : "", n) < 0
               ? eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", s->path)
               : EDDY_OK;
}

/* Row by row, by id: one statement over all could need more room than there is. */
int64_t store_sweep(struct store *s, int64_t before, struct eddy_error *err)
{
    sqlite3_stmt *find, *del;
    struct eddy_buffer key = {0};
    int64_t id = INT64_MIN, n = 0;
    eddy_status rc = store_ready(s, err);
    if (rc < 0 || before <= s->oldest_ns) return rc;

    while ((rc = store_statement(s, STORE_ROW_EXPIRED, &find, err)) == EDDY_OK) {
        sqlite3_bind_int64(find, 1, id);
        sqlite3_bind_int64(find, 2, before);
        int step = sqlite3_step(find);
        if (step == SQLITE_ROW) id = sqlite3_column_int64(find, 0);
        if (step != SQLITE_ROW && step != SQLITE_DONE) rc = store_fail(s, "looking for expired rows", err);
        if (step == SQLITE_ROW) rc = sweep_key(s, find, &key, err);
        sqlite3_reset(find);
        if (rc < 0 || step == SQLITE_DONE) break;

        if ((rc = store_begin(s, 0, err)) < 0 || (rc = store_statement(s, STORE_ROW_DELETE_ID, &del, err)) < 0) break;
        sqlite3_bind_int64(del, 1, id);
        if ((rc = store_run_delete(s, del, STORE_ROWS, "deleting an expired row", err)) < 0) break;
        store_note(s, &(struct stored_row){.key = key.data, .key_len = key.len}, true);
        n++;
    }
    eddy_buffer_free(&key);
    if (rc < 0) return rc;
    s->oldest_ns = before;
    return n;
}

struct migration {
    const struct row_layout *from, *to;
    unsigned char *row;
    void (*prepare)(void *context, unsigned char *row);
    void *context;
};

static eddy_status migrate_row(struct store *s, const struct migration *m, struct stored_row *r,
                               struct eddy_error *err)
{
    char text[STORE_KEY_TEXT];
    eddy_status rc;

    if (r->row_bytes != m->from->row_bytes)
        return eddy_fail(err, EDDY_ECORRUPT,
                         "state file %s: the row of key \"%s\" has %zu bytes, the stored directory says %zu", s->path,
                         store_key_text(r->key, r->key_len, text), r->row_bytes, m->from->row_bytes);
    memset(m->row, 0, m->to->row_bytes);
    if (m->prepare) m->prepare(m->context, m->row);
    row_layout_copy(m->from, r->row, m->to, m->row);
    /* The put ends the loan of the old row, so the key needs a copy. */
    char *key = malloc(r->key_len + 1);
    if (!key) return eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", s->path);
    memcpy(key, r->key, r->key_len);
    r->key = key;
    r->row = m->row;
    r->row_bytes = m->to->row_bytes;
    rc = store_put_row(s, r, err);
    free(key);
    return rc;
}

eddy_status store_migrate(struct store *s, const struct row_layout *from, const struct row_layout *to,
                          void (*prepare)(void *context, unsigned char *row), void *context, struct eddy_error *err)
{
    struct migration m = {.from = from, .to = to, .prepare = prepare, .context = context};
    struct stored_row r;
    int64_t id = INT64_MIN;
    eddy_status rc;

    m.row = aligned_alloc(64, to->row_bytes ? to->row_bytes : 64);
    if (!m.row) return eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", s->path);
    while ((rc = store_row_after(s, &id, &r, err)) > 0 && (rc = migrate_row(s, &m, &r, err)) >= 0) continue;
    store_take_back(s);
    free(m.row);
    return rc;
}
