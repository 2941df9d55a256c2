/* What single events do: late ones, missing values, idle keys, huge numbers, other configurations. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/flow/plan.h"
#include "engine/forecast/volatility.h"
#include "fixture.h"

#define SMALL  "forecast: {horizons: [1, 3], network: {layers: [{gru: {units: 8}}]}}\n"
#define FROZEN SMALL "train: {mode: off}\n"
static const int64_t MINUTE = 60000000000, START = 1700000000000000000;

static struct lane_stats stats_of(const struct fixture_lane *f)
{
    struct lane_stats s;
    lane_stats(f->lane, &s);
    return s;
}

Test(lane, every_event_has_a_result_and_unknown_numbers_are_null)
{
    struct fixture_lane f;
    fixture_open(&f, FROZEN, 1, NULL, 100);
    const struct eddy_result *r = fixture_feed(&f, 0, "k", START, (double[]){5});
    cr_assert_float_eq(r->y[0], 5, 0);
    cr_assert(isnan(r->yhat[0]) && isnan(r->yhat_lower[0]));
    cr_assert_eq(r->state, EDDY_STATE_WARMUP);
    cr_assert(isfinite(r->forecast[0]) && isnan(r->lower[0]), "a forecast needs no error history, its band does");
    r = fixture_feed(&f, 1, "k", START + MINUTE, (double[]){6});
    cr_assert(isfinite(r->yhat[0]));
    cr_assert(isfinite(r->lower[0]) && r->lower[0] <= r->upper[0]);
    fixture_close(&f);
}

Test(lane, an_untrained_network_forecasts_close_to_the_last_value)
{
    struct fixture_lane f;
    fixture_open(&f, FROZEN, 1, NULL, 100);
    for (int i = 0; i < 20; i++) {
        const struct eddy_result *r = fixture_feed(&f, i, "k", START + i * MINUTE, (double[]){1000 + i % 2});
        if (i > 2) cr_assert_float_eq(r->yhat[0], 1000 + (i + 1) % 2, 4, "got %g", r->yhat[0]);
    }
    fixture_close(&f);
}

/* Or a mix would count its later errors by those: expert after expert would be as bad as the other. */
Test(lane, while_all_values_are_0_a_network_says_nothing_else)
{
    struct fixture_lane f;
    fixture_open(&f, FROZEN, 1, NULL, 100);
    for (int i = 0; i < 20; i++) {
        const struct eddy_result *r = fixture_feed(&f, i, "k", START + i * MINUTE, (double[]){0});
        cr_assert_float_eq(r->forecast[0], 0, 0, "got %g", r->forecast[0]);
    }
    (void)fixture_feed(&f, 20, "k", START + 20 * MINUTE, (double[]){1});
    const struct eddy_result *r = fixture_feed(&f, 21, "k", START + 21 * MINUTE, (double[]){0});
    cr_assert(r->forecast[0] != 0, "once it has moved it has a scale");
    fixture_close(&f);
}

Test(lane, late_events_are_folded_and_counted_by_default)
{
    struct fixture_lane f;
    fixture_open(&f, FROZEN, 1, NULL, 100);
    fixture_feed(&f, 0, "k", START + 10 * MINUTE, (double[]){1});
    const struct eddy_result *r = fixture_feed(&f, 1, "k", START, (double[]){2});
    cr_assert_eq(r->time_ns, START, "the result carries the event's own time");
    cr_assert_neq(r->state, EDDY_STATE_STALE);
    fixture_feed(&f, 2, "k", START + 10 * MINUTE, (double[]){2});
    struct lane_stats s = stats_of(&f);
    cr_assert_eq(s.late, 1);
    cr_assert_eq(s.duplicates, 1, "equal times count as duplicates");
    cr_assert_eq(s.events, 3);
    fixture_close(&f);
}

Test(lane, late_events_can_be_dropped_and_are_answered_all_the_same)
{
    struct fixture_lane f;
    char before[33], after[33];
    fixture_open(&f, FROZEN "late: drop\n", 1, NULL, 100);
    fixture_feed(&f, 0, "k", START + 10 * MINUTE, (double[]){1});
    struct lane_stats s = stats_of(&f);
    fixture_hash(&f, before);
    const struct eddy_result *r = fixture_feed(&f, 1, "k", START, (double[]){99});
    cr_assert_eq(r->state, EDDY_STATE_STALE);
    cr_assert_float_eq(r->y[0], 99, 0);
    cr_assert_eq(stats_of(&f).events, s.events, "nothing was folded");
    fixture_hash(&f, after);
    cr_assert_str_neq(before, after, "the position moved on");
    fixture_close(&f);
}

Test(lane, missing_values_give_no_evidence_and_no_nan)
{
    static const char *const policies[] = {"last", "forecast", "skip"};
    for (int p = 0; p < 3; p++) {
        char yaml[256];
        struct fixture_lane f;
        (void)snprintf(
            yaml, sizeof(yaml),
            "forecast: {horizons: [1, 3], missing: {default: %s}, network: {layers: [{gru: {units: 8}}]}}\n"
            "train: {mode: inline, every: 4, window: 8, epoch: 16}\n",
            policies[p]);
        fixture_open(&f, yaml, 2, NULL, 100);
        for (int i = 0; i < 400; i++) {
            double x[] = {i % 5 == 0 ? NAN : sin(i * .1), i < 100 ? NAN : cos(i * .1)};
            const struct eddy_result *r = fixture_feed(&f, i, "k", START + i * MINUTE, x);
            cr_assert(isfinite(r->score) && isfinite(r->evidence));
            if (i > 20 && i % 5 != 0) cr_assert(isfinite(r->forecast[0]), "%s at %d", policies[p], i);
            if (i < 100) cr_assert(isnan(r->forecast[1]), "a value never seen has no forecast");
            if (i > 110 && i % 5 != 0) cr_assert(isfinite(r->forecast[1]));
        }
        fixture_close(&f);
    }
}

Test(lane, hostile_series_leave_no_nan_in_results_or_state)
{
    static const double values[] = {0, 1e308, -1e308, 1e-310, 5, 1e150, 0, 0, 1e9, -1e9, 4.9e-324, 1.7e308};
    char dir[] = "/tmp/eddy-test-XXXXXX", path[64];
    struct eddy_error err = {0};
    struct fixture_lane f;
    cr_assert(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s.db", dir);
    fixture_open(&f, SMALL "train: {mode: inline, every: 4, window: 8, epoch: 16}\n", 1, path, 100);
    for (int i = 0; i < 2000; i++) {
        double x = i < 500 ? 7 : values[(unsigned)i * 7 % 12];
        const struct eddy_result *r = fixture_feed(&f, i, "k", START + i * MINUTE, &x);
        cr_assert(r->score >= 0 && r->score <= 1 && r->evidence >= 0 && r->evidence <= 1);
        cr_assert(!isinf(r->forecast[0]) && !isinf(r->yhat[0]));
        if (i < 500) cr_assert(!r->anomaly, "a constant series is no anomaly");
    }
    cr_assert_geq(lane_checkpoint(f.lane, &err), 0, "%s", err.message);
    cr_assert_gt(store_verify(f.store, &f.plan->layout, &err), 0, "%s", err.message);
    fixture_close(&f);
    unlink(path);
    rmdir(dir);
}

Test(lane, a_key_idle_for_longer_than_the_ttl_starts_anew)
{
    struct fixture_lane f;
    fixture_open(&f, FROZEN "state: {ttl: 1h}\n", 1, NULL, 100);
    for (int i = 0; i < 10; i++) fixture_feed(&f, i, "old", START + i * MINUTE, (double[]){i});
    for (int i = 0; i < 90; i++) fixture_feed(&f, 10 + i, "other", START + (10 + i) * MINUTE, (double[]){i});
    const struct eddy_result *r = fixture_feed(&f, 100, "old", START + 100 * MINUTE, (double[]){3});
    cr_assert(isnan(r->yhat[0]), "nothing is known of it any more");
    cr_assert_eq(stats_of(&f).expired, 1);
    fixture_close(&f);
}

Test(lane, one_time_stamp_from_the_far_future_forgets_nobody)
{
    struct fixture_lane f;
    fixture_open(&f, FROZEN "state: {ttl: 1h}\n", 1, NULL, 100);
    for (int i = 0; i < 10; i++) fixture_feed(&f, i, "k", START + i * MINUTE, (double[]){i});
    fixture_feed(&f, 10, "broken clock", START + 9000000 * MINUTE, (double[]){1});
    const struct eddy_result *r = fixture_feed(&f, 11, "k", START + 10 * MINUTE, (double[]){10});
    cr_assert(isfinite(r->yhat[0]));
    fixture_close(&f);
}

Test(lane, a_forgotten_key_starts_anew)
{
    struct fixture_lane f;
    struct eddy_error err = {0};
    struct eddy_result result;
    fixture_open(&f, FROZEN, 1, NULL, 100);
    for (int i = 0; i < 10; i++) fixture_feed(&f, i, "k", START + i * MINUTE, (double[]){i});
    const struct lane_event forget = {LANE_FORGET, 10, {.key = "k", .key_len = 1}, NULL};
    cr_assert_eq(lane_turn(f.lane, &forget, 1, &result, &err), 1);
    lane_commit(f.lane);
    cr_assert(isnan(fixture_feed(&f, 11, "k", START + 11 * MINUTE, (double[]){1})->yhat[0]));
    const struct lane_event unknown = {LANE_FORGET, 12, {.key = "never seen", .key_len = 10}, NULL};
    cr_assert_eq(lane_turn(f.lane, &unknown, 1, &result, &err), 1);
    lane_commit(f.lane);
    cr_assert_eq(lane_next(f.lane), 13);
    cr_assert_eq(stats_of(&f).keys_resident, 1, "a tombstone makes no row");
    fixture_close(&f);
}

Test(lane, an_offset_that_was_folded_is_refused)
{
    struct fixture_lane f;
    struct eddy_error err = {0};
    struct eddy_result result;
    double x = 1;
    fixture_open(&f, FROZEN, 1, NULL, 100);
    fixture_feed(&f, 5, "k", START, &x);
    const struct lane_event again = {LANE_EVENT, 5, {.key = "k", .key_len = 1, .time_ns = START, .x = &x}, NULL};
    cr_assert_eq(lane_turn(f.lane, &again, 1, &result, &err), EDDY_ECORRUPT);
    cr_assert(strstr(err.message, "offset 5"), "%s", err.message);
    lane_abort(f.lane);
    fixture_close(&f);
}

Test(lane, a_spike_does_not_excuse_itself)
{
    struct fixture_lane f;
    fixture_open(&f, SMALL "train: {mode: inline, every: 4, window: 8, epoch: 64}\n", 1, NULL, 100);
    bool hit = false;
    for (int i = 0; i < 1200; i++) {
        double x = sin(i * .2) + .05 * (double)eddy_random_normal(3, (uint64_t)i) + (i == 1100 ? 30 : 0);
        const struct eddy_result *r = fixture_feed(&f, i, "k", START + i * MINUTE, &x);
        if (i == 1100) hit = r->evidence >= .4;
    }
    cr_assert(hit);
    fixture_close(&f);
}

Test(lane, a_detector_prepares_its_state_for_every_new_key)
{
    struct fixture_lane f;
    fixture_open(&f, FROZEN "detect: {warmup: 0, detectors: [primed]}\nstate: {ttl: 1h}\n", 1, NULL, 1);
    for (int i = 0; i < 40; i++) { /* one of the two is always evicted */
        const char *key = i % 2 ? "a" : "b";
        cr_assert_eq(fixture_feed(&f, i, key, START + i * MINUTE, (double[]){i})->evidence, .25);
    }
    for (int i = 40; i < 120; i++) fixture_feed(&f, i, "b", START + i * MINUTE, (double[]){1});
    cr_assert_eq(fixture_feed(&f, 120, "a", START + 120 * MINUTE, (double[]){1})->evidence, .25,
                 "expired, so new again");
    cr_assert_eq(stats_of(&f).expired, 1);
    fixture_close(&f);
}

Test(lane, a_broken_clock_forgets_nobody_even_when_it_comes_first)
{
    for (int wrong = 1; wrong <= 15; wrong += 7) {
        struct fixture_lane f;
        fixture_open(&f, FROZEN "state: {ttl: 1h}\n", 1, NULL, 100);
        int64_t offset = 0;
        for (int i = 0; i < wrong; i++)
            fixture_feed(&f, offset++, "broken", START + (9000000 + i) * MINUTE, (double[]){1});
        for (int i = 0; i < 300; i++) {
            const struct eddy_result *r = fixture_feed(&f, offset++, i % 2 ? "a" : "b", START + i * MINUTE,
                                                       (double[]){i});
            if (i >= 2) cr_assert(isfinite(r->yhat[0]), "event %d", i);
            if (i % 50 == 49) fixture_feed(&f, offset++, "broken", START + 9000000 * MINUTE, (double[]){1});
        }
        cr_assert_eq(stats_of(&f).expired, 0);
        fixture_close(&f);
    }
}

Test(lane, after_a_long_silence_of_the_whole_partition_keys_start_anew)
{
    struct fixture_lane f;
    fixture_open(&f, FROZEN "state: {ttl: 1h}\n", 1, NULL, 100);
    for (int i = 0; i < 60; i++) fixture_feed(&f, i, i % 2 ? "a" : "b", START + i * MINUTE, (double[]){i});
    for (int i = 60; i < 90; i++) fixture_feed(&f, i, "a", START + (i + 10000) * MINUTE, (double[]){i});
    cr_assert(isnan(fixture_feed(&f, 90, "b", START + 10090 * MINUTE, (double[]){1})->yhat[0]));
    fixture_close(&f);
}

/* ---- other configurations over the same state ---- */

/* Runs `first`, then `second` with state.on_change: reset over the same state; the results right after the change must
 * claim nothing that was not forecast. */
static void reset_to(const char *first, const char *second)
{
    char dir[] = "/tmp/eddy-test-XXXXXX", path[64], yaml[512];
    struct eddy_error err = {0};
    struct fixture_lane f;
    cr_assert(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s.db", dir);
    fixture_open(&f, first, 1, path, 100);
    for (int i = 0; i < 300; i++) fixture_feed(&f, i, "k", START + i * MINUTE, (double[]){1000 + i % 7});
    cr_assert_geq(lane_checkpoint(f.lane, &err), 0, "%s", err.message);
    fixture_close(&f);
    (void)snprintf(yaml, sizeof(yaml), "%sstate: {on_change: reset}\n", second);
    fixture_open(&f, yaml, 1, path, 100);
    for (int i = 300; i < 600; i++) {
        const struct eddy_result *r = fixture_feed(&f, i, "k", START + i * MINUTE, (double[]){1000 + i % 7});
        cr_assert(isnan(r->yhat[0]) || (r->yhat[0] > 900 && r->yhat[0] < 1100), "yhat %g at %d", r->yhat[0], i);
        cr_assert_not(r->anomaly, "at %d", i);
    }
    struct lane_stats stats = stats_of(&f);
    if (f.trainer) cr_assert_lt(stats.loss, 1, "trained on labels that never were: loss %g", stats.loss);
    fixture_close(&f);
    unlink(path);
    rmdir(dir);
}

Test(lane, a_reset_to_other_horizons_forecasts_nothing_that_was_not_forecast)
{
    reset_to("forecast: {horizons: [1], season: none}\ntrain: {mode: off}\n",
             "forecast: {horizons: [1, 4], season: none}\ntrain: {mode: off}\n");
}

Test(lane, a_reset_to_another_window_learns_nothing_that_did_not_happen)
{
    reset_to("train: {mode: inline, every: 8, window: 8, epoch: 16}\n",
             "train: {mode: inline, every: 8, window: 16, epoch: 16}\n");
}

static void reopen_as(const char *first, const char *second, uint32_t version, eddy_status expected, const char *text)
{
    static const char *const names[] = {"a"};
    char dir[] = "/tmp/eddy-test-XXXXXX", path[64];
    struct eddy_error err = {0};
    struct fixture_lane f;
    cr_assert(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s.db", dir);
    fixture_open(&f, first, 1, path, 100);
    for (int i = 0; i < 50; i++) fixture_feed(&f, i, "k", START + i * MINUTE, (double[]){i});
    cr_assert_geq(lane_checkpoint(f.lane, &err), 0, "%s", err.message);
    fixture_close(&f);

    struct config *config = fixture_config(second);
    const struct eddy_choices *judges = &config_settings(config)->detect.detectors;
    struct eddy_choice *judge = (struct eddy_choice *)(uintptr_t)judges->item;
    struct eddy_detector newer = *(const struct eddy_detector *)(const void *)judge->part;
    newer.state_version = version ? version : newer.state_version;
    judge->part = &newer.part;
    struct plan *plan;
    struct lane *lane = NULL;
    struct store *store;
    struct trainer *trainer;
    const struct store_identity id = {"test", "topic", 0};
    const struct eddy_schema schema = {.n_values = 1, .names = names};
    cr_assert_geq(plan_open(config_settings(config), &schema, &plan, &err), 0);
    cr_assert_geq(trainer_open(TRAIN_INLINE, &trainer, &err), 0);
    cr_assert_geq(store_open(path, &id, STORE_WRITE, &store, &err), 0, "%s", err.message);
    const struct lane_request request = {plan, "topic", 0, store, trainer, 100, NULL, NULL};
    cr_assert_eq(lane_open(&request, &lane, &err), expected, "%s", err.message);
    if (text) cr_assert(strstr(err.message, text), "%s", err.message);
    if (lane) cr_assert_eq(lane_next(lane), 50);
    lane_close(lane);
    store_close(store);
    trainer_close(trainer);
    plan_close(plan);
    config_close(config);
    unlink(path);
    rmdir(dir);
}

static void reopen(const char *first, const char *second, eddy_status expected, const char *text)
{
    reopen_as(first, second, 0, expected, text);
}

#define PRIMED FROZEN "detect: {detectors: [primed, exceedance]}\n"
Test(lane, a_state_of_another_version_of_a_part_is_refused_by_that_and_not_as_another_configuration)
{
    reopen_as(PRIMED, PRIMED, 2, EDDY_EMISMATCH,
              "another version of a part: section detect.0.primed by version 1, this is version 2");
    reopen_as(PRIMED, PRIMED "state: {on_change: reset}\n", 2, EDDY_OK, NULL);
    reopen_as(PRIMED, FROZEN "detect: {detectors: [exceedance, primed]}\n", 0, EDDY_EMISMATCH,
              "another configuration: section detect.0");
}

Test(lane, a_changed_network_is_refused_by_name)
{
    reopen(FROZEN, "forecast: {horizons: [1, 3], network: {layers: [{gru: {units: 9}}]}}\ntrain: {mode: off}\n",
           EDDY_EMISMATCH, "units=9");
}

Test(lane, a_changed_network_is_reset_when_told_to)
{
    reopen(FROZEN,
           "forecast: {horizons: [1, 3], network: {layers: [{gru: {units: 9}}]}}\ntrain: {mode: off}\n"
           "state: {on_change: reset}\n",
           EDDY_OK, NULL);
}

Test(lane, other_horizons_of_the_same_number_and_sum_are_refused)
{
    reopen("forecast: {horizons: [1, 4]}\ntrain: {mode: off}\n", "forecast: {horizons: [2, 3]}\ntrain: {mode: off}\n",
           EDDY_EMISMATCH, "\"horizons 1 4\", the configuration \"horizons 2 3\"");
    reopen("forecast: {bands: [0.5, 0.9]}\ntrain: {mode: off}\n",
           "forecast: {bands: [0.1, 0.2]}\ntrain: {mode: off}\n", EDDY_EMISMATCH, "bands");
}

Test(lane, another_fixed_scale_is_refused_by_name)
{
    reopen("forecast: {scaling: {kind: fixed, mean: {default: 1}}}\ntrain: {mode: off}\n",
           "forecast: {scaling: {kind: fixed, mean: {default: 2}}}\ntrain: {mode: off}\n", EDDY_EMISMATCH, "mean 2");
}

Test(lane, fewer_training_windows_than_are_stored_are_no_damage)
{
    reopen(SMALL "train: {mode: inline, every: 1, window: 8, epoch: 8, windows: 64}\n",
           SMALL "train: {mode: inline, every: 1, window: 8, epoch: 8, windows: 2}\n", EDDY_OK, NULL);
}

Test(lane, another_activation_is_another_network)
{
    reopen("forecast: {network: {layers: [{dense: {units: 8, activation: relu}}]}}\ntrain: {mode: off}\n",
           "forecast: {network: {layers: [{dense: {units: 8, activation: tanh}}]}}\ntrain: {mode: off}\n",
           EDDY_EMISMATCH, "another network");
}

Test(lane, a_changed_learning_rate_changes_nothing_that_is_stored)
{
    reopen(SMALL "train: {mode: inline, every: 4, window: 8}\n",
           SMALL "train: {mode: inline, every: 4, window: 8, learning_rate: 0.01}\n", EDDY_OK, NULL);
}

Test(lane, attribution_takes_detectors_by_their_evidence_and_not_by_the_scale_of_their_parts)
{
    struct fixture_lane f;
    fixture_open(&f, FROZEN "detect: {warmup: 0, detectors: [loud, soft]}\n", 2, NULL, 1);
    const struct eddy_result *r = fixture_feed(&f, 0, "k", START, (double[]){1, 2});
    cr_expect_float_eq((double)r->attribution[0], .4, 1e-6);
    cr_expect_float_eq((double)r->attribution[1], .6, 1e-6);
    fixture_close(&f);
}

/* A value that rises by 1 an event, of which every fifth is there: in the course of five seasons at each of their steps. */
static void feed_gaps(struct fixture_lane *f, const char *missing, char path[24])
{
    char yaml[200];
    (void)snprintf(yaml, sizeof(yaml),
                   "forecast: {experts: [persistence, rls], season: 24, volatility: ewma, missing: {default: %s}}\n"
                   "train: {mode: off}\n",
                   missing);
    (void)snprintf(path, 24, "/tmp/eddy-gaps-XXXXXX");
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    unlink(path);
    fixture_open(f, yaml, 1, path, 1);
    for (int i = 0; i < 2000; i++)
        fixture_feed(f, i, "k", START + i * MINUTE, (double[]){i % 5 ? (double)NAN : (double)i});
    struct eddy_error err = {0};
    cr_assert_eq(lane_checkpoint(f->lane, &err), EDDY_OK, "%s", err.message);
}

static const unsigned char *gaps_row(struct fixture_lane *f)
{
    struct eddy_error err = {0};
    struct stored_row r;
    cr_assert_geq(store_get_row(f->store, "k", 1, &r, &err), 0, "%s", err.message);
    return r.row;
}

Test(lane, a_change_over_a_gap_is_not_taken_for_one_of_a_single_step)
{
    struct fixture_lane f;
    char path[24];
    feed_gaps(&f, "last", path);
    const struct season_profile *p = (const void *)(gaps_row(&f) + f.plan->at_season);
    for (int b = 0; b < 24; b++) cr_expect_float_eq((double)p->rate[b], 1, .1, "%d: %g", b, (double)p->rate[b]);
    const struct volatility *v = (const void *)(gaps_row(&f) + f.plan->at_changes);
    cr_expect_float_eq((double)volatility_scale(v, 5), 5, 1e-5, "5 in five steps");
    fixture_close(&f);
    unlink(path);

    feed_gaps(&f, "skip", path);
    v = (const void *)(gaps_row(&f) + f.plan->at_changes);
    cr_expect_float_eq((double)volatility_scale(v, 1), 5, 1e-5, "events without a value are no steps");
    fixture_close(&f);
    unlink(path);
}
