#include "engine/state/store_private.h"
#include "tests/unit/state/fixture.h"

struct open_store {
    char *dir, *path;
    struct store *s;
};

static struct open_store a_store(void)
{
    struct eddy_error err = {0};
    struct open_store o = {.dir = fresh_directory()};
    o.path = store_path(o.dir, &an_identity);
    must(store_open(o.path, &an_identity, STORE_WRITE, &o.s, &err));
    return o;
}

static void reopen(struct open_store *o)
{
    struct eddy_error err = {0};
    store_close(o->s);
    o->s = NULL;
    must(store_open(o->path, &an_identity, STORE_WRITE, &o->s, &err));
}

static void done(struct open_store *o)
{
    store_close(o->s);
    free(o->path);
    remove_directory(o->dir);
}

Test(store, a_row_comes_back_as_it_was_put)
{
    struct eddy_error err = {0};
    struct open_store o = a_store();
    const char key[] = "a\0b\xff\"'; drop table rows";
    unsigned char row[3000];
    struct stored_row got;
    for (size_t i = 0; i < sizeof(row); i++) row[i] = (unsigned char)(i * 31);
    struct stored_row r = {.key = key,
                           .key_len = sizeof(key),
                           .next_off = INT64_MAX,
                           .time_ns = INT64_MIN,
                           .count = -1,
                           .flags = UINT32_MAX,
                           .row = row,
                           .row_bytes = sizeof(row)};
    must(store_put_row(o.s, &r, &err));
    for (int pass = 0; pass < 2; pass++) { /* in the open transaction, and from the file */
        must(store_get_row(o.s, key, sizeof(key), &got, &err));
        cr_assert_eq(got.key_len, sizeof(key));
        cr_assert_arr_eq(got.key, key, sizeof(key));
        cr_assert_eq(got.next_off, INT64_MAX);
        cr_assert_eq(got.time_ns, INT64_MIN);
        cr_assert_eq(got.count, -1);
        cr_assert_eq(got.flags, UINT32_MAX);
        cr_assert_eq(got.row_bytes, sizeof(row));
        cr_assert_arr_eq(got.row, row, sizeof(row));
        cr_assert_eq(store_get_row(o.s, key, sizeof(key) - 1, &got, &err), EDDY_ENOTFOUND);
        must(store_commit(o.s, &err));
        reopen(&o);
    }
    done(&o);
}

Test(store, empty_keys_empty_rows_and_long_keys_are_rows_like_others)
{
    struct eddy_error err = {0};
    struct open_store o = a_store();
    struct stored_row got;
    size_t n = 100000;
    char *key = malloc(n);
    memset(key, 'k', n);
    must(store_put_row(o.s, &(struct stored_row){.key = "", .row = (unsigned char *)"x", .row_bytes = 1}, &err));
    must(store_put_row(o.s, &(struct stored_row){.key = key, .key_len = n, .count = 2}, &err));
    must(store_get_row(o.s, NULL, 0, &got, &err));
    cr_assert_eq(got.row_bytes, 1);
    must(store_get_row(o.s, key, n, &got, &err));
    cr_assert_eq(got.row_bytes, 0);
    cr_assert_eq(got.count, 2);
    cr_assert_eq(store_count(o.s, &err), 2);
    must(store_delete_row(o.s, "", 0, &err));
    must(store_delete_row(o.s, "never there", 11, &err));
    cr_assert_eq(store_count(o.s, &err), 1);
    free(key);
    done(&o);
}

Test(store, a_second_put_replaces_the_first)
{
    struct eddy_error err = {0};
    struct open_store o = a_store();
    struct stored_row got;
    put_numbered(o.s, 1, 10, 256);
    put_numbered(o.s, 1, 20, 512);
    must(store_get_row(o.s, "sensor-0000001", 14, &got, &err));
    cr_assert_eq(got.next_off, 20);
    cr_assert_eq(got.row_bytes, 512);
    cr_assert_eq(store_count(o.s, &err), 1);
    done(&o);
}

Test(store, a_new_file_is_new_until_its_first_commit)
{
    struct eddy_error err = {0};
    struct open_store o = a_store();
    struct store *reader = NULL;
    cr_assert(store_is_new(o.s));
    put_numbered(o.s, 1, 10, 256);
    cr_assert_eq(store_open(o.path, &an_identity, STORE_READ_ONLY, &reader, &err), EDDY_ENOTFOUND);
    reopen(&o);
    cr_assert(store_is_new(o.s), "what was not committed is gone");
    cr_assert_eq(store_count(o.s, &err), 0);
    put_numbered(o.s, 2, 10, 256);
    must(store_commit(o.s, &err));
    cr_assert_not(store_is_new(o.s));
    reopen(&o);
    cr_assert_not(store_is_new(o.s));
    cr_assert_eq(store_count(o.s, &err), 1);
    done(&o);
}

Test(store, closing_drops_what_was_not_committed)
{
    struct eddy_error err = {0};
    struct open_store o = a_store();
    struct stored_row got;
    put_numbered(o.s, 1, 10, 256);
    must(store_commit(o.s, &err));
    put_numbered(o.s, 1, 20, 256);
    put_numbered(o.s, 2, 20, 256);
    must(store_put_meta(o.s, "position", "20", 2, &err));
    reopen(&o);
    must(store_get_row(o.s, "sensor-0000001", 14, &got, &err));
    cr_assert_eq(got.next_off, 10);
    cr_assert_eq(store_count(o.s, &err), 1);
    struct eddy_buffer b = {0};
    cr_assert_eq(store_get_meta(o.s, "position", &b, &err), EDDY_ENOTFOUND);
    done(&o);
}

Test(store, a_memory_store_keeps_rows_and_no_file)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    must(store_open("nowhere", &an_identity, STORE_MEMORY, &s, &err));
    for (uint64_t i = 0; i < 1000; i++) put_numbered(s, i, 10, 256);
    must(store_commit(s, &err));
    cr_assert_eq(store_count(s, &err), 1000);
    cr_assert_eq(store_verify(s, NULL, &err), 1000, "%s", err.message);
    cr_assert_neq(access("nowhere", F_OK), 0);
    store_close(s);
    store_close(NULL);
}

Test(store, named_blobs_are_kept_and_replaced)
{
    struct eddy_error err = {0};
    struct open_store o = a_store();
    struct eddy_buffer b = {0};
    char *large = calloc(1, 3 << 20);
    must(store_put_meta(o.s, "position", "abc\0def", 7, &err));
    must(store_put_meta(o.s, "train", large, 3 << 20, &err));
    must(store_put_meta(o.s, "empty", NULL, 0, &err));
    must(store_commit(o.s, &err));
    must(store_put_meta(o.s, "position", "xy", 2, &err));
    must(store_get_meta(o.s, "position", &b, &err));
    cr_assert_eq(b.len, 2);
    cr_assert_arr_eq(b.data, "xy", 2);
    must(store_get_meta(o.s, "train", &b, &err));
    cr_assert_eq(b.len, 3 << 20);
    must(store_get_meta(o.s, "empty", &b, &err));
    cr_assert_eq(b.len, 0);
    cr_assert_eq(store_get_meta(o.s, "nothing", &b, &err), EDDY_ENOTFOUND);
    cr_assert(strstr(err.message, o.path));
    cr_assert_eq(store_put_meta(o.s, ".closed", "1", 1, &err), EDDY_EINVAL);
    cr_assert_eq(store_get_meta(o.s, ".identity", &b, &err), EDDY_EINVAL);
    eddy_buffer_free(&b);
    free(large);
    done(&o);
}

static eddy_status sum_versions(void *context, uint64_t version, size_t bytes, int64_t wall_time_s,
                                struct eddy_error *err)
{
    uint64_t *sum = context;
    (void)err;
    cr_assert_eq(bytes, 100 + version);
    cr_assert_gt(wall_time_s, 1600000000);
    *sum = *sum * 10 + version;
    return EDDY_OK;
}

Test(store, models_are_listed_in_order_and_the_oldest_are_pruned)
{
    struct eddy_error err = {0};
    struct open_store o = a_store();
    struct eddy_buffer b = {0};
    char bytes[200];
    uint64_t seen = 0;
    memset(bytes, 'w', sizeof(bytes));
    for (uint64_t v = 5; v > 0; v--) must(store_put_model(o.s, v, bytes, 100 + v, &err));
    must(store_list_models(o.s, sum_versions, &seen, &err));
    cr_assert_eq(seen, 12345);
    must(store_prune_models(o.s, 2, &err));
    seen = 0;
    must(store_list_models(o.s, sum_versions, &seen, &err));
    cr_assert_eq(seen, 45);
    must(store_get_model(o.s, 4, &b, &err));
    cr_assert_eq(b.len, 104);
    cr_assert_eq(store_get_model(o.s, 3, &b, &err), EDDY_ENOTFOUND);
    cr_assert_eq(store_put_model(o.s, UINT64_MAX, bytes, 1, &err), EDDY_EINVAL);
    eddy_buffer_free(&b);
    done(&o);
}

struct order {
    char last[8];
    size_t last_len;
    int n, stop_at;
};

static eddy_status ascending(void *context, const struct stored_row *r, struct eddy_error *err)
{
    struct order *o = context;
    size_t shorter = r->key_len < o->last_len ? r->key_len : o->last_len;
    int c = memcmp(o->last, r->key, shorter);
    (void)err;
    if (o->n) cr_assert(c < 0 || (c == 0 && o->last_len < r->key_len));
    memcpy(o->last, r->key, r->key_len);
    o->last_len = r->key_len;
    return ++o->n == o->stop_at ? EDDY_EAGAIN : EDDY_OK;
}

Test(store, a_scan_goes_in_the_order_of_bytes_shorter_first)
{
    struct eddy_error err = {0};
    struct open_store o = a_store();
    static const char *const keys[] = {"b", "\xff", "a", "", "ab", "a\x01", "\x80", "B", "aa"};
    struct order order = {0};
    for (size_t i = 0; i < 9; i++)
        must(store_put_row(o.s, &(struct stored_row){.key = keys[i], .key_len = strlen(keys[i])}, &err));
    must(store_put_row(o.s, &(struct stored_row){.key = "a\0", .key_len = 2}, &err));
    must(store_scan(o.s, ascending, &order, &err));
    cr_assert_eq(order.n, 10);
    order = (struct order){.stop_at = 4};
    cr_assert_eq(store_scan(o.s, ascending, &order, &err), EDDY_EAGAIN);
    cr_assert_eq(order.n, 4);
    done(&o);
}

Test(store, a_sweep_forgets_what_is_older_and_counts_it)
{
    struct eddy_error err = {0};
    struct open_store o = a_store();
    struct stored_row got;
    for (uint64_t i = 0; i < 50; i++) put_numbered(o.s, i, (int64_t)i, 256); /* time = 1000 i */
    cr_assert_eq(store_sweep(o.s, 20000, &err), 20);
    cr_assert_eq(store_sweep(o.s, 20000, &err), 0);
    cr_assert_eq(store_count(o.s, &err), 30);
    cr_assert_eq(store_get_row(o.s, "sensor-0000019", 14, &got, &err), EDDY_ENOTFOUND);
    must(store_get_row(o.s, "sensor-0000020", 14, &got, &err));
    done(&o);
}

/* Pages that were asked for since the last call. */
static int pages_read(struct store *s)
{
    int hits = 0, misses = 0, peak = 0;
    sqlite3_db_status(s->db, SQLITE_DBSTATUS_CACHE_HIT, &hits, &peak, 1);
    sqlite3_db_status(s->db, SQLITE_DBSTATUS_CACHE_MISS, &misses, &peak, 1);
    return hits + misses;
}

Test(store, a_sweep_reads_no_row_when_none_can_be_that_old)
{
    struct eddy_error err = {0};
    struct open_store o = a_store();
    for (uint64_t i = 0; i < 500; i++) put_numbered(o.s, i, 100 + (int64_t)(i % 7), 256);
    must(store_commit(o.s, &err));
    (void)pages_read(o.s);
    cr_assert_eq(store_sweep(o.s, 100000, &err), 0);
    cr_assert_eq(pages_read(o.s), 0);

    put_numbered(o.s, 500, 99, 256); /* the oldest comes last */
    cr_assert_eq(store_sweep(o.s, 100000, &err), 1);
    (void)pages_read(o.s);
    cr_assert_eq(store_sweep(o.s, 100000, &err), 0);
    cr_assert_eq(pages_read(o.s), 0);
    put_numbered(o.s, 501, 50, 256);
    must(store_commit(o.s, &err));

    reopen(&o); /* nobody has looked yet */
    cr_assert_eq(store_sweep(o.s, 100000, &err), 1);
    cr_assert_gt(pages_read(o.s), 10);
    cr_assert_eq(store_sweep(o.s, 101000, &err), 72);
    cr_assert_eq(store_count(o.s, &err), 428);
    done(&o);
}

static void prepare_ones(void *context, unsigned char *row)
{
    memset(row, 1, *(size_t *)context);
}

Test(store, migration_keeps_equal_sections_and_prepares_the_others)
{
    struct eddy_error err = {0};
    struct open_store o = a_store();
    struct row_layout was = {0}, is = {0};
    struct stored_row got;
    unsigned char row[64] = {0};
    row_layout_add(&was, "gone", SECTION_I64, 1, 8, &err);
    row_layout_add(&was, "kept", SECTION_I64, 1, 8, &err);
    row_layout_add(&is, "kept", SECTION_I64, 1, 8, &err);
    row_layout_add(&is, "new", SECTION_F32, 1, 128, &err);
    for (unsigned char i = 0; i < 100; i++) {
        row[8] = i;
        struct stored_row r = {
            .key = (char *)&i, .key_len = 1, .next_off = i, .count = 2 * i, .row = row, .row_bytes = 64};
        must(store_put_row(o.s, &r, &err));
    }
    must(store_commit(o.s, &err));
    must(store_migrate(o.s, &was, &is, prepare_ones, &is.row_bytes, &err));
    for (unsigned char i = 0; i < 100; i++) {
        must(store_get_row(o.s, (char *)&i, 1, &got, &err));
        cr_assert_eq(got.row_bytes, is.row_bytes);
        cr_assert_eq(got.row[0], i);
        cr_assert_eq(got.row[1], 0);
        cr_assert_eq(got.row[64], 1);
        cr_assert_eq(got.next_off, i);
        cr_assert_eq(got.count, 2 * i);
    }
    cr_assert_eq(store_count(o.s, &err), 100);
    cr_assert_eq(store_migrate(o.s, &was, &is, NULL, NULL, &err), EDDY_ECORRUPT, "rows are not as `was` says");
    row_layout_free(&was);
    row_layout_free(&is);
    done(&o);
}

Test(store, a_reader_sees_one_checkpoint_and_does_not_hinder_the_writer)
{
    struct eddy_error err = {0};
    struct open_store o = a_store();
    struct store *reader = NULL;
    put_numbered(o.s, 1, 10, 256);
    must(store_commit(o.s, &err));
    must(store_open(o.path, &an_identity, STORE_READ_ONLY, &reader, &err));
    for (uint64_t i = 0; i < 3000; i++) put_numbered(o.s, i, 10, 2048); /* the log grows beyond its limit */
    must(store_commit(o.s, &err));
    cr_assert_eq(store_count(reader, &err), 1);
    cr_assert_eq(store_count(o.s, &err), 3000);
    cr_assert_eq(store_put_meta(reader, "x", "y", 1, &err), EDDY_EINVAL);
    store_close(reader);
    must(store_open(o.path, NULL, STORE_READ_ONLY, &reader, &err));
    cr_assert_eq(store_count(reader, &err), 3000);
    cr_assert_eq(store_verify(reader, NULL, &err), 3000);
    store_close(reader);
    done(&o);
}

Test(store, the_log_is_emptied_when_it_has_grown)
{
    struct eddy_error err = {0};
    struct open_store o = a_store();
    struct stat st;
    char log[400];
    snprintf(log, sizeof(log), "%s-wal", o.path);
    for (int turn = 0; turn < 20; turn++) {
        for (uint64_t i = 0; i < 300; i++) put_numbered(o.s, i, turn + 1, 2048);
        must(store_commit(o.s, &err));
        cr_assert_eq(stat(log, &st), 0);
        cr_assert_lt(st.st_size, 8 << 20);
    }
    done(&o);
}

Test(store, the_file_is_private)
{
    struct open_store o = a_store();
    struct stat st;
    cr_assert_eq(stat(o.path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    done(&o);
}

Test(store, a_scratch_file_is_kept_in_order_without_a_log)
{
    struct eddy_error err = {0};
    struct open_store o = {.dir = fresh_directory()};
    char log[400];
    o.path = store_path(o.dir, &an_identity);
    (void)snprintf(log, sizeof(log), "%s-wal", o.path);
    must(store_open(o.path, &an_identity, STORE_SCRATCH, &o.s, &err));
    for (uint64_t i = 0; i < 20000; i++) put_numbered(o.s, i, 1, 1024); /* more than the cache holds */
    cr_assert_neq(access(log, F_OK), 0);
    must(store_commit(o.s, &err));
    for (uint64_t i = 0; i < 20000; i += 3) put_numbered(o.s, i, 2, 1024);
    cr_assert_eq(store_sweep(o.s, 1500, &err), 13333);
    store_close(o.s); /* takes back what was not committed */

    must(store_open(o.path, &an_identity, STORE_SCRATCH, &o.s, &err));
    cr_assert_eq(store_verify(o.s, NULL, &err), 20000, "%s", err.message);
    for (uint64_t i = 0; i < 20000; i += 3) put_numbered(o.s, i, 2, 1024);
    must(store_commit(o.s, &err));
    cr_assert_eq(store_sweep(o.s, 1500, &err), 13333);
    must(store_commit(o.s, &err));
    store_close(o.s);
    must(store_open(o.path, &an_identity, STORE_READ_ONLY, &o.s, &err));
    cr_assert_eq(store_count(o.s, &err), 6667);
    done(&o);
}
