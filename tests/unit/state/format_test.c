/* Every format that was ever released must stay readable: a file of each lies in fixtures/, written by the eddy of its
 * time.  That of the present format was written by this test, with EDDY_STATE_FIXTURE=<path> in the environment. */
#include "engine/state/store_private.h"
#include "tests/unit/state/fixture.h"

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

static void fixture_check_rows(struct store *s)
{
    struct eddy_error err = {0};
    struct stored_row want, got;
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
}

static void fixture_check(struct store *s)
{
    struct eddy_error err = {0};
    struct row_layout l, stored;
    struct eddy_buffer b = {0};
    a_layout(&l);
    must(store_get_meta(s, "layout", &b, &err));
    must(row_layout_decode(b.data, b.len, &stored, &err));
    must(row_layout_compare(&stored, &l, &err));
    must(store_get_meta(s, "position", &b, &err));
    cr_assert_arr_eq(b.data, "5040", 4);
    must(store_get_model(s, 2, &b, &err));
    cr_assert_arr_eq(b.data, "second weights", 14);
    cr_assert_eq(store_verify(s, &l, &err), N_ROWS, "%s", err.message);
    fixture_check_rows(s);
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

/* A format that may come one day: models have a note. */
static const char *const tables_with_notes[] = {
    "CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, sum INTEGER NOT NULL)",
    "CREATE TABLE model (version INTEGER PRIMARY KEY NOT NULL, bytes BLOB NOT NULL, wall_time_s INTEGER NOT NULL, "
    "sum INTEGER NOT NULL, note TEXT NOT NULL)",
    "CREATE TABLE rows (id INTEGER PRIMARY KEY NOT NULL, key BLOB NOT NULL UNIQUE, next_off INTEGER NOT NULL, "
    "time_ns INTEGER NOT NULL, count INTEGER NOT NULL, flags INTEGER NOT NULL, sum INTEGER NOT NULL, "
    "row BLOB NOT NULL)",
    NULL,
};

static eddy_status upgrade_with_notes(struct store *s, struct eddy_error *err)
{
    eddy_status rc = store_exec(s, "the test", "ALTER TABLE model RENAME TO model_1", err);
    if (rc == EDDY_OK) rc = store_exec(s, "the test", tables_with_notes[1], err);
    if (rc == EDDY_OK) rc = store_exec(s, "the test", "INSERT INTO model SELECT *, 'as it was' FROM model_1", err);
    return rc == EDDY_OK ? store_exec(s, "the test", "DROP TABLE model_1", err) : rc;
}

static eddy_status upgrade_of_no_table(struct store *s, struct eddy_error *err)
{
    (void)s, (void)err;
    return EDDY_OK;
}

static eddy_status upgrade_that_fails_half_way(struct store *s, struct eddy_error *err)
{
    eddy_status rc = upgrade_with_notes(s, err);
    return rc < 0 ? rc : store_exec(s, "the test", "INSERT INTO nowhere VALUES (1)", err);
}

static eddy_status upgrade_that_forgets_a_table(struct store *s, struct eddy_error *err)
{
    eddy_status rc = upgrade_with_notes(s, err);
    return rc < 0 ? rc : store_exec(s, "the test", "DROP TABLE rows", err);
}

/* Opens a copy of the file of format 1 and brings it up to a planted format 2 or further. */
static eddy_status adopt(const char *path, enum store_mode mode, const struct store_format *formats, int n,
                         struct store **s, struct eddy_error *err)
{
    copy_file("tests/unit/state/fixtures/v1.db", path);
    cr_assert_eq(store_open(path, &fixture_identity, mode, s, err), EDDY_OK, "%s", err->message);
    return store_adopt_format(*s, formats, n, 1, err);
}

Test(format, an_older_format_becomes_the_newest_in_one_transaction)
{
    const struct store_format known[] = {store_formats(&(int){0})[0],
                                         {2, tables_with_notes, upgrade_with_notes},
                                         {5, tables_with_notes, upgrade_of_no_table}};
    struct eddy_error err = {0};
    struct store *s = NULL;
    int64_t n = 0;
    char *dir = fresh_directory(), path[300];
    snprintf(path, sizeof(path), "%s/v1.db", dir);

    must(adopt(path, STORE_WRITE, known, 3, &s, &err));
    fixture_check_rows(s);
    must(store_query_int(s, "SELECT count(*) FROM model WHERE note = 'as it was'", &n, &err));
    cr_assert_eq(n, 2);
    store_close(s); /* without a commit: nothing has happened */
    must(store_open(path, &fixture_identity, STORE_WRITE, &s, &err));
    fixture_check(s);
    store_close(s);

    must(adopt(path, STORE_WRITE, known, 3, &s, &err));
    must(store_commit(s, &err));
    must(store_query_int(s, "PRAGMA user_version", &n, &err));
    cr_assert_eq(n, 5);
    must(store_adopt_format(s, known, 3, n, &err)); /* it is what it says */
    store_close(s);
    cr_assert_eq(store_open(path, &fixture_identity, STORE_WRITE, &s, &err), EDDY_EVERSION);
    cr_assert(strstr(err.message, "format 5, written by a newer eddy; this one reads formats 1 to 1"), "%s",
              err.message);
    remove_directory(dir);
}

Test(format, an_upgrade_that_fails_leaves_the_file_as_it_was)
{
    const struct store_format first = store_formats(&(int){0})[0];
    const struct store_format bad[][2] = {{first, {2, tables_with_notes, upgrade_that_fails_half_way}},
                                          {first, {2, tables_with_notes, upgrade_that_forgets_a_table}}};
    char *dir = fresh_directory(), path[300];
    snprintf(path, sizeof(path), "%s/v1.db", dir);
    for (int i = 0; i < 2; i++) {
        struct eddy_error err = {0};
        struct store *s = NULL;
        cr_assert_lt(adopt(path, STORE_WRITE, bad[i], 2, &s, &err), 0);
        cr_assert(strstr(err.message, path), "%s", err.message);
        cr_assert(strstr(err.message, i ? "only 2 of the tables of format 2" : "nowhere"), "%s", err.message);
        store_close(s);
        must(store_open(path, &fixture_identity, STORE_WRITE, &s, &err));
        fixture_check(s);
        store_close(s);
    }
    remove_directory(dir);
}

Test(format, a_reader_says_who_upgrades_an_older_format)
{
    const struct store_format known[] = {store_formats(&(int){0})[0], {2, tables_with_notes, upgrade_with_notes}};
    struct eddy_error err = {0};
    struct store *s = NULL;
    char *dir = fresh_directory(), path[300];
    snprintf(path, sizeof(path), "%s/v1.db", dir);
    cr_assert_eq(adopt(path, STORE_READ_ONLY, known, 2, &s, &err), EDDY_EVERSION);
    cr_assert(strstr(err.message, "becomes format 2 when its pipeline is started next"), "%s", err.message);
    store_close(s);
    remove_directory(dir);
}

Test(format, a_version_between_two_formats_is_nobodys)
{
    const struct store_format known[] = {store_formats(&(int){0})[0], {3, tables_with_notes, upgrade_with_notes}};
    struct eddy_error err = {0};
    struct store *s = NULL;
    must(store_open(":memory:", &fixture_identity, STORE_MEMORY, &s, &err));
    cr_assert_eq(store_adopt_format(s, known, 2, 2, &err), EDDY_EVERSION);
    cr_assert(strstr(err.message, "format 2, which no eddy writes; this one reads formats 1 to 3"), "%s",
              err.message);
    store_close(s);
}
