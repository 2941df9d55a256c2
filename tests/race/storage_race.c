/* The loop folds, evicts, reads back and copies slices while the storage thread writes checkpoints of two partitions: under
 * `make test-race` the thread sanitizer watches; in any build each checkpoint must hold all keys of one round. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/state/keyspace.h"

enum { LANES = 2, KEYS = 400, RESIDENT = 100, SAVES = 10, MOST_ROUNDS = 100000 };

struct lane {
    struct store *store;
    struct keyspace *keys;
    char path[64];
    int saved_round; /* the storage thread reads it */
    int saves;
};

static void must(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "not ok - %s\n", what);
    exit(1);
}

static eddy_status put_round(void *context, struct store *store, struct eddy_error *err)
{
    return store_put_meta(store, "round", context, sizeof(int), err);
}

static void fold_round(struct lane *l, int round)
{
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        struct key_row *r;
        const size_t n = (size_t)snprintf(key, sizeof(key), "%d", i);
        must(keyspace_get(l->keys, keyspace_hash(key, n), key, n, &r, NULL) >= 0, "get");
        must(r->count == round, "a row comes back as it left");
        r->count++;
        r->row[i % 64]++;
        r->time_ns = r->next_off = round;
        (i % 17 ? keyspace_commit : keyspace_abort)(l->keys);
        if (i % 17 == 0) { /* once more, this time for good */
            must(keyspace_get(l->keys, keyspace_hash(key, n), key, n, &r, NULL) >= 0, "get");
            must(r->count == round, "an abort takes it back");
            r->count++;
            keyspace_commit(l->keys);
        }
        if (keyspace_saving(l->keys)) {
            const eddy_status rc = keyspace_save_step(l->keys, 7, NULL);
            must(rc >= 0, "step");
            l->saves += rc;
        }
    }
}

static eddy_status same_count(void *context, const struct stored_row *r, struct eddy_error *err)
{
    int64_t *count = context;
    (void)err;
    if (*count < 0) *count = r->count;
    must(*count == r->count, "a checkpoint is of one round");
    return EDDY_OK;
}

static void look(const struct lane *l, const struct store_identity *id)
{
    struct store *reader;
    int64_t count = -1;
    must(store_open(l->path, id, STORE_READ_ONLY, &reader, NULL) >= 0, "read");
    must(store_scan(reader, same_count, &count, NULL) >= 0 && count > 0, "scan");
    store_close(reader);
}

int main(void)
{
    char dir[] = "/tmp/eddy-race-XXXXXX";
    struct row_layout layout = {0};
    struct storage *storage;
    struct lane lanes[LANES] = {0};
    const struct store_identity id = {"race", "topic", 0};
    must(mkdtemp(dir) != NULL, "directory");
    must(row_layout_add(&layout, "state", SECTION_BYTES, 1, 64, NULL) >= 0, "layout");
    must(storage_open(&storage, NULL) >= 0, "storage");
    for (int k = 0; k < LANES; k++) {
        struct lane *l = &lanes[k];
        snprintf(l->path, sizeof(l->path), "%s/%d.db", dir, k);
        must(store_open(l->path, &id, STORE_WRITE, &l->store, NULL) >= 0, "store");
        const struct keyspace_request q = {.layout = &layout, .store = l->store, .max_resident = RESIDENT};
        must(keyspace_open(&q, &l->keys, NULL) >= 0, "keys");
        keyspace_go_background(l->keys, storage);
    }
    for (int round = 0; round < MOST_ROUNDS && (lanes[0].saves < SAVES || lanes[1].saves < SAVES); round++)
        for (int k = 0; k < LANES; k++) {
            struct lane *l = &lanes[k];
            fold_round(l, round);
            if (l->saves > 0 && round % 8 == 0) look(l, &id);
            if (keyspace_saving(l->keys)) continue;
            l->saved_round = round;
            const struct keyspace_save save = {INT64_MIN, put_round, &l->saved_round};
            must(keyspace_save_begin(l->keys, &save) >= 0, "begin");
        }
    for (int k = 0; k < LANES; k++) {
        if (k > 0) must(keyspace_save_wait(lanes[k].keys, NULL) >= 0, "wait"); /* the other is closed in the middle */
        keyspace_close(lanes[k].keys);
        store_close(lanes[k].store);
        must(lanes[k].saves >= SAVES, "checkpoints were made");
        look(&lanes[k], &id);
        for (int i = 0; i < 3; i++) { /* a reader leaves the log and its index */
            char path[80];
            snprintf(path, sizeof(path), "%s%s", lanes[k].path, i == 0 ? "" : i == 1 ? "-wal" : "-shm");
            (void)unlink(path);
        }
    }
    storage_close(storage);
    row_layout_free(&layout);
    (void)rmdir(dir);
    printf("ok - a loop and a storage thread share keys without races\n");
    return 0;
}
