#include "tests/unit/state/helpers.h"

Test(keyspace, smoke)
{
    struct eddy_error err = {0};
    struct row_layout l;
    a_layout(&l);
    char *dir = fresh_directory(), *path = store_path(dir, &an_identity);
    struct store *s = NULL;
    must(store_open(path, &an_identity, STORE_WRITE, &s, &err));
    struct keyspace_request q = {.layout = &l, .store = s, .max_resident = 10};
    struct keyspace *ks = NULL;
    must(keyspace_open(&q, &ks, &err));
    for (uint64_t i = 0; i < 100; i++) {
        char key[32];
        size_t n = key_name(key, 32, i);
        struct key_row *r;
        must(keyspace_get(ks, keyspace_hash(key, n), key, n, &r, &err));
        fill_row(r->row, l.row_bytes, i);
        keyspace_commit(ks);
    }
    must(keyspace_flush(ks, &err));
    must(store_commit(s, &err));
    cr_assert_eq(store_count(s, &err), 100);
    cr_assert_eq(store_verify(s, &l, &err), 100, "%s", err.message);
    keyspace_close(ks);
    store_close(s);
    free(path);
    remove_directory(dir);
    row_layout_free(&l);
}
