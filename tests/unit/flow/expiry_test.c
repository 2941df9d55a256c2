/* The list of keys with open incidents by itself: order, aborts, bytes. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "engine/flow/expiry.h"
#include "engine/state/keyspace.h"

static struct expiry *opened(void)
{
    struct expiry *x;
    struct eddy_error err;
    cr_assert_eq(expiry_open(&x, &err), EDDY_OK);
    return x;
}

static void put(struct expiry *x, int key, int64_t time_ns)
{
    char text[16];
    struct eddy_error err;
    const int len = snprintf(text, sizeof(text), "k%d", key);
    const struct expiry_key k = {text, (size_t)len, keyspace_hash(text, (size_t)len), time_ns};
    cr_assert_geq(expiry_put(x, &k, &err), 0);
}

static int drop(struct expiry *x, int key)
{
    char text[16];
    struct eddy_error err;
    const int len = snprintf(text, sizeof(text), "k%d", key);
    return expiry_drop(x, keyspace_hash(text, (size_t)len), text, (size_t)len, NULL, &err);
}

static void expect_same(const struct expiry *a, const struct expiry *b)
{
    struct eddy_buffer x = {0}, y = {0};
    cr_assert_geq(expiry_encode(a, &x), 0);
    cr_assert_geq(expiry_encode(b, &y), 0);
    cr_expect(x.len == y.len && memcmp(x.data, y.data, x.len) == 0);
    eddy_buffer_free(&x);
    eddy_buffer_free(&y);
}

Test(expiry, keys_come_in_the_order_of_their_last_events)
{
    enum { KEYS = 500 };
    struct expiry *x = opened();
    struct expiry_key first;
    struct eddy_error err;
    for (int k = 0; k < KEYS; k++) put(x, k, (int64_t)k * 7919 % 1009);
    for (int k = 0; k < KEYS; k += 2) put(x, k, 2000 + (int64_t)k * 104729 % 1013); /* every other one goes on */
    for (int k = 0; k < KEYS; k += 5) cr_assert_eq(drop(x, k), 1);
    cr_expect_eq(drop(x, 5), 0);
    int n = 0;
    for (int64_t last = -1; expiry_first(x, 2500, &first); n++) {
        cr_assert_geq(first.time_ns, last);
        cr_assert_lt(first.time_ns, 2500);
        last = first.time_ns;
        cr_assert_eq(expiry_drop(x, first.hash, first.key, first.key_len, NULL, &err), 1);
    }
    cr_expect_gt(n, KEYS / 5);
    while (expiry_first(x, INT64_MAX, &first)) {
        cr_assert_geq(first.time_ns, 2500);
        cr_assert_eq(expiry_drop(x, first.hash, first.key, first.key_len, NULL, &err), 1);
        n++;
    }
    cr_expect_eq(n, KEYS - KEYS / 5);
    expiry_close(x);
}

Test(expiry, an_abort_leaves_nothing_behind)
{
    struct expiry *quiet = opened(), *aborted = opened();
    for (int k = 0; k < 40; k++) put(quiet, k, k % 7), put(aborted, k, k % 7);
    expiry_commit(quiet);
    expiry_commit(aborted);
    for (int k = 0; k < 100; k += 3) put(aborted, k, 100 - k);
    for (int k = 0; k < 80; k += 4) (void)drop(aborted, k);
    for (int k = 0; k < 80; k += 8) put(aborted, k, k); /* back again within the batch */
    expiry_abort(aborted);
    expect_same(aborted, quiet);
    put(aborted, 3, 50);
    put(quiet, 3, 50);
    cr_expect_eq(drop(aborted, 99), 0);
    expect_same(aborted, quiet);
    expiry_close(quiet);
    expiry_close(aborted);
}

Test(expiry, bytes_bring_everything_back_and_damaged_ones_are_refused)
{
    struct expiry *x = opened(), *restored = opened();
    struct eddy_buffer bytes = {0};
    struct eddy_error err;
    for (int k = 0; k < 20; k++) put(x, k, k * 3 % 5);
    cr_assert_geq(expiry_encode(x, &bytes), 0);
    cr_assert_geq(expiry_decode(restored, bytes.data, bytes.len, &err), 0);
    expect_same(restored, x);
    for (size_t n = 0; n < bytes.len; n++) {
        struct expiry *damaged = opened();
        cr_assert_eq(expiry_decode(damaged, bytes.data, n, &err), EDDY_ECORRUPT, "cut to %zu bytes", n);
        expiry_close(damaged);
    }
    struct expiry *damaged = opened();
    memset(bytes.data + 12, 0xff, 4); /* the length of the first key */
    cr_expect_eq(expiry_decode(damaged, bytes.data, bytes.len, &err), EDDY_ECORRUPT);
    expiry_close(damaged);
    expiry_close(restored);
    expiry_close(x);
    eddy_buffer_free(&bytes);
}
