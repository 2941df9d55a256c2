#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/state/store_private.h"

struct verification {
    struct store *store;
    const struct row_layout *layout;
    int64_t n_rows;
};

/* Index of the first element that is no finite number, or -1. */
static int64_t first_not_finite(const struct section *s, const unsigned char *row)
{
    if (s->type == SECTION_F32)
        for (uint64_t i = 0; i < s->bytes / sizeof(float); i++) {
            float v;
            memcpy(&v, row + s->offset + i * sizeof(v), sizeof(v));
            if (!isfinite(v)) return (int64_t)i;
        }
    if (s->type == SECTION_F64)
        for (uint64_t i = 0; i < s->bytes / sizeof(double); i++) {
            double v;
            memcpy(&v, row + s->offset + i * sizeof(v), sizeof(v));
            if (!isfinite(v)) return (int64_t)i;
        }
    return -1;
}

static eddy_status verify_row(void *context, const struct stored_row *r, struct eddy_error *err)
{
    struct verification *v = context;
    char text[STORE_KEY_TEXT];

    v->n_rows++; /* its sum was checked by the scan */
    if (!v->layout) return EDDY_OK;
    if (r->row_bytes != v->layout->row_bytes)
        return eddy_fail(err, EDDY_ECORRUPT,
                         "state file %s: the row of key \"%s\" has %zu bytes, the directory says %zu", v->store->path,
                         store_key_text(r->key, r->key_len, text), r->row_bytes, v->layout->row_bytes);
    for (int i = 0; i < v->layout->n; i++) {
        const struct section *s = &v->layout->sections[i];
        int64_t at = first_not_finite(s, r->row);
        if (at >= 0)
            return eddy_fail(err, EDDY_ECORRUPT,
                             "state file %s: key \"%s\": number %" PRId64 " of section %s is not finite",
                             v->store->path, store_key_text(r->key, r->key_len, text), at, s->name);
    }
    return EDDY_OK;
}

static eddy_status verify_pages(struct store *s, struct eddy_error *err)
{
    sqlite3_stmt *stmt = NULL;
    eddy_status rc = EDDY_OK;
    if (sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(1)", -1, &stmt, NULL) != SQLITE_OK ||
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

int64_t store_verify(struct store *s, const struct row_layout *layout, struct eddy_error *err)
{
    struct verification v = {.store = s, .layout = layout};
    int n_formats;
    const struct store_format *formats = store_formats(&n_formats);
    eddy_status rc = store_ready(s, err);
    if (rc == EDDY_OK) rc = verify_pages(s, err);
    if (rc == EDDY_OK) rc = store_check_tables(s, &formats[n_formats - 1], err);
    if (rc == EDDY_OK) rc = store_scan(s, verify_row, &v, err);
    if (rc == EDDY_OK) rc = store_contents_check(s, err);
    return rc < 0 ? rc : v.n_rows;
}
