#include "tests/unit/state/world.h"

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
