/* Files that are not what they should be: each is refused with its name and with what was found, and is left alone. */
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "tests/unit/state/fixture.h"

static char *path_in(const char *dir)
{
    char *path = NULL;
    cr_assert(asprintf(&path, "%s/x.db", dir) > 0);
    return path;
}

static void a_saved_store(const char *path)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
    for (uint64_t i = 0; i < 20; i++) put_numbered(s, i, 10, 256);
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

static void must_refuse(const char *path, eddy_status code, const char *words)
{
    for (int mode = STORE_WRITE; mode <= STORE_READ_ONLY; mode++) {
        struct eddy_error err = {0};
        struct store *s = NULL;
        eddy_status rc = store_open(path, &an_identity, (enum store_mode)mode, &s, &err);
        cr_assert_eq(rc, code, "mode %d: %d %s", mode, rc, err.message);
        cr_assert(strstr(err.message, words), "%s", err.message);
        cr_assert(strstr(err.message, path), "%s", err.message);
        cr_assert_null(s);
    }
}

Test(store_foreign, a_text_file_is_refused_and_left_alone)
{
    char *dir = fresh_directory(), *path = path_in(dir), back[64] = {0};
    FILE *f = fopen(path, "w");
    fputs("my shopping list", f);
    fclose(f);
    must_refuse(path, EDDY_EVERSION, "begins with 6d 79 20 73");
    f = fopen(path, "r");
    cr_assert_not_null(fgets(back, sizeof(back), f));
    fclose(f);
    cr_assert_str_eq(back, "my shopping list");
    free(path);
    remove_directory(dir);
}

Test(store_foreign, a_database_of_another_program_is_refused)
{
    char *dir = fresh_directory(), *path = path_in(dir);
    change(path, "PRAGMA application_id = 1234; CREATE TABLE rows (a); INSERT INTO rows VALUES (1)");
    must_refuse(path, EDDY_EVERSION, "another program (application id 0x000004d2");
    free(path);
    remove_directory(dir);
}

Test(store_foreign, a_newer_format_is_refused_and_named)
{
    char *dir = fresh_directory(), *path = path_in(dir);
    a_saved_store(path);
    change(path, "PRAGMA user_version = 7");
    must_refuse(path, EDDY_EVERSION, "format 7, written by a newer eddy");
    free(path);
    remove_directory(dir);
}

Test(store_foreign, another_identity_is_refused_and_named)
{
    static const struct store_identity others[] = {
        {"plant-8", "sensors", 3}, {"plant-7", "sensor", 3}, {"plant-7", "sensors", 4}};
    char *dir = fresh_directory(), *path = path_in(dir);
    a_saved_store(path);
    for (int i = 0; i < 3; i++) {
        struct eddy_error err = {0};
        struct store *s = NULL;
        cr_assert_eq(store_open(path, &others[i], STORE_WRITE, &s, &err), EDDY_EMISMATCH);
        cr_assert(strstr(err.message, "pipeline \"plant-7\", topic \"sensors\", partition 3"), "%s", err.message);
        cr_assert(strstr(err.message, path));
    }
    free(path);
    remove_directory(dir);
}

Test(store_foreign, tables_that_eddy_did_not_make_are_refused)
{
    static const char *const changes[] = {"CREATE TABLE extra (a)", "DROP TABLE model",
                                          "CREATE TRIGGER t AFTER INSERT ON rows BEGIN DELETE FROM meta; END",
                                          "CREATE VIEW v AS SELECT * FROM rows", "ALTER TABLE rows ADD COLUMN more"};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        char *dir = fresh_directory(), *path = path_in(dir);
        a_saved_store(path);
        change(path, changes[i]);
        struct eddy_error err = {0};
        struct store *s = NULL;
        cr_assert_eq(store_open(path, &an_identity, STORE_WRITE, &s, &err), EDDY_ECORRUPT, "%s", changes[i]);
        cr_assert(strstr(err.message, path));
        free(path);
        remove_directory(dir);
    }
}

Test(store_foreign, links_and_directories_are_refused)
{
    char *dir = fresh_directory(), *path = path_in(dir), *real = NULL;
    cr_assert(asprintf(&real, "%s/real.db", dir) > 0);
    a_saved_store(real);
    cr_assert_eq(symlink(real, path), 0);
    must_refuse(path, EDDY_EIO, "not a regular file");
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkdir(path, 0700), 0);
    must_refuse(path, EDDY_EIO, "not a regular file");
    free(real);
    free(path);
    remove_directory(dir);
}

Test(store_foreign, an_absent_file_is_not_created_by_a_reader)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    char *dir = fresh_directory(), *path = path_in(dir);
    cr_assert_eq(store_open(path, NULL, STORE_READ_ONLY, &s, &err), EDDY_ENOTFOUND);
    cr_assert_neq(access(path, F_OK), 0);
    cr_assert_eq(store_open(path, NULL, STORE_WRITE, &s, &err), EDDY_EINVAL, "a new file belongs to somebody");
    free(path);
    remove_directory(dir);
}

Test(store_foreign, an_empty_file_is_a_new_one)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    char *dir = fresh_directory(), *path = path_in(dir);
    close(open(path, O_CREAT | O_WRONLY, 0600)); /* what a crash right after creating leaves */
    cr_assert_eq(store_open(path, NULL, STORE_READ_ONLY, &s, &err), EDDY_ENOTFOUND);
    must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
    cr_assert(store_is_new(s));
    store_close(s);
    free(path);
    remove_directory(dir);
}

/* A crash while a new file gets its first page leaves the page and a journal that makes the file empty again. */
Test(store_foreign, a_file_whose_creation_was_cut_off_is_a_new_one)
{
    static const unsigned char journal[512] = {
        0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7, /* mark */
        0,    0,    0,    0,    1,    2,    3,    4,    /* records, nonce */
        0,    0,    0,    0,    0,    0,    2,    0,    /* pages before, sector size */
        0,    0,    0x10, 0};                           /* page size */
    struct eddy_error err = {0};
    struct store *s = NULL;
    char *dir = fresh_directory(), *path = path_in(dir), beside[400];
    a_saved_store(path);
    cr_assert_eq(truncate(path, 4096), 0);
    snprintf(beside, sizeof(beside), "%s-journal", path);
    FILE *f = fopen(beside, "wb");
    cr_assert_eq(fwrite(journal, 1, sizeof(journal), f), sizeof(journal));
    fclose(f);
    must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
    cr_assert(store_is_new(s));
    must(store_commit(s, &err));
    store_close(s);
    must(store_open(path, &an_identity, STORE_READ_ONLY, &s, &err));
    cr_assert_eq(store_count(s, &err), 0);
    store_close(s);
    free(path);
    remove_directory(dir);
}

static bool becomes_nobody(void)
{
    return geteuid() != 0 || setuid(65534) == 0; /* root may write everywhere */
}

/* Runs in a child, which gives up root: 0 = as expected. */
static int without_rights(const char *path)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    if (!becomes_nobody()) return 1;
    if (store_open(path, &an_identity, STORE_WRITE, &s, &err) != EDDY_EIO || !strstr(err.message, path)) return 2;
    if (store_open(path, &an_identity, STORE_READ_ONLY, &s, &err) != EDDY_OK) return 3;
    if (store_count(s, &err) != 20 || store_verify(s, NULL, &err) != 20) return 4;
    store_close(s);

    char *missing = NULL;
    if (asprintf(&missing, "%s-new", path) < 0) return 5;
    if (store_open(missing, &an_identity, STORE_WRITE, &s, &err) != EDDY_EIO || !strstr(err.message, missing))
        return 6;
    free(missing);
    return 0;
}

Test(store_foreign, a_read_only_directory_can_be_read_and_not_written)
{
    char *dir = fresh_directory(), *path = path_in(dir);
    int status;
    a_saved_store(path);
    chmod(path, 0444);
    chmod(dir, 0555);
    pid_t child = fork();
    if (child == 0) _exit(without_rights(path));
    waitpid(child, &status, 0);
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), 0, "step %d", WEXITSTATUS(status));
    chmod(dir, 0700);
    free(path);
    remove_directory(dir);
}

Test(store_foreign, a_second_writer_is_told_to_wait)
{
    struct eddy_error err = {0};
    struct store *a = NULL, *b = NULL;
    char *dir = fresh_directory(), *path = path_in(dir);
    a_saved_store(path);
    must(store_open(path, &an_identity, STORE_WRITE, &a, &err));
    must(store_open(path, &an_identity, STORE_WRITE, &b, &err));
    put_numbered(a, 1, 20, 256);
    cr_assert_eq(store_put_meta(b, "x", "y", 1, &err), EDDY_EBUSY);
    must(store_commit(a, &err));
    must(store_put_meta(b, "x", "y", 1, &err));
    must(store_commit(b, &err));
    store_close(a);
    store_close(b);
    free(path);
    remove_directory(dir);
}
