/* The same events give the same results and the same state, however they are cut, trained, evicted or interrupted. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

#define SMALL       "forecast: {horizons: [1, 3], network: {layers: [{gru: {units: 8}}]}}\n"
#define TRAIN(mode) "train: {mode: " mode ", every: 4, window: 8, epoch: 64, windows: 16, batch: 4}\n"
enum { EVENTS = 3000 };

static const struct fixture_stream stream = {.n_keys = 20, .n_values = 2, .gaps = true};

static void outcome(const char *yaml, int chunk, int64_t max_resident, uint64_t *digest, char hash[33])
{
    struct fixture_lane f;
    fixture_open(&f, yaml, stream.n_values, NULL, max_resident);
    fixture_run(&f, &stream, 0, EVENTS, chunk);
    fixture_hash(&f, hash);
    *digest = f.digest;
    struct lane_stats stats;
    lane_stats(f.lane, &stats);
    cr_assert_gt(stats.updates, 50, "training must have happened for the test to mean anything");
    fixture_close(&f);
}

static void same(const char *a_yaml, int a_chunk, int64_t a_max, const char *b_yaml, int b_chunk, int64_t b_max)
{
    uint64_t a, b;
    char a_hash[33], b_hash[33];
    outcome(a_yaml, a_chunk, a_max, &a, a_hash);
    outcome(b_yaml, b_chunk, b_max, &b, b_hash);
    cr_assert_eq(a, b, "results differ");
    cr_assert_str_eq(a_hash, b_hash);
}

Test(lane, turns_of_one_give_what_turns_of_a_thousand_give)
{
    same(SMALL TRAIN("inline"), 1, 1000, SMALL TRAIN("inline"), 1000, 1000);
}

Test(lane, turns_of_seven_give_what_turns_of_a_hundred_give)
{
    same(SMALL TRAIN("inline"), 7, 1000, SMALL TRAIN("inline"), 100, 1000);
}

Test(lane, background_training_gives_what_inline_training_gives)
{
    same(SMALL TRAIN("inline"), 50, 1000, SMALL TRAIN("background"), 333, 1000);
}

Test(lane, evicted_keys_come_back_as_they_were)
{
    same(SMALL TRAIN("inline"), 10, 1000, SMALL TRAIN("inline"), 10, 3);
}

Test(lane, keys_with_weights_of_their_own_do_not_depend_on_turns)
{
    const char *own = "train: {mode: inline, every: 4, window: 8}\n"
                      "forecast: {scope: key, network: {layers: [{gru: {units: 4}}]}}\n";
    same(own, 1, 1000, own, 200, 2);
}

/* The running averages of the loss travel with the weights, in the snapshot or in the row. */
Test(lane, a_rate_that_follows_the_loss_does_not_depend_on_turns_either)
{
    const char *own = "train: {mode: inline, every: 4, window: 8, schedule: plateau, schedule_steps: 10}\n"
                      "forecast: {scope: key, network: {layers: [{gru: {units: 4}}]}}\n";
    same(own, 1, 1000, own, 200, 2);
#define PLATEAU(mode)                                                                                                \
    "train: {mode: " mode ", every: 4, window: 8, epoch: 64, windows: 16, batch: 4, schedule: plateau, "             \
    "schedule_steps: 10, optimiser: rmsprop, weight_decay: 0.1, clip_value: 0.5}\n"
    same(SMALL PLATEAU("inline"), 50, 1000, SMALL PLATEAU("background"), 333, 1000);
}

Test(lane, another_seed_gives_other_results)
{
    uint64_t a, b;
    char a_hash[33], b_hash[33];
    outcome(SMALL TRAIN("inline") "seed: 1\n", 50, 1000, &a, a_hash);
    outcome(SMALL TRAIN("inline") "seed: 2\n", 50, 1000, &b, b_hash);
    cr_assert_neq(a, b);
    cr_assert_str_neq(a_hash, b_hash);
}

/* Rows are gone over several times in a turn: so many that they stay in the cache, however many events they have. */
Test(lane, a_turn_ends_with_the_keys_that_fit_and_not_with_the_events_of_few_keys)
{
    enum { MANY = 600 };
    static struct eddy_result results[MANY];
    static struct lane_event events[MANY];
    static char keys[MANY][16];
    static double x[MANY][2];
    struct eddy_error err = {0};
    struct fixture_lane f;
    const struct fixture_stream few = {.n_keys = 20, .n_values = 2}, many = {.n_keys = 100000, .n_values = 2};
    fixture_open(&f, SMALL "train: {mode: off}\n", 2, NULL, 1000);
    const int fit = (1 << 19) / (2 * (int)f.plan->layout.copied_bytes + 1);
    cr_assert(fit > 64 && fit < MANY / 2, "%d keys fit: the test must have more, and events for more", fit);

    for (int i = 0; i < MANY; i++) fixture_event(&few, i, keys[i], x[i], &events[i]);
    cr_assert_eq(lane_turn(f.lane, events, MANY, results, &err), MANY, "%s", err.message);
    lane_commit(f.lane);
    int seen = 0;
    for (int64_t i = MANY; seen < MANY; i++) {
        fixture_event(&many, i, keys[seen], x[seen], &events[seen]);
        bool again = false;
        for (int k = 0; k < seen; k++) again |= strcmp(keys[k], keys[seen]) == 0;
        seen += !again;
    }
    const eddy_status taken = lane_turn(f.lane, events, MANY, results, &err);
    cr_assert_eq(taken, fit);
    cr_assert_eq(lane_next(f.lane), events[taken - 1].offset + 1);
    fixture_close(&f);
}

static void aborted(const char *yaml)
{
    struct fixture_lane f, g;
    char f_hash[33], g_hash[33];
    fixture_open(&f, yaml, stream.n_values, NULL, 1000);
    fixture_open(&g, yaml, stream.n_values, NULL, 1000);
    for (int64_t at = 0; at < EVENTS; at += 100) {
        /* Fold a hundred events in one batch of small turns, throw it away, then fold them for good. */
        struct eddy_error err = {0};
        struct eddy_result results[10];
        char keys[10][16];
        double x[10][2];
        struct lane_event events[10];
        int64_t i = at;
        while (i < at + 100) {
            for (int k = 0; k < 10; k++) fixture_event(&stream, i + k, keys[k], x[k], &events[k]);
            int done = 0;
            while (done < 10) {
                eddy_status taken = lane_turn(f.lane, events + done, 10 - done, results, &err);
                cr_assert_gt(taken, 0, "%s", err.message);
                done += taken;
            }
            i += 10;
        }
        lane_abort(f.lane);
        fixture_run(&f, &stream, at, at + 100, 10);
        fixture_run(&g, &stream, at, at + 100, 10);
        cr_assert_eq(f.digest, g.digest, "results differ at %lld", (long long)at);
    }
    fixture_hash(&f, f_hash);
    fixture_hash(&g, g_hash);
    cr_assert_str_eq(f_hash, g_hash);
    fixture_close(&f);
    fixture_close(&g);
}

Test(lane, an_aborted_batch_leaves_no_trace)
{
    aborted(SMALL TRAIN("inline"));
}

Test(lane, an_aborted_batch_gives_back_what_experts_keep_of_steps)
{
    aborted("forecast: {horizons: [1, 3], network: {layers: [{gru: {units: 8}}]}, experts: [network, {rls: {network: "
            "network, lags: [1-3]}}]}\n" TRAIN("inline"));
}

/* Checkpoints every `every` events; after each one the lane goes on for a while and is then forgotten, as by kill -9. */
static void interrupted(const char *yaml, int64_t every, int64_t max_resident, char hash[33])
{
    char dir[] = "/tmp/eddy-test-XXXXXX", path[64];
    struct eddy_error err = {0};
    cr_assert(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/topic-0.db", dir);
    for (int64_t at = 0; at < EVENTS;) {
        struct fixture_lane f;
        fixture_open(&f, yaml, stream.n_values, path, max_resident);
        cr_assert_eq(lane_next(f.lane), at, "must go on at the checkpoint");
        int64_t to = at + every < EVENTS ? at + every : EVENTS;
        fixture_run(&f, &stream, at, to, 13);
        cr_assert_geq(lane_checkpoint(f.lane, &err), 0, "%s", err.message);
        int64_t beyond = to + every / 2 < EVENTS ? to + every / 2 : EVENTS;
        if (to < EVENTS) fixture_run(&f, &stream, to, beyond, 29);
        if (to == EVENTS) fixture_hash(&f, hash);
        fixture_close(&f);
        at = to;
    }
    char command[96];
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

Test(lane, goes_on_after_a_crash_as_if_nothing_had_happened)
{
    uint64_t digest;
    char whole[33], cut[33];
    outcome(SMALL TRAIN("inline"), 50, 1000, &digest, whole);
    interrupted(SMALL TRAIN("inline"), 211, 1000, cut);
    cr_assert_str_eq(whole, cut);
}

Test(lane, goes_on_after_a_crash_with_most_keys_evicted_and_background_training)
{
    uint64_t digest;
    char whole[33], cut[33];
    outcome(SMALL TRAIN("inline"), 50, 1000, &digest, whole);
    interrupted(SMALL TRAIN("background"), 97, 4, cut);
    cr_assert_str_eq(whole, cut);
}

Test(lane, candidates_are_adopted_a_lag_later_also_after_a_crash)
{
    uint64_t digest;
    char whole[33], cut[33];
    const char *yaml = SMALL "train: {mode: inline, every: 4, window: 8, epoch: 32, lag: 3, windows: 8, batch: 4}\n";
    outcome(yaml, 50, 1000, &digest, whole);
    interrupted(yaml, 75, 1000, cut);
    cr_assert_str_eq(whole, cut);
}

/* ---- windows that are trained on once more ---- */

#define REPLAY(mode)                                                                                                 \
    "train: {mode: " mode                                                                                            \
    ", every: 4, window: 8, epoch: 32, windows: 8, batch: 3, replay: 1.5, replay_windows: 20, "                      \
    "replay_span: 60}\n"

Test(lane, replayed_windows_are_the_same_for_any_turns_and_in_the_background)
{
    same(SMALL REPLAY("inline"), 1, 1000, SMALL REPLAY("background"), 333, 1000);
}

Test(lane, replayed_windows_survive_a_crash)
{
    uint64_t digest;
    char whole[33], cut[33];
    outcome(SMALL REPLAY("inline"), 50, 1000, &digest, whole);
    interrupted(SMALL REPLAY("background"), 75, 4, cut);
    cr_assert_str_eq(whole, cut);
}

Test(lane, an_aborted_batch_gives_back_the_windows_to_replay)
{
    aborted(SMALL REPLAY("inline"));
}

static int64_t updates_of(const char *yaml)
{
    struct fixture_lane f;
    struct lane_stats stats;
    fixture_open(&f, yaml, stream.n_values, NULL, 1000);
    fixture_run(&f, &stream, 0, EVENTS, 100);
    lane_stats(f.lane, &stats);
    fixture_close(&f);
    return stats.updates;
}

Test(lane, one_replayed_window_for_each_fresh_one_doubles_the_steps_but_for_the_first_epoch)
{
#define STEPS "train: {mode: inline, every: 4, window: 8, epoch: 64, windows: 16, batch: 4, replay_windows: 32"
    const int64_t alone = updates_of(SMALL STEPS "}\n"), mixed = updates_of(SMALL STEPS ", replay: 1}\n");
    cr_assert_eq(mixed, 2 * alone - 4, "%lld against %lld steps", (long long)mixed, (long long)alone);
}

/* Turns of any length, in the background or not, and a process that crashes. */
static void same_and_survives(const char *in_line, const char *background)
{
    uint64_t digest;
    char whole[33], cut[33];
    same(in_line, 1, 1000, background, 333, 1000);
    outcome(in_line, 50, 1000, &digest, whole);
    interrupted(background, 75, 4, cut);
    cr_assert_str_eq(whole, cut);
}

/* ---- windows cut as of a new key ---- */

#define YOUNG(mode) "train: {mode: " mode ", every: 4, window: 8, epoch: 32, windows: 8, batch: 3, young: 0.5}\n"

Test(lane, young_windows_are_the_same_for_any_turns_and_survive_a_crash)
{
    same_and_survives(SMALL YOUNG("inline"), SMALL YOUNG("background"));
}

/* ---- rounds that wait for event time, with an eye on drift ---- */

#define TIMED(mode)                                                                                                  \
    "train: {mode: " mode ", every: 4, window: 8, epoch: 32, windows: 8, batch: 3, every_time: 6h, drift_rounds: "   \
    "2}\n"

Test(lane, rounds_that_wait_are_the_same_for_any_turns_and_survive_a_crash)
{
    same_and_survives(SMALL TIMED("inline"), SMALL TIMED("background"));
}

Test(lane, an_aborted_batch_gives_back_the_time_of_the_last_round)
{
    aborted(SMALL TIMED("inline"));
}

/* ---- candidates that have to beat the live weights ---- */

#define CHAMPION(mode)                                                                                               \
    "train: {mode: " mode ", every: 4, window: 8, epoch: 32, windows: 8, batch: 3, champion: 0.02, replay: 0.5, "    \
    "learning_rate: 0.1}\n"

Test(lane, candidates_are_judged_alike_for_any_turns_and_in_the_background)
{
    same(SMALL CHAMPION("inline"), 1, 1000, SMALL CHAMPION("background"), 333, 1000);
}

Test(lane, what_is_held_out_survives_a_crash)
{
    uint64_t digest;
    char whole[33], cut[33];
    outcome(SMALL CHAMPION("inline"), 50, 1000, &digest, whole);
    interrupted(SMALL CHAMPION("background"), 75, 4, cut);
    cr_assert_str_eq(whole, cut);
}

Test(lane, an_aborted_batch_gives_back_what_is_held_out)
{
    aborted(SMALL CHAMPION("inline"));
}

/* ---- what nobody should learn from ---- */

#define INCIDENTS(mode)                                                                                              \
    "train: {mode: " mode ", every: 4, window: 8, epoch: 32, windows: 8, batch: 3, incidents: skip}\n"               \
    "detect: {threshold: 0.2, warmup: 20}\n"

Test(lane, windows_left_out_are_the_same_for_any_turns_and_survive_a_crash)
{
    uint64_t digest;
    char whole[33], cut[33];
    same(SMALL INCIDENTS("inline"), 1, 1000, SMALL INCIDENTS("background"), 333, 1000);
    outcome(SMALL INCIDENTS("inline"), 50, 1000, &digest, whole);
    interrupted(SMALL INCIDENTS("background"), 75, 4, cut);
    cr_assert_str_eq(whole, cut);
}
