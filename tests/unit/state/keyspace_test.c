#include <sys/resource.h>

#include "tests/unit/state/helpers.h"

struct world {
    struct row_layout layout;
    struct store *store;
    struct keyspace *ks;
};

static void prepare_row(void *context, unsigned char *row)
{
    (void)context;
    row[0] = 77;
}

static void open_world(struct world *w, int64_t max_resident, bool with_store)
{
    struct eddy_error err = {0};
    *w = (struct world){0};
    a_layout(&w->layout);
    if (with_store) must(store_open("", &an_identity, STORE_MEMORY, &w->store, &err));
    struct keyspace_request q = {
        .layout = &w->layout, .store = w->store, .max_resident = max_resident, .prepare = prepare_row};
    must(keyspace_open(&q, &w->ks, &err));
}

static void done(struct world *w)
{
    keyspace_close(w->ks);
    store_close(w->store);
    row_layout_free(&w->layout);
}

static struct key_row *get(struct world *w, const char *key)
{
    struct eddy_error err = {0};
    struct key_row *r = NULL;
    must(keyspace_get(w->ks, keyspace_hash(key, strlen(key)), key, strlen(key), &r, &err));
    cr_assert_eq((uintptr_t)r->row % 64, 0);
    cr_assert_eq(r->key_len, strlen(key));
    cr_assert_arr_eq(r->key, key, strlen(key));
    return r;
}

/* Folds one event into a key: what a lane would do.  The new row depends on all that was there before. */
static void fold(struct world *w, const char *key, int64_t offset)
{
    struct key_row *r = get(w, key);
    uint64_t seed = keyspace_hash((const char *)r->row, w->layout.row_bytes);
    fill_row(r->row, w->layout.row_bytes,
             (seed & 0xffff) + (uint64_t)(offset + r->count * 31 + r->time_ns % 7 + r->flags));
    r->count++;
    r->next_off = offset + 1;
    r->time_ns = offset * 1000;
    r->flags = (uint32_t)offset;
}

static void hash_of(struct world *w, bool positions, char out[33])
{
    struct eddy_error err = {0};
    struct state_hash *h = state_hash_open();
    must(keyspace_flush(w->ks, &err));
    must(state_hash_rows(w->store, INT64_MIN, positions, h, &err));
    state_hash_hex(h, out);
    state_hash_close(h);
}

Test(keyspace, a_new_key_has_a_zeroed_and_prepared_row)
{
    struct world w;
    open_world(&w, 10, true);
    struct key_row *r = get(&w, "a");
    cr_assert_eq(r->count, 0);
    cr_assert_eq(r->next_off, 0);
    cr_assert_eq(r->time_ns, EDDY_NO_TIME);
    cr_assert_eq(r->flags, 0);
    cr_assert_eq(r->row[0], 77);
    for (size_t i = 1; i < w.layout.row_bytes; i++) cr_assert_eq(r->row[i], 0);
    cr_assert_eq(get(&w, "a"), r, "the same row within a batch");
    done(&w);
}

Test(keyspace, keys_of_every_length_are_told_apart)
{
    struct world w;
    open_world(&w, 0, false);
    char key[100];
    memset(key, 'k', sizeof(key));
    for (size_t n = 0; n < sizeof(key); n++) {
        struct eddy_error err = {0};
        struct key_row *r;
        must(keyspace_get(w.ks, keyspace_hash(key, n), key, n, &r, &err));
        cr_assert_eq(r->count, 0);
        r->count = (int64_t)n + 1;
        keyspace_commit(w.ks);
    }
    for (size_t n = 0; n < sizeof(key); n++) {
        struct eddy_error err = {0};
        struct key_row *r;
        must(keyspace_get(w.ks, keyspace_hash(key, n), key, n, &r, &err));
        cr_assert_eq(r->count, (int64_t)n + 1);
    }
    cr_assert_eq(keyspace_resident(w.ks), 100, "without a store nothing is evicted");
    done(&w);
}

Test(keyspace, keys_whose_hashes_are_equal_are_told_apart)
{
    struct world w;
    open_world(&w, 0, false);
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < 200; i++) {
            struct eddy_error err = {0};
            struct key_row *r;
            char key[16];
            int n = snprintf(key, sizeof(key), "%d", i);
            must(keyspace_get(w.ks, 42, key, (size_t)n, &r, &err));
            cr_assert_eq(r->count, turn ? i + 1 : 0);
            r->count = i + 1;
        }
    done(&w);
}

Test(keyspace, an_evicted_row_comes_back_bit_identical)
{
    struct world small, large; /* the second keeps all in memory */
    struct keyspace_stats stats;
    open_world(&small, 5, true);
    open_world(&large, 1000, true);
    for (int i = 0; i < 300; i++) {
        char key[32];
        key_name(key, sizeof(key), (uint64_t)(i % 100));
        fold(&small, key, i);
        fold(&large, key, i);
        keyspace_commit(small.ks);
        keyspace_commit(large.ks);
        cr_assert_leq(keyspace_resident(small.ks), 5);
    }
    for (int i = 0; i < 100; i++) {
        char key[32];
        key_name(key, sizeof(key), (uint64_t)i);
        struct key_row *is = get(&small, key), *want = get(&large, key);
        cr_assert_arr_eq(is->row, want->row, small.layout.row_bytes);
        cr_assert_eq(is->count, 3);
        cr_assert_eq(is->next_off, want->next_off);
        cr_assert_eq(is->time_ns, want->time_ns);
        cr_assert_eq(is->flags, want->flags);
        keyspace_commit(small.ks);
    }
    keyspace_stats(small.ks, &stats);
    cr_assert_eq(stats.created, 100);
    cr_assert_eq(stats.evicted, 395);
    cr_assert_eq(stats.restored, 300);
    done(&small);
    done(&large);
}

Test(keyspace, the_least_recently_used_key_goes_first)
{
    struct eddy_error err = {0};
    struct world w;
    open_world(&w, 3, true);
    struct stored_row stored;
    static const char *const uses[] = {"a", "b", "c", "a", "d"};
    for (int i = 0; i < 5; i++) {
        fold(&w, uses[i], i);
        keyspace_commit(w.ks);
    }
    must(store_get_row(w.store, "b", 1, &stored, &err)); /* the only one that had to be written */
    cr_assert_eq(store_count(w.store, &err), 1);
    cr_assert_eq(keyspace_resident(w.ks), 3);
    done(&w);
}

Test(keyspace, a_batch_larger_than_the_limit_stays_resident_until_its_end)
{
    struct world w;
    open_world(&w, 2, true);
    struct key_row *rows[50];
    for (int i = 0; i < 50; i++) {
        char key[32];
        key_name(key, sizeof(key), (uint64_t)i);
        rows[i] = get(&w, key);
        rows[i]->count = i;
    }
    cr_assert_eq(keyspace_resident(w.ks), 50);
    for (int i = 0; i < 50; i++) cr_assert_eq(rows[i]->count, i);
    keyspace_commit(w.ks);
    cr_assert_eq(keyspace_resident(w.ks), 2);
    done(&w);
}

Test(keyspace, an_abort_undoes_changes_new_keys_resets_and_forgets)
{
    struct eddy_error err = {0};
    struct world w;
    open_world(&w, 4, true);
    char before[33], after[33];
    for (int i = 0; i < 10; i++) {
        char key[32];
        fold(&w, (key_name(key, sizeof(key), (uint64_t)i), key), i);
        keyspace_commit(w.ks);
    }
    hash_of(&w, true, before);
    int64_t resident = keyspace_resident(w.ks);

    fold(&w, "sensor-0000009", 100); /* resident */
    fold(&w, "sensor-0000009", 101); /* the log keeps what it was before the batch */
    fold(&w, "sensor-0000000", 102); /* in the store */
    fold(&w, "new", 103);
    must(keyspace_reset(w.ks, get(&w, "sensor-0000008"), &err));
    cr_assert_eq(get(&w, "sensor-0000008")->count, 0);
    cr_assert_eq(keyspace_forget(w.ks, "sensor-0000007", 14, &err), 1); /* resident */
    cr_assert_eq(keyspace_forget(w.ks, "sensor-0000001", 14, &err), 1); /* in the store */
    cr_assert_eq(keyspace_forget(w.ks, "sensor-0000001", 14, &err), 0);
    cr_assert_eq(keyspace_forget(w.ks, "new", 3, &err), 1);
    cr_assert_eq(keyspace_forget(w.ks, "unknown", 7, &err), 0);
    cr_assert_eq(get(&w, "sensor-0000001")->count, 0, "forgotten, then seen again: a new key");
    cr_assert_eq(get(&w, "new")->count, 0);
    keyspace_abort(w.ks);

    hash_of(&w, true, after);
    cr_assert_str_eq(after, before);
    cr_assert_eq(keyspace_forget(w.ks, "new", 3, &err), 0);
    cr_assert_geq(keyspace_resident(w.ks), resident);
    fold(&w, "sensor-0000007", 104);
    cr_assert_eq(get(&w, "sensor-0000007")->count, 2);
    done(&w);
}

struct kept {
    int64_t next_off, time_ns, count;
    uint32_t flags;
    unsigned char row[256];
};

static struct kept keep(struct world *w, const char *key)
{
    const struct key_row *r = get(w, key);
    struct kept k = {.next_off = r->next_off, .time_ns = r->time_ns, .count = r->count, .flags = r->flags};
    memcpy(k.row, r->row, sizeof(k.row));
    return k;
}

static void must_be_kept(struct world *w, const char *key, const struct kept *k)
{
    const struct key_row *r = get(w, key);
    cr_assert_eq(r->next_off, k->next_off);
    cr_assert_eq(r->time_ns, k->time_ns);
    cr_assert_eq(r->count, k->count);
    cr_assert_eq(r->flags, k->flags);
    cr_assert_arr_eq(r->row, k->row, sizeof(k->row));
}

Test(keyspace, an_abort_puts_back_every_field_of_a_row_in_memory)
{
    struct eddy_error err = {0};
    static const char *const keys[] = {"changed", "reset", "forgotten", "forgotten twice"};
    struct world w;
    struct kept kept[4];
    struct keyspace_stats before, after;
    for (int is_dirty = 0; is_dirty < 2; is_dirty++) {
        open_world(&w, 10, true);
        for (int i = 0; i < 4; i++) fold(&w, keys[i], 10 + i);
        keyspace_commit(w.ks);
        for (int i = 0; i < 4; i++) kept[i] = keep(&w, keys[i]);
        keyspace_abort(w.ks);
        if (!is_dirty) must(keyspace_flush(w.ks, &err));
        keyspace_stats(w.ks, &before);

        fold(&w, "changed", 20);
        fold(&w, "new", 21);
        must(keyspace_reset(w.ks, get(&w, "reset"), &err));
        cr_assert_eq(keyspace_forget(w.ks, "forgotten", 9, &err), 1);
        cr_assert_eq(keyspace_forget(w.ks, "forgotten twice", 15, &err), 1);
        fold(&w, "forgotten twice", 22);
        cr_assert_eq(keyspace_forget(w.ks, "forgotten twice", 15, &err), 1);
        cr_assert_eq(keyspace_resident(w.ks), 3);
        keyspace_abort(w.ks);

        keyspace_stats(w.ks, &after);
        cr_assert_eq(after.dirty, before.dirty);
        cr_assert_eq(after.dirty, is_dirty ? 4 : 0);
        cr_assert_eq(keyspace_resident(w.ks), 4);
        for (int i = 0; i < 4; i++) must_be_kept(&w, keys[i], &kept[i]);
        done(&w);
    }
}

Test(keyspace, a_flush_after_an_abort_leaves_clean_rows_alone)
{
    struct eddy_error err = {0};
    struct world w;
    struct keyspace_stats stats;
    open_world(&w, 10, true);
    fold(&w, "clean", 1);
    keyspace_commit(w.ks);
    must(keyspace_flush(w.ks, &err));
    fold(&w, "dirty", 2);
    keyspace_commit(w.ks);
    fold(&w, "clean", 3); /* used last, but what it did was taken back */
    keyspace_abort(w.ks);
    must(store_delete_row(w.store, "clean", 5, &err)); /* would be written again if it counted as dirty */
    must(keyspace_flush(w.ks, &err));
    struct stored_row stored;
    cr_assert_eq(store_get_row(w.store, "clean", 5, &stored, &err), EDDY_ENOTFOUND);
    must(store_get_row(w.store, "dirty", 5, &stored, &err));
    keyspace_stats(w.ks, &stats);
    cr_assert_eq(stats.dirty, 0);
    done(&w);
}

Test(keyspace, forgotten_keys_take_no_memory_without_a_store)
{
    struct eddy_error err = {0};
    struct world w;
    char key[32];
    open_world(&w, 0, false);
    for (uint64_t i = 0; i < 20000; i++) {
        size_t n = key_name(key, sizeof(key), i);
        fold(&w, key, (int64_t)i);
        keyspace_commit(w.ks);
        cr_assert_eq(keyspace_forget(w.ks, key, n, &err), 1);
        keyspace_commit(w.ks);
    }
    cr_assert_eq(keyspace_resident(w.ks), 0);
    cr_assert_lt(keyspace_resident_bytes(w.ks), 1 << 20);
    done(&w);
}

Test(keyspace, a_repeated_batch_after_an_abort_gives_the_same_state)
{
    char once[33], twice[33];
    for (int repeat = 0; repeat < 2; repeat++) {
        struct world w;
        open_world(&w, 20, true);
        for (int batch = 0; batch < 30; batch++) {
            for (int attempt = 0; attempt <= repeat; attempt++) {
                if (attempt) keyspace_abort(w.ks);
                for (int i = 0; i < 40; i++) {
                    char key[32];
                    fold(&w, (key_name(key, sizeof(key), (uint64_t)(batch * i % 97)), key), batch * 40 + i);
                }
            }
            keyspace_commit(w.ks);
        }
        hash_of(&w, true, repeat ? twice : once);
        done(&w);
    }
    cr_assert_str_eq(once, twice);
}

Test(keyspace, a_forgotten_key_is_gone_from_memory_and_store)
{
    struct eddy_error err = {0};
    struct world w;
    open_world(&w, 10, true);
    fold(&w, "a", 0);
    fold(&w, "b", 1);
    keyspace_commit(w.ks);
    must(keyspace_flush(w.ks, &err));
    cr_assert_eq(store_count(w.store, &err), 2);
    cr_assert_eq(keyspace_forget(w.ks, "a", 1, &err), 1);
    keyspace_commit(w.ks);
    cr_assert_eq(keyspace_resident(w.ks), 1);
    must(keyspace_flush(w.ks, &err));
    cr_assert_eq(store_count(w.store, &err), 1);
    cr_assert_eq(get(&w, "a")->count, 0);
    keyspace_abort(w.ks);
    cr_assert_eq(keyspace_forget(w.ks, "a", 1, &err), 0);

    cr_assert_eq(keyspace_forget(w.ks, "b", 1, &err), 1); /* forgotten and back again between two flushes */
    keyspace_commit(w.ks);
    fold(&w, "b", 7);
    keyspace_commit(w.ks);
    must(keyspace_flush(w.ks, &err));
    struct stored_row stored;
    must(store_get_row(w.store, "b", 1, &stored, &err));
    cr_assert_eq(stored.count, 1);
    cr_assert_eq(stored.next_off, 8);
    done(&w);
}

Test(keyspace, a_flush_writes_dirty_rows_only)
{
    struct eddy_error err = {0};
    struct world w;
    open_world(&w, 100, true);
    struct keyspace_stats stats;
    for (int i = 0; i < 50; i++) {
        char key[32];
        fold(&w, (key_name(key, sizeof(key), (uint64_t)i), key), i);
    }
    keyspace_commit(w.ks);
    must(keyspace_flush(w.ks, &err));
    keyspace_stats(w.ks, &stats);
    cr_assert_eq(stats.dirty, 0);
    /* A stored copy is removed behind the keyspace's back: only a dirty key would be written again. */
    must(store_delete_row(w.store, "sensor-0000003", 14, &err));
    must(store_delete_row(w.store, "sensor-0000004", 14, &err));
    fold(&w, "sensor-0000004", 99);
    keyspace_commit(w.ks);
    keyspace_stats(w.ks, &stats);
    cr_assert_eq(stats.dirty, 1);
    must(keyspace_flush(w.ks, &err));
    cr_assert_eq(store_count(w.store, &err), 49);
    done(&w);
}

Test(keyspace, a_sweep_forgets_by_event_time_in_memory_and_store)
{
    struct eddy_error err = {0};
    for (int with_store = 0; with_store < 2; with_store++) {
        struct world w;
        open_world(&w, 10, with_store);
        for (int i = 0; i < 40; i++) { /* time = 1000 i; with a store the first 30 are evicted */
            char key[32];
            fold(&w, (key_name(key, sizeof(key), (uint64_t)i), key), i);
            keyspace_commit(w.ks);
        }
        fold(&w, "sensor-0000002", 50); /* old in the store, young in memory */
        keyspace_commit(w.ks);
        cr_assert_eq(keyspace_sweep(w.ks, 35000, &err), 34);
        cr_assert_eq(keyspace_sweep(w.ks, 35000, &err), 0);
        cr_assert_eq(get(&w, "sensor-0000034")->count, 0);
        cr_assert_eq(get(&w, "sensor-0000035")->count, 1);
        cr_assert_eq(get(&w, "sensor-0000002")->count, 2);
        keyspace_abort(w.ks);
        if (with_store) cr_assert_eq(store_count(w.store, &err), 6);
        cr_assert_leq(keyspace_resident(w.ks), 10);
        done(&w);
    }
}

Test(keyspace, a_lowered_limit_gives_memory_back)
{
    struct eddy_error err = {0};
    struct world w;
    open_world(&w, 20000, true);
    for (int i = 0; i < 20000; i++) {
        char key[32];
        fold(&w, (key_name(key, sizeof(key), (uint64_t)i), key), i);
    }
    keyspace_commit(w.ks);
    int64_t before = keyspace_resident_bytes(w.ks);
    cr_assert_gt(before, 20000 * 384);
    keyspace_set_max_resident(w.ks, 1000);
    must(keyspace_evict(w.ks, &err));
    cr_assert_lt(keyspace_resident_bytes(w.ks), before / 10);
    cr_assert_leq(keyspace_resident(w.ks), 1000);
    fold(&w, "sensor-0000007", 5);
    cr_assert_eq(get(&w, "sensor-0000007")->count, 2);
    keyspace_commit(w.ks);
    keyspace_set_max_resident(w.ks, 900); /* a little lower: no need to drop everything */
    cr_assert_eq(keyspace_resident(w.ks), 1);
    done(&w);
}

Test(keyspace, rows_of_another_size_in_the_store_are_refused)
{
    struct eddy_error err = {0};
    struct world w;
    open_world(&w, 10, true);
    struct key_row *r = NULL;
    put_numbered(w.store, 1, 10, 512);
    cr_assert_eq(keyspace_get(w.ks, keyspace_hash("sensor-0000001", 14), "sensor-0000001", 14, &r, &err),
                 EDDY_EMISMATCH);
    cr_assert_eq(keyspace_resident(w.ks), 0);
    done(&w);
}

Test(keyspace, the_bytes_per_key_of_the_estimate_are_what_is_held)
{
    for (size_t key_len = 12; key_len <= 60; key_len += 48) {
        struct world w;
        open_world(&w, 0, false);
        for (int i = 0; i < 50000; i++) {
            struct eddy_error err = {0};
            struct key_row *r;
            char key[80];
            snprintf(key, sizeof(key), "%0*d", (int)key_len, i);
            must(keyspace_get(w.ks, keyspace_hash(key, key_len), key, key_len, &r, &err));
            if (i % 100 == 99) keyspace_commit(w.ks);
        }
        double held = (double)keyspace_resident_bytes(w.ks) / 50000;
        double said = (double)keyspace_bytes_per_key(&w.layout, key_len);
        cr_assert(held < said * 1.05 && held > said * 0.85, "%.0f bytes are held, %.0f were said", held, said);
        done(&w);
    }
}

/* Residency, batches, eviction and the number of commits are not part of the state. */
Test(state_hash, it_depends_on_the_keys_rows_alone)
{
    struct eddy_error err = {0};
    char first[33] = "", hash[33];
    for (int way = 0; way < 4; way++) {
        static const int limits[] = {1, 7, 50, 100000}, batches[] = {1, 13, 100, 1000};
        struct world w;
        open_world(&w, limits[way], true);
        for (int i = 0; i < 1000; i++) {
            char key[32];
            fold(&w, (key_name(key, sizeof(key), (uint64_t)(i * 7919 % 211)), key), i);
            if (i % batches[way] == batches[way] - 1) keyspace_commit(w.ks);
            if (way == 1 && i % 130 == 129) {
                must(keyspace_flush(w.ks, &err));
                must(store_commit(w.store, &err));
            }
        }
        keyspace_commit(w.ks);
        hash_of(&w, false, hash);
        if (way) cr_assert_str_eq(hash, first);
        memcpy(first, hash, sizeof(first));
        done(&w);
    }
}

Test(state_hash, every_part_of_a_row_counts_and_positions_only_when_asked_for)
{
    char hashes[6][33], positions[6][33];
    for (int change = 0; change < 6; change++) {
        struct world w;
        open_world(&w, 10, true);
        struct key_row *r = get(&w, change == 1 ? "b" : "a");
        r->count = change == 2;
        r->time_ns = change == 3;
        r->row[200] = change == 4;
        r->next_off = change == 5;
        keyspace_commit(w.ks);
        hash_of(&w, false, hashes[change]);
        hash_of(&w, true, positions[change]);
        cr_assert_str_neq(hashes[change], positions[change]);
        done(&w);
    }
    for (int change = 1; change < 5; change++) cr_assert_str_neq(hashes[change], hashes[0], "%d", change);
    cr_assert_str_eq(hashes[5], hashes[0]);
    cr_assert_str_neq(positions[5], positions[0]);
}

Test(state_hash, expired_keys_do_not_count)
{
    struct eddy_error err = {0};
    struct world w;
    open_world(&w, 10, true);
    char with[33], without[33];
    fold(&w, "young", 10);
    keyspace_commit(w.ks);
    hash_of(&w, true, without);
    fold(&w, "old", 3);
    keyspace_commit(w.ks);
    must(keyspace_flush(w.ks, &err));
    struct state_hash *h = state_hash_open();
    must(state_hash_rows(w.store, 5000, true, h, &err));
    state_hash_hex(h, with);
    state_hash_close(h);
    cr_assert_str_eq(with, without);
    done(&w);
}
