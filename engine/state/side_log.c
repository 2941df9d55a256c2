#include "engine/state/side_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 256 << 10, FIRST_ENTRIES = 1024 };

struct side_head {
    int64_t next_off, time_ns, count;
    uint32_t flags, key_len, gone, zero;
};
_Static_assert(sizeof(struct side_head) == 40, "no holes");

void side_log_open(struct side_log *log, const char *beside, size_t row_bytes)
{
    *log = (struct side_log){.beside = beside, .row_bytes = row_bytes, .fd = -1};
}

void side_log_close(struct side_log *log)
{
    const int fd = side_log_reset(log);
    if (fd >= 0) close(fd);
    eddy_buffer_free(&log->tail);
    eddy_buffer_free(&log->scratch);
}

int side_log_reset(struct side_log *log)
{
    const int fd = log->fd;
    log->fd = -1;
    log->file_bytes = 0;
    log->tail.len = 0;
    if (log->tail.cap > 2 * SIDE_LOG_TAIL_BYTES) eddy_buffer_free(&log->tail); /* it grew while the disk was full */
    free(log->entries);
    log->entries = NULL;
    log->mask = log->n_entries = 0;
    return fd;
}

bool side_log_empty(const struct side_log *log)
{
    return log->file_bytes + log->tail.len == 0;
}

size_t side_log_memory(const struct side_log *log)
{
    return log->tail.cap + log->scratch.cap + (log->entries ? (log->mask + 1) * sizeof(*log->entries) : 0);
}

/* ---- the file ---- */

static eddy_status side_fail(const struct side_log *log, const char *doing, int code, struct eddy_error *err)
{
    const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
    return eddy_fail(err, full ? EDDY_EFULL : EDDY_EIO, "state file %s: %s the log beside it: %s", log->beside, doing,
                     strerror(code));
}

/* An unnamed file in the state's directory; where the file system knows none, one that loses its name at once. */
static int side_file(const char *beside)
{
    char path[4096];
    const char *slash = strrchr(beside, '/');
    const int directory = slash ? (int)(slash - beside) : 1;
    if (snprintf(path, sizeof(path), "%.*s", directory, slash ? beside : ".") >= (int)sizeof(path)) return -1;
    int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return fd;
    if (snprintf(path, sizeof(path), "%s.XXXXXX", beside) >= (int)sizeof(path)) return -1;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) (void)unlink(path);
    return fd;
}

/* 0 or an errno. */
static int side_write(int fd, const char *from, size_t n, uint64_t at)
{
    while (n > 0) {
        const ssize_t done = pwrite(fd, from, n, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return done < 0 ? errno : EIO;
        from += done, n -= (size_t)done, at += (uint64_t)done;
    }
    return 0;
}

static eddy_status side_read(const struct side_log *log, char *to, size_t n, uint64_t at, struct eddy_error *err)
{
    while (n > 0) {
        const ssize_t done = pread(log->fd, to, n, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return side_fail(log, "reading", done < 0 ? errno : EIO, err);
        to += done, n -= (size_t)done, at += (uint64_t)done;
    }
    return EDDY_OK;
}

static eddy_status side_flush(struct side_log *log, struct eddy_error *err)
{
    if (log->fd < 0) log->fd = side_file(log->beside);
    const int failed = log->fd < 0 ? errno : side_write(log->fd, log->tail.data, log->tail.len, log->file_bytes);
    if (failed) return side_fail(log, "writing", failed, err);
    log->file_bytes += log->tail.len;
    log->tail.len = 0;
    return EDDY_OK;
}

/* ---- records ---- */

static void side_encode(const struct side_log *log, const struct stored_row *r, bool gone, char *to)
{
    const struct side_head head = {r->next_off, r->time_ns, r->count, r->flags, (uint32_t)r->key_len, gone, 0};
    memcpy(to, &head, sizeof(head));
    if (r->key_len) memcpy(to + sizeof(head), r->key, r->key_len);
    if (log->row_bytes) memcpy(to + sizeof(head) + r->key_len, r->row, log->row_bytes);
}

static void side_decode(const struct side_log *log, const char *from, struct stored_row *r, bool *gone)
{
    struct side_head head;
    memcpy(&head, from, sizeof(head));
    *r = (struct stored_row){.key = from + sizeof(head),
                             .key_len = head.key_len,
                             .next_off = head.next_off,
                             .time_ns = head.time_ns,
                             .count = head.count,
                             .flags = head.flags,
                             .row = (const unsigned char *)from + sizeof(head) + head.key_len,
                             .row_bytes = log->row_bytes};
    *gone = head.gone != 0;
}

eddy_status side_log_append(struct side_log *log, const struct stored_row *r, bool gone, bool must,
                            struct eddy_error *err)
{
    const size_t bytes = sizeof(struct side_head) + r->key_len + log->row_bytes;
    if (log->tail.len > 0 && log->tail.len + bytes > SIDE_LOG_TAIL_BYTES) {
        const eddy_status rc = side_flush(log, must ? NULL : err);
        if (rc < 0 && !must) return rc;
    }
    if (eddy_buffer_reserve(&log->tail, bytes) < 0)
        return eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", log->beside);
    side_encode(log, r, gone, log->tail.data + log->tail.len);
    log->tail.len += bytes;
    return EDDY_OK;
}

/* ---- the index ---- */

static eddy_status side_reserve(struct side_log *log, struct eddy_error *err)
{
    const size_t slots = log->entries ? log->mask + 1 : 0;
    if ((log->n_entries + 1) * 4 <= slots * 3) return EDDY_OK;
    const size_t more = slots ? 2 * slots : FIRST_ENTRIES;
    struct side_entry *grown = calloc(more, sizeof(*grown));
    if (!grown) return eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", log->beside);
    for (size_t i = 0; i < slots; i++) {
        if (!log->entries[i].at) continue;
        size_t to = log->entries[i].hash & (more - 1);
        while (grown[to].at) to = (to + 1) & (more - 1);
        grown[to] = log->entries[i];
    }
    free(log->entries);
    log->entries = grown;
    log->mask = more - 1;
    return EDDY_OK;
}

/* The record at `at`, if it is that key's: 1 or 0; its bytes stand in *record until the next call. */
static eddy_status side_look(struct side_log *log, uint64_t at, const char *key, size_t key_len, const char **record,
                             struct eddy_error *err)
{
    struct side_head head;
    const size_t bytes = sizeof(head) + key_len + log->row_bytes;
    const uint64_t end = log->file_bytes + log->tail.len;
    if (end - at < bytes) return 0; /* another key with the same hash, near the end */
    if (at >= log->file_bytes) {
        *record = log->tail.data + (at - log->file_bytes);
    } else {
        log->scratch.len = 0;
        if (eddy_buffer_reserve(&log->scratch, bytes) < 0)
            return eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", log->beside);
        const uint64_t left = log->file_bytes - at;
        const eddy_status rc = side_read(log, log->scratch.data, left < bytes ? (size_t)left : bytes, at, err);
        if (rc < 0) return rc;
        *record = log->scratch.data;
    }
    memcpy(&head, *record, sizeof(head));
    return head.key_len == key_len && (!key_len || memcmp(*record + sizeof(head), key, key_len) == 0);
}

eddy_status side_log_find(struct side_log *log, uint64_t hash, const char *key, size_t key_len,
                          struct stored_row *out, bool *gone, struct eddy_error *err)
{
    const char *record;
    if (!log->entries) return 0;
    for (size_t i = hash & log->mask; log->entries[i].at; i = (i + 1) & log->mask) {
        if (log->entries[i].hash != hash) continue;
        const eddy_status rc = side_look(log, log->entries[i].at - 1, key, key_len, &record, err);
        if (rc > 0) side_decode(log, record, out, gone);
        if (rc != 0) return rc;
    }
    return 0;
}

eddy_status side_log_put(struct side_log *log, uint64_t hash, const struct stored_row *r, bool gone,
                         struct eddy_error *err)
{
    const char *record;
    eddy_status rc = side_reserve(log, err);
    if (rc < 0) return rc;
    size_t i = hash & log->mask;
    for (; log->entries[i].at; i = (i + 1) & log->mask) {
        if (log->entries[i].hash != hash) continue;
        const uint64_t at = log->entries[i].at - 1;
        rc = side_look(log, at, r->key, r->key_len, &record, err);
        if (rc < 0) return rc;
        if (rc == 0) continue;
        if (at >= log->file_bytes) {
            side_encode(log, r, gone, log->tail.data + (at - log->file_bytes));
            return EDDY_OK;
        }
        side_encode(log, r, gone, log->scratch.data);
        const int failed = side_write(log->fd, log->scratch.data,
                                      sizeof(struct side_head) + r->key_len + log->row_bytes, at);
        return failed ? side_fail(log, "writing", failed, err) : EDDY_OK;
    }
    rc = side_log_append(log, r, gone, false, err);
    if (rc < 0) return rc;
    log->entries[i] = (struct side_entry){hash, log->file_bytes + log->tail.len - sizeof(struct side_head) -
                                                    r->key_len - log->row_bytes + 1};
    log->n_entries++;
    return EDDY_OK;
}

/* ---- reading all ---- */

/* Calls back for the whole records in [from, from + n); returns how many bytes they took, or a negative status. */
static int64_t side_records(const struct side_log *log, const char *from, size_t n,
                            eddy_status (*each)(void *context, const struct stored_row *, bool gone,
                                                struct eddy_error *),
                            void *context, struct eddy_error *err)
{
    size_t at = 0;
    while (n - at >= sizeof(struct side_head)) {
        struct side_head head;
        struct stored_row r;
        bool gone;
        memcpy(&head, from + at, sizeof(head));
        const size_t bytes = sizeof(head) + head.key_len + log->row_bytes;
        if (n - at < bytes) break;
        side_decode(log, from + at, &r, &gone);
        const eddy_status rc = each(context, &r, gone, err);
        if (rc < 0) return rc;
        at += bytes;
    }
    return (int64_t)at;
}

eddy_status side_log_each(const struct side_log *log,
                          eddy_status (*each)(void *context, const struct stored_row *, bool gone,
                                              struct eddy_error *),
                          void *context, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    uint64_t at = 0;
    eddy_status rc = EDDY_OK;
    while (rc >= 0 && at < log->file_bytes) {
        const uint64_t left = log->file_bytes - at;
        const size_t more = left < READ_BYTES ? (size_t)left : READ_BYTES;
        if (eddy_buffer_reserve(&b, more) < 0) {
            rc = eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", log->beside);
            break;
        }
        rc = side_read(log, b.data + b.len, more, at, err);
        if (rc < 0) break;
        b.len += more;
        at += more;
        const int64_t used = side_records(log, b.data, b.len, each, context, err);
        if (used < 0) {
            rc = (eddy_status)used;
        } else {
            b.len -= (size_t)used;
            memmove(b.data, b.data + used, b.len); /* the beginning of the next record */
        }
    }
    eddy_buffer_free(&b);
    if (rc < 0) return rc;
    const int64_t used = side_records(log, log->tail.data, log->tail.len, each, context, err);
    return used < 0 ? (eddy_status)used : EDDY_OK;
}

/* ---- reading one by one ---- */

/* At least `n` bytes of the file from the cursor on stand in c->read. */
static eddy_status cursor_read(const struct side_log *log, struct side_cursor *c, size_t n, struct eddy_error *err)
{
    if (c->read.len > 0 && c->at >= c->read_from && c->at + n <= c->read_from + c->read.len) return EDDY_OK;
    const uint64_t left = log->file_bytes - c->at;
    size_t more = n > READ_BYTES ? n : READ_BYTES;
    if (more > left) more = (size_t)left;
    c->read.len = 0;
    if (eddy_buffer_reserve(&c->read, more) < 0)
        return eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", log->beside);
    const eddy_status rc = side_read(log, c->read.data, more, c->at, err);
    if (rc < 0) return rc;
    c->read.len = more;
    c->read_from = c->at;
    return EDDY_OK;
}

eddy_status side_log_at(const struct side_log *log, struct side_cursor *c, struct stored_row *out, bool *gone,
                        struct eddy_error *err)
{
    struct side_head head;
    const char *from;
    if (c->at >= log->file_bytes + log->tail.len) return 0;
    if (c->at >= log->file_bytes) { /* a record lies in one of the two */
        from = log->tail.data + (c->at - log->file_bytes);
        memcpy(&head, from, sizeof(head));
    } else {
        eddy_status rc = cursor_read(log, c, sizeof(head), err);
        if (rc < 0) return rc;
        memcpy(&head, c->read.data + (c->at - c->read_from), sizeof(head));
        rc = cursor_read(log, c, sizeof(head) + head.key_len + log->row_bytes, err);
        if (rc < 0) return rc;
        from = c->read.data + (c->at - c->read_from);
    }
    side_decode(log, from, out, gone);
    c->next = c->at + sizeof(head) + head.key_len + log->row_bytes;
    return 1;
}

void side_cursor_on(struct side_cursor *c)
{
    c->at = c->next;
}

void side_cursor_close(struct side_cursor *c)
{
    eddy_buffer_free(&c->read);
    *c = (struct side_cursor){0};
}
