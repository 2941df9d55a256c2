/* Many keys, so that rows and the index of their keys are trees of several levels: whatever bits flip in the file, a file
 * that opens has every key where a lookup finds it, and none that was never put. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/state/store.h"
#include "world.h"

enum { KEYS = 4000, ROW_BYTES = 40, QUICK = 40, FULL = 500, MOST_BYTES = 8 << 20, ABSENT_STEP = 37 };
static const struct store_identity identity = {"test", "topic", 0};

static uint64_t draw(uint64_t *x)
{
    *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
    return *x * UINT64_C(2685821657736338717);
}

/* Even numbers are there, odd ones are not; in an order that is not theirs. */
static size_t key_of(int i, char out[64])
{
    return (size_t)snprintf(out, 64, "plant/line-%02d/sensor-%08d", (i * 7919) % 97, i);
}

static void row_of(int i, unsigned char row[ROW_BYTES])
{
    uint64_t x = (uint64_t)i + 1;
    for (int b = 0; b < ROW_BYTES; b++) row[b] = (unsigned char)draw(&x);
}

static void put_all(const char *path)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    cr_assert_geq(store_open(path, &identity, STORE_WRITE, &s, &err), 0, "%s", err.message);
    for (int i = 0; i < 2 * KEYS; i += 2) {
        char key[64];
        unsigned char row[ROW_BYTES];
        row_of(i, row);
        const struct stored_row r = {
            .key = key, .key_len = key_of(i, key), .next_off = i, .count = i, .row = row, .row_bytes = ROW_BYTES};
        cr_assert_geq(store_put_row(s, &r, &err), 0, "%s", err.message);
    }
    cr_assert_geq(store_commit(s, &err), 0, "%s", err.message);
    store_close(s);
}

static void look_up_all(struct world *w, struct store *s)
{
    for (int i = 0; i < 2 * KEYS; i += i % 2 ? ABSENT_STEP : 1) {
        struct eddy_error err = {0};
        struct stored_row r;
        char key[64];
        unsigned char row[ROW_BYTES];
        const eddy_status rc = store_get_row(s, key, key_of(i, key), &r, &err);
        row_of(i, row);
        if (i % 2 && rc != EDDY_ENOTFOUND) world_violation(w, "%s is there, or fails: %d", key, rc);
        if (i % 2 == 0 && (rc < 0 || r.next_off != i || memcmp(r.row, row, ROW_BYTES) != 0))
            world_violation(w, "%s is not as it was: %d %s", key, rc, err.message);
    }
}

struct outcome {
    int right, refused, damaged;
};

static void trial(struct world *w, unsigned char *image, size_t n, uint64_t seed, struct outcome *o)
{
    uint64_t x = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    struct eddy_error err = {0};
    struct store *s = NULL;
    const size_t at = draw(&x) % n;
    const unsigned char bit = (unsigned char)(1u << draw(&x) % 8);
    world_begin(w, "seed %" PRIu64 ", byte %zu", seed, at);
    image[at] ^= bit;
    FILE *f = fopen(w->path, "wb");
    cr_assert(f && fwrite(image, 1, n, f) == n && fclose(f) == 0);
    image[at] ^= bit;
    const eddy_status rc = store_open(w->path, &identity, STORE_WRITE, &s, &err);
    world_named(w, rc, &err);
    if (rc >= 0) look_up_all(w, s);
    store_close(s);
    o->right += rc >= 0;
    o->damaged += rc == EDDY_ECORRUPT;
    o->refused += rc < 0 && rc != EDDY_ECORRUPT;
}

Test(fault_lookup, a_flipped_bit_hides_no_key_and_makes_none)
{
    static unsigned char image[MOST_BYTES];
    struct world w;
    struct outcome o = {0};
    world_open(&w);
    world_begin(&w, "image");
    put_all(w.path);
    FILE *f = fopen(w.path, "rb");
    cr_assert(f);
    const size_t n = fread(image, 1, sizeof(image), f);
    cr_assert_gt(n, 100 * 4096);
    (void)fclose(f);
    const int trials = world_full() ? FULL : QUICK;
    for (int seed = 0; seed < trials; seed++) trial(&w, image, n, (uint64_t)seed, &o);
    world_row("a bit flipped under 4000 keys", trials, w.violations, "%d right, %d refused by name, %d found damaged",
              o.right, o.refused, o.damaged);
    int violations = w.violations;
    world_close(&w);
    cr_assert_eq(violations, 0);
    cr_assert_gt(o.damaged, trials / 4);
}
