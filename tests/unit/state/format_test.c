/* Every format that was ever released must stay readable: a file of each lies in fixtures/, written by the eddy of its
 * time.  That of the present format was written by this test, with EDDY_STATE_FIXTURE=<path> in the environment. */
#include "tests/unit/state/helpers.h"

enum { N_ROWS = 40 };

static const struct store_identity fixture_identity = {.name = "fixture", .topic = "sensors", .partition = 1};

static void fixture_row(uint64_t i, char key[32], unsigned char row[256], struct stored_row *r)
{
    fill_row(row, 256, i * 1000 + 1);
    memset(row + 24, 0, 40); /* what lies between two sections */
    *r = (struct stored_row){.key = key,
                             .key_len = key_name(key, 32, i),
                             .next_off = (int64_t)(5000 + i),
                             .time_ns = INT64_C(1700000000000000000) + (int64_t)i,
                             .count = (int64_t)(i * i),
                             .flags = (uint32_t)i,
                             .row = row,
                             .row_bytes = 256};
}

static void fixture_write(const char *path)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    struct row_layout l;
    struct eddy_buffer b = {0};
    a_layout(&l);
    must(row_layout_encode(&l, &b, &err));
    must(store_open(path, &fixture_identity, STORE_WRITE, &s, &err));
    must(store_put_meta(s, "layout", b.data, b.len, &err));
    must(store_put_meta(s, "position", "5040", 4, &err));
    must(store_put_dated_model(s, 1, 1700000000, "first weights", 13, &err));
    must(store_put_dated_model(s, 2, 1700000100, "second weights", 14, &err));
    for (uint64_t i = 0; i < N_ROWS; i++) {
        char key[32];
        unsigned char row[256];
        struct stored_row r;
        fixture_row(i, key, row, &r);
        must(store_put_row(s, &r, &err));
    }
    must(store_commit(s, &err));
    store_close(s);
    eddy_buffer_free(&b);
    row_layout_free(&l);
}

static void copy_file(const char *from, const char *to)
{
    char block[65536];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    cr_assert_not_null(in, "%s is missing; tests run in the root of the tree", from);
    cr_assert_not_null(out);
    for (size_t n; (n = fread(block, 1, sizeof(block), in)) > 0;) cr_assert_eq(fwrite(block, 1, n, out), n);
    fclose(in);
    fclose(out);
}

static void fixture_check(struct store *s)
{
    struct eddy_error err = {0};
    struct row_layout l, stored;
    struct eddy_buffer b = {0};
    struct stored_row want, got;
    a_layout(&l);
    must(store_get_meta(s, "layout", &b, &err));
    must(row_layout_decode(b.data, b.len, &stored, &err));
    must(row_layout_compare(&stored, &l, &err));
    must(store_get_meta(s, "position", &b, &err));
    cr_assert_arr_eq(b.data, "5040", 4);
    must(store_get_model(s, 2, &b, &err));
    cr_assert_arr_eq(b.data, "second weights", 14);
    cr_assert_eq(store_verify(s, &l, &err), N_ROWS, "%s", err.message);
    for (uint64_t i = 0; i < N_ROWS; i++) {
        char key[32];
        unsigned char row[256];
        fixture_row(i, key, row, &want);
        must(store_get_row(s, want.key, want.key_len, &got, &err));
        cr_assert_eq(got.next_off, want.next_off);
        cr_assert_eq(got.time_ns, want.time_ns);
        cr_assert_eq(got.count, want.count);
        cr_assert_eq(got.flags, want.flags);
        cr_assert_arr_eq(got.row, row, 256);
    }
    eddy_buffer_free(&b);
    row_layout_free(&stored);
    row_layout_free(&l);
}

Test(format, a_file_of_format_1_is_read_and_carried_on)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    char *dir = fresh_directory(), path[300];
    if (getenv("EDDY_STATE_FIXTURE")) fixture_write(getenv("EDDY_STATE_FIXTURE"));
    snprintf(path, sizeof(path), "%s/v1.db", dir);
    copy_file("tests/unit/state/fixtures/v1.db", path);
    must(store_open(path, &fixture_identity, STORE_READ_ONLY, &s, &err));
    fixture_check(s);
    store_close(s);
    must(store_open(path, &fixture_identity, STORE_WRITE, &s, &err));
    fixture_check(s);
    put_numbered(s, 1000, 1, 256);
    must(store_commit(s, &err));
    cr_assert_eq(store_count(s, &err), N_ROWS + 1);
    store_close(s);
    remove_directory(dir);
}

/* The state of format 1 has this hash for ever: it says that key order, framing and row bytes have not changed. */
Test(format, the_state_hash_of_format_1_does_not_change)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    char hash[33], *dir = fresh_directory(), path[300];
    snprintf(path, sizeof(path), "%s/v1.db", dir);
    copy_file("tests/unit/state/fixtures/v1.db", path);
    must(store_open(path, &fixture_identity, STORE_READ_ONLY, &s, &err));
    struct state_hash *h = state_hash_open();
    must(state_hash_rows(s, INT64_MIN, true, h, &err));
    state_hash_hex(h, hash);
    cr_assert_str_eq(hash, "e43c217ecb71292961db64db7ccf829e"); /* recomputed once by another program */
    state_hash_close(h);
    store_close(s);
    remove_directory(dir);
}
