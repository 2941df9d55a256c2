/* What a lane writes into its store, byte by byte, and what it makes of bytes that it did not write. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/little_endian.h"
#include "engine/flow/lane_private.h"
#include "engine/flow/lane_store.h"
#include "engine/forecast/scale.h"
#include "tests/unit/flow/fixture.h"

#define MINUTE   60000000000
#define START    1700000000000000000
#define LEARNING "train: {mode: inline, every: 1, window: 8, epoch: 64, lag: 2, windows: 8}\n"

struct world {
    char dir[32], path[64];
    struct fixture_lane f;
};

/* A lane that has folded `n` events of key "k" and written its checkpoint. */
static void world_open(struct world *w, const char *yaml, int n)
{
    struct eddy_error err = {0};
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/eddy-test-XXXXXX");
    cr_assert(mkdtemp(w->dir));
    (void)snprintf(w->path, sizeof(w->path), "%s/s.db", w->dir);
    fixture_open(&w->f, yaml, 1, w->path, 100);
    lane_seek(w->f.lane, 1000);
    for (int i = 0; i < n; i++) fixture_feed(&w->f, 1000 + i, "k", START + i * MINUTE, (double[]){sin(i) + .01 * i});
    cr_assert_geq(lane_checkpoint(w->f.lane, &err), 0, "%s", err.message);
}

static void world_close(struct world *w)
{
    fixture_close(&w->f);
    unlink(w->path);
    rmdir(w->dir);
}

static void blob(struct world *w, const char *name, struct eddy_buffer *b)
{
    struct eddy_error err = {0};
    cr_assert_geq(store_get_meta(w->f.store, name, b, &err), 0, "%s", err.message);
}

static eddy_status position_of(struct world *w, const void *bytes, size_t n, struct lane_position *at,
                               struct eddy_error *err)
{
    cr_assert_geq(store_put_meta(w->f.store, "lane", bytes, n, err), 0, "%s", err->message);
    return lane_stored_position(w->f.store, at, err);
}

Test(lane_store, a_position_is_a_format_and_eight_numbers_in_little_endian)
{
    struct world w;
    struct eddy_buffer b = {0};
    world_open(&w, LEARNING "state: {ttl: 1d}\n", 200);
    blob(&w, "lane", &b);
    cr_assert_eq(b.len, 4 + 8 * 8);
    cr_assert_eq(b.data[0], 1);
    cr_assert_arr_eq(b.data + 1, "\0\0\0", 3);
    cr_assert_arr_eq(b.data + 4, "\xb0\x04\0\0\0\0\0\0", 8, "next is 1200");
    cr_assert_arr_eq(b.data + 12, "\xe8\x03\0\0\0\0\0\0", 8, "start is 1000");
    cr_assert_eq(le_get_u64(b.data + 52), 64, "the length of an epoch");

    struct lane_position at;
    struct eddy_error err = {0};
    cr_assert_geq(lane_stored_position(w.f.store, &at, &err), 0, "%s", err.message);
    cr_assert_eq(at.next, 1200);
    cr_assert_eq(at.start, 1000);
    cr_assert_eq(at.clock.now, (int64_t)le_get_u64(b.data + 20));
    cr_assert(at.clock.now > START + 190 * MINUTE && at.clock.now <= START + 199 * MINUTE);
    cr_assert_eq(at.epoch, 1200 / 64);
    cr_assert_eq(at.epoch_length, 64);
    cr_assert_gt(at.model, 0);
    eddy_buffer_free(&b);
    world_close(&w);
}

Test(lane_store, long_states_of_experts_lie_where_stored_ones_do)
{
    struct world w;
    world_open(&w, "forecast: {experts: [persistence, {seasonal_naive: {season: 672}}]}\n", 3);
    const struct section *before = row_layout_find(&w.f.plan->layout, "expert.0.persistence");
    const struct section *s = row_layout_find(&w.f.plan->layout, "expert.1.seasonal_naive");
    cr_assert(before && s);
    cr_assert_eq(s->type, SECTION_BYTES);
    cr_assert_eq(s->bytes, 5392, "not rounded up: %zu", (size_t)s->bytes);
    cr_assert_eq(s->offset, (before->offset + before->bytes + 7) / 8 * 8, "right behind the one before");
    world_close(&w);
}

Test(lane_store, states_and_places_on_cache_lines_are_sections_that_every_eddy_reads)
{
    struct world w;
    world_open(&w, "forecast: {experts: [persistence, {rls: {lags: [1-24]}}], horizons: [1-24]}\n", 3);
    const char *const names[] = {"expert.1.rls", "expert.1.rls.kept"};
    for (int i = 0; i < 2; i++) {
        const struct section *s = row_layout_find(&w.f.plan->layout, names[i]);
        cr_assert(s && s->bytes >= EDDY_EXPERT_LONG, "%s", names[i]);
        cr_assert_eq(s->type, SECTION_BYTES);
        cr_assert_eq(s->bytes % 64, 0);
        cr_assert_eq(s->offset % 64, 0);
    }
    world_close(&w);
}

Test(lane_store, a_position_that_was_cut_or_prolonged_is_damaged)
{
    struct world w;
    struct eddy_buffer b = {0};
    struct lane_position at;
    world_open(&w, LEARNING, 20);
    blob(&w, "lane", &b);
    for (size_t n = 0; n < b.len; n++) {
        struct eddy_error err = {0};
        cr_assert_eq(position_of(&w, b.data, n, &at, &err), EDDY_ECORRUPT, "%zu bytes: %s", n, err.message);
    }
    struct eddy_error err = {0};
    cr_assert_geq(eddy_buffer_append(&b, "x", 1), 0);
    cr_assert_eq(position_of(&w, b.data, b.len, &at, &err), EDDY_ECORRUPT);
    cr_assert_eq(position_of(&w, b.data, b.len - 1, &at, &err), EDDY_OK);
    eddy_buffer_free(&b);
    world_close(&w);
}

Test(lane_store, a_position_of_a_newer_format_is_refused_by_its_number)
{
    struct world w;
    struct eddy_buffer b = {0};
    struct lane_position at;
    struct eddy_error err = {0};
    world_open(&w, LEARNING, 20);
    blob(&w, "lane", &b);
    le_put_u32(b.data, 3);
    cr_assert_eq(position_of(&w, b.data, b.len, &at, &err), EDDY_EVERSION);
    cr_assert(strstr(err.message, "format 3, written by a newer eddy"), "%s", err.message);
    le_put_u32(b.data, 0);
    cr_assert_eq(position_of(&w, b.data, b.len, &at, &err), EDDY_ECORRUPT);
    eddy_buffer_free(&b);
    world_close(&w);
}

enum { TRIGGERS_BYTES = 64 }; /* in it, behind the format */

/* Opens the lane of `w` again, over a "train" blob of these bytes. */
static eddy_status reopen_with(struct world *w, const void *bytes, size_t n, struct eddy_error *err)
{
    struct lane *lane = NULL;
    cr_assert_geq(store_put_meta(w->f.store, "train", bytes, n, err), 0, "%s", err->message);
    const struct lane_request request = {w->f.plan, "topic", 0, w->f.store, w->f.trainer, 100, NULL, NULL};
    eddy_status rc = lane_open(&request, &lane, err);
    lane_close(lane);
    return rc;
}

/* Where the sample begins in it: whether windows are held out, their number, and they. */
static size_t parted_at(const struct world *w, const struct eddy_buffer *b)
{
    const size_t window = 8 + 8 + 4 + lane_window_floats(w->f.plan) * sizeof(float);
    return b->len - (size_t)w->f.lane->windows.n * window - 2 * sizeof(uint32_t);
}

static void cut_out(struct eddy_buffer *b, size_t at, size_t n)
{
    memmove(b->data + at, b->data + at + n, b->len - at - n);
    b->len -= n;
}

Test(lane_store, training_windows_that_were_cut_off_are_damaged)
{
    struct world w;
    struct eddy_buffer b = {0};
    world_open(&w, LEARNING, 250); /* two candidates wait for their epoch, and there is a sample */
    blob(&w, "train", &b);
    cr_assert_eq(le_get_u32(b.data), 4);
    cr_assert_gt(le_get_u32(b.data + 12 + TRIGGERS_BYTES), 0, "no candidate waits");
    for (size_t n = 0; n < b.len; n += n < 104 ? 1 : b.len / 29) {
        struct eddy_error err = {0};
        cr_assert_eq(reopen_with(&w, b.data, n, &err), EDDY_ECORRUPT, "%zu bytes: %s", n, err.message);
        cr_assert(strstr(err.message, "topic[0]: the stored training windows are damaged"), "%s", err.message);
    }
    struct eddy_error err = {0};
    cr_assert_eq(reopen_with(&w, b.data, b.len, &err), EDDY_OK, "%s", err.message);
    le_put_u32(b.data, 5);
    cr_assert_eq(reopen_with(&w, b.data, b.len, &err), EDDY_EVERSION);
    cr_assert(strstr(err.message, "\"train\" has format 5"), "%s", err.message);
    eddy_buffer_free(&b);
    world_close(&w);
}

Test(lane_store, training_windows_from_before_rounds_could_wait_are_taken_over)
{
    struct world w;
    struct eddy_buffer b = {0};
    struct eddy_error err = {0};
    world_open(&w, LEARNING, 250);
    blob(&w, "train", &b);
    cut_out(&b, parted_at(&w, &b), sizeof(uint32_t)); /* nor did they say what is held out */
    cut_out(&b, 4, TRIGGERS_BYTES);
    le_put_u32(b.data, 2);
    cr_assert_eq(reopen_with(&w, b.data, b.len, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(reopen_with(&w, b.data, b.len - 4, &err), EDDY_ECORRUPT);
    eddy_buffer_free(&b);
    world_close(&w);
}

/* Feeds "k" every ten minutes up to `until` minutes, writes a checkpoint, and counts the keys that are stored. */
static int64_t keys_after(struct world *w, int *minute, int until)
{
    struct eddy_error err = {0};
    for (; *minute <= until; *minute += 10)
        fixture_feed(&w->f, lane_next(w->f.lane), "k", START + *minute * MINUTE, (double[]){1});
    cr_assert_geq(lane_checkpoint(w->f.lane, &err), 0, "%s", err.message);
    return store_count(w->f.store, &err);
}

Test(lane_store, expired_keys_leave_the_file_when_a_part_of_the_ttl_has_gone_by)
{
    struct world w;
    int minute = 40;
    world_open(&w, "train: {mode: off}\nstate: {ttl: 64h}\n", 1); /* so a sweep every hour */
    fixture_feed(&w.f, 1001, "first", START + 10 * MINUTE, (double[]){1});
    fixture_feed(&w.f, 1002, "second", START + 30 * MINUTE, (double[]){1});
    cr_assert_eq(keys_after(&w, &minute, 64 * 60 + 5), 3);
    cr_assert_eq(keys_after(&w, &minute, 64 * 60 + 25), 3, "swept again after 20 minutes");
    cr_assert_eq(keys_after(&w, &minute, 65 * 60 + 5), 1);
    world_close(&w);
}

/* ---- state.on_change: reset ---- */

static void all_are(const unsigned char *row, int64_t at, size_t n_floats, bool zero, const char *what)
{
    static const unsigned char zeros[4096];
    cr_assert_geq(at, 0, "there is no %s", what);
    cr_assert_leq(n_floats * 4, sizeof(zeros));
    cr_assert_eq(memcmp(row + at, zeros, n_floats * 4) == 0, zero, "%s is %s", what, zero ? "kept" : "empty");
}

/* The stored row of "k"; borrowed until the next call on the store. */
static const unsigned char *stored_row(struct world *w)
{
    struct eddy_error err = {0};
    struct stored_row r;
    cr_assert_geq(store_get_row(w->f.store, "k", 1, &r, &err), 0, "%s", err.message);
    cr_assert_eq(r.row_bytes, w->f.plan->layout.row_bytes);
    return r.row;
}

static void world_change(struct world *w, const char *yaml)
{
    char text[512];
    (void)snprintf(text, sizeof(text), "%sstate: {on_change: reset}\n", yaml);
    fixture_close(&w->f);
    fixture_open(&w->f, text, 1, w->path, 100);
}

#define NETWORK(layer) "forecast: {network: {layers: [{" layer "}]}}\n" LEARNING

Test(lane_store, a_reset_to_another_network_of_the_same_size_starts_from_an_empty_state)
{
    struct world w;
    world_open(&w, NETWORK("lstm: {units: 8}"), 200);
    size_t bytes = w.f.plan->layout.row_bytes, n = w.f.plan->networks[0].net->n_state;
    size_t starts = n * (size_t)w.f.plan->networks[0].n_starts;
    all_are(stored_row(&w), w.f.plan->networks[0].at_state, n, false, "the state");
    all_are(stored_row(&w), w.f.plan->networks[0].at_starts, starts, false, "the starts of windows");

    world_change(&w, NETWORK("gru: {units: 16}"));
    cr_assert_eq(w.f.plan->layout.row_bytes, bytes, "the test is about equal sizes");
    cr_assert_eq(w.f.plan->networks[0].net->n_state, n, "the test is about equal sizes");
    all_are(stored_row(&w), w.f.plan->networks[0].at_state, n, true, "the state");
    all_are(stored_row(&w), w.f.plan->networks[0].at_starts, starts, true, "the starts of windows");
    all_are(stored_row(&w), w.f.plan->at_scale, sizeof(struct scale) / 4, false, "the scale");
    struct lane_stats stats;
    lane_stats(w.f.lane, &stats);
    cr_assert_eq(stats.model, 0, "weights of the other network");
    cr_assert_eq(lane_next(w.f.lane), 1200);
    world_close(&w);
}

Test(lane_store, a_reset_to_another_network_of_the_same_size_drops_weights_of_a_keys_own)
{
    struct world w;
    world_open(&w, "forecast: {scope: key, network: {layers: [{dense: {units: 4, activation: relu}}]}}\n" LEARNING,
               200);
    size_t bytes = w.f.plan->layout.row_bytes, n = 4 * w.f.plan->networks[0].net->n_params;
    all_are(stored_row(&w), w.f.plan->networks[0].at_weights, n, false, "the weights");
    all_are(stored_row(&w), w.f.plan->networks[0].at_optimiser, 2, false, "the optimiser");

    world_change(&w, "forecast: {scope: key, network: {layers: [{dense: {units: 4, activation: tanh}}]}}\n" LEARNING);
    cr_assert_eq(w.f.plan->layout.row_bytes, bytes, "the test is about equal sizes");
    all_are(stored_row(&w), w.f.plan->networks[0].at_weights, n, true, "the weights");
    all_are(stored_row(&w), w.f.plan->networks[0].at_optimiser, 2, true, "the optimiser");
    all_are(stored_row(&w), w.f.plan->at_scale, sizeof(struct scale) / 4, false, "the scale");
    const struct eddy_result *r = fixture_feed(&w.f, 1200, "k", START + 200 * MINUTE, (double[]){2});
    cr_assert(isfinite(r->forecast[0]));
    world_close(&w);
}

Test(lane_store, the_same_network_keeps_its_state_through_a_reset_of_something_else)
{
    struct world w;
    unsigned char state[64];
    world_open(&w, NETWORK("gru: {units: 8}"), 200);
    memcpy(state, stored_row(&w) + w.f.plan->networks[0].at_state, 32);
    world_change(&w, "forecast: {bands: [0.8], network: {layers: [{gru: {units: 8}}]}}\n" LEARNING);
    cr_assert_arr_eq(stored_row(&w) + w.f.plan->networks[0].at_state, state, 32);
    world_close(&w);
}
