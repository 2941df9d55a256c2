#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <xxhash.h>

#include "config/little_endian.h"
#include "engine/state/store_private.h"

static uint64_t meta_sum(const char *name, const void *bytes, size_t n)
{
    return XXH3_64bits_withSeed(bytes, n, XXH3_64bits(name, strlen(name)));
}

static uint64_t model_sum(uint64_t version, int64_t wall_time_s, const void *bytes, size_t n)
{
    unsigned char head[16];
    le_put_u64(head, version);
    le_put_u64(head + 8, (uint64_t)wall_time_s);
    return XXH3_64bits_withSeed(bytes, n, XXH3_64bits(head, sizeof(head)));
}

static eddy_status give_blob(struct store *s, sqlite3_stmt *stmt, struct eddy_buffer *out, struct eddy_error *err)
{
    size_t n = (size_t)sqlite3_column_bytes(stmt, 0);
    const void *bytes = sqlite3_column_blob(stmt, 0);
    out->len = 0;
    return eddy_buffer_append(out, bytes, n) < 0
               ? eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", s->path)
               : EDDY_OK;
}

eddy_status store_read_meta(struct store *s, const char *name, struct eddy_buffer *out, struct eddy_error *err)
{
    sqlite3_stmt *get;
    eddy_status rc = store_statement(s, STORE_META_GET, &get, err);
    if (rc < 0) return rc;

    sqlite3_bind_text(get, 1, name, -1, SQLITE_STATIC);
    s->lent = get;
    switch (sqlite3_step(get)) {
    case SQLITE_ROW:
        if ((uint64_t)sqlite3_column_int64(get, 1) !=
            meta_sum(name, sqlite3_column_blob(get, 0), (size_t)sqlite3_column_bytes(get, 0)))
            rc = eddy_fail(err, EDDY_ECORRUPT, "state file %s: \"%s\" fails its checksum", s->path, name);
        else
            rc = give_blob(s, get, out, err);
        break;
    case SQLITE_DONE: rc = eddy_fail(err, EDDY_ENOTFOUND, "state file %s: has no \"%s\"", s->path, name); break;
    default: rc = store_fail(s, "reading its facts", err);
    }
    store_take_back(s);
    return rc;
}

eddy_status store_write_meta(struct store *s, const char *name, const void *bytes, size_t n, struct eddy_error *err)
{
    sqlite3_stmt *put;
    eddy_status rc = store_statement(s, STORE_META_PUT, &put, err);
    if (rc < 0) return rc;

    sqlite3_bind_text(put, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_blob64(put, 2, n ? bytes : "", n, SQLITE_STATIC);
    const uint64_t sum = meta_sum(name, bytes, n);
    sqlite3_bind_int64(put, 3, (int64_t)sum);
    const int kind = strcmp(name, STORE_CONTENTS_META) == 0 ? STORE_UNCOUNTED : STORE_META;
    return store_run_put(s, put, kind, sum, "writing its facts", err);
}

static eddy_status check_name(struct store *s, const char *name, struct eddy_error *err)
{
    return name[0] && name[0] != '.'
               ? EDDY_OK
               : eddy_fail(err, EDDY_EINVAL, "state file %s: \"%s\" is no name for a value", s->path, name);
}

eddy_status store_get_meta(struct store *s, const char *name, struct eddy_buffer *out, struct eddy_error *err)
{
    eddy_status rc = check_name(s, name, err);
    return rc < 0 ? rc : store_read_meta(s, name, out, err);
}

eddy_status store_put_meta(struct store *s, const char *name, const void *bytes, size_t n, struct eddy_error *err)
{
    eddy_status rc = check_name(s, name, err);
    if (rc < 0 || (rc = store_begin(s, n, err)) < 0) return rc;
    return store_write_meta(s, name, bytes, n, err);
}

eddy_status store_list_meta(struct store *s,
                            eddy_status (*each)(void *context, const char *name, const void *bytes, size_t n,
                                                struct eddy_error *),
                            void *context, struct eddy_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int step = SQLITE_DONE;
    eddy_status rc = store_ready(s, err);
    if (rc < 0) return rc;

    if (sqlite3_prepare_v2(s->db, "SELECT value, sum, name FROM meta ORDER BY name", -1, &stmt, NULL) != SQLITE_OK)
        return store_fail(s, "reading its facts", err);
    while (rc >= 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(stmt, 2);
        const void *bytes = sqlite3_column_blob(stmt, 0);
        size_t n = (size_t)sqlite3_column_bytes(stmt, 0);
        if (!name || (uint64_t)sqlite3_column_int64(stmt, 1) != meta_sum(name, bytes, n))
            rc = eddy_fail(err, EDDY_ECORRUPT, "state file %s: \"%.60s\" fails its checksum", s->path,
                           name ? name : "");
        else if (name[0] != '.')
            rc = each(context, name, bytes, n, err);
    }
    if (rc >= 0 && step != SQLITE_DONE) rc = store_fail(s, "reading its facts", err);
    sqlite3_finalize(stmt);
    return rc < 0 ? rc : EDDY_OK;
}

static eddy_status check_version(struct store *s, uint64_t version, struct eddy_error *err)
{
    return version <= INT64_MAX ? EDDY_OK
                                : eddy_fail(err, EDDY_EINVAL, "state file %s: model version %" PRIu64 " is too large",
                                            s->path, version);
}

eddy_status store_put_dated_model(struct store *s, uint64_t version, int64_t wall_time_s, const void *bytes, size_t n,
                                  struct eddy_error *err)
{
    sqlite3_stmt *put;
    eddy_status rc = check_version(s, version, err);
    if (rc < 0 || (rc = store_begin(s, n, err)) < 0) return rc;
    if ((rc = store_statement(s, STORE_MODEL_PUT, &put, err)) < 0) return rc;

    sqlite3_bind_int64(put, 1, (int64_t)version);
    sqlite3_bind_blob64(put, 2, n ? bytes : "", n, SQLITE_STATIC);
    sqlite3_bind_int64(put, 3, wall_time_s);
    const uint64_t sum = model_sum(version, wall_time_s, bytes, n);
    sqlite3_bind_int64(put, 4, (int64_t)sum);
    return store_run_put(s, put, STORE_MODELS, sum, "writing a model", err);
}

eddy_status store_put_model(struct store *s, uint64_t version, const void *bytes, size_t n, struct eddy_error *err)
{
    return store_put_dated_model(s, version, (int64_t)time(NULL), bytes, n, err);
}

eddy_status store_get_model(struct store *s, uint64_t version, struct eddy_buffer *out, struct eddy_error *err)
{
    sqlite3_stmt *get;
    eddy_status rc = check_version(s, version, err);
    if (rc < 0 || (rc = store_statement(s, STORE_MODEL_GET, &get, err)) < 0) return rc;

    sqlite3_bind_int64(get, 1, (int64_t)version);
    s->lent = get;
    switch (sqlite3_step(get)) {
    case SQLITE_ROW:
        if ((uint64_t)sqlite3_column_int64(get, 2) != model_sum(version, sqlite3_column_int64(get, 1),
                                                                sqlite3_column_blob(get, 0),
                                                                (size_t)sqlite3_column_bytes(get, 0)))
            rc = eddy_fail(err, EDDY_ECORRUPT, "state file %s: model version %" PRIu64 " fails its checksum", s->path,
                           version);
        else
            rc = give_blob(s, get, out, err);
        break;
    case SQLITE_DONE:
        rc = eddy_fail(err, EDDY_ENOTFOUND, "state file %s: has no model version %" PRIu64, s->path, version);
        break;
    default: rc = store_fail(s, "reading a model", err);
    }
    store_take_back(s);
    return rc;
}

eddy_status store_list_models(struct store *s,
                              eddy_status (*each)(void *context, uint64_t version, size_t bytes, int64_t wall_time_s,
                                                  struct eddy_error *),
                              void *context, struct eddy_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int step = SQLITE_DONE;
    eddy_status rc = store_ready(s, err);
    if (rc < 0) return rc;

    if (sqlite3_prepare_v2(s->db, "SELECT version, length(bytes), wall_time_s FROM model ORDER BY version", -1, &stmt,
                           NULL) != SQLITE_OK)
        return store_fail(s, "listing models", err);
    while (rc >= 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW)
        rc = each(context, (uint64_t)sqlite3_column_int64(stmt, 0), (size_t)sqlite3_column_int64(stmt, 1),
                  sqlite3_column_int64(stmt, 2), err);
    if (rc >= 0 && step != SQLITE_DONE) rc = store_fail(s, "listing models", err);
    sqlite3_finalize(stmt);
    return rc < 0 ? rc : EDDY_OK;
}

eddy_status store_prune_models(struct store *s, int keep, struct eddy_error *err)
{
    sqlite3_stmt *prune;
    eddy_status rc = store_begin(s, 64 * STORE_PAGE_BYTES, err); /* a page of the free list per 1,000 pages freed */
    if (rc < 0 || (rc = store_statement(s, STORE_MODEL_PRUNE, &prune, err)) < 0) return rc;
    sqlite3_bind_int(prune, 1, keep > 0 ? keep : 0);
    return store_run_delete(s, prune, STORE_MODELS, "removing old models", err);
}
