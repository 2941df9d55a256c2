/* Learning pays: on a series whose rhythm changes, and on every shape of pipeline. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/flow/lane_private.h"
#include "fixture.h"

static const int64_t STEP = 300000000000, START = 1700000000000000000;
enum { CHANGE = 6000, END = 12000, JUDGED_FROM = 8000 };

/* Four keys in turn; a wave of 24 events whose period and shape change half-way, and a little noise. */
static double rhythm(int64_t i)
{
    double t = (double)(i / 4), noise = .05 * (double)eddy_random_normal(21, (uint64_t)i);
    if (i < CHANGE) return 5 * sin(t * .2618) + noise;
    return 5 * sin(t * .9) * (fmod(t, 14) < 7 ? 1 : .3) + noise;
}

/* Mean squared one-step error over the last 4,000 events, of value 0. */
static double run(struct fixture_lane *f, int64_t from, int64_t to, bool judged)
{
    static const char *const keys[] = {"key-0", "key-1", "key-2", "key-3"};
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = from; i < to; i++) {
        double x = rhythm(i);
        const struct eddy_result *r = fixture_feed(f, i, keys[i % 4], START + i / 4 * STEP, &x);
        if (!judged || i < JUDGED_FROM) continue;
        cr_assert(isfinite(r->yhat[0]));
        sum += (x - r->yhat[0]) * (x - r->yhat[0]);
        n++;
    }
    return n > 0 ? sum / (double)n : 0;
}

/* `more`: other options of train. */
static double error_after_change(const char *learning_rate, const char *more)
{
    char dir[] = "/tmp/eddy-test-XXXXXX", path[64], yaml[256];
    struct eddy_error err = {0};
    struct fixture_lane f;
    const char *form = "forecast: {network: {layers: [{gru: {units: 16}}]}}\n"
                       "train: {mode: inline, every: 8, window: 32, learning_rate: %s%s}\n";
    cr_assert(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s.db", dir);
    (void)snprintf(yaml, sizeof(yaml), form, "0.005", more);
    fixture_open(&f, yaml, 1, path, 100);
    run(&f, 0, CHANGE, false);
    cr_assert_geq(lane_checkpoint(f.lane, &err), 0, "%s", err.message);
    fixture_close(&f);

    (void)snprintf(yaml, sizeof(yaml), form, learning_rate, more);
    fixture_open(&f, yaml, 1, path, 100);
    double error = run(&f, CHANGE, END, true);
    fixture_close(&f);
    unlink(path);
    rmdir(dir);
    return error;
}

Test(learning, after_a_change_of_rhythm_the_error_is_at_least_30_percent_below_a_frozen_models)
{
    double frozen = error_after_change("1e-9", ""), learning = error_after_change("0.005", "");
    cr_log_info("frozen %g, learning %g", frozen, learning);
    cr_assert_lt(learning, .7 * frozen, "frozen %g, learning %g", frozen, learning);
}

/* A learning rate out of all proportion: each candidate is far worse than what it comes from. */
Test(learning, a_spoiled_candidate_leaves_the_live_model_as_it_was)
{
    const double frozen = error_after_change("1e-9", ""), spoiled = error_after_change("5", "");
    const double judged = error_after_change("5", ", champion: 0.5");
    cr_assert_gt(spoiled, 3 * frozen, "frozen %g, spoiled %g", frozen, spoiled);
    cr_assert_lt(judged, 1.1 * frozen, "frozen %g, judged %g", frozen, judged);
}

Test(learning, a_champion_does_not_keep_the_network_from_following_a_change)
{
    const double free = error_after_change("0.005", ""), judged = error_after_change("0.005", ", champion: 0.5");
    cr_assert_lt(judged, 1.15 * free, "free %g, judged %g", free, judged);
}

/* The network reads the numbers of the events themselves. */
#define BY_NUMBER(champion)                                                                                          \
    "forecast: {scaling: {kind: fixed}, network: {inputs: [level], layers: [{gru: {units: 4}}]}}\n"                  \
    "train: {mode: inline, every: 4, window: 16, epoch: 64, champion: " champion "}\n"

/* Which were trained on (1), and which held out (2). */
static void mark_events(const struct fixture_lane *f, unsigned char *marks)
{
    const struct window_shape *w = &f->plan->shared[0];
    for (int j = 0; j < f->lane->n_jobs; j++) {
        const struct train_windows all = train_job_windows(f->lane->jobs[j].job);
        for (int i = 0; i < all.n + all.n_held; i++) {
            const float *x = window_x(w, (float *)(uintptr_t)all.data + (size_t)i * window_floats(w));
            for (int k = 0; k < w->n_steps; k++) marks[(int)x[k * w->n_in]] |= i < all.n ? 1 : 2;
        }
    }
}

Test(learning, no_event_of_a_window_that_is_held_out_is_trained_on)
{
    enum { EVENTS = 8000 };
    static unsigned char marks[EVENTS];
    struct fixture_lane f;
    fixture_open(&f, BY_NUMBER("0.5, replay: 1"), 1, NULL, 100);
    for (int i = 1; i < EVENTS; i++) {
        fixture_feed(&f, i, "k", START + i * STEP, (double[]){i});
        mark_events(&f, marks);
    }
    int trained = 0, held = 0, both = 0;
    for (int i = 1; i < EVENTS; i++) {
        trained += marks[i] == 1;
        held += marks[i] == 2;
        both += marks[i] == 3;
    }
    cr_expect_eq(both, 0, "%d events", both);
    cr_expect(held > EVENTS / 16 && held < EVENTS / 4, "%d events", held);
    cr_expect(trained > EVENTS / 2, "%d events", trained);
    fixture_close(&f);
}

/* Of one key there are windows held out only now and then; here it is silent for long as well. */
Test(learning, candidates_are_not_judged_by_windows_from_long_ago)
{
    enum { EPOCH = 64, BEFORE = 4000, GAP = 100 * EPOCH };
    struct fixture_lane f;
    int judged = 0;
    fixture_open(&f, BY_NUMBER("0.5"), 1, NULL, 100);
    const struct window_shape *w = &f.plan->shared[0];
    for (int i = 1; i < 2 * BEFORE; i++) {
        const int offset = i < BEFORE ? i : i + GAP;
        fixture_feed(&f, offset, "k", START + offset * STEP, (double[]){offset});
        for (int j = 0; j < f.lane->n_jobs; j++) {
            const struct train_windows all = train_job_windows(f.lane->jobs[j].job);
            judged += all.n_held > 0;
            for (int k = all.n; k < all.n + all.n_held; k++)
                cr_assert_gt(window_x(w, (float *)(uintptr_t)all.data + (size_t)k * window_floats(w))[0],
                             (float)(offset - 36 * EPOCH), "at %d", offset);
        }
    }
    cr_assert_gt(judged, BEFORE / 2);
    fixture_close(&f);
}

/* Windows drawn without it may lie in stretches that are held out now, and those held out before it was off have been
 * trained on. */
Test(learning, nothing_is_held_out_from_before_the_champion_was_on)
{
    enum { PAUSE = 64 * 16 + 8, BEFORE = 64 * 20 + 40, EVENTS = 64 * 24 };
    static unsigned char marks[EVENTS];
    char path[] = "/tmp/eddy-champion-XXXXXX";
    struct eddy_error err = {0};
    struct fixture_lane f;
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    unlink(path);
    fixture_open(&f, BY_NUMBER("0.5"), 1, path, 100);
    for (int i = 1; i < PAUSE; i++) fixture_feed(&f, i, "k", START + i * STEP, (double[]){i});
    cr_assert_geq(lane_checkpoint(f.lane, &err), 0, "%s", err.message);
    cr_assert_gt(f.lane->held.n, 0);
    fixture_close(&f);

    fixture_open(&f, BY_NUMBER("0"), 1, path, 100);
    for (int i = PAUSE; i < BEFORE; i++) fixture_feed(&f, i, "k", START + i * STEP, (double[]){i});
    cr_assert_geq(lane_checkpoint(f.lane, &err), 0, "%s", err.message);
    cr_assert_gt(f.lane->windows.n, 0);
    fixture_close(&f);

    fixture_open(&f, BY_NUMBER("0.5"), 1, path, 100);
    cr_expect_eq(f.lane->windows.n, 0);
    cr_expect_eq(f.lane->held.n, 0);
    for (int i = BEFORE; i < EVENTS; i++) {
        fixture_feed(&f, i, "k", START + i * STEP, (double[]){i});
        mark_events(&f, marks);
    }
    for (int i = 1; i < EVENTS; i++) cr_expect_neq(marks[i], 3, "%d", i);
    fixture_close(&f);
    unlink(path);
}

/* ---- when training is due ---- */

#define WATCHED                                                                                                      \
    "forecast: {network: {layers: [{gru: {units: 8}}]}}\n"                                                           \
    "train: {every: 8, window: 16, epoch: 64, windows: 16, batch: 4, replay: 0.5, learning_rate: 0.002"

/* Stops after every `every` events as by kill -9, and a part of them is folded twice; 0 = never. */
static void run_whole(const char *yaml, int64_t every, char hash[33], struct lane_stats *stats)
{
    char dir[] = "/tmp/eddy-test-XXXXXX", path[64];
    struct eddy_error err = {0};
    struct fixture_lane f;
    int64_t drifts = 0;
    cr_assert(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s.db", dir);
    for (int64_t at = 0, to; at < JUDGED_FROM; at = to) {
        to = every == 0 || at + every > JUDGED_FROM ? JUDGED_FROM : at + every;
        fixture_open(&f, yaml, 1, path, 2);
        run(&f, at, to, false);
        cr_assert_geq(lane_checkpoint(f.lane, &err), 0, "%s", err.message);
        lane_stats(f.lane, stats);
        drifts += stats->drifts;
        if (to == JUDGED_FROM) fixture_hash(&f, hash);
        if (to < JUDGED_FROM) run(&f, to, to + (JUDGED_FROM - to < 100 ? JUDGED_FROM - to : 100), false);
        fixture_close(&f);
    }
    stats->drifts = drifts;
    unlink(path);
    rmdir(dir);
}

Test(learning, a_change_is_followed_sooner_when_drift_makes_training_harder)
{
    const double plain = error_after_change("0.002", ", epoch: 64, windows: 16");
    const double pressed = error_after_change("0.002", ", epoch: 64, windows: 16, drift_rounds: 4, drift_epochs: 32");
    cr_log_info("plain %g, pressed %g", plain, pressed);
    cr_assert_lt(pressed, .9 * plain, "plain %g, pressed %g", plain, pressed);
}

Test(learning, a_change_is_found_once_and_the_same_after_crashes_and_in_the_background)
{
    char whole[33], cut[33], other[33];
    struct lane_stats stats;
    run_whole(WATCHED ", mode: inline, drift_rounds: 3, drift_epochs: 8}\n", 0, whole, &stats);
    cr_expect_eq(stats.drifts, 1, "%lld times", (long long)stats.drifts);
    run_whole(WATCHED ", mode: background, drift_rounds: 3, drift_epochs: 8}\n", 517, cut, &stats);
    cr_expect_eq(stats.drifts, 1, "%lld times in pieces", (long long)stats.drifts);
    cr_expect_str_eq(whole, cut);
    run_whole(WATCHED ", mode: inline}\n", 0, other, &stats);
    cr_expect_eq(stats.drifts, 0, "nobody looks");
    cr_expect_str_neq(whole, other);
}

/* 16 epochs of 64 events take 1,280 minutes.  In 124 epochs: a first round of 8 windows, 2 steps; 7 more of 16 fresh and 8
 * replayed ones, 6 steps each. */
Test(learning, rounds_wait_for_event_time_also_after_crashes)
{
    char whole[33], cut[33];
    struct lane_stats every, timed, pieces;
    run_whole(WATCHED ", mode: inline}\n", 0, whole, &every);
    run_whole(WATCHED ", mode: inline, every_time: 1280m}\n", 0, whole, &timed);
    run_whole(WATCHED ", mode: background, every_time: 1280m}\n", 517, cut, &pieces);
    cr_expect_str_eq(whole, cut);
    cr_expect_eq(timed.updates, pieces.updates);
    cr_expect_eq(timed.updates, 44, "%lld", (long long)timed.updates);
    cr_expect_gt(every.updates, 5 * timed.updates);
}

static void beats_persistence(const char *yaml, int n_values, double factor)
{
    const struct fixture_stream stream = {.n_keys = 4, .n_values = n_values};
    struct fixture_lane f;
    fixture_open(&f, yaml, n_values, NULL, 100);
    f.errors_from = 6000;
    fixture_run(&f, &stream, 0, 10000, 256);
    cr_assert_gt(f.errors, 3000);
    cr_assert_lt(f.squared_error, factor * f.persistence_error, "error %g, persistence %g",
                 f.squared_error / (double)f.errors, f.persistence_error / (double)f.errors);
    fixture_close(&f);
}

Test(learning, independent_channels_beat_persistence)
{
    beats_persistence("forecast: {network: {layers: [{gru: {units: 16}}]}}\ntrain: {mode: inline}\n", 2, .9);
}

Test(learning, joint_channels_beat_persistence)
{
    beats_persistence("forecast: {channels: joint, network: {layers: [{gru: {units: 16}}]}}\ntrain: {mode: inline}\n",
                      2, .9);
}

Test(learning, a_stack_of_lstm_and_dense_beats_persistence)
{
    beats_persistence("forecast: {network: {layers: [{lstm: {units: 16}}, {dense: {units: 16, activation: tanh}}]}}\n"
                      "train: {mode: inline}\n",
                      1, .9);
}

Test(learning, keys_with_weights_of_their_own_beat_persistence)
{
    beats_persistence("forecast: {scope: key, network: {layers: [{gru: {units: 8}}]}}\n"
                      "train: {mode: inline, window: 16}\n",
                      1, .9);
}

/* One key whose events `from`..`to` are outliers; returns the optimiser's steps. */
static int64_t steps_with_outliers(const char *more, int64_t from, int64_t to)
{
    char yaml[256];
    struct fixture_lane f;
    struct lane_stats stats;
    (void)snprintf(yaml, sizeof(yaml),
                   "forecast: {network: {layers: [{gru: {units: 4}}]}}\n"
                   "train: {mode: inline, every: 8, window: 16, epoch: 8, batch: 1%s}\n",
                   more);
    fixture_open(&f, yaml, 1, NULL, 100);
    for (int64_t i = 0; i < 1200; i++) {
        double x = 5 * sin((double)i * .2618) + .1 * (double)eddy_random_normal(22, (uint64_t)i);
        if (i >= from && i < to) x += 500 * (i % 2 ? 1 : -1);
        const struct eddy_result *r = fixture_feed(&f, i, "key", START + i * STEP, &x);
        if (i == from && i < to) cr_assert(r->anomaly);
    }
    lane_stats(f.lane, &stats);
    fixture_close(&f);
    return stats.updates;
}

Test(learning, windows_with_an_anomaly_in_them_are_left_out_when_told_to)
{
    const int64_t all = steps_with_outliers("", 800, 803);
    const int64_t calm = steps_with_outliers(", incidents: skip", 1300, 1300);
    const int64_t left = steps_with_outliers(", incidents: skip", 800, 803);
    cr_assert_leq(left, all - 2, "%lld of %lld", (long long)left, (long long)all);
    cr_assert_leq(left, calm - 2);
    cr_assert_gt(left, all * 3 / 4);
}

/* One key; events 800..802 have the label `label`, with them or `later` events later.  Returns the optimiser's steps. */
static int64_t steps_with_labels(const char *more, const char *label, int later)
{
    char yaml[256];
    struct fixture_lane f;
    struct lane_stats stats;
    int64_t offset = 0;
    (void)snprintf(yaml, sizeof(yaml),
                   "forecast: {network: {layers: [{gru: {units: 4}}]}}\n"
                   "train: {mode: inline, every: 8, window: 16, epoch: 8, batch: 1%s}\n",
                   more);
    fixture_open(&f, yaml, 1, NULL, 100);
    for (int64_t i = 0; i < 1200; i++) {
        const double x = 5 * sin((double)i * .2618), none = NAN;
        const bool now = later == 0 && i >= 800 && i<803, then = later> 0 && i >= 800 + later && i < 803 + later;
        (void)fixture_feed_label(&f, offset++, "key", START + i * STEP, &x, now ? label : NULL, false);
        if (then) (void)fixture_feed_label(&f, offset++, "key", START + (i - later) * STEP, &none, label, true);
    }
    lane_stats(f.lane, &stats);
    fixture_close(&f);
    return stats.updates;
}

Test(learning, windows_with_an_excluded_label_in_them_are_left_out)
{
    const char *const exclude = ", exclude: [repair, test]";
    const int64_t all = steps_with_labels("", "repair", 0);
    cr_expect_eq(steps_with_labels(exclude, "usual", 0), all);
    const int64_t left = steps_with_labels(exclude, "repair", 0);
    cr_expect(left <= all - 2 && left >= all - 4, "%lld of %lld", (long long)left, (long long)all);
}

Test(learning, an_excluded_label_that_comes_later_counts_while_its_event_is_kept)
{
    const char *const exclude = ", exclude: [repair, test]";
    const int64_t all = steps_with_labels(exclude, "usual", 4), soon = steps_with_labels(exclude, "test", 4);
    cr_expect(soon < all && soon >= all - 4, "%lld of %lld", (long long)soon, (long long)all);
    cr_expect_eq(steps_with_labels(exclude, "test", 300), steps_with_labels(exclude, "usual", 300), "too late");
}
