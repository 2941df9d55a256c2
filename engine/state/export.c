#include "engine/state/export.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <xxhash.h>

#include "engine/state/export_record.h"
#include "engine/state/paths.h"

struct export
{
    struct store *store;
    FILE *to;
    struct eddy_buffer payload;
    uint64_t sum; /* of the record before */
    uint64_t n_records;
};

static eddy_status export_failed(struct eddy_error *err)
{
    int code = errno;
    return eddy_fail(err, code == ENOSPC || code == EDQUOT || code == EFBIG ? EDDY_EFULL : EDDY_EIO,
                     "state export: cannot write: %s", strerror(code));
}

static eddy_status add(struct export *x, const void *bytes, size_t n, struct eddy_error *err)
{
    return eddy_buffer_append(&x->payload, bytes, n) < 0 ? eddy_fail(err, EDDY_ENOMEM, "state export: out of memory")
                                                         : EDDY_OK;
}

/* A record of a fixed part, a name and bytes. */
static eddy_status write_record(struct export *x, enum export_record type, const unsigned char *fixed, size_t n_fixed,
                                const void *name, size_t n_name, const void *bytes, size_t n, struct eddy_error *err)
{
    unsigned char head[EXPORT_HEAD_BYTES], tail[8];
    eddy_status rc;

    x->payload.len = 0;
    if ((rc = add(x, fixed, n_fixed, err)) < 0 || (rc = add(x, name, n_name, err)) < 0 ||
        (rc = add(x, bytes, n, err)) < 0)
        return rc;
    head[0] = (unsigned char)type;
    le_put_u64(head + 1, x->payload.len);
    x->sum = export_sum(head, x->payload.data, x->payload.len, x->sum);
    le_put_u64(tail, x->sum);
    if (fwrite(head, 1, sizeof(head), x->to) != sizeof(head) ||
        fwrite(x->payload.data, 1, x->payload.len, x->to) != x->payload.len ||
        fwrite(tail, 1, sizeof(tail), x->to) != sizeof(tail))
        return export_failed(err);
    x->n_records++;
    return EDDY_OK;
}

static eddy_status export_meta(void *context, const char *name, const void *bytes, size_t n, struct eddy_error *err)
{
    unsigned char fixed[EXPORT_META_BYTES];
    size_t name_len = strlen(name);
    le_put_u32(fixed, (uint32_t)name_len);
    return write_record(context, EXPORT_META, fixed, sizeof(fixed), name, name_len, bytes, n, err);
}

static eddy_status export_model(void *context, uint64_t version, size_t bytes, int64_t wall_time_s,
                                struct eddy_error *err)
{
    struct export *x = context;
    struct eddy_buffer blob = {0};
    unsigned char fixed[EXPORT_MODEL_BYTES];
    eddy_status rc = store_get_model(x->store, version, &blob, err);
    (void)bytes;
    le_put_u64(fixed, version);
    le_put_u64(fixed + 8, (uint64_t)wall_time_s);
    if (rc == EDDY_OK) rc = write_record(x, EXPORT_MODEL, fixed, sizeof(fixed), NULL, 0, blob.data, blob.len, err);
    eddy_buffer_free(&blob);
    return rc;
}

static eddy_status export_row(void *context, const struct stored_row *r, struct eddy_error *err)
{
    unsigned char fixed[EXPORT_ROW_BYTES];
    le_put_u32(fixed, (uint32_t)r->key_len);
    le_put_u32(fixed + 4, r->flags);
    le_put_u64(fixed + 8, (uint64_t)r->next_off);
    le_put_u64(fixed + 16, (uint64_t)r->time_ns);
    le_put_u64(fixed + 24, (uint64_t)r->count);
    return write_record(context, EXPORT_ROW, fixed, sizeof(fixed), r->key, r->key_len, r->row, r->row_bytes, err);
}

static eddy_status write_header(struct export *x, struct eddy_error *err)
{
    struct eddy_buffer names = {0}, topic = {0};
    struct store_identity id;
    char line[EXPORT_LINE_BYTES];
    int n = 0;
    eddy_status rc = store_identity(x->store, &names, &id, err);

    if (rc == EDDY_OK && (text_escape(id.topic, &topic) < 0 || eddy_buffer_append(&topic, "", 1) < 0))
        rc = eddy_fail(err, EDDY_ENOMEM, "state export: out of memory");
    if (rc == EDDY_OK) {
        n = snprintf(line, sizeof(line), EXPORT_MAGIC " %d %s %s %" PRId32, EXPORT_FORMAT, id.name, topic.data,
                     id.partition);
        if (n < 0 || (size_t)n > sizeof(line) - 32)
            rc = eddy_fail(err, EDDY_ELIMIT, "state export: the topic's name is too long");
        else if (fprintf(x->to, "%s %016" PRIx64 "\n", line, (uint64_t)XXH3_64bits(line, (size_t)n)) < 0)
            rc = export_failed(err);
    }
    eddy_buffer_free(&names);
    eddy_buffer_free(&topic);
    return rc;
}

eddy_status store_export(struct store *store, FILE *to, struct eddy_error *err)
{
    struct export x = {.store = store, .to = to};
    unsigned char count[EXPORT_END_BYTES];
    eddy_status rc = write_header(&x, err);
    if (rc == EDDY_OK) rc = store_list_meta(store, export_meta, &x, err);
    if (rc == EDDY_OK) rc = store_list_models(store, export_model, &x, err);
    if (rc == EDDY_OK) rc = store_scan(store, export_row, &x, err);
    le_put_u64(count, x.n_records);
    if (rc == EDDY_OK) rc = write_record(&x, EXPORT_END, count, sizeof(count), NULL, 0, NULL, 0, err);
    if (rc == EDDY_OK && fflush(to) != 0) rc = export_failed(err);
    eddy_buffer_free(&x.payload);
    return rc;
}
