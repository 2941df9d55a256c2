/* What a publisher does with its store, to which a saver writes at the same time. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/flow/topic_publish.h"
#include "engine/state/side_log.h"

enum { ROW = 64 };
static const struct store_identity id = {"test", "t", 0};

static void put(struct store *s, const char *key, int64_t next_off)
{
    struct eddy_error err = {0};
    const unsigned char row[ROW] = {0};
    const struct stored_row r = {
        .key = key, .key_len = strlen(key), .next_off = next_off, .row = row, .row_bytes = sizeof(row)};
    cr_assert_geq(store_put_row(s, &r, &err), 0, "%s", err.message);
}

/* How many changes have been noted; -1 when they are not all there. */
static int noted(struct store *s)
{
    struct eddy_error err = {0};
    struct side_log log;
    struct side_cursor cursor = {0};
    struct stored_row r;
    bool gone;
    int n = 0;
    if (!store_take_changes(s, &log)) return -1;
    for (; side_log_at(&log, &cursor, &r, &gone, &err) > 0; n++) side_cursor_on(&cursor);
    side_cursor_close(&cursor);
    side_log_close(&log);
    return n;
}

/* Whoever begins anew at once takes the note of what has changed away while it is written. */
Test(topic_publish, beginning_anew_leaves_the_store_to_its_saver)
{
    struct eddy_error err = {0};
    struct store *store = NULL;
    struct publisher *p = NULL;
    cr_assert_geq(store_open(":memory:", &id, STORE_MEMORY, &store, &err), 0, "%s", err.message);
    const struct publisher_request request = {
        .id = id, .store = store, .row_bytes = ROW, .position = -1, .piece_bytes = 4096};
    const struct topic_known known = {.group_end = -1};
    cr_assert_geq(publisher_open(&request, &p, &err), 0, "%s", err.message);
    publisher_learn(p, &known);
    cr_assert_eq(publisher_prepare(p, 1000, &err), 1, "%s", err.message);

    put(store, "a", 1);
    publisher_drop(p, -1, false);
    cr_assert(publisher_prepares(p));
    put(store, "b", 2);
    cr_assert_eq(noted(store), 2, "as before");
    cr_assert_eq(publisher_prepare(p, 1000, &err), 1, "%s", err.message);
    cr_assert_eq(noted(store), 2, "all that there is, anew");
    publisher_close(p);
    store_close(store);
}
