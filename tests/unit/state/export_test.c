#include "engine/state/export.h"
#include "tests/unit/state/fixture.h"

static const struct store_identity odd_identity = {.name = "plant-7", .topic = "a b/\xc3\xa4%.csv", .partition = 12};

static struct store *an_exported_store(void)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    must(store_open("", &odd_identity, STORE_MEMORY, &s, &err));
    for (uint64_t i = 0; i < 30; i++) put_numbered(s, i, (int64_t)i, 256);
    must(store_put_row(s, &(struct stored_row){.key = "", .time_ns = EDDY_NO_TIME, .flags = UINT32_MAX}, &err));
    must(store_put_meta(s, "position", "\0\1\2", 3, &err));
    must(store_put_meta(s, "empty", NULL, 0, &err));
    must(store_put_dated_model(s, 3, 1234567, "weights three", 13, &err));
    must(store_put_dated_model(s, 4, 2345678, NULL, 0, &err));
    must(store_commit(s, &err));
    return s;
}

static void exported(struct eddy_buffer *out)
{
    struct eddy_error err = {0};
    struct store *s = an_exported_store();
    FILE *f = tmpfile();
    char block[4096];
    size_t n;
    must(store_export(s, f, &err));
    rewind(f);
    while ((n = fread(block, 1, sizeof(block), f)) > 0) must(eddy_buffer_append(out, block, n));
    fclose(f);
    store_close(s);
}

static eddy_status import_bytes(const void *bytes, size_t n, const char *path, struct eddy_error *err)
{
    struct eddy_buffer text = {0};
    struct store_identity id;
    FILE *f = tmpfile();
    fwrite(bytes, 1, n, f);
    rewind(f);
    eddy_status rc = store_import_identity(f, &text, &id, err);
    if (rc == EDDY_OK) rc = store_import(f, path, &id, err);
    eddy_buffer_free(&text);
    fclose(f);
    return rc;
}

static void hash_of(struct store *s, char out[33])
{
    struct eddy_error err = {0};
    struct state_hash *h = state_hash_open();
    must(state_hash_rows(s, INT64_MIN, true, h, &err));
    state_hash_hex(h, out);
    state_hash_close(h);
}

static eddy_status check_model(void *context, uint64_t version, size_t bytes, int64_t wall_time_s,
                               struct eddy_error *err)
{
    int *n = context;
    (void)err;
    cr_assert_eq(version, (uint64_t)(3 + *n));
    cr_assert_eq(bytes, *n ? 0 : 13);
    cr_assert_eq(wall_time_s, *n ? 2345678 : 1234567);
    ++*n;
    return EDDY_OK;
}

Test(export, an_import_holds_all_that_was_exported)
{
    struct eddy_error err = {0};
    struct eddy_buffer bytes = {0}, blob = {0};
    struct store *was = an_exported_store(), *is = NULL;
    struct stored_row got;
    char *dir = fresh_directory(), *path = store_path(dir, &odd_identity), a[33], b[33];
    int models = 0;
    exported(&bytes);
    must(import_bytes(bytes.data, bytes.len, path, &err));
    must(store_open(path, &odd_identity, STORE_WRITE, &is, &err));
    cr_assert_not(store_is_new(is));
    hash_of(was, a);
    hash_of(is, b);
    cr_assert_str_eq(a, b);
    must(store_get_row(is, "", 0, &got, &err));
    cr_assert_eq(got.flags, UINT32_MAX);
    must(store_get_meta(is, "position", &blob, &err));
    cr_assert_eq(blob.len, 3);
    cr_assert_arr_eq(blob.data, "\0\1\2", 3);
    must(store_get_meta(is, "empty", &blob, &err));
    cr_assert_eq(blob.len, 0);
    must(store_list_models(is, check_model, &models, &err));
    cr_assert_eq(models, 2);
    must(store_get_model(is, 3, &blob, &err));
    cr_assert_arr_eq(blob.data, "weights three", 13);
    cr_assert_eq(store_verify(is, NULL, &err), 31);
    store_close(was);
    store_close(is);
    eddy_buffer_free(&bytes);
    eddy_buffer_free(&blob);
    free(path);
    remove_directory(dir);
}

Test(export, several_exports_may_follow_each_other)
{
    struct eddy_error err = {0};
    struct eddy_buffer text = {0};
    struct store *s = an_exported_store();
    struct store_identity id;
    char *dir = fresh_directory(), path[300];
    FILE *f = tmpfile();
    must(store_export(s, f, &err));
    must(store_export(s, f, &err));
    rewind(f);
    for (int i = 0; i < 2; i++) {
        struct store *back = NULL;
        must(store_import_identity(f, &text, &id, &err));
        cr_assert_str_eq(id.name, "plant-7");
        cr_assert_str_eq(id.topic, odd_identity.topic);
        cr_assert_eq(id.partition, 12);
        id.name = "another-name";
        snprintf(path, sizeof(path), "%s/%d.db", dir, i);
        must(store_import(f, path, &id, &err));
        must(store_open(path, &id, STORE_READ_ONLY, &back, &err));
        cr_assert_eq(store_count(back, &err), 31);
        store_close(back);
    }
    cr_assert_eq(store_import_identity(f, &text, &id, &err), EDDY_ENOTFOUND);
    fclose(f);
    store_close(s);
    eddy_buffer_free(&text);
    remove_directory(dir);
}

Test(export, an_existing_file_is_not_overwritten)
{
    struct eddy_error err = {0};
    struct eddy_buffer bytes = {0};
    char *dir = fresh_directory(), path[300], back[10] = {0};
    snprintf(path, sizeof(path), "%s/x.db", dir);
    FILE *f = fopen(path, "w");
    fputs("precious", f);
    fclose(f);
    exported(&bytes);
    cr_assert_eq(import_bytes(bytes.data, bytes.len, path, &err), EDDY_EINVAL);
    cr_assert(strstr(err.message, path) && strstr(err.message, "exists already"), "%s", err.message);
    f = fopen(path, "r");
    cr_assert_not_null(fgets(back, sizeof(back), f));
    cr_assert_str_eq(back, "precious");
    fclose(f);
    eddy_buffer_free(&bytes);
    remove_directory(dir);
}

static void must_leave_nothing(const char *path)
{
    cr_assert_neq(access(path, F_OK), 0, "%s was left behind", path);
}

Test(export, a_truncated_stream_is_refused_by_record)
{
    struct eddy_error err = {0};
    struct eddy_buffer bytes = {0};
    char *dir = fresh_directory(), path[300];
    snprintf(path, sizeof(path), "%s/x.db", dir);
    exported(&bytes);
    for (size_t n = 0; n < bytes.len; n += n < 300 ? 1 : 371) {
        eddy_status rc = import_bytes(bytes.data, n, path, &err);
        cr_assert(rc == EDDY_ECORRUPT || (rc == EDDY_ENOTFOUND && !n) || (rc == EDDY_EVERSION && n < 11),
                  "cut to %zu: %d %s", n, rc, err.message);
        must_leave_nothing(path);
    }
    cr_assert_eq(import_bytes(bytes.data, bytes.len - 1, path, &err), EDDY_ECORRUPT);
    cr_assert_str_eq(err.message, "state import: record 36 is cut off"); /* 2 blobs, 2 models, 31 rows, the end */
    eddy_buffer_free(&bytes);
    remove_directory(dir);
}

Test(export, every_changed_byte_is_found)
{
    struct eddy_error err = {0};
    struct eddy_buffer bytes = {0};
    char *dir = fresh_directory(), path[300];
    snprintf(path, sizeof(path), "%s/x.db", dir);
    exported(&bytes);
    size_t header = (size_t)((char *)memchr(bytes.data, '\n', bytes.len) - bytes.data) + 1;
    for (size_t i = 0; i < bytes.len; i += i < header + 60 ? 1 : 173) {
        bytes.data[i] ^= 4;
        eddy_status rc = import_bytes(bytes.data, bytes.len, path, &err);
        cr_assert(rc == EDDY_ECORRUPT || (i < header && rc == EDDY_EVERSION), "byte %zu: %d %s", i, rc, err.message);
        if (i >= header) cr_assert(strstr(err.message, "state import: record "), "%s", err.message);
        must_leave_nothing(path);
        bytes.data[i] ^= 4;
    }
    eddy_buffer_free(&bytes);
    remove_directory(dir);
}

Test(export, records_in_another_order_are_found)
{
    struct eddy_error err = {0};
    struct eddy_buffer bytes = {0};
    char *dir = fresh_directory(), path[300], *row;
    enum { RECORD = 9 + 32 + 14 + 256 + 8 };
    snprintf(path, sizeof(path), "%s/x.db", dir);
    exported(&bytes);
    char other[RECORD];
    row = memmem(bytes.data, bytes.len, "sensor-0000004", 14);
    cr_assert_not_null(row);
    row -= 9 + 32;
    memcpy(other, row, RECORD);
    memcpy(row, row + RECORD, RECORD);
    memcpy(row + RECORD, other, RECORD);
    cr_assert_eq(import_bytes(bytes.data, bytes.len, path, &err), EDDY_ECORRUPT);
    cr_assert_str_eq(err.message,
                     "state import: record 10 fails its checksum"); /* after 4, the empty key and 0 .. 3 */
    eddy_buffer_free(&bytes);
    remove_directory(dir);
}

Test(export, other_files_and_newer_formats_are_refused)
{
    static const char *const texts[] = {"{\"a\": 1}\n", "SQLite format 3", "eddy-state 2 a b 0 0123456789abcdef\n"};
    char *dir = fresh_directory(), path[300];
    snprintf(path, sizeof(path), "%s/x.db", dir);
    for (size_t i = 0; i < 3; i++) {
        struct eddy_error err = {0};
        cr_assert_eq(import_bytes(texts[i], strlen(texts[i]), path, &err), EDDY_EVERSION, "%s", texts[i]);
        must_leave_nothing(path);
    }
    remove_directory(dir);
}

Test(export, a_failing_write_is_reported)
{
    struct eddy_error err = {0};
    struct store *s = an_exported_store();
    FILE *full = fopen("/dev/full", "w");
    cr_assert_eq(store_export(s, full, &err), EDDY_EFULL, "%s", err.message);
    fclose(full);
    store_close(s);
}
