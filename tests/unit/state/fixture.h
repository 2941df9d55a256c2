/* What the tests of the state share: a directory of their own, a layout, and rows whose bytes can be told from the key. */
#ifndef TESTS_UNIT_STATE_FIXTURE_H
#define TESTS_UNIT_STATE_FIXTURE_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eddy_codec.h"
#include "engine/state/keyspace.h"

static const struct store_identity an_identity = {.name = "plant-7", .topic = "sensors", .partition = 3};

static inline char *fresh_directory(void)
{
    const char *tmp = getenv("TMPDIR");
    char *path = NULL;
    cr_assert(asprintf(&path, "%s/eddy-state-XXXXXX", tmp ? tmp : "/tmp") > 0);
    cr_assert_not_null(mkdtemp(path));
    return path;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

static inline void remove_directory(char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}

#define must(call)                                                                                                   \
    do {                                                                                                             \
        eddy_status must_rc = (call);                                                                                \
        cr_assert(must_rc >= 0, #call ": %d %s", must_rc, err.message);                                              \
    } while (0)

static inline void a_layout(struct row_layout *l)
{
    struct eddy_error err = {0};
    *l = (struct row_layout){0};
    must(row_layout_add(l, "header", SECTION_BYTES, 1, 24, &err) < 0 ? EDDY_EINVAL : EDDY_OK);
    must(row_layout_add(l, "network.main.state", SECTION_F32, 1, 32 * 4, &err) < 0 ? EDDY_EINVAL : EDDY_OK);
    must(row_layout_add(l, "detect.0", SECTION_F64, 2, 5 * 8, &err) < 0 ? EDDY_EINVAL : EDDY_OK);
    cr_assert_eq(l->row_bytes, 256);
}

/* Finite floats that depend on `seed`, so that each row differs from all others. */
static inline void fill_row(unsigned char *row, size_t n, uint64_t seed)
{
    for (size_t i = 0; i + 4 <= n; i += 4) {
        uint32_t v = (uint32_t)((seed * 2654435761u + i * 40503u) & 0x3fffffffu);
        memcpy(row + i, &v, 4);
    }
}

static inline size_t key_name(char *out, size_t n, uint64_t i)
{
    return (size_t)snprintf(out, n, "sensor-%07" PRIu64, i);
}

static inline void put_numbered(struct store *s, uint64_t i, int64_t next_off, size_t row_bytes)
{
    struct eddy_error err = {0};
    char key[32];
    unsigned char row[4096];
    cr_assert(row_bytes <= sizeof(row));
    fill_row(row, row_bytes, i + (uint64_t)next_off);
    struct stored_row r = {.key = key,
                           .key_len = key_name(key, sizeof(key), i),
                           .next_off = next_off,
                           .time_ns = 1000 * next_off,
                           .count = next_off,
                           .flags = 5,
                           .row = row,
                           .row_bytes = row_bytes};
    must(store_put_row(s, &r, &err));
}

#endif
