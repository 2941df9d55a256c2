/* The tables of a state file, format by format, and how an older one becomes the next.
 *
 * A new format is a new entry at the end of the table.  Its upgrade renames a table that changes, creates it anew with the
 * text of the entry, copies the rows over and drops the old one; ALTER TABLE would leave a text of SQLite's making. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/state/store_private.h"

static const char *const tables_1[] = {
    "CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, sum INTEGER NOT NULL)",
    "CREATE TABLE model (version INTEGER PRIMARY KEY NOT NULL, bytes BLOB NOT NULL, wall_time_s INTEGER NOT NULL, "
    "sum INTEGER NOT NULL)",
    "CREATE TABLE rows (id INTEGER PRIMARY KEY NOT NULL, key BLOB NOT NULL UNIQUE, next_off INTEGER NOT NULL, "
    "time_ns INTEGER NOT NULL, count INTEGER NOT NULL, flags INTEGER NOT NULL, sum INTEGER NOT NULL, "
    "row BLOB NOT NULL)",
    NULL,
};

static const struct store_format formats[] = {
    {1, tables_1, NULL},
};
enum { N_FORMATS = sizeof(formats) / sizeof(formats[0]) };

const struct store_format *store_formats(int *n)
{
    *n = N_FORMATS;
    return formats;
}

static eddy_status set_version(struct store *s, int version, struct eddy_error *err)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", version);
    return store_exec(s, "writing its format", sql, err);
}

eddy_status store_create_tables(struct store *s, struct eddy_error *err)
{
    const struct store_format *f = &formats[N_FORMATS - 1];
    int n = 0;
    while (f->sql[n]) n++;
    eddy_status rc = store_begin(s, (size_t)n * STORE_PAGE_BYTES, err);
    for (int i = 0; i < n && rc == EDDY_OK; i++) rc = store_exec(s, "making its tables", f->sql[i], err);
    return rc < 0 ? rc : set_version(s, f->version, err);
}

eddy_status store_check_tables(struct store *s, const struct store_format *f, struct eddy_error *err)
{
    sqlite3_stmt *stmt = NULL;
    eddy_status rc = EDDY_OK;
    int n = 0, step;

    /* Automatic indexes have no text of their own. */
    if (sqlite3_prepare_v2(s->db, "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name", -1,
                           &stmt, NULL) != SQLITE_OK)
        return store_fail(s, "reading its tables", err);
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW && rc == EDDY_OK) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        const char *sql = (const char *)sqlite3_column_text(stmt, 1);
        if (!f->sql[n] || !sql || strcmp(sql, f->sql[n]) != 0)
            rc = eddy_fail(err, EDDY_ECORRUPT, "state file %s: \"%.60s\" is not as eddy creates it in format %d",
                           s->path, name ? name : "", f->version);
        else
            n++;
    }
    if (rc == EDDY_OK && step != SQLITE_DONE) rc = store_fail(s, "reading its tables", err);
    if (rc == EDDY_OK && f->sql[n])
        rc = eddy_fail(err, EDDY_ECORRUPT, "state file %s: has only %d of the tables of format %d", s->path, n,
                       f->version);
    sqlite3_finalize(stmt);
    return rc;
}

static eddy_status format_find(const struct store *s, const struct store_format *known, int n, int64_t version,
                               int *at, struct eddy_error *err)
{
    const int oldest = known[0].version, newest = known[n - 1].version;
    for (*at = 0; *at < n; (*at)++)
        if (known[*at].version == version) return EDDY_OK;
    return eddy_fail(err, EDDY_EVERSION, "state file %s: has format %" PRId64 ", %s; this one reads formats %d to %d",
                     s->path, version, version > newest ? "written by a newer eddy" : "which no eddy writes", oldest,
                     newest);
}

eddy_status store_adopt_format(struct store *s, const struct store_format *known, int n, int64_t version,
                               struct eddy_error *err)
{
    int64_t pages;
    int at;
    eddy_status rc = format_find(s, known, n, version, &at, err);
    if (rc < 0 || (rc = store_check_tables(s, &known[at], err)) < 0 || at == n - 1) return rc;
    if (s->mode == STORE_READ_ONLY)
        return eddy_fail(err, EDDY_EVERSION,
                         "state file %s: has format %" PRId64
                         " of an older eddy; it becomes format %d when its pipeline is started next",
                         s->path, version, known[n - 1].version);

    /* Both the old and the new tables may have to fit. */
    if ((rc = store_query_int(s, "PRAGMA page_count", &pages, err)) < 0) return rc;
    if ((rc = store_begin(s, 2 * (size_t)pages * STORE_PAGE_BYTES, err)) < 0) return rc;
    while (++at < n && rc == EDDY_OK) {
        rc = known[at].upgrade(s, err);
        if (rc == EDDY_OK) rc = store_check_tables(s, &known[at], err);
        if (rc == EDDY_OK) rc = set_version(s, known[at].version, err);
    }
    return rc;
}
