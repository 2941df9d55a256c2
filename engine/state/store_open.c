#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/state/paths.h"
#include "engine/state/store_private.h"

#define SQLITE_MARK "SQLite format 3" /* 16 bytes with its NUL */
enum { HEADER_BYTES = 100, APPLICATION_ID_AT = 68, MAX_BLOB_BYTES = 512 << 20, READER_WAIT_MS = 200 };

/* Nobody's file begins with so many zeros, and nobody else's as a database that ends at once. */
static bool is_torn(const unsigned char *head, size_t n)
{
    static const unsigned char zeros[HEADER_BYTES];
    return memcmp(head, zeros, n) == 0 ||
           (n < HEADER_BYTES && memcmp(head, SQLITE_MARK, n < sizeof(SQLITE_MARK) ? n : sizeof(SQLITE_MARK)) == 0);
}

/* Looks at the file before SQLite does: SQLite would follow links, and would take a foreign database as its own.
 * Returns 1 when the file holds something, 0 when it is absent or empty. */
static eddy_status file_look(const char *path, struct eddy_error *err)
{
    unsigned char head[HEADER_BYTES] = {0};
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : eddy_fail(err, EDDY_EIO, "state file %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return eddy_fail(err, EDDY_EIO, "state file %s: is not a regular file; refused", path);
    if (st.st_size == 0) return 0;

    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return eddy_fail(err, EDDY_EIO, "state file %s: %s", path, strerror(errno));
    ssize_t n = read(fd, head, sizeof(head));
    close(fd); /* before SQLite opens it: closing later would drop SQLite's locks */
    if (n > 0 && is_torn(head, (size_t)n))
        return eddy_fail(err, EDDY_ECORRUPT, "state file %s: its header was cut off or never reached the disk", path);
    if (n < HEADER_BYTES || memcmp(head, SQLITE_MARK, sizeof(SQLITE_MARK)) != 0)
        return eddy_fail(err, EDDY_EVERSION,
                         "state file %s: is not an eddy state file: it begins with %02x %02x %02x %02x, not as a "
                         "SQLite database",
                         path, head[0], head[1], head[2], head[3]);
    uint32_t id = 0;
    for (int i = 0; i < 4; i++) id = id << 8 | head[APPLICATION_ID_AT + i];
    if (id != STORE_APPLICATION_ID)
        return eddy_fail(err, EDDY_EVERSION,
                         "state file %s: is a SQLite database of another program (application id 0x%08" PRIx32
                         ", eddy's is 0x%08x)",
                         path, id, (unsigned)STORE_APPLICATION_ID);
    return 1;
}

static eddy_status file_create(const char *path, struct eddy_error *err)
{
    eddy_status rc = make_directory_of(path, err);
    if (rc < 0) return rc;
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        bool full = errno == ENOSPC || errno == EDQUOT;
        return eddy_fail(err, full ? EDDY_EFULL : EDDY_EIO, "state file %s: cannot create it: %s", path,
                         strerror(errno));
    }
    close(fd);
    return EDDY_OK;
}

/* A file that holds what we did not put there must not make us run code or take memory without bound. */
static eddy_status harden(struct store *s, struct eddy_error *err)
{
    static const struct {
        int option, value;
    } switches[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},       {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},  {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},         {SQLITE_DBCONFIG_DQS_DML, 0},
        {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0}, {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    };
    static const struct {
        int what, value;
    } limits[] = {
        {SQLITE_LIMIT_LENGTH, MAX_BLOB_BYTES}, {SQLITE_LIMIT_SQL_LENGTH, 10000}, {SQLITE_LIMIT_ATTACHED, 0},
        {SQLITE_LIMIT_EXPR_DEPTH, 30},         {SQLITE_LIMIT_FUNCTION_ARG, 8},   {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
        {SQLITE_LIMIT_COMPOUND_SELECT, 3},     {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++)
        if (sqlite3_db_config(s->db, switches[i].option, switches[i].value, NULL) != SQLITE_OK)
            return store_fail(s, "hardening the connection", err);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        sqlite3_limit(s->db, limits[i].what, limits[i].value);
    sqlite3_busy_timeout(s->db, READER_WAIT_MS);
    eddy_status rc = store_contents_open(s, err);
    if (rc < 0) return rc;
    return store_exec(s, "opening",
                      "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;"
                      "PRAGMA cache_size = -8192",
                      err);
}

static int open_database(struct store *s, const char *name, int flags)
{
    sqlite3_close(s->db); /* NULL is fine */
    s->db = NULL;
    int code = sqlite3_open_v2(name, &s->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    return s->db ? code : SQLITE_NOMEM;
}

/* A database in WAL mode needs its log and the log's index beside it, which nobody can create in a directory that is
 * read only.  When there is no log, the file is complete by itself and may be read as a thing that never changes. */
static eddy_status open_unchanging(struct store *s, struct eddy_error *err)
{
    struct stat st;
    eddy_status rc;
    char *log = NULL, *uri = NULL;
    bool has_log = asprintf(&log, "%s-wal", s->path) < 0 || (stat(log, &st) == 0 && st.st_size > 0);

    rc = has_log ? store_fail(s, "opening", err) : path_to_uri(s->path, "?immutable=1", &uri, err);
    if (rc == EDDY_OK && open_database(s, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI) != SQLITE_OK)
        rc = store_fail(s, "opening", err);
    if (rc == EDDY_OK) rc = harden(s, err);
    free(log);
    free(uri);
    return rc;
}

static eddy_status open_reader(struct store *s, struct eddy_error *err)
{
    int64_t version;
    eddy_status rc = file_look(s->path, err);
    if (rc < 0) return rc;
    if (rc == 0)
        return eddy_fail(err, EDDY_ENOTFOUND, "state file %s: does not exist, or nothing was ever saved in it",
                         s->path);

    if (open_database(s, s->path, SQLITE_OPEN_READONLY) != SQLITE_OK) return store_fail(s, "opening", err);
    rc = harden(s, err); /* the first to look into the file */
    int code = sqlite3_errcode(s->db) & 0xff;
    if (rc < 0 && (code == SQLITE_CANTOPEN || code == SQLITE_READONLY)) rc = open_unchanging(s, err);
    if (rc < 0) return rc;
    if ((rc = store_query_int(s, "PRAGMA user_version", &version, err)) < 0) return rc;
    if (version == 0) return eddy_fail(err, EDDY_ENOTFOUND, "state file %s: nothing was ever saved in it", s->path);
    /* One read transaction for the whole life of the store: position, rows and models belong together. */
    return store_exec(s, "beginning to read", "BEGIN", err);
}

/* The file was looked at by the writer of this process, and doing so again would end with a close() that drops the
 * writer's locks. */
static eddy_status open_latest(struct store *s, struct eddy_error *err)
{
    if (open_database(s, s->path, SQLITE_OPEN_READONLY) != SQLITE_OK) return store_fail(s, "opening", err);
    return harden(s, err);
}

/* The id goes into the header before anything else, so that whatever a crash leaves behind is known as ours.  A crash in
 * the middle of that leaves a journal, with which SQLite makes the file empty again: only SQLite knows whether it is. */
static eddy_status sign_if_empty(struct store *s, struct eddy_error *err)
{
    int64_t n_pages;
    char sql[64];
    eddy_status rc = store_query_int(s, "PRAGMA page_count", &n_pages, err);
    if (rc < 0 || n_pages > 0) return rc;
    /* The first transactions have a journal, and its deletion ends them: should a power loss undo it when the log has
     * gone into the file already, SQLite would roll the file back to its first page. */
    if (s->mode != STORE_SCRATCH && (rc = store_exec(s, "opening", "PRAGMA synchronous = EXTRA", err)) < 0) return rc;
    snprintf(sql, sizeof(sql), "PRAGMA application_id = %d", STORE_APPLICATION_ID);
    return store_exec(s, "signing it", sql, err);
}

static eddy_status open_writer(struct store *s, struct eddy_error *err)
{
    eddy_status rc = file_look(s->path, err);
    if (rc < 0) return rc;
    s->found = rc > 0;
    if (!s->found && (rc = file_create(s->path, err)) < 0) return rc;

    if (open_database(s, s->path, SQLITE_OPEN_READWRITE) != SQLITE_OK) return store_fail(s, "opening", err);
    if (sqlite3_db_readonly(s->db, "main") == 1)
        return eddy_fail(err, EDDY_EIO, "state file %s: may not be written: check its owner and mode", s->path);
    if ((rc = harden(s, err)) < 0 || (rc = sign_if_empty(s, err)) < 0) return rc;
    /* The journal keeps what a rollback needs; new pages, the bulk of them, go straight into the file. */
    if (s->mode == STORE_SCRATCH)
        return store_exec(s, "opening", "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = OFF", err);
    return store_exec(s, "opening for writing",
                      "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;"
                      "PRAGMA secure_delete = FAST",
                      err);
}

/* name \0 topic \0 partition in decimal */
static eddy_status identity_encode(const struct store_identity *id, struct eddy_buffer *out, struct eddy_error *err)
{
    char number[16];
    int n = snprintf(number, sizeof(number), "%" PRId32, id->partition);
    if (eddy_buffer_append(out, id->name, strlen(id->name) + 1) < 0 ||
        eddy_buffer_append(out, id->topic, strlen(id->topic) + 1) < 0 ||
        eddy_buffer_append(out, number, (size_t)n + 1) < 0)
        return eddy_fail(err, EDDY_ENOMEM, "state file: out of memory");
    return EDDY_OK;
}

/* The tables of a new file belong to its first checkpoint: before that there is nothing. */
static eddy_status create_contents(struct store *s, const struct store_identity *id, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    eddy_status rc;

    if (!id) return eddy_fail(err, EDDY_EINVAL, "state file %s: a new file needs an identity", s->path);
    s->is_new = true;
    s->oldest_ns = INT64_MAX;
    if ((rc = store_create_tables(s, err)) < 0) return rc;
    if ((rc = identity_encode(id, &b, err)) == EDDY_OK) rc = store_write_meta(s, ".identity", b.data, b.len, err);
    eddy_buffer_free(&b);
    return rc;
}

eddy_status store_identity(struct store *s, struct eddy_buffer *text, struct store_identity *out,
                           struct eddy_error *err)
{
    eddy_status rc = store_read_meta(s, ".identity", text, err);
    if (rc == EDDY_ENOTFOUND)
        rc = eddy_fail(err, EDDY_ECORRUPT, "state file %s: lost the name of its owner", s->path);
    if (rc < 0) return rc;
    size_t name_len = strnlen(text->data, text->len);
    size_t topic_len = name_len < text->len ? strnlen(text->data + name_len + 1, text->len - name_len - 1) : 0;
    if (name_len + topic_len + 3 > text->len || text->data[text->len - 1] != '\0')
        return eddy_fail(err, EDDY_ECORRUPT, "state file %s: the identity is damaged", s->path);
    out->name = text->data;
    out->topic = text->data + name_len + 1;
    out->partition = (int32_t)strtol(text->data + name_len + topic_len + 2, NULL, 10);
    return EDDY_OK;
}

static eddy_status check_identity(struct store *s, const struct store_identity *want, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    struct store_identity is;
    eddy_status rc = store_identity(s, &b, &is, err);
    if (rc == EDDY_OK && want &&
        (strcmp(is.name, want->name) || strcmp(is.topic, want->topic) || is.partition != want->partition))
        rc = eddy_fail(err, EDDY_EMISMATCH,
                       "state file %s: belongs to pipeline \"%.100s\", topic \"%.200s\", partition %" PRId32
                       ", not to \"%.100s\", \"%.200s\", %" PRId32,
                       s->path, is.name, is.topic, is.partition, want->name, want->topic, want->partition);
    eddy_buffer_free(&b);
    return rc;
}

/* The structure: pages that are used twice or not at all, cells out of order. */
static eddy_status check_pages(struct store *s, struct eddy_error *err)
{
    sqlite3_stmt *stmt = NULL;
    eddy_status rc = EDDY_OK;
    if (sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW) {
        rc = store_fail(s, "checking it", err);
    } else {
        const char *said = (const char *)sqlite3_column_text(stmt, 0);
        if (!said || strcmp(said, "ok") != 0)
            rc = eddy_fail(err, EDDY_ECORRUPT, "state file %s: is damaged: %.300s", s->path, said ? said : "");
    }
    sqlite3_finalize(stmt);
    return rc;
}

/* A file without a number of its format has no tables either, or the number was lost. */
static eddy_status check_empty(struct store *s, struct eddy_error *err)
{
    int64_t n;
    eddy_status rc = store_query_int(s, "SELECT count(*) FROM sqlite_schema", &n, err);
    return rc < 0 || n == 0 ? rc : eddy_fail(err, EDDY_ECORRUPT, "state file %s: has tables, but no format", s->path);
}

static eddy_status check_contents(struct store *s, const struct store_identity *id, struct eddy_error *err)
{
    int n_formats;
    const struct store_format *formats = store_formats(&n_formats);
    int64_t version;
    eddy_status rc = store_query_int(s, "PRAGMA user_version", &version, err);
    if (rc < 0) return rc;
    if (version == 0 && (rc = check_empty(s, err)) < 0) return rc;
    if (version == 0) return create_contents(s, id, err);

    /* Pages first: rewriting a torn file would spread what is wrong with it. */
    bool is_old = version < formats[n_formats - 1].version && s->mode == STORE_WRITE;
    if (is_old && (rc = check_pages(s, err)) < 0) return rc;
    if ((rc = store_adopt_format(s, formats, n_formats, version, err)) < 0) return rc;
    if ((rc = check_identity(s, id, err)) < 0) return rc;
    if (s->mode != STORE_WRITE) return EDDY_OK;
    if (is_old) return (rc = store_contents_count(s, &s->contents, err)) < 0 ? rc : store_commit(s, err);
    return (rc = check_pages(s, err)) < 0 ? rc : store_contents_check(s, err);
}

eddy_status store_open(const char *path, const struct store_identity *id, enum store_mode mode, struct store **out,
                       struct eddy_error *err)
{
    eddy_status rc;
    struct store *s = calloc(1, sizeof(*s));
    if (!s) return eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", path);
    s->mode = (int)mode;
    s->log_fd = -1;
    s->oldest_ns = INT64_MIN;
    s->path = strdup(mode == STORE_MEMORY ? ":memory:" : path);
    if (!s->path) {
        rc = eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", path);
        goto fail;
    }
    if (mode == STORE_LATEST) {
        rc = open_latest(s, err);
        if (rc < 0) goto fail;
        *out = s;
        return EDDY_OK;
    }
    if (mode == STORE_MEMORY) {
        rc = open_database(s, s->path, SQLITE_OPEN_READWRITE) == SQLITE_OK ? harden(s, err)
                                                                           : store_fail(s, "opening", err);
    } else {
        rc = mode == STORE_READ_ONLY ? open_reader(s, err) : open_writer(s, err);
    }
    if (rc == EDDY_OK) rc = check_contents(s, id, err);
    if (rc < 0) goto fail;
    *out = s;
    return EDDY_OK;
fail:
    store_close(s);
    return rc;
}

bool store_is_new(const struct store *s)
{
    return s->is_new;
}

bool store_was_found(const struct store *s)
{
    return s->found;
}

bool store_can_follow(const struct store *s)
{
    return s->mode == STORE_WRITE && (s->is_new || !s->writing);
}

void store_done(struct store *s)
{
    store_take_back(s);
}

const char *store_file(const struct store *s)
{
    return s->path;
}

void store_close(struct store *s)
{
    if (!s) return;
    if (s->db) {
        store_take_back(s);
        if (s->writing) store_exec(s, "closing", "ROLLBACK", NULL);
        s->writing = false;
        if (s->changed && !s->lost) store_checkpoint_log(s);
        for (int i = 0; i < STORE_STATEMENTS; i++) sqlite3_finalize(s->statements[i]);
        sqlite3_close(s->db);
    }
    if (s->log_fd >= 0) close(s->log_fd);
    store_untrack(s);
    free(s->path);
    free(s);
}
