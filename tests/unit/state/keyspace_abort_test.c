#include "tests/unit/state/world.h"

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

/* ---- sections that are undone piece by piece ---- */

enum { RING = 256, RING_BYTES = 1024 };

static void open_pieces(struct world *w, bool with_store)
{
    struct eddy_error err = {0};
    *w = (struct world){0};
    a_layout(&w->layout);
    row_layout_go_on_in_pieces(&w->layout);
    cr_assert_eq(row_layout_add(&w->layout, "ring", SECTION_I64, 1, RING_BYTES, &err), 232);
    cr_assert_eq(w->layout.copied_bytes, 232);
    if (with_store) must(store_open("", &an_identity, STORE_MEMORY, &w->store, &err));
    struct keyspace_request q = {.layout = &w->layout, .store = w->store, .max_resident = 10, .prepare = prepare_row};
    must(keyspace_open(&q, &w->ks, &err));
}

static void fold_piece(struct world *w, const char *key, size_t at, int byte)
{
    struct key_row *r = get(w, key);
    r->row[8]++;
    keyspace_note(w->ks, r, at, 16);
    memset(r->row + at, byte, 16);
}

Test(keyspace, an_abort_puts_back_pieces_as_they_were_before_the_first_change)
{
    struct eddy_error err = {0};
    struct world w;
    char before[33], after[33];
    open_pieces(&w, true);
    must(keyspace_promise_notes(w.ks, 2, 2 * 16, &err));
    fold_piece(&w, "changed", RING, 1);
    fold_piece(&w, "reset", RING + 500, 2);
    fold(&w, "forgotten", 3);
    keyspace_commit(w.ks);
    hash_of(&w, true, before);

    must(keyspace_promise_notes(w.ks, 4, 4 * 16, &err));
    fold_piece(&w, "changed", RING, 4);
    fold_piece(&w, "changed", RING + 8, 5); /* over the end of the first one */
    must(keyspace_reset(w.ks, get(&w, "reset"), &err));
    cr_assert_eq(get(&w, "reset")->row[RING + 500], 0);
    fold_piece(&w, "reset", RING + 496, 6);
    cr_assert_eq(keyspace_forget(w.ks, "forgotten", 9, &err), 1);
    cr_assert_eq(get(&w, "forgotten")->row[RING + 700], 0, "a new key");
    fold_piece(&w, "new", RING, 7);
    cr_assert_eq(get(&w, "changed")->row[RING + 8], 5);
    keyspace_abort(w.ks);

    hash_of(&w, true, after);
    cr_assert_str_eq(after, before);
    cr_assert_eq(get(&w, "changed")->row[RING + 8], 1);
    done(&w);
}

Test(keyspace, pieces_of_a_batch_that_was_committed_stay_when_the_next_one_is_aborted)
{
    struct eddy_error err = {0};
    struct world w;
    open_pieces(&w, false);
    must(keyspace_promise_notes(w.ks, 1, 16, &err));
    fold_piece(&w, "a", RING, 1);
    keyspace_commit(w.ks);
    must(keyspace_promise_notes(w.ks, 1, 16, &err));
    fold_piece(&w, "b", RING, 2);
    keyspace_abort(w.ks);
    cr_assert_eq(get(&w, "a")->row[RING], 1);
    cr_assert_eq(get(&w, "b")->row[RING], 0, "a new key once more");
    done(&w);
}
