/* A keyspace with its layout and store, and what a lane would do with it. */
#ifndef TESTS_UNIT_STATE_WORLD_H
#define TESTS_UNIT_STATE_WORLD_H

#include "tests/unit/state/fixture.h"

struct world {
    struct row_layout layout;
    struct store *store;
    struct keyspace *ks;
};

static inline void prepare_row(void *context, unsigned char *row)
{
    (void)context;
    row[0] = 77;
}

static inline void open_world(struct world *w, int64_t max_resident, bool with_store)
{
    struct eddy_error err = {0};
    *w = (struct world){0};
    a_layout(&w->layout);
    if (with_store) must(store_open("", &an_identity, STORE_MEMORY, &w->store, &err));
    struct keyspace_request q = {
        .layout = &w->layout, .store = w->store, .max_resident = max_resident, .prepare = prepare_row};
    must(keyspace_open(&q, &w->ks, &err));
}

static inline void done(struct world *w)
{
    keyspace_close(w->ks);
    store_close(w->store);
    row_layout_free(&w->layout);
}

static inline struct key_row *get(struct world *w, const char *key)
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
static inline void fold(struct world *w, const char *key, int64_t offset)
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

static inline void hash_of(struct world *w, bool positions, char out[33])
{
    struct eddy_error err = {0};
    struct state_hash *h = state_hash_open();
    must(keyspace_flush(w->ks, &err));
    must(state_hash_rows(w->store, INT64_MIN, positions, h, &err));
    state_hash_hex(h, out);
    state_hash_close(h);
}

#endif
