/* What keys share changes at boundaries alone, from contributions in the order of their offsets: nobody can tell how the
 * events were cut, interrupted or repeated.  The expert `pooled` (fixture.c) depends on that order. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/flow/lane_share.h"
#include "fixture.h"

#define ALONE "forecast: {horizons: [1, 3], experts: [pooled]}\n"
#define TWICE "forecast: {horizons: [1, 3], experts: [pooled, persistence, pooled], share_every: 100}\n"
#define BOTH                                                                                                         \
    "forecast: {horizons: [1], experts: [pooled, network], network: {layers: [{gru: {units: 4}}]}}\n"                \
    "train: {mode: inline, every: 4, window: 8, epoch: 50, windows: 16, batch: 4}\n"
#define FLEET "forecast: {horizons: [1, 3, 30], experts: [fleet], season: 24}\n"
#define MIXED "forecast: {horizons: [1, 3], experts: [persistence, ses], mix: {prior: 100}}\n"
#define OFF   "train: {mode: off}\n"
enum { EVENTS = 10000 };

static const struct fixture_stream stream = {.n_keys = 5, .n_values = 2, .gaps = true};

struct outcome {
    uint64_t digest;
    char hash[33];
};

static struct outcome outcome_of(const char *yaml, int chunk, int64_t max_resident)
{
    struct fixture_lane f;
    struct outcome o;
    fixture_open(&f, yaml, stream.n_values, NULL, max_resident);
    fixture_run(&f, &stream, 0, EVENTS, chunk);
    fixture_hash(&f, o.hash);
    o.digest = f.digest;
    fixture_close(&f);
    return o;
}

static void same(const char *yaml)
{
    const struct outcome one = outcome_of(yaml, 1, 1000), many = outcome_of(yaml, 1000, 2);
    cr_assert_eq(one.digest, many.digest, "%s", yaml);
    cr_assert_str_eq(one.hash, many.hash, "%s", yaml);
}

Test(lane_share, turns_of_one_give_what_turns_of_a_thousand_give)
{
    same(ALONE OFF);
    same(TWICE OFF);
    same(BOTH);
    same(FLEET OFF);
    same(MIXED OFF);
}

Test(lane_share, what_one_key_did_moves_the_forecasts_of_another_after_a_boundary)
{
    struct fixture_lane f;
    const int64_t minute = 60000000000;
    fixture_open(&f, ALONE OFF, 1, NULL, 10);
    cr_assert_eq(fixture_feed(&f, 0, "new", 0, (double[]){5})->forecast[0], 5);
    for (int i = 1; i < 100; i++) (void)fixture_feed(&f, i, "old", i * minute, (double[]){3 * i});
    const struct eddy_result *r = fixture_feed(&f, 100, "new", 100 * minute, (double[]){5});
    cr_assert_float_eq(r->forecast[0], 8, 1e-9);
    cr_assert_float_eq(r->forecast[1], 14, 1e-9);
    fixture_close(&f);
}

Test(lane_share, a_new_key_begins_with_the_weights_that_experts_deserve_in_others)
{
    struct fixture_lane f;
    const int64_t minute = 60000000000;
    fixture_open(&f, MIXED OFF, 1, NULL, 100);
    for (int i = 0; i < 4000; i++) { /* keys that walk at random: what smooths them errs more than the last value */
        char key[16];
        static double x[100];
        (void)snprintf(key, sizeof(key), "old%d", i / 40);
        x[i / 40] += (double)eddy_random_normal(5, (uint64_t)i);
        (void)fixture_feed(&f, i, key, i * minute, &x[i / 40]);
    }
    (void)fixture_feed(&f, 4000, "new", 4000 * minute, (double[]){0});
    const double moved = fixture_feed(&f, 4001, "new", 4001 * minute, (double[]){10})->forecast[0];
    fixture_close(&f);
    fixture_open(&f, MIXED OFF, 1, NULL, 100);
    (void)fixture_feed(&f, 0, "new", 0, (double[]){0});
    const double alone = fixture_feed(&f, 1, "new", minute, (double[]){10})->forecast[0];
    cr_expect(alone < moved && moved <= 10, "%g alone, %g with what others showed", alone, moved);
    fixture_close(&f);
}

Test(lane_share, boundaries_are_close_at_first_and_never_further_than_the_option_says)
{
    struct fixture_lane f;
    int64_t last = 0, changes = 0;
    double before = 0;
    fixture_open(&f, "forecast: {horizons: [1], experts: [pooled], share_every: 10}\n" OFF, 1, NULL, 10);
    lane_seek(f.lane, 1000);
    for (int i = 0; i < 300; i++) {
        const struct eddy_result *r = fixture_feed(&f, 1000 + i, "a", i * 60000000000, (double[]){i * i});
        const double move = r->forecast[0] - i * i;
        if (move == before) continue;
        cr_assert_leq(i - last, i < 70 ? 4 : 10, "at %d", i);
        before = move;
        last = i;
        changes++;
    }
    cr_assert_gt(changes, 16 + 23 - 3);
    fixture_close(&f);
}

Test(lane_share, an_unseen_key_has_bands_at_horizons_whose_labels_it_has_not_had_yet)
{
    struct fixture_lane f;
    double x = 0;
    fixture_open(&f, FLEET OFF, 1, NULL, 100);
    for (int i = 0; i < 2000; i++) {
        x = .9 * x + (double)eddy_random_normal(5, (uint64_t)i);
        (void)fixture_feed(&f, i, "old", i * (int64_t)60000000000, &x);
    }
    for (int i = 0; i < 6; i++) {
        const double y = (double)eddy_random_normal(6, (uint64_t)i);
        const struct eddy_result *r = fixture_feed(&f, 2000 + i, "new", i * (int64_t)60000000000, &y);
        cr_assert_eq(isfinite(r->upper[2]) != 0, i >= 3, "30 steps ahead, event %d", i);
        if (i >= 3) cr_assert(r->lower[2] < r->forecast[2] && r->forecast[2] < r->upper[2]);
    }
    fixture_close(&f);
}

static void aborted(const char *yaml)
{
    struct fixture_lane f, g;
    struct eddy_error err = {0};
    char f_hash[33], g_hash[33];
    fixture_open(&f, yaml, stream.n_values, NULL, 1000);
    fixture_open(&g, yaml, stream.n_values, NULL, 1000);
    for (int64_t at = 0; at < 2000; at += 40) {
        for (int64_t i = at; i < at + 40; i++) { /* one batch of many turns, across boundaries, thrown away */
            struct eddy_result result;
            struct lane_event event;
            char key[16];
            double x[2];
            fixture_event(&stream, i, key, x, &event);
            cr_assert_eq(lane_turn(f.lane, &event, 1, &result, &err), 1, "%s", err.message);
        }
        lane_abort(f.lane);
        fixture_run(&f, &stream, at, at + 40, 10);
        fixture_run(&g, &stream, at, at + 40, 40);
        cr_assert_eq(f.digest, g.digest, "results differ at %lld", (long long)at);
    }
    fixture_hash(&f, f_hash);
    fixture_hash(&g, g_hash);
    cr_assert_str_eq(f_hash, g_hash);
    fixture_close(&f);
    fixture_close(&g);
}

Test(lane_share, an_aborted_batch_leaves_no_trace)
{
    aborted(BOTH);
    aborted(FLEET OFF);
    aborted(MIXED OFF);
}

/* A directory of its own with a store in it. */
struct home {
    char dir[32], path[64];
};

static void home_open(struct home *p)
{
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/eddy-test-XXXXXX");
    cr_assert(mkdtemp(p->dir));
    (void)snprintf(p->path, sizeof(p->path), "%s/topic-0.db", p->dir);
}

static void home_close(const struct home *p)
{
    unlink(p->path);
    cr_assert_eq(rmdir(p->dir), 0);
}

static void goes_on(const char *yaml, int64_t every)
{
    struct home home;
    struct eddy_error err = {0};
    char hash[33] = "";
    home_open(&home);
    for (int64_t at = 0; at < EVENTS; at += every) {
        struct fixture_lane f;
        fixture_open(&f, yaml, stream.n_values, home.path, 3);
        cr_assert_eq(lane_next(f.lane), at);
        const int64_t to = at + every < EVENTS ? at + every : EVENTS;
        fixture_run(&f, &stream, at, to, 13);
        cr_assert_geq(lane_checkpoint(f.lane, &err), 0, "%s", err.message);
        if (to < EVENTS) fixture_run(&f, &stream, to, to + every / 2, 29); /* lost, as by kill -9 */
        if (to == EVENTS) fixture_hash(&f, hash);
        fixture_close(&f);
    }
    cr_assert_str_eq(hash, outcome_of(yaml, 50, 1000).hash, "%s", yaml);
    home_close(&home);
}

Test(lane_share, goes_on_after_a_crash_as_if_nothing_had_happened)
{
    goes_on(ALONE OFF, 211);
    goes_on(TWICE OFF, 397);
    goes_on(BOTH, 211);
    goes_on(FLEET OFF, 397);
    goes_on(MIXED OFF, 211);
}

/* What a lane forecasts after the state was made under another configuration. */
Test(lane_share, a_model_for_other_horizons_is_not_taken_over)
{
    struct home home;
    struct fixture_lane f;
    struct eddy_error err = {0};
    home_open(&home);
    fixture_open(&f, ALONE OFF, 1, home.path, 10);
    for (int i = 0; i < 100; i++) (void)fixture_feed(&f, i, "a", i * 60000000000, (double[]){3 * i});
    cr_assert_geq(lane_checkpoint(f.lane, &err), 0, "%s", err.message);
    fixture_close(&f);

    fixture_open(&f, "forecast: {horizons: [1], experts: [pooled]}\nstate: {on_change: reset}\n" OFF, 1, home.path,
                 10);
    cr_assert_eq(fixture_feed(&f, 100, "b", 100 * (int64_t)60000000000, (double[]){1})->forecast[0], 1);
    fixture_close(&f);
    home_close(&home);
}

Test(lane_share, a_lane_can_begin_with_what_the_keys_of_another_shared)
{
    struct home home;
    struct fixture_lane f;
    struct eddy_error err = {0};
    struct eddy_buffer b = {0};
    home_open(&home);
    fixture_open(&f, ALONE OFF, 1, home.path, 10);
    for (int i = 0; i < 100; i++) (void)fixture_feed(&f, i, "a", i * 60000000000, (double[]){3 * i});
    cr_assert_geq(lane_checkpoint(f.lane, &err), 0, "%s", err.message);
    cr_assert_geq(store_get_meta(f.store, "shared", &b, &err), 0, "%s", err.message);
    fixture_close(&f);

    fixture_open(&f, ALONE OFF, 1, NULL, 10);
    cr_assert_geq(lane_share_begin(f.lane, b.data, b.len, &err), 0, "%s", err.message);
    const struct eddy_result *r = fixture_feed(&f, 0, "b", 0, (double[]){1});
    cr_assert_float_eq(r->forecast[1], 10, 1e-9);
    fixture_close(&f);
    fixture_open(&f, FLEET OFF, 1, NULL, 10);
    cr_assert_eq(lane_share_begin(f.lane, b.data, b.len, &err), EDDY_EMISMATCH);
    cr_assert_eq(lane_share_begin(f.lane, b.data, 5, &err), EDDY_ECORRUPT);
    fixture_close(&f);
    eddy_buffer_free(&b);
    home_close(&home);
}

Test(lane_share, damaged_and_newer_bytes_are_refused)
{
    struct home home;
    struct fixture_lane f;
    struct eddy_error err = {0};
    struct eddy_buffer b = {0};
    struct lane *again;
    home_open(&home);
    fixture_open(&f, ALONE OFF, 1, home.path, 10);
    for (int i = 0; i < 100; i++) (void)fixture_feed(&f, i, "a", i * 60000000000, (double[]){3 * i});
    cr_assert_geq(lane_checkpoint(f.lane, &err), 0, "%s", err.message);
    cr_assert_geq(store_get_meta(f.store, "shared", &b, &err), 0, "%s", err.message);
    const struct lane_request request = {f.plan, "topic", 0, f.store, NULL, 10, NULL, NULL};

    cr_assert_geq(store_put_meta(f.store, "shared", b.data, b.len - 1, &err), 0);
    cr_assert_eq(lane_open(&request, &again, &err), EDDY_ECORRUPT);
    cr_assert(strstr(err.message, "shared models is damaged"), "%s", err.message);
    b.data[0] = 9;
    cr_assert_geq(store_put_meta(f.store, "shared", b.data, b.len, &err), 0);
    cr_assert_eq(lane_open(&request, &again, &err), EDDY_EVERSION, "%s", err.message);
    eddy_buffer_free(&b);
    fixture_close(&f);
    home_close(&home);
}
