/* Flipped bits and kill -9. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/unit/state/fixture.h"

static char *path_in(const char *dir)
{
    char *path = NULL;
    cr_assert(asprintf(&path, "%s/x.db", dir) > 0);
    return path;
}

static void a_saved_store(const char *path, uint64_t n)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
    for (uint64_t i = 0; i < n; i++) put_numbered(s, i, 10, 1024);
    must(store_put_meta(s, "position", "10", 2, &err));
    must(store_put_model(s, 1, "weights", 7, &err));
    must(store_commit(s, &err));
    store_close(s);
}

static void change(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, sql, NULL, NULL, &message);
    cr_assert_null(message, "%s", message);
    sqlite3_close(db);
}

Test(store_damage, a_change_of_any_column_is_found_and_names_file_and_key)
{
    static const char *const changes[] = {
        "next_off = next_off + 1",   "time_ns = 0", "count = 11", "flags = 4", "row = zeroblob(1024)", "sum = 0",
        "row = substr(row, 1, 1023)"};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct eddy_error err = {0};
        struct store *s = NULL;
        struct stored_row got;
        char *dir = fresh_directory(), *path = path_in(dir), sql[200];
        a_saved_store(path, 10);
        snprintf(sql, sizeof(sql), "UPDATE rows SET %s WHERE id = 5", changes[i]);
        change(path, sql);
        cr_assert_eq(store_open(path, &an_identity, STORE_WRITE, &s, &err), EDDY_ECORRUPT);
        cr_assert(strstr(err.message, "\"sensor-0000004\"") && strstr(err.message, path), "%s", err.message);
        must(store_open(path, &an_identity, STORE_READ_ONLY, &s, &err));
        cr_assert_eq(store_get_row(s, "sensor-0000004", 14, &got, &err), EDDY_ECORRUPT, "%s", changes[i]);
        cr_assert(strstr(err.message, "\"sensor-0000004\"") && strstr(err.message, path), "%s", err.message);
        must(store_get_row(s, "sensor-0000005", 14, &got, &err));
        cr_assert_eq(store_verify(s, NULL, &err), EDDY_ECORRUPT);
        cr_assert(strstr(err.message, "\"sensor-0000004\""), "%s", err.message);
        store_close(s);
        free(path);
        remove_directory(dir);
    }
}

Test(store_damage, a_key_that_was_exchanged_for_another_is_found)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    struct stored_row got;
    char *dir = fresh_directory(), *path = path_in(dir);
    a_saved_store(path, 10);
    change(path, "UPDATE rows SET key = x'61' WHERE id = 5");
    cr_assert_eq(store_open(path, &an_identity, STORE_WRITE, &s, &err), EDDY_ECORRUPT);
    must(store_open(path, &an_identity, STORE_READ_ONLY, &s, &err));
    cr_assert_eq(store_get_row(s, "a", 1, &got, &err), EDDY_ECORRUPT);
    store_close(s);
    free(path);
    remove_directory(dir);
}

Test(store_damage, damaged_blobs_and_models_are_named)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    struct eddy_buffer b = {0};
    char *dir = fresh_directory(), *path = path_in(dir);
    a_saved_store(path, 10);
    change(path, "UPDATE meta SET value = x'31' WHERE name = 'position'; UPDATE model SET wall_time_s = 1");
    cr_assert_eq(store_open(path, &an_identity, STORE_WRITE, &s, &err), EDDY_ECORRUPT);
    must(store_open(path, &an_identity, STORE_READ_ONLY, &s, &err));
    cr_assert_eq(store_get_meta(s, "position", &b, &err), EDDY_ECORRUPT);
    cr_assert(strstr(err.message, "\"position\" fails its checksum"), "%s", err.message);
    cr_assert_eq(store_get_model(s, 1, &b, &err), EDDY_ECORRUPT);
    cr_assert(strstr(err.message, "model version 1 fails its checksum"), "%s", err.message);
    cr_assert_eq(store_verify(s, NULL, &err), EDDY_ECORRUPT);
    store_close(s);
    eddy_buffer_free(&b);
    free(path);
    remove_directory(dir);
}

Test(store_damage, numbers_that_are_not_finite_are_found)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    struct row_layout l;
    unsigned char row[256] = {0};
    a_layout(&l);
    must(store_open("", &an_identity, STORE_MEMORY, &s, &err));
    double not_a_number = 0.0 / 0.0;
    struct stored_row r = {.key = "bad\n", .key_len = 4, .row = row, .row_bytes = sizeof(row)};
    memset(row, 0xff, 24); /* bytes may be anything */
    must(store_put_row(s, &r, &err));
    cr_assert_eq(store_verify(s, &l, &err), 1, "%s", err.message);
    memcpy(row + row_layout_find(&l, "detect.0")->offset + 16, &not_a_number, 8);
    must(store_put_row(s, &r, &err));
    cr_assert_eq(store_verify(s, &l, &err), EDDY_ECORRUPT);
    cr_assert(strstr(err.message, "key \"bad\\x0a\": number 2 of section detect.0 is not finite"), "%s", err.message);
    cr_assert_eq(store_verify(s, NULL, &err), 1);
    r.row_bytes = 128;
    must(store_put_row(s, &r, &err));
    cr_assert_eq(store_verify(s, &l, &err), EDDY_ECORRUPT);
    store_close(s);
    row_layout_free(&l);
}

static eddy_status check_against_key(void *context, const struct stored_row *r, struct eddy_error *err)
{
    unsigned char want[1024];
    uint64_t i = strtoull(r->key + strlen("sensor-"), NULL, 10);
    (void)context, (void)err;
    fill_row(want, sizeof(want), i + (uint64_t)r->next_off);
    cr_assert_eq(r->row_bytes, sizeof(want));
    cr_assert_arr_eq(r->row, want, sizeof(want), "a damaged row was handed out as good");
    cr_assert_eq(r->next_off, 10);
    cr_assert_eq(r->count, 10);
    return EDDY_OK;
}

/* Whatever bit of the file flips: an error, or rows that are all as they were. */
Test(store_damage, no_flipped_bit_makes_a_wrong_row)
{
    char *dir = fresh_directory(), *path = path_in(dir);
    int found = 0, seen = 0;
    uint64_t x = 88172645463325252u;
    struct stat st;
    a_saved_store(path, 100);
    stat(path, &st);
    for (int trial = 0; trial < 150; trial++) {
        struct eddy_error err = {0};
        struct store *s = NULL;
        unsigned char c;
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        off_t at = (off_t)(x % (uint64_t)st.st_size);
        int fd = open(path, O_RDWR);
        cr_assert_eq(pread(fd, &c, 1, at), 1);
        unsigned char flipped = c ^ (unsigned char)(1 << (x >> 60 & 7));
        cr_assert_eq(pwrite(fd, &flipped, 1, at), 1);
        eddy_status rc = store_open(path, &an_identity, STORE_READ_ONLY, &s, &err);
        if (rc == EDDY_OK) rc = store_scan(s, check_against_key, NULL, &err);
        if (rc == EDDY_OK) rc = store_verify(s, NULL, &err) < 0 ? EDDY_ECORRUPT : EDDY_OK;
        if (rc < 0) {
            found++;
            cr_assert(strstr(err.message, path), "%s", err.message);
        } else {
            seen++;
        }
        store_close(s);
        cr_assert_eq(pwrite(fd, &c, 1, at), 1);
        close(fd);
    }
    cr_assert_gt(found, 75, "%d found, %d without effect", found, seen);
    free(path);
    remove_directory(dir);
}

static void sleep_us(long us)
{
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

/* Commits for ever: all rows and the position carry the number of their commit. */
static void commit_for_ever(const char *path, int64_t turn)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    if (store_open(path, &an_identity, STORE_WRITE, &s, &err) < 0) _exit(1);
    for (;; turn++) {
        char text[32];
        int n = snprintf(text, sizeof(text), "%" PRId64, turn);
        for (uint64_t i = 0; i < 200; i++) put_numbered(s, i, turn, 1024);
        if (store_put_meta(s, "position", text, (size_t)n, &err) < 0 || store_commit(s, &err) < 0) _exit(1);
    }
}

static eddy_status same_turn(void *context, const struct stored_row *r, struct eddy_error *err)
{
    const int64_t *turn = context;
    (void)err;
    cr_assert_eq(r->next_off, *turn);
    return EDDY_OK;
}

Test(store_damage, after_kill_9_position_and_rows_are_of_one_commit)
{
    struct eddy_error err = {0};
    char *dir = fresh_directory(), *path = path_in(dir);
    int64_t turn = 0;
    uint64_t x = 88172645463325252u;
    for (int kill_number = 0; kill_number < 20; kill_number++) {
        struct store *s = NULL;
        struct eddy_buffer b = {0};
        pid_t child = fork();
        if (child == 0) commit_for_ever(path, turn + 1);
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        sleep_us(20000 + (long)(x % 60000));
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        cr_assert(WIFSIGNALED(status), "the writer failed by itself");

        must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
        if (!store_is_new(s)) {
            must(store_get_meta(s, "position", &b, &err));
            must(eddy_buffer_append(&b, "", 1));
            int64_t now = strtoll(b.data, NULL, 10);
            cr_assert_geq(now, turn);
            turn = now;
            must(store_scan(s, same_turn, &turn, &err));
            cr_assert_eq(store_verify(s, NULL, &err), 200, "%s", err.message);
        }
        store_close(s);
        eddy_buffer_free(&b);
    }
    cr_assert_gt(turn, 20);
    free(path);
    remove_directory(dir);
}

static void overwrite_a_page(const char *path)
{
    struct stat st;
    char page[4096];
    cr_assert_eq(stat(path, &st), 0);
    off_t from = st.st_size / 4096 / 3 * 4096, to = st.st_size / 4096 / 2 * 4096;
    int fd = open(path, O_RDWR);
    cr_assert_eq(pread(fd, page, sizeof(page), from), 4096);
    cr_assert_eq(pwrite(fd, page, sizeof(page), to), 4096);
    close(fd);
}

/* Pages in the middle of the file overwritten by others: what a torn log can leave behind. */
Test(store_damage, a_page_in_the_place_of_another_is_found_when_the_file_is_opened)
{
    for (int closed = 0; closed < 2; closed++) {
        struct eddy_error err = {0};
        struct store *s = NULL;
        char *dir = fresh_directory(), *path = path_in(dir);
        pid_t child = fork();
        if (child == 0) {
            must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
            for (uint64_t i = 0; i < 6000; i++) put_numbered(s, i, 1, 1024); /* the log is emptied into the file */
            must(store_commit(s, &err));
            if (closed) store_close(s);
            _exit(0);
        }
        waitpid(child, NULL, 0);
        overwrite_a_page(path);
        cr_assert_eq(store_open(path, &an_identity, STORE_WRITE, &s, &err), EDDY_ECORRUPT, "%s", err.message);
        cr_assert(strstr(err.message, path));
        free(path);
        remove_directory(dir);
    }
}

/* Changes that leave every checksum right and every page in order: only the sum over all can tell. */
Test(store_damage, a_row_or_blob_or_model_that_is_missing_or_of_another_time_is_found)
{
    static const char *const changes[] = {
        "DELETE FROM rows WHERE id = 5", "DELETE FROM model", "DELETE FROM meta WHERE name = 'position'",
        "UPDATE rows SET (next_off, time_ns, count, sum, row) = "
        "(SELECT next_off, time_ns, count, sum, row FROM old.rows AS o WHERE o.key = rows.key) WHERE id = 5",
        "UPDATE meta SET (value, sum) = (SELECT value, sum FROM old.meta AS o WHERE o.name = meta.name) "
        "WHERE name = 'position'"};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct eddy_error err = {0};
        struct store *s = NULL;
        char *dir = fresh_directory(), *path = path_in(dir), sql[1000];
        a_saved_store(path, 10);
        snprintf(sql, sizeof(sql), "VACUUM INTO '%s.old'", path);
        change(path, sql);
        must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
        for (uint64_t k = 0; k < 10; k++) put_numbered(s, k, 11, 1024);
        must(store_put_meta(s, "position", "11", 2, &err));
        must(store_commit(s, &err));
        store_close(s);
        snprintf(sql, sizeof(sql), "ATTACH '%s.old' AS old; %s", path, changes[i]);
        change(path, sql);
        cr_assert_eq(store_open(path, &an_identity, STORE_WRITE, &s, &err), EDDY_ECORRUPT, "%s", changes[i]);
        cr_assert(strstr(err.message, path) && strstr(err.message, "written together"), "%s", err.message);
        must(store_open(path, &an_identity, STORE_READ_ONLY, &s, &err));
        cr_assert_eq(store_verify(s, NULL, &err), EDDY_ECORRUPT);
        store_close(s);
        free(path);
        remove_directory(dir);
    }
}

/* Puts, overwrites, deletions, sweeps and commits in any order keep the sum that a reading of the file gives. */
Test(store_damage, the_sum_over_all_follows_every_change)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    char *dir = fresh_directory(), *path = path_in(dir);
    uint64_t x = 88172645463325252u;
    must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
    for (int64_t i = 1; i < 2000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        char key[32];
        uint64_t k = x % 50;
        switch (x >> 40 & 15) {
        case 0: must(store_delete_row(s, key, key_name(key, sizeof(key), k), &err)); break;
        case 1: must(store_put_model(s, k, "weights", 7, &err)); break;
        case 2: must(store_prune_models(s, 3, &err)); break;
        case 3: must(store_put_meta(s, k & 1 ? "a" : "b", &k, sizeof(k), &err)); break;
        case 4: must((eddy_status)store_sweep(s, 1000 * (i - 40), &err)); break;
        case 5: must(store_commit(s, &err)); break;
        default: put_numbered(s, k, i, 100);
        }
        if (i % 100 == 0) must((eddy_status)store_verify(s, NULL, &err));
        if (i % 500 == 0) {
            must(store_commit(s, &err));
            store_close(s);
            must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
        }
    }
    store_close(s);
    free(path);
    remove_directory(dir);
}

Test(store_damage, a_file_that_is_set_aside_keeps_its_bytes_and_leaves_its_place_empty)
{
    struct eddy_error err = {0};
    char *dir = fresh_directory(), *path = path_in(dir), *moved[2];
    for (int i = 0; i < 2; i++) {
        struct store *s = NULL;
        a_saved_store(path, 10);
        must(store_set_aside(path, &moved[i], &err));
        cr_assert(strncmp(moved[i], path, strlen(path)) == 0 && strstr(moved[i], ".corrupt-"), "%s", moved[i]);
        cr_assert_neq(access(path, F_OK), 0);
        must(store_open(moved[i], &an_identity, STORE_READ_ONLY, &s, &err));
        cr_assert_eq(store_verify(s, NULL, &err), 10);
        store_close(s);
    }
    cr_assert_str_neq(moved[0], moved[1]); /* within the same second */
    char *again = NULL;
    cr_assert_eq(store_set_aside(path, &again, &err), EDDY_EIO);
    cr_assert(strstr(err.message, path), "%s", err.message);
    free(moved[0]), free(moved[1]);
    free(path);
    remove_directory(dir);
}
