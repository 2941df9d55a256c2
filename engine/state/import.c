#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "engine/state/export.h"
#include "engine/state/export_record.h"
#include "engine/state/paths.h"

enum { MAX_PAYLOAD_BYTES = 512 << 20, READ_STEP_BYTES = 1 << 20 };

struct import {
    FILE *from;
    struct store *store;
    struct eddy_buffer payload;
    uint64_t sum;      /* of the record before */
    uint64_t n_before; /* records before this one */
    int type;
};

static eddy_status header_damaged(struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ECORRUPT, "state import: the first line is damaged");
}

/* Ends the word at `*at` and moves on to the next; NULL when there is none. */
static char *next_word(char **at)
{
    char *word = *at, *space = word ? strchr(word, ' ') : NULL;
    if (space) *space = '\0';
    *at = space ? space + 1 : NULL;
    return word;
}

eddy_status store_import_identity(FILE *from, struct eddy_buffer *text, struct store_identity *out,
                                  struct eddy_error *err)
{
    char line[EXPORT_LINE_BYTES], sum[20];
    eddy_status rc = EDDY_OK;

    errno = 0;
    if (!fgets(line, sizeof(line), from))
        return ferror(from) ? eddy_fail(err, EDDY_EIO, "state import: cannot read: %s", strerror(errno))
                            : eddy_fail(err, EDDY_ENOTFOUND, "state import: there is no export in the stream");
    if (strncmp(line, EXPORT_MAGIC " ", sizeof(EXPORT_MAGIC)) != 0)
        return eddy_fail(err, EDDY_EVERSION, "state import: this is not an export of eddy's state");
    if (strtol(line + sizeof(EXPORT_MAGIC), NULL, 10) > EXPORT_FORMAT)
        return eddy_fail(err, EDDY_EVERSION, "state import: written by a newer eddy; this one reads format %d",
                         EXPORT_FORMAT);

    char *last = strrchr(line, ' ');
    snprintf(sum, sizeof(sum), "%016" PRIx64 "\n", (uint64_t)XXH3_64bits(line, (size_t)(last - line)));
    if (strcmp(last + 1, sum) != 0) return header_damaged(err);
    *last = '\0';

    char *at = line + sizeof(EXPORT_MAGIC);
    (void)next_word(&at);
    char *name = next_word(&at), *topic = next_word(&at), *partition = next_word(&at);
    if (!name || !topic || !partition) return header_damaged(err);
    size_t name_len = strlen(name) + 1;
    text->len = 0;
    if (eddy_buffer_append(text, name, name_len) < 0)
        rc = eddy_fail(err, EDDY_ENOMEM, "state import: out of memory");
    else if (!text_unescape(topic, strlen(topic), text) || eddy_buffer_append(text, "", 1) < 0)
        rc = header_damaged(err);
    if (rc < 0) return rc;
    *out = (struct store_identity){
        .name = text->data, .topic = text->data + name_len, .partition = (int32_t)strtol(partition, NULL, 10)};
    return EDDY_OK;
}

static eddy_status record_damaged(const struct import *m, const char *how, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ECORRUPT, "state import: record %" PRIu64 " %s", m->n_before + 1, how);
}

static eddy_status read_bytes(struct import *m, void *to, size_t n, struct eddy_error *err)
{
    if (fread(to, 1, n, m->from) == n) return EDDY_OK;
    if (ferror(m->from)) return eddy_fail(err, EDDY_EIO, "state import: cannot read: %s", strerror(errno));
    return record_damaged(m, "is cut off", err);
}

/* Next record into m->type and m->payload. */
static eddy_status read_record(struct import *m, struct eddy_error *err)
{
    unsigned char head[EXPORT_HEAD_BYTES], tail[8];
    eddy_status rc = read_bytes(m, head, sizeof(head), err);
    if (rc < 0) return rc;
    m->type = head[0];
    uint64_t bytes = le_get_u64(head + 1);
    if (bytes > MAX_PAYLOAD_BYTES) return record_damaged(m, "is longer than any can be", err);

    /* In steps, so that a damaged length of a short file takes no memory. */
    m->payload.len = 0;
    while (m->payload.len < bytes) {
        size_t step = bytes - m->payload.len < READ_STEP_BYTES ? (size_t)bytes - m->payload.len : READ_STEP_BYTES;
        if (eddy_buffer_reserve(&m->payload, step) < 0)
            return eddy_fail(err, EDDY_ENOMEM, "state import: out of memory");
        if ((rc = read_bytes(m, m->payload.data + m->payload.len, step, err)) < 0) return rc;
        m->payload.len += step;
    }
    if ((rc = read_bytes(m, tail, sizeof(tail), err)) < 0) return rc;
    m->sum = export_sum(head, m->payload.data, m->payload.len, m->sum);
    return le_get_u64(tail) == m->sum ? EDDY_OK : record_damaged(m, "fails its checksum", err);
}

/* The sums are right, so what does not fit below was written by something else than eddy; it is refused all the same. */
static eddy_status import_meta(struct import *m, const unsigned char *p, size_t n, struct eddy_error *err)
{
    uint32_t name_len = le_get_u32(p);
    n -= EXPORT_META_BYTES;
    if (name_len > n) return record_damaged(m, "has a name longer than itself", err);
    char *name = strndup((const char *)p + EXPORT_META_BYTES, name_len);
    if (!name) return eddy_fail(err, EDDY_ENOMEM, "state import: out of memory");
    eddy_status rc = store_put_meta(m->store, name, p + EXPORT_META_BYTES + name_len, n - name_len, err);
    free(name);
    return rc;
}

static eddy_status import_model(struct import *m, const unsigned char *p, size_t n, struct eddy_error *err)
{
    return store_put_dated_model(m->store, le_get_u64(p), (int64_t)le_get_u64(p + 8), p + EXPORT_MODEL_BYTES,
                                 n - EXPORT_MODEL_BYTES, err);
}

static eddy_status import_row(struct import *m, const unsigned char *p, size_t n, struct eddy_error *err)
{
    uint32_t key_len = le_get_u32(p);
    if (key_len > n - EXPORT_ROW_BYTES) return record_damaged(m, "has a key longer than itself", err);
    const struct stored_row r = {.key = (const char *)p + EXPORT_ROW_BYTES,
                                 .key_len = key_len,
                                 .flags = le_get_u32(p + 4),
                                 .next_off = (int64_t)le_get_u64(p + 8),
                                 .time_ns = (int64_t)le_get_u64(p + 16),
                                 .count = (int64_t)le_get_u64(p + 24),
                                 .row = p + EXPORT_ROW_BYTES + key_len,
                                 .row_bytes = n - EXPORT_ROW_BYTES - key_len};
    return store_put_row(m->store, &r, err);
}

static eddy_status import_end(struct import *m, const unsigned char *p, size_t n, struct eddy_error *err)
{
    (void)n;
    return le_get_u64(p) == m->n_before ? EDDY_OK : record_damaged(m, "counts other records than came", err);
}

static const struct {
    char type;
    size_t fixed_bytes;
    eddy_status (*take)(struct import *, const unsigned char *payload, size_t n, struct eddy_error *);
} record_types[] = {
    {EXPORT_META, EXPORT_META_BYTES, import_meta},
    {EXPORT_MODEL, EXPORT_MODEL_BYTES, import_model},
    {EXPORT_ROW, EXPORT_ROW_BYTES, import_row},
    {EXPORT_END, EXPORT_END_BYTES, import_end},
};

static eddy_status import_records(struct import *m, struct eddy_error *err)
{
    eddy_status rc;
    do {
        const size_t n_types = sizeof(record_types) / sizeof(record_types[0]);
        size_t i = 0;
        if ((rc = read_record(m, err)) < 0) return rc;
        while (i < n_types && record_types[i].type != m->type) i++;
        if (i == n_types) return record_damaged(m, "is of an unknown type", err);
        if (m->payload.len < record_types[i].fixed_bytes) return record_damaged(m, "is too short", err);
        rc = record_types[i].take(m, (const unsigned char *)m->payload.data, m->payload.len, err);
        if (rc < 0) return rc;
        m->n_before++;
    } while (m->type != EXPORT_END);
    return EDDY_OK;
}

eddy_status store_import(FILE *from, const char *path, const struct store_identity *identity, struct eddy_error *err)
{
    struct import m = {.from = from};
    struct stat st;
    eddy_status rc;

    if (lstat(path, &st) == 0)
        return eddy_fail(err, EDDY_EINVAL, "state import: %s exists already; it is not overwritten", path);
    rc = store_open(path, identity, STORE_WRITE, &m.store, err);
    if (rc == EDDY_OK) rc = import_records(&m, err);
    if (rc == EDDY_OK) rc = store_commit(m.store, err);
    store_close(m.store);
    eddy_buffer_free(&m.payload);
    if (rc < 0) store_remove(path);
    return rc;
}
