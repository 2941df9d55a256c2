/* Checkpoints in the background: whatever happens between the cut and the commit, the file holds the state at the cut. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/unit/state/world.h"

enum { ROWS_AT_ONCE = 1 << 20, MANY_KEYS = 60 };

/* A keyspace with a storage thread, and the file behind it. */
struct saved_world {
    struct world w;
    struct storage *storage;
    char *dir, *path;
};

static void open_saved(struct saved_world *s, int64_t max_resident)
{
    struct eddy_error err = {0};
    *s = (struct saved_world){.dir = fresh_directory()};
    cr_assert(asprintf(&s->path, "%s/state.db", s->dir) > 0);
    a_layout(&s->w.layout);
    must(store_open(s->path, &an_identity, STORE_WRITE, &s->w.store, &err));
    must(storage_open(&s->storage, &err));
    struct keyspace_request q = {
        .layout = &s->w.layout, .store = s->w.store, .max_resident = max_resident, .prepare = prepare_row};
    must(keyspace_open(&q, &s->w.ks, &err));
    keyspace_go_background(s->w.ks, s->storage);
}

static void close_saved(struct saved_world *s)
{
    done(&s->w);
    storage_close(s->storage);
    remove_directory(s->dir);
    free(s->path);
}

static void begin(struct saved_world *s, int64_t before)
{
    struct eddy_error err = {0};
    const struct keyspace_save save = {.before = before};
    must(keyspace_save_begin(s->w.ks, &save));
}

static void save_all(struct saved_world *s)
{
    struct eddy_error err = {0};
    begin(s, INT64_MIN);
    must(keyspace_save_wait(s->w.ks, &err));
}

/* What a reader of the file sees. */
static void hash_of_file(const char *path, char out[33])
{
    struct eddy_error err = {0};
    struct store *store;
    struct state_hash *h = state_hash_open();
    must(store_open(path, &an_identity, STORE_READ_ONLY, &store, &err));
    must(state_hash_rows(store, INT64_MIN, true, h, &err));
    state_hash_hex(h, out);
    state_hash_close(h);
    store_close(store);
}

static uint64_t draw(uint64_t *state, uint64_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (*state >> 33) % below;
}

/* As a lane does: a key that has been idle for too long begins anew, whether it was swept or not. */
static void fold_alive(struct world *w, const char *key, int64_t offset, int64_t before)
{
    struct eddy_error err = {0};
    struct key_row *r = get(w, key);
    if (r->count > 0 && r->time_ns < before) must(keyspace_reset(w->ks, r, &err));
    fold(w, key, offset);
}

/* One batch of a few folds and forgets, in both worlds alike. */
static void one_batch(struct world *a, struct world *b, uint64_t *seed, int64_t *offset, int64_t before)
{
    struct eddy_error err = {0};
    const int n = (int)draw(seed, 8);
    for (int i = 0; i < n; i++) {
        char key[64];
        const uint64_t number = draw(seed, MANY_KEYS);
        /* some keys are too long for their place in the slot */
        snprintf(key, sizeof(key), number % 5 ? "k%d" : "a-key-that-is-longer-than-forty-bytes-%016d", (int)number);
        if (draw(seed, 6) == 0) {
            (void)keyspace_forget(a->ks, key, strlen(key), &err);
            (void)keyspace_forget(b->ks, key, strlen(key), &err);
        } else {
            fold_alive(a, key, *offset, before);
            fold_alive(b, key, *offset, before);
        }
        ++*offset;
    }
    const bool stands = draw(seed, 4) != 0;
    (stands ? keyspace_commit : keyspace_abort)(a->ks);
    (stands ? keyspace_commit : keyspace_abort)(b->ks);
}

static int one_life(uint64_t seed, int64_t max_resident, int rows, bool sweeps)
{
    struct eddy_error err = {0};
    struct saved_world s;
    struct world shadow; /* writes everything at once */
    char at_cut[33] = "", in_file[33];
    int64_t offset = 0, before = INT64_MIN;
    int saves = 0;
    open_saved(&s, max_resident);
    open_world(&shadow, 100000, true);
    for (int turn = 0; turn < 3000; turn++) {
        one_batch(&s.w, &shadow, &seed, &offset, before);
        if (!keyspace_saving(s.w.ks) && draw(&seed, 20) == 0) {
            if (sweeps && draw(&seed, 2)) before = (offset - 150) * 1000;
            if (before != INT64_MIN) cr_assert_geq(keyspace_sweep(shadow.ks, before, &err), 0);
            hash_of(&shadow, true, at_cut);
            begin(&s, before);
        }
        if (!keyspace_saving(s.w.ks)) continue;
        const eddy_status rc = turn % 7 == 0 ? (keyspace_save_wait(s.w.ks, &err) < 0 ? -1 : 1)
                                             : keyspace_save_step(s.w.ks, rows, &err);
        cr_assert_geq(rc, 0, "%s", err.message);
        if (rc == 0) continue;
        hash_of_file(s.path, in_file);
        cr_assert_str_eq(in_file, at_cut, "seed %llu, turn %d", (unsigned long long)seed, turn);
        saves++;
    }
    if (keyspace_saving(s.w.ks)) must(keyspace_save_wait(s.w.ks, &err));
    save_all(&s);
    if (before != INT64_MIN) cr_assert_geq(keyspace_sweep(shadow.ks, before, &err), 0);
    hash_of(&shadow, true, at_cut);
    struct keyspace_stats stats;
    keyspace_stats(s.w.ks, &stats);
    cr_assert_eq(stats.dirty, 0);
    if (before == INT64_MIN) {
        hash_of_file(s.path, in_file);
        cr_assert_str_eq(in_file, at_cut);
    }
    close_saved(&s);
    done(&shadow);
    return saves;
}

Test(keyspace_save, the_file_holds_the_state_at_the_cut_with_slices_and_memory_of_any_size)
{
    const int rows[] = {1, 3, 1000};
    const int64_t resident[] = {4, 25, 1000};
    int saves = 0;
    for (int i = 0; i < 9; i++) saves += one_life(100 + (uint64_t)i, resident[i / 3], rows[i % 3], false);
    cr_assert_gt(saves, 200);
}

Test(keyspace_save, keys_that_have_expired_at_the_cut_leave_with_it)
{
    for (int i = 0; i < 6; i++) cr_assert_gt(one_life(500 + (uint64_t)i, i < 3 ? 10 : 1000, i % 3 * 4 + 1, true), 5);
}

Test(keyspace_save, a_flush_shows_the_store_everything_and_loses_nothing)
{
    struct saved_world s;
    struct world shadow;
    uint64_t seed = 9;
    int64_t offset = 0;
    char is[33], want[33];
    open_saved(&s, 6);
    open_world(&shadow, 1000, true);
    for (int turn = 0; turn < 400; turn++) {
        one_batch(&s.w, &shadow, &seed, &offset, INT64_MIN);
        if (turn % 9 == 0) begin(&s, INT64_MIN);
        if (turn % 9 != 4) continue;
        hash_of(&s.w, true, is); /* flushes, and waits for the checkpoint that has begun */
        hash_of(&shadow, true, want);
        cr_assert_str_eq(is, want, "turn %d", turn);
    }
    close_saved(&s);
    done(&shadow);
}

/* ---- a slow disk ---- */

struct slow_job {
    struct storage_job job;
    atomic_bool go;
};

static eddy_status wait_for_go(struct storage_job *job, struct eddy_error *err)
{
    (void)err;
    while (!atomic_load(&((struct slow_job *)(void *)job)->go)) nanosleep(&(struct timespec){0, 1000000}, NULL);
    return EDDY_OK;
}

Test(keyspace_save, while_the_disk_stands_still_the_loop_goes_on_in_bounded_memory)
{
    enum { KEYS = 20000, RESIDENT = 500 };
    struct eddy_error err = {0};
    struct saved_world s;
    struct slow_job slow = {.job.run = wait_for_go};
    char key[32], is[33], want[33];
    open_saved(&s, RESIDENT);
    for (int i = 0; i < KEYS; i++) {
        fold(&s.w, (key_name(key, sizeof(key), (uint64_t)i), key), i);
        keyspace_commit(s.w.ks);
    }
    storage_submit(s.storage, &slow.job);
    begin(&s, INT64_MIN);
    cr_assert_eq(keyspace_save_step(s.w.ks, ROWS_AT_ONCE, &err), 0);
    for (int i = 0; i < KEYS; i++) { /* all keys come back from the frozen log and leave again for the active one */
        fold(&s.w, (key_name(key, sizeof(key), (uint64_t)i), key), KEYS + i);
        keyspace_commit(s.w.ks);
        cr_assert_eq(keyspace_save_step(s.w.ks, 1, &err), 0);
        cr_assert_leq(keyspace_resident(s.w.ks), RESIDENT);
    }
    const int64_t rows = KEYS * (int64_t)s.w.layout.row_bytes;
    cr_assert_lt(keyspace_resident_bytes(s.w.ks), rows / 2, "rows wait in a file, not in memory");
    atomic_store(&slow.go, true);
    must(keyspace_save_wait(s.w.ks, &err));
    for (int i = 0; i < KEYS; i += 97) {
        struct key_row *r = get(&s.w, (key_name(key, sizeof(key), (uint64_t)i), key));
        cr_assert_eq(r->count, 2);
    }
    keyspace_abort(s.w.ks);
    save_all(&s);
    hash_of_file(s.path, is);
    hash_of(&s.w, true, want);
    cr_assert_str_eq(is, want);
    close_saved(&s);
}

Test(keyspace_save, closing_in_the_middle_leaves_the_last_checkpoint)
{
    struct eddy_error err = {0};
    struct saved_world s;
    struct slow_job slow = {.job.run = wait_for_go};
    char key[32], is[33], want[33];
    open_saved(&s, 10);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100; i++) fold(&s.w, (key_name(key, sizeof(key), (uint64_t)i), key), i + 100 * round);
        keyspace_commit(s.w.ks);
        if (round == 0) save_all(&s);
    }
    hash_of_file(s.path, want);
    storage_submit(s.storage, &slow.job);
    begin(&s, INT64_MIN);
    cr_assert_eq(keyspace_save_step(s.w.ks, ROWS_AT_ONCE, &err), 0);
    atomic_store(&slow.go, true);
    done(&s.w);
    hash_of_file(s.path, is);
    if (strcmp(is, want) != 0) { /* the storage thread was quick: then it is the new one, whole */
        struct store *store;
        must(store_open(s.path, &an_identity, STORE_READ_ONLY, &store, &err));
        cr_assert_eq(store_count(store, &err), 100);
        store_close(store);
    }
    storage_close(s.storage);
    remove_directory(s.dir);
    free(s.path);
}

/* ---- a full disk ---- */

Test(keyspace_save, a_full_disk_loses_nothing_and_the_next_try_writes_the_same_cut)
{
    struct eddy_error err = {0};
    struct saved_world s;
    struct world shadow;
    struct rlimit was, limit;
    char key[32], at_cut[33], is[33];
    open_saved(&s, 300);
    open_world(&shadow, 100000, true);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    for (int i = 0; i < 3000; i++) {
        key_name(key, sizeof(key), (uint64_t)i);
        fold(&s.w, key, i);
        fold(&shadow, key, i);
        keyspace_commit(s.w.ks);
        keyspace_commit(shadow.ks);
        if (i == 1000) save_all(&s);
        if (i != 2000) continue;
        hash_of(&shadow, true, at_cut);
        begin(&s, INT64_MIN);
        limit = was;
        limit.rlim_cur = 100 << 10;
        setrlimit(RLIMIT_FSIZE, &limit);
        eddy_status rc = keyspace_save_wait(s.w.ks, &err);
        cr_assert_eq(rc, EDDY_EFULL, "%d %s", rc, err.message);
        cr_assert(keyspace_saving(s.w.ks));
    }
    cr_assert_gt(keyspace_resident(s.w.ks), 300, "what cannot be written stays");
    cr_assert_eq(keyspace_save_wait(s.w.ks, &err), EDDY_EFULL);
    setrlimit(RLIMIT_FSIZE, &was);
    must(keyspace_save_wait(s.w.ks, &err));
    hash_of_file(s.path, is);
    cr_assert_str_eq(is, at_cut);
    save_all(&s);
    hash_of_file(s.path, is);
    hash_of(&shadow, true, at_cut);
    cr_assert_str_eq(is, at_cut);
    must(keyspace_evict(s.w.ks, &err));
    cr_assert_leq(keyspace_resident(s.w.ks), 300);
    close_saved(&s);
    done(&shadow);
}

/* ---- kill -9 ---- */

/* Every key's count is the number of the round; rounds are saved without end, and evictions go on meanwhile. */
static void save_until_killed(const char *path, int ready)
{
    struct eddy_error err = {0};
    struct world w = {0};
    struct storage *storage;
    char key[32];
    a_layout(&w.layout);
    must(store_open(path, &an_identity, STORE_WRITE, &w.store, &err));
    must(storage_open(&storage, &err));
    struct keyspace_request q = {.layout = &w.layout, .store = w.store, .max_resident = 300, .prepare = prepare_row};
    must(keyspace_open(&q, &w.ks, &err));
    keyspace_go_background(w.ks, storage);
    for (int round = 1;; round++) {
        for (int i = 0; i < 1000; i++) {
            fold(&w, (key_name(key, sizeof(key), (uint64_t)i), key), round * 1000 + i);
            keyspace_commit(w.ks);
            if (keyspace_saving(w.ks)) cr_assert_geq(keyspace_save_step(w.ks, 5, &err), 0);
        }
        if (keyspace_saving(w.ks)) must(keyspace_save_wait(w.ks, &err));
        if (round == 2) cr_assert_eq(write(ready, "", 1), 1); /* one is there */
        const struct keyspace_save save = {.before = INT64_MIN};
        must(keyspace_save_begin(w.ks, &save));
    }
}

static eddy_status same_count(void *context, const struct stored_row *r, struct eddy_error *err)
{
    int64_t *count = context;
    (void)err;
    if (*count < 0) *count = r->count;
    cr_assert_eq(r->count, *count, "rows of two checkpoints in one");
    return EDDY_OK;
}

Test(keyspace_save, a_kill_at_any_moment_leaves_one_whole_checkpoint, .timeout = 120)
{
    struct eddy_error err = {0};
    char *dir = fresh_directory(), *path = NULL;
    cr_assert(asprintf(&path, "%s/state.db", dir) > 0);
    for (int trial = 0; trial < 12; trial++) {
        int ends[2];
        char byte;
        struct store *store;
        cr_assert_eq(pipe(ends), 0);
        const pid_t child = fork();
        if (child == 0) save_until_killed(path, ends[1]);
        close(ends[1]);
        cr_assert_eq(read(ends[0], &byte, 1), 1);
        close(ends[0]);
        nanosleep(&(struct timespec){0, (trial * 7 + 3) * 1000000L}, NULL);
        kill(child, SIGKILL);
        cr_assert_eq(waitpid(child, NULL, 0), child);

        must(store_open(path, &an_identity, STORE_WRITE, &store, &err));
        int64_t count = -1;
        must(store_scan(store, same_count, &count, &err));
        cr_assert_geq(count, 1);
        cr_assert_eq(store_count(store, &err), 1000);
        cr_assert_eq(store_verify(store, NULL, &err), 1000, "%s", err.message);
        store_close(store);
        for (const char *const *p = (const char *const[]){"", "-wal", "-shm", NULL}; *p; p++) {
            char *file = NULL;
            cr_assert(asprintf(&file, "%s%s", path, *p) > 0);
            (void)unlink(file);
            free(file);
        }
    }
    remove_directory(dir);
    free(path);
}
