/* No room: nothing is lost, and the next try succeeds when there is room. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "engine/state/store_private.h"
#include "tests/unit/state/fixture.h"

enum { ROW = 1024 };

static char *path_in(const char *dir)
{
    char *path = NULL;
    cr_assert(asprintf(&path, "%s/x.db", dir) > 0);
    return path;
}

/* Rows 0 .. n-1 are all of commit `turn`, or the store is broken. */
static void must_hold(struct store *s, uint64_t n, int64_t turn)
{
    struct eddy_error err = {0};
    struct stored_row got;
    unsigned char row[ROW];
    for (uint64_t i = 0; i < n; i++) {
        char key[32];
        size_t len = key_name(key, sizeof(key), i);
        must(store_get_row(s, key, len, &got, &err));
        cr_assert_eq(got.next_off, turn, "row %" PRIu64 " has %" PRId64, i, got.next_off);
        fill_row(row, ROW, i + (uint64_t)turn);
        cr_assert_arr_eq(got.row, row, ROW);
    }
    cr_assert_eq(store_count(s, &err), (int64_t)n);
}

/* Puts until there is no room; every refused put is repeated later. */
static uint64_t put_until_full(struct store *s, uint64_t n, int64_t turn, uint64_t *refused)
{
    struct eddy_error err = {0};
    unsigned char row[ROW];
    for (uint64_t i = 0; i < n; i++) {
        char key[32];
        fill_row(row, ROW, i + (uint64_t)turn);
        struct stored_row r = {
            .key = key, .key_len = key_name(key, sizeof(key), i), .next_off = turn, .row = row, .row_bytes = ROW};
        eddy_status rc = store_put_row(s, &r, &err);
        if (rc == EDDY_OK) continue;
        cr_assert_eq(rc, EDDY_EFULL, "%d %s", rc, err.message);
        *refused = i;
        return i;
    }
    return n;
}

static void fill_disk(const char *dir, const char *name)
{
    static char block[65536];
    char path[400];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    while (write(fd, block, sizeof(block)) > 0) {}
    while (write(fd, block, 512) > 0) {}
    close(fd);
}

static bool small_disk(const char *dir)
{
    return mount("tmpfs", dir, "tmpfs", 0, "size=24m") == 0;
}

Test(store_full, a_full_disk_fails_the_commit_and_a_later_one_holds_everything)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    char *dir = fresh_directory(), *path = path_in(dir), filler[400];
    if (!small_disk(dir)) cr_skip_test("needs the right to mount");
    snprintf(filler, sizeof(filler), "%s/filler", dir);

    must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
    for (uint64_t i = 0; i < 500; i++) put_numbered(s, i, 1, ROW);
    must(store_commit(s, &err));
    for (uint64_t i = 0; i < 500; i++) put_numbered(s, i, 2, ROW);
    fill_disk(dir, "filler");
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(store_commit(s, &err), EDDY_EFULL, "%s", err.message);
        cr_assert(strstr(err.message, path), "%s", err.message);
    }
    must_hold(s, 500, 2); /* the open changes are still there */

    struct store *reader = NULL; /* and the checkpoint stands */
    must(store_open(path, &an_identity, STORE_READ_ONLY, &reader, &err));
    must_hold(reader, 500, 1);
    store_close(reader);

    cr_assert_eq(unlink(filler), 0);
    must(store_commit(s, &err));
    store_close(s);
    must(store_open(path, &an_identity, STORE_READ_ONLY, &s, &err));
    must_hold(s, 500, 2);
    store_close(s);
    umount2(dir, MNT_DETACH);
    free(path);
    remove_directory(dir);
}

Test(store_full, rows_written_long_before_the_commit_survive_a_disk_that_fills_up)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    char *dir = fresh_directory(), *path = path_in(dir), filler[400];
    uint64_t n = 40000, refused = 0; /* 40 MB of rows for 24 MB of disk: the page cache overflows into the log */
    if (!small_disk(dir)) cr_skip_test("needs the right to mount");
    snprintf(filler, sizeof(filler), "%s/filler", dir);

    must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
    put_numbered(s, 0, 1, ROW);
    must(store_commit(s, &err));
    fill_disk(dir, "filler");
    cr_assert_eq(truncate(filler, 4 << 20), 0);
    uint64_t done = put_until_full(s, n, 2, &refused);
    cr_assert_lt(done, n);
    cr_assert_gt(done, 1000);
    must_hold(s, done, 2);
    uint64_t again = put_until_full(s, n, 2,
                                    &refused); /* repeated: refused at about the same place, nothing broken */
    fill_disk(dir, "more");

    /* All may be refused now, or the room that was reserved may be enough; both are right, and nothing is lost. */
    eddy_status rc = store_commit(s, &err);
    cr_assert(rc == EDDY_OK || rc == EDDY_EFULL, "%d %s", rc, err.message);
    if (rc == EDDY_EFULL) {
        cr_assert_eq(unlink(filler), 0);
        must(store_commit(s, &err));
    }
    must_hold(s, done > again ? done : again, 2);
    store_close(s);
    umount2(dir, MNT_DETACH);
    free(path);
    remove_directory(dir);
}

Test(store_full, a_limit_on_file_size_is_a_full_disk)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    struct rlimit limit, was;
    char *dir = fresh_directory(), *path = path_in(dir);
    uint64_t refused = 0;

    signal(SIGXFSZ, SIG_IGN);
    must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
    for (uint64_t i = 0; i < 100; i++) put_numbered(s, i, 1, ROW);
    must(store_commit(s, &err));
    getrlimit(RLIMIT_FSIZE, &was);
    limit = was;
    limit.rlim_cur = 3 << 20;
    setrlimit(RLIMIT_FSIZE, &limit);
    uint64_t done = put_until_full(s, 10000, 2, &refused);
    cr_assert_lt(done, 10000);
    limit.rlim_cur = 100 << 10;
    setrlimit(RLIMIT_FSIZE, &limit);
    cr_assert_eq(store_commit(s, &err), EDDY_EFULL, "%s", err.message);
    setrlimit(RLIMIT_FSIZE, &was);
    must(store_commit(s, &err));
    must_hold(s, done > 100 ? done : 100, 2);
    store_close(s);
    free(path);
    remove_directory(dir);
}

Test(store_full, a_new_store_on_a_full_disk_is_refused)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    char *dir = fresh_directory(), *path = path_in(dir);
    if (!small_disk(dir)) cr_skip_test("needs the right to mount");
    fill_disk(dir, "filler");
    cr_assert_eq(store_open(path, &an_identity, STORE_WRITE, &s, &err), EDDY_EFULL, "%s", err.message);
    cr_assert(strstr(err.message, path));
    umount2(dir, MNT_DETACH);
    free(path);
    remove_directory(dir);
}

/* Reserving room makes this rare; should it happen, nobody may go on as if nothing were missing. */
Test(store_full, a_transaction_that_was_taken_back_makes_every_later_call_fail)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    struct stored_row got;
    char *dir = fresh_directory(), *path = path_in(dir);
    uint64_t i = 0;
    unsigned char row[ROW] = {0};
    must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
    for (uint64_t k = 0; k < 100; k++) put_numbered(s, k, 1, ROW);
    must(store_commit(s, &err));
    must(store_exec(s, "the test", "PRAGMA max_page_count = 100", &err));
    eddy_status rc = EDDY_OK;
    while (rc == EDDY_OK && i < 10000) {
        char key[32];
        struct stored_row r = {.key = key, .key_len = key_name(key, sizeof(key), i++), .row = row, .row_bytes = ROW};
        rc = store_put_row(s, &r, &err);
    }
    cr_assert_eq(rc, EDDY_EIO, "%d %s", rc, err.message);
    cr_assert(strstr(err.message, "start again from the last checkpoint") && strstr(err.message, path), "%s",
              err.message);
    cr_assert_eq(store_commit(s, &err), EDDY_EIO);
    cr_assert_eq(store_get_row(s, "sensor-0000001", 14, &got, &err), EDDY_EIO);
    cr_assert_eq(store_put_meta(s, "x", "y", 1, &err), EDDY_EIO);
    cr_assert_eq(store_count(s, &err), EDDY_EIO);
    store_close(s);
    must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
    must_hold(s, 100, 1);
    store_close(s);
    free(path);
    remove_directory(dir);
}

Test(store_full, a_scratch_file_on_a_full_disk_refuses_rows_and_loses_none)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    char *dir = fresh_directory(), *path = path_in(dir), filler[400];
    uint64_t n = 0, refused = 0;
    if (!small_disk(dir)) cr_skip_test("needs the right to mount");
    snprintf(filler, sizeof(filler), "%s/filler", dir);
    fill_disk(dir, "filler");
    cr_assert_eq(truncate(filler, 6 << 20), 0);

    must(store_open(path, &an_identity, STORE_SCRATCH, &s, &err));
    cr_assert_lt(put_until_full(s, 100000, 1, &n), 100000);
    cr_assert_gt(n, 4000, "18 MB hold more than %" PRIu64 " rows of 1 KB", n);
    cr_assert_eq(store_commit(s, &err), EDDY_EFULL);
    must_hold(s, n, 1);
    cr_assert_eq(unlink(filler), 0);
    must(store_commit(s, &err));

    fill_disk(dir, "filler");
    cr_assert_lt(put_until_full(s, n, 2, &refused), n);
    store_close(s); /* a rollback needs no room */
    must(store_open(path, &an_identity, STORE_SCRATCH, &s, &err));
    must_hold(s, n, 1);
    store_close(s);
    umount2(dir, MNT_DETACH);
    free(path);
    remove_directory(dir);
}
