#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config/failpoint.h"
#include "engine/state/store_private.h"

enum {
    READER_WAIT_MS = 200,           /* for another process that holds the file for a moment */
    LOG_CHECKPOINT_BYTES = 4 << 20, /* the log is moved into the file when it has grown beyond this */
    WRITE_OVERHEAD_PAGES = 6        /* leaves and inner pages of table and index that a small write may touch */
};

/* Rows have an integer id and a unique index on the key.  A table without rowids, clustered by the key, was measured
 * with 200,000 rows: inserts 4.5 to 7 times slower, random updates 1.2 times (512-byte rows) to 3 times (2 KiB) slower,
 * reads up to 3 times slower, the file 1.1 to 2.2 times as large, because an index page holds at most 1 KB of a row and
 * the rest goes to overflow pages.  Only scans in key order were faster. */
static const char *const statement_sql[STORE_STATEMENTS] = {
    [STORE_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_COMMIT] = "COMMIT",
    [STORE_ROW_GET] = "SELECT key, next_off, time_ns, count, flags, sum, row FROM rows WHERE key = ?1",
    [STORE_ROW_PUT] = "INSERT INTO rows (key, next_off, time_ns, count, flags, sum, row) "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO UPDATE SET next_off = ?2, "
                      "time_ns = ?3, count = ?4, flags = ?5, sum = eddy_replaced(1, sum, ?6), row = ?7",
    [STORE_ROW_DELETE] = "DELETE FROM rows WHERE key = ?1 RETURNING sum",
    [STORE_ROW_AFTER] = "SELECT id, key, next_off, time_ns, count, flags, sum, row FROM rows WHERE id > ?1 "
                        "ORDER BY id LIMIT 1",
    [STORE_ROW_COUNT] = "SELECT count(*) FROM rows",
    [STORE_ROW_EXPIRED] = "SELECT id, key FROM rows WHERE id > ?1 AND time_ns < ?2 ORDER BY id LIMIT 1",
    [STORE_ROW_DELETE_ID] = "DELETE FROM rows WHERE id = ?1 RETURNING sum",
    [STORE_META_GET] = "SELECT value, sum FROM meta WHERE name = ?1",
    [STORE_META_PUT] = "INSERT INTO meta (name, value, sum) VALUES (?1, ?2, ?3) "
                       "ON CONFLICT (name) DO UPDATE SET value = ?2, sum = eddy_replaced(2, sum, ?3)",
    [STORE_MODEL_GET] = "SELECT bytes, wall_time_s, sum FROM model WHERE version = ?1",
    [STORE_MODEL_PUT] = "INSERT INTO model (version, bytes, wall_time_s, sum) VALUES (?1, ?2, ?3, ?4) "
                        "ON CONFLICT (version) DO UPDATE SET bytes = ?2, wall_time_s = ?3, "
                        "sum = eddy_replaced(3, sum, ?4)",
    [STORE_MODEL_PRUNE] = "DELETE FROM model WHERE version NOT IN "
                          "(SELECT version FROM model ORDER BY version DESC LIMIT ?1) RETURNING sum",
};

static eddy_status status_of(int sqlite_code, int system_code)
{
    switch (sqlite_code & 0xff) {
    case SQLITE_NOMEM: return EDDY_ENOMEM;
    case SQLITE_FULL: return EDDY_EFULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return EDDY_ECORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return EDDY_EBUSY;
    case SQLITE_TOOBIG: return EDDY_ELIMIT;
    default: break;
    }
    bool no_room = system_code == ENOSPC || system_code == EDQUOT || system_code == EFBIG;
    return no_room ? EDDY_EFULL : EDDY_EIO;
}

eddy_status store_fail(struct store *s, const char *doing, struct eddy_error *err)
{
    int code = sqlite3_extended_errcode(s->db);
    int system_code = sqlite3_system_errno(s->db);
    bool is_io = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;
    const char *detail = is_io && system_code ? strerror(system_code) : "";
    const char *between = detail[0] ? ": " : "";

    if (s->writing && sqlite3_get_autocommit(s->db)) {
        s->writing = false;
        s->lost = true;
        return eddy_fail(
            err, EDDY_EIO,
            "state file %s: %s: %s%s%s; what was not yet checkpointed is lost, start again from the last "
            "checkpoint",
            s->path, doing, sqlite3_errmsg(s->db), between, detail);
    }
    return eddy_fail(err, status_of(code, system_code), "state file %s: %s: %s%s%s", s->path, doing,
                     sqlite3_errmsg(s->db), between, detail);
}

void store_take_back(struct store *s)
{
    if (!s->lent) return;
    sqlite3_reset(s->lent);
    sqlite3_clear_bindings(s->lent);
    s->lent = NULL;
}

eddy_status store_ready(struct store *s, struct eddy_error *err)
{
    store_take_back(s);
    if (!s->lost) return EDDY_OK;
    return eddy_fail(
        err, EDDY_EIO,
        "state file %s: an earlier failure took the open changes back; start again from the last checkpoint",
        s->path);
}

eddy_status store_statement(struct store *s, enum store_statement which, sqlite3_stmt **out, struct eddy_error *err)
{
    eddy_status rc = store_ready(s, err);
    if (rc < 0) return rc;
    if (!s->statements[which] && sqlite3_prepare_v3(s->db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                                    &s->statements[which], NULL) != SQLITE_OK)
        return store_fail(s, "preparing a statement", err);
    *out = s->statements[which];
    return EDDY_OK;
}

eddy_status store_run(struct store *s, sqlite3_stmt *stmt, const char *doing, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    if (sqlite3_step(stmt) != SQLITE_DONE) rc = store_fail(s, doing, err);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return rc;
}

eddy_status store_exec(struct store *s, const char *doing, const char *sql, struct eddy_error *err)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? EDDY_OK : store_fail(s, doing, err);
}

eddy_status store_query_int(struct store *s, const char *sql, int64_t *out, struct eddy_error *err)
{
    sqlite3_stmt *stmt = NULL;
    eddy_status rc = EDDY_OK;
    if (sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW)
        rc = store_fail(s, "reading its header", err);
    else
        *out = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return rc;
}

eddy_status store_begin(struct store *s, size_t bytes, struct eddy_error *err)
{
    sqlite3_stmt *begin;
    eddy_status rc;

    if (s->mode == STORE_READ_ONLY || s->mode == STORE_LATEST)
        return eddy_fail(err, EDDY_EINVAL, "state file %s was opened for reading only", s->path);
    if (!s->writing) {
        if ((rc = store_statement(s, STORE_BEGIN, &begin, err)) < 0) return rc;
        if ((rc = store_run(s, begin, "opening a transaction", err)) < 0) return rc;
        s->writing = true;
    }
    size_t pages = bytes / (STORE_PAGE_BYTES - 512) + 1 + WRITE_OVERHEAD_PAGES;
    return store_reserve(s, (int64_t)(pages * STORE_FRAME_BYTES), err);
}

/* The sum over everything is written last: a page that went to the log early in a long transaction and changes again at
 * its end makes SQLite read the whole log once more and write new checksums into every frame. */
eddy_status store_commit(struct store *s, struct eddy_error *err)
{
    sqlite3_stmt *commit;
    eddy_status rc = store_statement(s, STORE_COMMIT, &commit, err);
    if (rc < 0 || !s->writing) return rc;
    if ((rc = store_contents_write(s, err)) < 0 || (rc = store_reserve(s, 0, err)) < 0) return rc;
    if ((rc = store_run(s, commit, "writing a checkpoint", err)) < 0) return rc;

    s->writing = false;
    s->is_new = false;
    s->changed = true;
    s->dirty_bytes = 0;
    s->room_bytes = 0;
    if (store_log_bytes(s) > LOG_CHECKPOINT_BYTES) store_checkpoint_log(s);
    return EDDY_OK;
}

int64_t store_log_bytes(const struct store *s)
{
    struct stat st;
    return s->log_fd >= 0 && fstat(s->log_fd, &st) == 0 ? st.st_size : 0;
}

void store_checkpoint_log(struct store *s)
{
    /* The commit stands already: a full disk or a reader in the way only leaves the log longer until the next time. */
    if (s->mode != STORE_WRITE) return;
    sqlite3_busy_timeout(s->db, 0);
    FAILPOINT("before_log_truncation");
    sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    FAILPOINT("after_log_truncation");
    sqlite3_busy_timeout(s->db, READER_WAIT_MS);
}

const char *store_key_text(const char *key, size_t key_len, char out[STORE_KEY_TEXT])
{
    size_t at = 0;
    for (size_t i = 0; i < key_len; i++) {
        unsigned char c = (unsigned char)key[i];
        if (at + 8 > STORE_KEY_TEXT) {
            memcpy(out + at, "...", 4);
            return out;
        }
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
            out[at++] = (char)c;
        else
            at += (size_t)snprintf(out + at, STORE_KEY_TEXT - at, "\\x%02x", c);
    }
    out[at] = '\0';
    return out;
}
