#include "tests/unit/state/world.h"

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

Test(keyspace, a_key_that_is_used_again_outlives_one_that_is_not_until_it_is_not_either)
{
    struct eddy_error err = {0};
    struct world w;
    open_world(&w, 3, true);
    struct stored_row stored;
    static const char *const uses[] = {"a", "b", "c", "a", "d", "e", "f", "g"};
    static const char *const leaves[] = {"", "", "", "", "b", "c", "d", "a"};
    for (int i = 0; i < 8; i++) {
        fold(&w, uses[i], i);
        keyspace_commit(w.ks);
        cr_assert_eq(store_count(w.store, &err), i < 4 ? 0 : i - 3);
        if (*leaves[i]) must(store_get_row(w.store, leaves[i], 1, &stored, &err));
    }
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
