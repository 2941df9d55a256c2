/* Every family of networks in a lane: the same events give the same results and states however they are cut, evicted and
 * trained; several networks, experts, looking back, classes and labels; and the combinations that are refused. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"

static const struct fixture_stream stream = {.n_keys = 12, .n_values = 2, .gaps = true};
static const int64_t MINUTE = 60000000000;

/* ---- determinism ---- */

struct family {
    char name[24];
    char yaml[420];
};

static struct family families[] = {
    {"lags", "network: {layers: [{lags: {steps: 6}}, {dense: {units: 8}}]}"},
    {"rnn",
     "network: {layers: [{rnn: {units: 6, initial_state: learned, time_decay: true, recurrent_dropout: 0.2}}]}"},
    {"lstm", "network: {layers: [{lstm: {units: 6, layer_norm: true}}]}"},
    {"stack", "network: {residual: true, layers: [{dense: {units: 6}}, {gru: {units: 6}}, {gru: {units: 6}}]}"},
    {"conv1d", "network: {layers: [{conv1d: {filters: 4, kernel: 4, stride: 3}}, {gru: {units: 6}}]}"},
    {"two strides",
     "network: {layers: [{conv1d: {filters: 4, kernel: 4, stride: 2}}, {conv1d: {filters: 4, kernel: 2, "
     "stride: 2}}, {lstm: {units: 5}}]}"},
    {"wavenet", "network: {layers: [{wavenet: {channels: 4, layers: 3, skip: 5}}]}"},
    {"attention", "network: {layers: [{attention: {units: 6, heads: 2, window: 6, positions: time}}]}"},
    {"transformer", "network: {layers: [{dense: {units: 4}}, {transformer: {heads: 2, window: 5, feed_forward: 6}}, "
                    "{transformer: {heads: 1, window: 3, feed_forward: 6}}]}"},
    {"masked",
     "networks: {ahead: {layers: [{gru: {units: 4}}]}, back: {layers: [{masked_encoder: {units: 4, heads: 2, "
     "blocks: 1, feed_forward: 6, window: 8, stride: 2, lag: 3}}], score: reconstruction}}"},
    {"decoder",
     "network: {layers: [{gru: {units: 6}}, {decoder: {layer: {gru: {units: 4}}, teacher_forcing: 0.5}}]}"},
    {"gaussian", "network: {loss: gaussian, layers: [{gru: {units: 6}}]}"},
    {"student", "network: {loss: student_t, layers: [{gru: {units: 6}}]}"},
    {"quantiles", "network: {loss: quantiles, layers: [{gru: {units: 6}}]}"},
    {"look back",
     "networks: {ahead: {layers: [{gru: {units: 4}}]}, back: {layers: [{bidirectional: {layer: {gru: {units: "
     "3}}, lag: 4, center: exclude}}, {dense: {units: 6}}], score: reconstruction}}"},
    {"several",
     "networks: {a: {layers: [{gru: {units: 4}}]}, b: {layers: [{lags: {steps: 3}}], horizons: [3]}}, experts: "
     "[{network: {name: b}}, persistence, {network: {name: a}}]"},
    {"profile best", "profile: best, missing: {default: skip}"},
    {"stacked",
     "network: {layers: [{lstm: {units: 4}}]}, mix: {kind: stack, shrink: 1, horizons: together, extreme: 1}, "
     "experts: [network, {rls: {network: network, lags: [1-3], precision: float}}, persistence]"},
    {"own weights", "networks: {a: {layers: [{gru: {units: 3}}], scope: key}, b: {layers: [{gru: {units: 4}}]}}"},
};
enum { N_FAMILIES = sizeof(families) / sizeof(families[0]), EVENTS = 1500 };

static void outcome(const struct family *f, const char *mode, int chunk, int64_t max_resident, uint64_t *digest,
                    char hash[33])
{
    struct fixture_lane lane;
    char yaml[800];
    (void)snprintf(yaml, sizeof(yaml),
                   "forecast: {horizons: [1, 3], %s}\n"
                   "train: {mode: %s, every: 4, window: 9, epoch: 64, windows: 16, batch: 4}\n",
                   f->yaml, mode);
    fixture_open(&lane, yaml, stream.n_values, NULL, max_resident);
    fixture_run(&lane, &stream, 0, EVENTS, chunk);
    fixture_hash(&lane, hash);
    *digest = lane.digest;
    struct lane_stats stats;
    lane_stats(lane.lane, &stats);
    cr_assert_gt(stats.updates, 20, "%s: training must have happened for the test to mean anything", f->name);
    cr_assert_eq(stats.refused, 0, "%s", f->name);
    fixture_close(&lane);
}

ParameterizedTestParameters(lane_networks, turns_eviction_and_training_mode_change_nothing)
{
    return cr_make_param_array(struct family, families, N_FAMILIES);
}
ParameterizedTest(struct family *f, lane_networks, turns_eviction_and_training_mode_change_nothing)
{
    const char *other = strcmp(f->name, "own weights") == 0 ? "inline" : "background";
    uint64_t one, many;
    char one_hash[33], many_hash[33];
    outcome(f, "inline", 1, 1000, &one, one_hash);
    outcome(f, other, 333, 3, &many, many_hash);
    cr_assert_eq(one, many, "%s: results differ", f->name);
    cr_assert_str_eq(one_hash, many_hash, "%s", f->name);
}

/* ---- several experts ---- */

#define LEARN "train: {mode: inline, every: 4, window: 12, epoch: 64, windows: 32, batch: 8}\n"

Test(lane_networks, a_mix_is_no_worse_than_its_better_half)
{
    static const char *const mixes[] = {
        "forecast: {network: {layers: [{gru: {units: 8}}]}}\n" LEARN,
        "forecast: {network: {layers: [{gru: {units: 8}}]}, experts: [network, persistence]}\n" LEARN};
    double relative[2];
    for (int i = 0; i < 2; i++) {
        struct fixture_lane f;
        fixture_open(&f, mixes[i], 1, NULL, 1000);
        f.errors_from = 3000;
        fixture_run(&f, &(struct fixture_stream){.n_keys = 6, .n_values = 1}, 0, 6000, 100);
        relative[i] = f.squared_error / f.persistence_error;
        fixture_close(&f);
    }
    cr_assert_lt(relative[1], 1);
    cr_assert_lt(relative[1], 1.05 * relative[0], "mixed %g, network alone %g", relative[1], relative[0]);
}

Test(lane_networks, a_network_that_does_not_learn_stays_as_it_is)
{
    struct fixture_lane f;
    struct lane_stats stats;
    fixture_open(&f, "forecast: {network: {layers: [{gru: {units: 4}}], learns: false}}\n" LEARN, 1, NULL, 1000);
    fixture_run(&f, &(struct fixture_stream){.n_keys = 3, .n_values = 1}, 0, 600, 100);
    lane_stats(f.lane, &stats);
    cr_expect_eq(stats.updates, 0);
    cr_expect_eq(stats.model, 0);
    fixture_close(&f);
}

Test(lane_networks, an_expert_alone_forecasts_without_any_network_of_that_kind)
{
    struct fixture_lane f;
    fixture_open(
        &f,
        "forecast: {networks: {kind: {layers: [{gru: {units: 3}}], loss: softmax, classes: [a, b]}}, experts: "
        "[persistence]}\n",
        1, NULL, 10);
    const struct eddy_result *r = fixture_feed(&f, 0, "k", 0, (double[]){7});
    cr_assert_eq(r->forecast[0], 7);
    r = fixture_feed(&f, 1, "k", MINUTE, (double[]){9});
    cr_assert_eq(r->yhat[0], 7);
    fixture_close(&f);
}

/* ---- looking back ---- */

#define BACK                                                                                                         \
    "forecast: {calendar: false, season: none, networks: {ahead: {layers: [{gru: {units: 4}}]}, back: {layers: "     \
    "[{bidirectional: "                                                                                              \
    "{layer: {gru: "                                                                                                 \
    "{units: "                                                                                                       \
    "8}}, lag: 3, center: exclude}}, {dense: {units: 8}}]}}}\ntrain: {mode: inline, every: 2, window: 12, epoch: "   \
    "32, "                                                                                                           \
    "windows: 32, batch: 4}\n"

static double wave(int64_t i)
{
    return 10 * sin((double)i * .4) + 3 * sin((double)i * 1.1);
}

Test(lane_networks, what_is_smoothed_is_the_event_of_lag_steps_ago)
{
    struct fixture_lane f;
    fixture_open(&f, BACK, 1, NULL, 10);
    for (int64_t i = 0; i < 20; i++) {
        const struct eddy_result *r = fixture_feed(&f, i, "k", i * MINUTE, (double[]){wave(i)});
        cr_assert(r->smoothed.y);
        cr_assert_eq(r->smoothed.known, i >= 3);
        if (i < 3) continue;
        cr_assert_eq(r->smoothed.time_ns, (i - 3) * MINUTE);
        cr_assert_eq(r->smoothed.actual[0], wave(i - 3));
    }
    fixture_close(&f);
}

Test(lane_networks, knowing_both_sides_beats_knowing_the_past_alone)
{
    struct fixture_lane f;
    double ahead = 0, back = 0;
    fixture_open(&f, BACK, 1, NULL, 10);
    for (int64_t i = 0; i < 3000; i++) {
        const struct eddy_result *r = fixture_feed(&f, i, "k", i * MINUTE, (double[]){wave(i)});
        if (i < 2000) continue;
        ahead += (r->y[0] - r->yhat[0]) * (r->y[0] - r->yhat[0]);
        back += (r->smoothed.actual[0] - r->smoothed.y[0]) * (r->smoothed.actual[0] - r->smoothed.y[0]);
    }
    cr_assert_lt(back, ahead, "%g %g", back, ahead);
    fixture_close(&f);
}

/* The smoothed value of a step may depend on everything but that step's own value. */
Test(lane_networks, the_smoother_does_not_see_the_value_that_it_estimates)
{
    double smoothed[2];
    for (int spike = 0; spike < 2; spike++) {
        struct fixture_lane f;
        fixture_open(
            &f,
            "train: {mode: off}\nforecast: {scaling: {kind: fixed, deviation: {default: 5}}, networks: {ahead: "
            "{layers: [{gru: {units: 4}}]}, back: {layers: [{bidirectional: {layer: {gru: {units: 8}}, lag: 3, "
            "center: exclude}}]}}}\n",
            1, NULL, 10);
        for (int64_t i = 0; i <= 53; i++) {
            const double x = wave(i) + (i == 50 && spike ? 4 : 0);
            const struct eddy_result *r = fixture_feed(&f, i, "k", i * MINUTE, &x);
            smoothed[spike] = r->smoothed.y[0];
        }
        fixture_close(&f);
    }
    cr_assert_float_eq(smoothed[0], smoothed[1], 1e-9, "%g %g", smoothed[0], smoothed[1]);
}

/* ---- classes ---- */

#define CLASSES                                                                                                      \
    "forecast: {calendar: false, networks: {ahead: {layers: [{gru: {units: 3}}]}, kind: {layers: [{gru: {units: "    \
    "8}}], loss: "                                                                                                   \
    "softmax, "                                                                                                      \
    "classes: [low, high]}}}\ntrain: {mode: inline, every: 4, window: 8, epoch: 32, windows: 32, batch: 4, "         \
    "learning_rate: 0.01}\n"

static const struct eddy_result *feed_label(struct fixture_lane *f, int64_t offset, int64_t time_ns, double x,
                                            const char *label, bool late)
{
    static struct eddy_result result;
    struct eddy_error err = {0};
    const struct lane_event event = {.kind = LANE_EVENT,
                                     .offset = offset,
                                     .event = {.key = "k",
                                               .key_len = 1,
                                               .time_ns = time_ns,
                                               .x = &x,
                                               .label = label,
                                               .label_len = label ? strlen(label) : 0,
                                               .label_only = late}};
    eddy_status taken;
    while ((taken = lane_turn(f->lane, &event, 1, &result, &err)) == 0)
        cr_assert_eq(lane_wait(f->lane, 20000), EDDY_OK);
    cr_assert_eq(taken, 1, "%s", err.message);
    lane_commit(f->lane);
    return &result;
}

static double noise(int64_t i)
{
    return (double)eddy_random_normal(4, (uint64_t)i);
}

/* Share of right classes among the last of `n` events whose label is whether the value is above 0. */
static double right_share(bool late)
{
    struct fixture_lane f;
    int right = 0, counted = 0;
    int64_t offset = 0;
    fixture_open(&f, CLASSES, 1, NULL, 10);
    for (int64_t i = 0; i < 3000; i++) {
        const double x = noise(i);
        const char *label = x > 0 ? "high" : "low";
        const struct eddy_result *r = feed_label(&f, offset++, i * MINUTE, x, late ? NULL : label, false);
        cr_assert_eq(r->classes.n_classes, 2);
        cr_assert_float_eq(r->classes.p[0] + r->classes.p[1], 1, 1e-6);
        if (i >= 2000) {
            counted++;
            right += strcmp(r->classes.label, label) == 0;
        }
        if (late) {
            r = feed_label(&f, offset++, i * MINUTE, NAN, label, true);
            cr_assert(isnan(r->classes.p[0]) && !r->anomaly && r->state == EDDY_STATE_STALE);
        }
    }
    fixture_close(&f);
    return (double)right / counted;
}

Test(lane_networks, classes_are_learned_from_labels_that_come_with_the_event)
{
    cr_assert_gt(right_share(false), .95, "%g", right_share(false));
}

Test(lane_networks, classes_are_learned_from_labels_that_come_later)
{
    cr_assert_gt(right_share(true), .95, "%g", right_share(true));
}

Test(lane_networks, unknown_labels_and_labels_of_unknown_events_change_nothing)
{
    struct fixture_lane f;
    fixture_open(&f, CLASSES, 1, NULL, 10);
    for (int64_t i = 0; i < 20; i++) (void)feed_label(&f, i, i * MINUTE, noise(i), "neither", false);
    (void)feed_label(&f, 20, 5, NAN, "high", true);
    (void)feed_label(&f, 21, 3 * MINUTE, NAN, "neither", true);
    struct lane_stats stats;
    lane_stats(f.lane, &stats);
    cr_assert_eq(stats.events, 20);
    cr_assert_eq(stats.refused, 0);
    fixture_close(&f);
}

/* ---- bands from the head ---- */

Test(lane_networks, a_head_that_knows_its_spread_gives_the_bands)
{
    static const char *const losses[] = {"gaussian", "student_t", "quantiles"};
    for (int k = 0; k < 3; k++) {
        struct fixture_lane f;
        char yaml[300];
        int inside = 0, counted = 0;
        (void)snprintf(
            yaml, sizeof(yaml),
            "forecast: {calendar: false, bands: [0.5, 0.9], network: {loss: %s, layers: [{gru: {units: 6}}]}}\n"
            "train: {mode: inline, every: 4, window: 16, epoch: 32, windows: 32, batch: 4, learning_rate: 0.01}\n",
            losses[k]);
        fixture_open(&f, yaml, 1, NULL, 10);
        for (int64_t i = 0; i < 6000; i++) {
            const struct eddy_result *r = fixture_feed(&f, i, "k", i * MINUTE, (double[]){noise(i)});
            if (i < 3000) continue;
            cr_assert(r->yhat_lower[0] <= r->yhat[0] && r->yhat[0] <= r->yhat_upper[0]);
            counted++;
            inside += r->y[0] >= r->yhat_lower[0] && r->y[0] <= r->yhat_upper[0];
        }
        const double share = (double)inside / counted;
        cr_assert(share > .86 && share < .94, "%s: %g", losses[k], share);
        fixture_close(&f);
    }
}

/* ---- what is refused ---- */

static void expect_refused(const char *forecast, int n_values, const char *reason)
{
    static const char *const names[] = {"a", "b"};
    const struct eddy_schema schema = {.n_values = n_values, .names = names};
    struct eddy_error err = {0};
    struct plan *p;
    char yaml[600];
    (void)snprintf(yaml, sizeof(yaml), "forecast: {%s}\n", forecast);
    struct config *config = fixture_config(yaml);
    cr_expect_lt(plan_open(config_settings(config), &schema, &p, &err), 0, "%s", forecast);
    cr_expect(strstr(err.message, reason), "%s: %s", forecast, err.message);
    config_close(config);
}

Test(lane_networks, what_cannot_be_is_refused_with_its_place_and_reason)
{
    expect_refused("network: {layers: [{decoder: {layer: {gru: {units: 3}}}}]}", 1, "layers.0");
    expect_refused("network: {layers: [{gru: {units: 3}}, {decoder: {layer: {gru: {units: 3}}}}, {dense: {}}]}", 1,
                   "last word");
    expect_refused("network: {layers: [{masked_encoder: {}}, {gru: {units: 3}}]}", 1, "must not see");
    expect_refused("network: {layers: [{gru: {units: 3}}], horizons: [2]}", 1, "horizons: 2 is not among");
    expect_refused("network: {layers: [{conv1d: {kernel: 64, stride: 64}}, {gru: {units: 2}}]}", 1, "never sees");
    expect_refused("network: {layers: [{gru: {units: 3}}, {bidirectional: {layer: {gru: {units: 2}}, lag: 3}}]}", 1,
                   "must not see");
    expect_refused(
        "network: {layers: [{bidirectional: {layer: {gru: {units: 2}}, lag: 3}}], inputs: [level, difference]}", 1,
        "must not see");
    expect_refused("network: {layers: [{bidirectional: {layer: {gru: {units: 2}}, lag: 3}}]}", 1,
                   "nothing forecasts");
    expect_refused("network: {layers: [{gru: {units: 2}}], loss: softmax, classes: [a, b]}", 2, "joint");
    expect_refused("network: {layers: [{gru: {units: 2}}], loss: softmax, classes: [a]}", 1, "at least two");
    expect_refused("network: {layers: [{gru: {units: 2}}], loss: softmax, classes: [a, a]}", 1,
                   "\"a\" is named twice");
    expect_refused("network: {layers: [{gru: {units: 2}}], classes: [a, b]}", 1, "only the losses");
    expect_refused("network: {layers: [{gru: {units: 2}}], score: reconstruction}", 1, "needs a layer with a lag");
    expect_refused("network: {layers: [{gru: {units: 2}}], loss: quantiles, quantiles: [0.1, 0.9]}", 1, "0.5");
    expect_refused("network: {layers: [{gru: {units: 2}}], residual: true}", 1, "residual");
    expect_refused("network: {layers: [{gru: {units: 2}}], inputs: [categories]}", 1, "categories");
    expect_refused("experts: [persistence], network: {layers: [{gru: {units: 4}}]}", 1, "is not among them");
    expect_refused("experts: [{network: {name: other}}]", 1, "other");
    expect_refused("experts: [network, {rls: {network: other}}]", 1, "no network of the name other");
    expect_refused("network: {layers: [{dense: {units: 3}}]}, experts: [network, {rls: {network: network}}]", 1,
                   "shows no hidden outputs");
    expect_refused("networks: {a: {layers: [gru]}, b: {layers: [gru]}}, experts: [network]", 1, "say which");
}
