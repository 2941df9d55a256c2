/* What a copy of the state elsewhere is told: every row that was put or deleted, in order, once. */
#include <signal.h>
#include <sys/resource.h>

#include "engine/state/side_log.h"
#include "tests/unit/state/fixture.h"

enum { ROW = 256 };

static struct store *a_tracked_store(const char *path, size_t row_bytes)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    must(store_open(path, &an_identity, path[0] ? STORE_WRITE : STORE_MEMORY, &s, &err));
    must(store_track(s, row_bytes, &err));
    return s;
}

/* The changes as text: "+key" or "-key", in order. */
static char *changes_of(struct store *s)
{
    struct eddy_error err = {0};
    struct side_log log;
    struct side_cursor cursor = {0};
    struct stored_row r;
    struct eddy_buffer text = {0};
    bool gone;
    cr_assert(store_take_changes(s, &log));
    while (side_log_at(&log, &cursor, &r, &gone, &err) > 0) {
        must(side_log_at(&log, &cursor, &r, &gone, &err)); /* looking twice changes nothing */
        must(eddy_buffer_append(&text, gone ? "-" : "+", 1));
        must(eddy_buffer_append(&text, r.key, r.key_len));
        must(eddy_buffer_append(&text, " ", 1));
        side_cursor_on(&cursor);
    }
    must(eddy_buffer_append(&text, "", 1));
    side_cursor_close(&cursor);
    side_log_close(&log);
    return text.data;
}

static void put(struct store *s, const char *key, int64_t next_off, int64_t time_ns)
{
    struct eddy_error err = {0};
    unsigned char row[ROW];
    fill_row(row, sizeof(row), (uint64_t)next_off);
    const struct stored_row r = {.key = key,
                                 .key_len = strlen(key),
                                 .next_off = next_off,
                                 .time_ns = time_ns,
                                 .row = row,
                                 .row_bytes = sizeof(row)};
    must(store_put_row(s, &r, &err));
}

static void told(struct store *s, const char *want)
{
    char *is = changes_of(s);
    cr_assert_str_eq(is, want);
    free(is);
}

/* All rows newer than that are noted, one a call. */
static void note_since(struct store *s, int64_t since)
{
    struct eddy_error err = {0};
    eddy_status rc;
    store_note_since(s, since);
    while ((rc = store_note_more(s, 1, &err)) == 0) continue;
    cr_assert_eq(rc, 1, "%s", err.message);
}

Test(store_changes, what_was_put_deleted_and_swept_is_told_once)
{
    struct eddy_error err = {0};
    struct store *s = a_tracked_store("", ROW);
    put(s, "a", 1, 10);
    put(s, "b", 2, 20);
    put(s, "a", 3, 30);
    must(store_commit(s, &err));
    told(s, "+a +b +a ");
    must(store_delete_row(s, "a", 1, &err));
    put(s, "c", 4, 40);
    must(store_commit(s, &err));
    told(s, "-a +c ");
    cr_assert_eq(store_sweep(s, 35, &err), 1);
    must(store_commit(s, &err));
    told(s, "-b ");
    told(s, "");
    store_close(s);
}

Test(store_changes, rows_newer_than_an_offset_or_all_can_be_told)
{
    struct eddy_error err = {0};
    struct store *s = a_tracked_store("", ROW);
    for (int i = 0; i < 5; i++) put(s, (const char[2]){(char)('a' + i), '\0'}, i + 1, i);
    must(store_commit(s, &err));
    told(s, "+a +b +c +d +e ");
    note_since(s, 3);
    told(s, "+d +e ");
    put(s, "a", 9, 9);
    note_since(s, -1);
    told(s, "+a +b +c +d +e ");
    store_close(s);
}

Test(store_changes, rows_that_come_and_go_while_they_are_noted_are_told_as_they_are_at_last)
{
    struct eddy_error err = {0};
    struct store *s = a_tracked_store("", ROW);
    struct side_log log;
    for (int i = 0; i < 4; i++) put(s, (const char[2]){(char)('a' + i), '\0'}, i + 1, i);
    store_note_since(s, -1);
    cr_assert_eq(store_note_more(s, 2, &err), 0);
    put(s, "a", 9, 9), put(s, "e", 5, 5);
    must(store_delete_row(s, "c", 1, &err));
    cr_assert_not(store_take_changes(s, &log), "half of it does not count");
    cr_assert_eq(store_note_more(s, 100, &err), 1);
    must(store_commit(s, &err));
    told(s, "+a +b +a +e -c +d +e ");
    store_close(s);
}

Test(store_changes, what_cannot_be_noted_is_lost_by_name_and_made_up_for)
{
    struct eddy_error err = {0};
    struct store *s = a_tracked_store("", ROW - 8); /* rows of another size */
    struct side_log log;
    put(s, "a", 1, 1);
    must(store_commit(s, &err));
    cr_assert_not(store_take_changes(s, &log));
    store_close(s);

    s = a_tracked_store("", ROW);
    for (int i = 0; i < (1 << 16) + 8; i++) put(s, "a", i, i); /* much more than there is */
    must(store_commit(s, &err));
    cr_assert_not(store_take_changes(s, &log));
    note_since(s, -1);
    told(s, "+a ");
    put(s, "b", 1, 1);
    told(s, "+b ");
    store_close(s);
}

Test(store_changes, a_log_that_went_to_the_disk_is_read_to_its_end)
{
    struct eddy_error err = {0};
    char *directory = fresh_directory(), *path = NULL;
    cr_assert(asprintf(&path, "%s/state.db", directory) > 0);
    struct store *s = a_tracked_store(path, ROW);
    struct side_log log;
    struct side_cursor cursor = {0};
    struct stored_row r;
    bool gone;
    int n = 0;
    for (; n < 5000; n++) put_numbered(s, (uint64_t)n, n, ROW); /* five times what is kept in memory */
    must(store_commit(s, &err));
    cr_assert(store_take_changes(s, &log));
    for (int i = 0; i < n; i++, side_cursor_on(&cursor)) {
        cr_assert_eq(side_log_at(&log, &cursor, &r, &gone, &err), 1);
        cr_assert_eq(r.next_off, i);
    }
    cr_assert_eq(side_log_at(&log, &cursor, &r, &gone, &err), 0);
    side_cursor_close(&cursor);
    side_log_close(&log);
    store_close(s);
    free(path);
    remove_directory(directory);
}

Test(store_changes, half_a_log_counts_as_none_when_the_disk_is_full)
{
    struct eddy_error err = {0};
    char *directory = fresh_directory(), *path = NULL;
    cr_assert(asprintf(&path, "%s/state.db", directory) > 0);
    struct store *s = a_tracked_store(path, ROW);
    struct side_log log;
    for (int n = 0; n < 3000; n++) put_numbered(s, (uint64_t)n, n, ROW); /* more than the log keeps in memory */
    must(store_commit(s, &err));
    store_note_since(s, -1);
    struct rlimit was, full = {0, RLIM_INFINITY};
    (void)signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    full.rlim_max = was.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &full), 0);
    eddy_status rc;
    while ((rc = store_note_more(s, 100, &err)) == 0) continue;
    setrlimit(RLIMIT_FSIZE, &was);
    cr_assert_eq(rc, EDDY_EFULL, "%s", err.message);
    cr_assert_eq(store_note_more(s, 100, &err), 1, "nothing is being noted");
    cr_assert_not(store_take_changes(s, &log));
    note_since(s, -1);
    cr_assert(store_take_changes(s, &log));
    side_log_close(&log);
    store_close(s);
    free(path);
    remove_directory(directory);
}

Test(store_changes, stores_that_hold_the_same_have_equal_sums_whatever_the_order)
{
    struct eddy_error err = {0};
    struct store *a = a_tracked_store("", ROW), *b = a_tracked_store("", ROW);
    uint64_t n[2], sum[2];
    put(a, "x", 1, 1), put(a, "y", 2, 2);
    must(store_put_meta(a, "lane", "position", 8, &err));
    must(store_put_dated_model(a, 4, 1, "weights", 7, &err));
    must(store_commit(a, &err));
    must(store_put_meta(b, "lane", "elsewhere", 9, &err));
    put(b, "y", 9, 2), put(b, "x", 1, 1), put(b, "z", 1, 1), put(b, "y", 2, 2);
    must(store_put_dated_model(b, 3, 1, "weights", 7, &err));
    must(store_put_dated_model(b, 4, 1, "weights", 7, &err));
    must(store_commit(b, &err));
    store_sum(a, &n[0], &sum[0]);
    store_sum(b, &n[1], &sum[1]);
    cr_assert(n[1] == n[0] + 2 && sum[0] != sum[1]);
    must(store_delete_row(b, "z", 1, &err));
    must(store_prune_models(b, 1, &err));
    must(store_commit(b, &err));
    store_sum(b, &n[1], &sum[1]);
    cr_assert(n[1] == n[0] && sum[0] != sum[1], "the position is another");
    must(store_put_meta(b, "lane", "position", 8, &err));
    must(store_commit(b, &err));
    store_sum(b, &n[1], &sum[1]);
    cr_assert(n[1] == n[0] && sum[0] == sum[1]);
    store_close(a);
    store_close(b);
}
