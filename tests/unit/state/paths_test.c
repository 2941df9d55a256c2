#include <fcntl.h>
#include <sys/wait.h>

#include "tests/unit/state/fixture.h"

static char *path_of(const char *topic, int32_t partition)
{
    return store_path("/s", &(struct store_identity){.name = "n", .topic = topic, .partition = partition});
}

Test(paths, a_topic_becomes_a_file_name_that_stays_in_its_directory)
{
    static const struct {
        const char *topic, *path;
    } cases[] = {
        {"sensors", "/s/n/sensors-3.db"},
        {"a.b_c-d", "/s/n/a.b_c-d-3.db"},
        {"../etc/passwd", "/s/n/%2E.%2Fetc%2Fpasswd-3.db"},
        {".hidden", "/s/n/%2Ehidden-3.db"},
        {"50%~x y", "/s/n/50%25%7Ex%20y-3.db"},
        {"\xc3\xa4", "/s/n/%C3%A4-3.db"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *path = path_of(cases[i].topic, 3);
        cr_assert_str_eq(path, cases[i].path);
        free(path);
    }
}

Test(paths, long_topics_are_cut_and_stay_distinct)
{
    char a[900], b[900];
    memset(a, '/', sizeof(a) - 1);
    a[sizeof(a) - 1] = '\0';
    memcpy(b, a, sizeof(a));
    b[sizeof(b) - 2] = 'x';
    char *path_a = path_of(a, INT32_MAX), *path_b = path_of(b, INT32_MAX);
    cr_assert_str_neq(path_a, path_b);
    cr_assert_leq(strlen(strrchr(path_a, '/')), 251);
    free(path_a);
    free(path_b);
}

struct listed {
    int n;
    char text[2000];
};

static eddy_status note(void *context, const char *path, const struct store_identity *id, struct eddy_error *err)
{
    struct listed *l = context;
    size_t at = strlen(l->text);
    (void)err;
    cr_assert_eq(access(path, R_OK), 0);
    snprintf(l->text + at, sizeof(l->text) - at, "%s/%.8s/%d;", id->name, id->topic, id->partition);
    return ++l->n == 100 ? EDDY_EDATA : EDDY_OK;
}

static void touch_store(const char *dir, const char *topic, int32_t partition)
{
    struct eddy_error err = {0};
    struct store_identity id = {.name = "p", .topic = topic, .partition = partition};
    struct store *s = NULL;
    char *path = store_path(dir, &id);
    must(store_open(path, &id, STORE_WRITE, &s, &err));
    must(store_commit(s, &err));
    store_close(s);
    free(path);
}

Test(paths, a_list_names_every_state_file_and_nothing_else)
{
    struct eddy_error err = {0};
    struct listed l = {0};
    char *dir = fresh_directory(), file[300], topic[600];
    must(store_list(dir, "p", note, &l, &err)); /* nothing there yet */
    cr_assert_eq(l.n, 0);

    memset(topic, 'q', sizeof(topic) - 1);
    topic[sizeof(topic) - 1] = '\0';
    touch_store(dir, "b", 1);
    touch_store(dir, "a/x-", 0);
    touch_store(dir, "b", 0);
    touch_store(dir, topic, 12);
    snprintf(file, sizeof(file), "%s/p/notes.db", dir);
    close(open(file, O_CREAT | O_WRONLY, 0600));
    must(store_list(dir, "p", note, &l, &err));
    cr_assert_str_eq(l.text, "p/a/x-/0;p/b/0;p/b/1;p/qqqqqqqq/12;");
    remove_directory(dir);
}

Test(paths, a_list_stops_at_the_first_failure)
{
    struct eddy_error err = {0};
    struct listed l = {.n = 99};
    char *dir = fresh_directory();
    touch_store(dir, "a", 0);
    touch_store(dir, "b", 0);
    cr_assert_eq(store_list(dir, "p", note, &l, &err), EDDY_EDATA);
    cr_assert_eq(l.n, 100);
    remove_directory(dir);
}

Test(lock, a_second_process_is_told_who_holds_the_state)
{
    struct eddy_error err = {0};
    struct store_lock *mine = NULL;
    char *dir = fresh_directory();
    must(store_lock_open(dir, "p", &mine, &err));
    pid_t holder = getpid(), child = fork();
    if (child == 0) {
        struct store_lock *theirs = NULL;
        char pid[32];
        snprintf(pid, sizeof(pid), "process %ld", (long)holder);
        bool ok = store_lock_open(dir, "p", &theirs, &err) == EDDY_EBUSY && strstr(err.message, pid) &&
                  strstr(err.message, dir);
        _exit(ok ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    struct store_lock *other = NULL;
    must(store_lock_open(dir, "another-pipeline", &other, &err));
    store_lock_close(other);
    store_lock_close(mine);
    must(store_lock_open(dir, "p", &mine, &err));
    store_lock_close(mine);
    store_lock_close(NULL);
    remove_directory(dir);
}

Test(lock, directories_are_private_and_so_is_the_file)
{
    struct eddy_error err = {0};
    struct store_lock *lock = NULL;
    struct stat st;
    char *dir = fresh_directory(), path[300], file[400];
    snprintf(path, sizeof(path), "%s/deeper/still", dir);
    must(store_lock_open(path, "p", &lock, &err));
    snprintf(file, sizeof(file), "%s/p", path);
    cr_assert_eq(stat(file, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
    snprintf(file, sizeof(file), "%s/p/lock", path);
    cr_assert_eq(stat(file, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    store_lock_close(lock);
    remove_directory(dir);
}

Test(lock, a_directory_that_cannot_be_written_is_named)
{
    struct eddy_error err = {0};
    struct store_lock *lock = NULL;
    char *dir = fresh_directory(), path[300];
    snprintf(path, sizeof(path), "%s/file", dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    cr_assert_eq(store_lock_open(path, "p", &lock, &err), EDDY_EIO);
    cr_assert(strstr(err.message, path), "%s", err.message);

    chmod(dir, 0555);
    pid_t child = fork();
    if (child == 0) {
        bool denied = setuid(65534) == 0 || geteuid() != 0; /* root may write everywhere */
        snprintf(path, sizeof(path), "%s/new", dir);
        _exit(denied && store_lock_open(path, "p", &lock, &err) == EDDY_EIO && strstr(err.message, path) ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    chmod(dir, 0755);
    remove_directory(dir);
}
