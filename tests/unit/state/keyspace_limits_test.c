/* Many keys, little memory, no memory, no disk. */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/unit/state/fixture.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

static int64_t resident_memory(void)
{
    long pages = 0, all = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert_eq(fscanf(f, "%ld %ld", &all, &pages), 2);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct key_row *get(struct keyspace *ks, uint64_t i, struct eddy_error *err)
{
    char key[32];
    size_t n = key_name(key, sizeof(key), i);
    struct key_row *r = NULL;
    eddy_status rc = keyspace_get(ks, keyspace_hash(key, n), key, n, &r, err);
    return rc == EDDY_OK ? r : NULL;
}

/* EDDY_STATE_TEST_KEYS=1000000 gives the figures for a million. */
Test(keyspace_limits, many_keys_need_memory_for_the_resident_ones_only)
{
    struct eddy_error err = {0};
    const char *asked = getenv("EDDY_STATE_TEST_KEYS");
    const int64_t n_keys = asked ? atoll(asked) : 200000, limit = 10000, batch = 500;
    struct row_layout l;
    struct store *s = NULL;
    struct keyspace *ks = NULL;
    char *dir = fresh_directory(), *path = store_path(dir, &an_identity);
    a_layout(&l);
    must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
    struct keyspace_request q = {.layout = &l, .store = s, .max_resident = limit};
    must(keyspace_open(&q, &ks, &err));
    int64_t memory_before = resident_memory(), memory_peak = 0;
    double t0 = now_s();
    for (int64_t i = 0; i < n_keys; i++) {
        struct key_row *r = get(ks, (uint64_t)i, &err);
        cr_assert_not_null(r, "%s", err.message);
        fill_row(r->row, l.row_bytes, (uint64_t)i);
        r->count = i;
        if (i % batch == batch - 1) {
            keyspace_commit(ks);
            cr_assert_leq(keyspace_resident(ks), limit);
        }
        if (i % 100000 == 99999) {
            must(keyspace_flush(ks, &err));
            must(store_commit(s, &err));
            int64_t memory = resident_memory() - memory_before;
            memory_peak = memory > memory_peak ? memory : memory_peak;
        }
    }
    double t1 = now_s();
    for (int64_t i = 0; i < n_keys; i += n_keys / 20000) { /* most of them have left memory */
        unsigned char want[256];
        struct key_row *r = get(ks, (uint64_t)i, &err);
        cr_assert_not_null(r, "%s", err.message);
        fill_row(want, sizeof(want), (uint64_t)i);
        cr_assert_arr_eq(r->row, want, sizeof(want));
        cr_assert_eq(r->count, i);
        if (i % batch == 0) keyspace_commit(ks);
    }
    double t2 = now_s();
    if (asked)
        fprintf(stderr, "%lld keys: %.0f k keys/s new, %.0f k keys/s restored, %.1f MB more memory at most\n",
                (long long)n_keys, (double)n_keys / (t1 - t0) / 1e3, 20 / (t2 - t1), (double)memory_peak / 1e6);
#ifndef HAS_SANITIZER
    cr_assert_lt(memory_peak, 40 << 20, "%.1f MB",
                 (double)memory_peak / 1e6); /* keys 4.5 MB, page cache 8 MB, log's index */
#endif
    keyspace_commit(ks);
    keyspace_close(ks);
    store_close(s);
    row_layout_free(&l);
    free(path);
    remove_directory(dir);
}

#ifndef HAS_SANITIZER
Test(keyspace_limits, without_memory_a_get_fails_and_nothing_else_changes)
{
    struct eddy_error err = {0};
    struct row_layout l;
    struct keyspace *ks = NULL;
    struct rlimit limit;
    uint64_t n = 0;
    a_layout(&l);
    struct keyspace_request q = {.layout = &l};
    must(keyspace_open(&q, &ks, &err));
    getrlimit(RLIMIT_AS, &limit);
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert_eq(fscanf(f, "%ld", &pages), 1);
    fclose(f);
    struct rlimit tight = {.rlim_cur = (rlim_t)(pages * sysconf(_SC_PAGESIZE) + (32 << 20)),
                           .rlim_max = limit.rlim_max};
    setrlimit(RLIMIT_AS, &tight);
    struct key_row *r;
    while (n < 10000000 && (r = get(ks, n, &err))) {
        fill_row(r->row, l.row_bytes, n);
        r->count = (int64_t)n++;
        if (n % 1000 == 0) keyspace_commit(ks);
    }
    setrlimit(RLIMIT_AS, &limit);
    cr_assert_eq(err.code, EDDY_ENOMEM);
    cr_assert(n > 1000 && n < 10000000);
    keyspace_abort(ks);
    uint64_t kept = n / 1000 * 1000;
    cr_assert_eq(keyspace_resident(ks), (int64_t)kept);
    for (uint64_t i = 0; i < kept; i++) cr_assert_eq(get(ks, i, &err)->count, (int64_t)i);
    keyspace_close(ks);
    row_layout_free(&l);
}
#endif

/* The lane goes on with more keys in memory than allowed, and catches up when there is room. */
Test(keyspace_limits, a_full_disk_keeps_keys_resident_until_there_is_room)
{
    struct eddy_error err = {0};
    struct row_layout l;
    struct store *s = NULL;
    struct keyspace *ks = NULL;
    char *dir = fresh_directory(), *path = store_path(dir, &an_identity), filler[400];
    static char block[65536];
    if (mount("tmpfs", dir, "tmpfs", 0, "size=16m") != 0) cr_skip_test("needs the right to mount");
    a_layout(&l);
    must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
    struct keyspace_request q = {.layout = &l, .store = s, .max_resident = 100};
    must(keyspace_open(&q, &ks, &err));
    for (uint64_t i = 0; i < 1000; i++) {
        get(ks, i, &err)->count = (int64_t)i;
        if (i % 10 == 9) keyspace_commit(ks);
    }
    must(keyspace_flush(ks, &err));
    must(store_commit(s, &err));

    snprintf(filler, sizeof(filler), "%s/filler", dir);
    int fd = open(filler, O_CREAT | O_WRONLY, 0600);
    while (write(fd, block, sizeof(block)) > 0) {}
    close(fd);
    eddy_status rc = EDDY_OK;
    for (uint64_t i = 1000; i < 6000; i++) {
        get(ks, i, &err)->count = (int64_t)i;
        if (i % 10 == 9) keyspace_commit(ks);
    }
    rc = keyspace_evict(ks, &err);
    cr_assert_eq(rc, EDDY_EFULL, "%d %s", rc, err.message);
    cr_assert_eq(keyspace_flush(ks, &err), EDDY_EFULL);
    cr_assert_gt(keyspace_resident(ks), 100);

    cr_assert_eq(unlink(filler), 0);
    must(keyspace_evict(ks, &err));
    cr_assert_eq(keyspace_resident(ks), 100);
    must(keyspace_flush(ks, &err));
    must(store_commit(s, &err));
    cr_assert_eq(store_count(s, &err), 6000);
    for (uint64_t i = 0; i < 6000; i++) {
        cr_assert_eq(get(ks, i, &err)->count, (int64_t)i);
        if (i % 10 == 9) keyspace_commit(ks);
    }
    keyspace_close(ks);
    store_close(s);
    umount2(dir, MNT_DETACH);
    row_layout_free(&l);
    free(path);
    remove_directory(dir);
}
