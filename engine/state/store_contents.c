/* What a file should hold: one number over everything in it, kept in the transaction that changes it.
 *
 *   contents = n things, and the sum modulo 2^64 of mix(kind, checksum of the thing) over rows, named blobs and models
 *
 * A sum does not care for the order, so a change costs one subtraction and one addition.  It finds what no checksum of
 * a single thing can: a row that is missing, one that is older than the checkpoint it lies in, a position beside rows of
 * another one; all of which a log that was torn, or parted from its file, leaves behind in pages that are each good by
 * themselves.  The sum is the named blob ".contents" (u64 n, u64 sum); files of older eddies have none.
 *
 * The index of the keys has no checksums: a key that it lost would count as new.  So it is read, too, and must name the
 * same keys as the table, in ascending order. */
#include <inttypes.h>
#include <string.h>

#include <xxhash.h>

#include "config/little_endian.h"
#include "engine/state/store_private.h"

static uint64_t mix(uint64_t kind, uint64_t sum)
{
    unsigned char bytes[16];
    le_put_u64(bytes, kind);
    le_put_u64(bytes + 8, sum);
    return XXH3_64bits(bytes, sizeof(bytes));
}

static void contents_add(struct store_contents *c, int kind, uint64_t sum)
{
    c->n++;
    c->sum += mix((uint64_t)kind, sum);
}

static void contents_take(struct store_contents *c, int kind, uint64_t sum)
{
    c->n--;
    c->sum -= mix((uint64_t)kind, sum);
}

/* eddy_replaced(kind, old sum, new sum): the new sum, where an UPDATE writes it over the old one. */
static void replaced(sqlite3_context *context, int n, sqlite3_value **v)
{
    struct store *s = sqlite3_user_data(context);
    (void)n;
    contents_take(&s->contents, sqlite3_value_int(v[0]), (uint64_t)sqlite3_value_int64(v[1]));
    sqlite3_result_value(context, v[2]);
}

eddy_status store_contents_open(struct store *s, struct eddy_error *err)
{
    return sqlite3_create_function_v2(s->db, "eddy_replaced", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, s, replaced, NULL,
                                      NULL, NULL) == SQLITE_OK
               ? EDDY_OK
               : store_fail(s, "opening", err);
}

eddy_status store_run_put(struct store *s, sqlite3_stmt *stmt, int kind, uint64_t sum, const char *doing,
                          struct eddy_error *err)
{
    const struct store_contents before = s->contents;
    eddy_status rc = store_run(s, stmt, doing, err);
    if (rc < 0 || kind == STORE_UNCOUNTED)
        s->contents = before;
    else
        contents_add(&s->contents, kind, sum);
    return rc;
}

eddy_status store_run_delete(struct store *s, sqlite3_stmt *stmt, int kind, const char *doing, struct eddy_error *err)
{
    const struct store_contents before = s->contents;
    eddy_status rc = EDDY_OK;
    int step;
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW)
        contents_take(&s->contents, kind, (uint64_t)sqlite3_column_int64(stmt, 0));
    if (step != SQLITE_DONE) {
        rc = store_fail(s, doing, err);
        s->contents = before;
    }
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return rc;
}

eddy_status store_contents_write(struct store *s, struct eddy_error *err)
{
    unsigned char bytes[16];
    eddy_status rc = store_begin(s, sizeof(bytes), err);
    le_put_u64(bytes, s->contents.n);
    le_put_u64(bytes + 8, s->contents.sum);
    return rc < 0 ? rc : store_write_meta(s, STORE_CONTENTS_META, bytes, sizeof(bytes), err);
}

/* ---- counting anew ---- */

static eddy_status prepare(struct store *s, const char *sql, sqlite3_stmt **out, struct eddy_error *err)
{
    return sqlite3_prepare_v2(s->db, sql, -1, out, NULL) == SQLITE_OK ? EDDY_OK : store_fail(s, "checking it", err);
}

/* Ends a scan: its error, if it did not come to the end. */
static eddy_status finish(struct store *s, sqlite3_stmt *stmt, int step, eddy_status rc, struct eddy_error *err)
{
    if (rc >= 0 && step != SQLITE_DONE) rc = store_fail(s, "checking it", err);
    sqlite3_finalize(stmt);
    return rc < 0 ? rc : EDDY_OK;
}

/* `keys`: which keys the table holds, for a comparison with the index. */
static eddy_status count_rows(struct store *s, struct store_contents *c, struct store_contents *keys,
                              struct eddy_error *err)
{
    sqlite3_stmt *stmt = NULL;
    struct stored_row r;
    int step = SQLITE_DONE;
    eddy_status rc = prepare(
        s, "SELECT id, key, next_off, time_ns, count, flags, sum, row FROM rows NOT INDEXED ORDER BY id", &stmt, err);
    while (rc >= 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        rc = store_read_columns(s, stmt, 1, &r, err);
        contents_add(c, STORE_ROWS, (uint64_t)sqlite3_column_int64(stmt, 6));
        contents_add(keys, sqlite3_column_int(stmt, 0), XXH3_64bits(r.key, r.key_len));
    }
    return finish(s, stmt, step, rc, err);
}

static eddy_status index_fault(struct store *s, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ECORRUPT, "state file %s: the index of its keys does not fit its rows", s->path);
}

static bool ascends(const struct eddy_buffer *last, const void *key, size_t n)
{
    size_t common = last->len < n ? last->len : n;
    int order = common ? memcmp(last->data, key, common) : 0;
    return order < 0 || (order == 0 && last->len < n);
}

static eddy_status check_index(struct store *s, const struct store_contents *keys, struct eddy_error *err)
{
    sqlite3_stmt *stmt = NULL;
    struct store_contents c = {0};
    struct eddy_buffer last = {0};
    int step = SQLITE_DONE;
    eddy_status rc = prepare(s, "SELECT key, id FROM rows INDEXED BY sqlite_autoindex_rows_1 ORDER BY key", &stmt,
                             err);
    while (rc >= 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        const void *key = sqlite3_column_blob(stmt, 0);
        size_t n = (size_t)sqlite3_column_bytes(stmt, 0);
        if (c.n > 0 && !ascends(&last, key, n)) rc = index_fault(s, err);
        contents_add(&c, sqlite3_column_int(stmt, 1), XXH3_64bits(n ? key : "", n));
        last.len = 0;
        if (rc >= 0 && eddy_buffer_append(&last, n ? key : "", n) < 0)
            rc = eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", s->path);
    }
    rc = finish(s, stmt, step, rc, err);
    eddy_buffer_free(&last);
    return rc < 0 || (c.n == keys->n && c.sum == keys->sum) ? rc : index_fault(s, err);
}

/* Every blob must be found by its name, which has an index of its own. */
static eddy_status count_meta(struct store *s, struct store_contents *c, struct eddy_error *err)
{
    sqlite3_stmt *stmt = NULL;
    struct eddy_buffer value = {0};
    int step = SQLITE_DONE;
    eddy_status rc = prepare(s, "SELECT name, sum FROM meta NOT INDEXED", &stmt, err);
    while (rc >= 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        rc = store_read_meta(s, name ? name : "", &value, err);
        if (rc == EDDY_ENOTFOUND)
            rc = eddy_fail(err, EDDY_ECORRUPT, "state file %s: \"%.60s\" is not found by its name", s->path,
                           name ? name : "");
        if (rc >= 0 && strcmp(name, STORE_CONTENTS_META) != 0)
            contents_add(c, STORE_META, (uint64_t)sqlite3_column_int64(stmt, 1));
    }
    eddy_buffer_free(&value);
    return finish(s, stmt, step, rc, err);
}

static eddy_status count_models(struct store *s, struct store_contents *c, struct eddy_error *err)
{
    sqlite3_stmt *stmt = NULL;
    struct eddy_buffer bytes = {0};
    int step = SQLITE_DONE;
    eddy_status rc = prepare(s, "SELECT version, sum FROM model", &stmt, err);
    while (rc >= 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        rc = store_get_model(s, (uint64_t)sqlite3_column_int64(stmt, 0), &bytes, err);
        contents_add(c, STORE_MODELS, (uint64_t)sqlite3_column_int64(stmt, 1));
    }
    eddy_buffer_free(&bytes);
    return finish(s, stmt, step, rc == EDDY_ENOTFOUND ? EDDY_ECORRUPT : rc, err);
}

eddy_status store_contents_count(struct store *s, struct store_contents *out, struct eddy_error *err)
{
    struct store_contents keys = {0};
    *out = (struct store_contents){0};
    eddy_status rc = count_meta(s, out, err);
    if (rc >= 0) rc = count_models(s, out, err);
    if (rc >= 0) rc = count_rows(s, out, &keys, err);
    return rc >= 0 ? check_index(s, &keys, err) : rc;
}

/* What the last checkpoint wrote, or with open changes what they should have come to; `is` when nobody wrote it. */
static eddy_status contents_wanted(struct store *s, const struct store_contents *is, struct store_contents *out,
                                   struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    *out = s->writing ? s->contents : *is;
    if (s->writing) return EDDY_OK;
    eddy_status rc = store_read_meta(s, STORE_CONTENTS_META, &b, err);
    if (rc >= 0 && b.len == 16) *out = (struct store_contents){le_get_u64(b.data), le_get_u64(b.data + 8)};
    eddy_buffer_free(&b);
    return rc == EDDY_ENOTFOUND ? EDDY_OK : rc;
}

eddy_status store_contents_check(struct store *s, struct eddy_error *err)
{
    struct store_contents is, want;
    eddy_status rc = store_contents_count(s, &is, err);
    if (rc < 0 || (rc = contents_wanted(s, &is, &want, err)) < 0) return rc;
    if (is.n != want.n || is.sum != want.sum)
        return eddy_fail(err, EDDY_ECORRUPT,
                         "state file %s: what it holds (%" PRIu64
                         " things) is not what was written together (%" PRIu64 ")",
                         s->path, is.n, want.n);
    s->contents = is;
    return EDDY_OK;
}

void store_sum(const struct store *s, uint64_t *n, uint64_t *sum)
{
    *n = s->contents.n;
    *sum = s->contents.sum;
}
