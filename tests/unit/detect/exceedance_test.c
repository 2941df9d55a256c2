/* The standard detector and its parts. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "eddy_layer.h"
#include "engine/detect/detectors.h"
#include "engine/detect/rank.h"
#include "engine/math/tail.h"
#include "tests/unit/setting.h"

Test(rank, is_the_share_of_larger_residuals)
{
    struct rank r = {0};
    for (int i = 0; i < 10000; i++) rank_add(&r, (double)eddy_random_uniform(1, (uint64_t)i));
    for (double e = .05; e < 1; e += .05)
        cr_assert_float_eq(rank_p(&r, e), 1 - e, .03, "p(%g) = %g", e, rank_p(&r, e));
}

Test(rank, falls_as_residuals_grow_and_never_reaches_zero)
{
    struct rank r = {0};
    for (int i = 0; i < 1000; i++) rank_add(&r, 1e-3 * (double)eddy_random_normal(1, (uint64_t)i));
    double last = 1;
    for (double e = 1e-9; e < 1e9; e *= 1.3) {
        double p = rank_p(&r, e);
        cr_assert(p > 0 && p <= last);
        last = p;
    }
}

Test(rank, survives_more_residuals_than_a_bin_can_count)
{
    struct rank r = {0};
    for (int i = 0; i < 200000; i++) rank_add(&r, 1);
    rank_add(&r, 1000);
    cr_assert_lt(rank_p(&r, 1000), 1e-3);
    cr_assert_gt(rank_p(&r, .5), .9);
}

/* `first` comes before 2000 normal residuals, after `idle` of exactly 0. */
static struct rank rank_begun_with(int idle, double first)
{
    struct rank r = {0};
    for (int i = 0; i < idle; i++) rank_add(&r, 0);
    rank_add(&r, first);
    for (int i = 0; i < 2000; i++) rank_add(&r, (double)eddy_random_normal(3, (uint64_t)i));
    return r;
}

/* A series that stands still at first has residuals of rounding alone. */
Test(rank, knows_the_size_of_residuals_though_the_first_was_rounding)
{
    const double first[] = {1e-8, 1e-17, 1e-24};
    for (int i = 0; i < 6; i++) {
        const struct rank r = rank_begun_with(i / 3 * 200, first[i % 3]);
        const double all = 1 + i / 3 * .1;
        cr_expect_float_eq(rank_p(&r, .1), .92 / all, .05, "%g: %g", first[i % 3], rank_p(&r, .1));
        cr_expect_float_eq(rank_p(&r, 1), .317 / all, .05, "%g: %g", first[i % 3], rank_p(&r, 1));
        cr_expect_lt(rank_p(&r, 5), .02, "%g: %g", first[i % 3], rank_p(&r, 5));
    }
}

Test(rank, a_few_huge_residuals_do_not_hide_the_size_of_the_usual_ones)
{
    struct rank r = rank_begun_with(0, 1);
    for (int i = 0; i < 2000; i++) {
        rank_add(&r, (double)eddy_random_normal(4, (uint64_t)i));
        if (i % 50 == 0) rank_add(&r, 1e300);
    }
    cr_expect_float_eq(rank_p(&r, 1), .33, .03, "%g", rank_p(&r, 1));
}

/* Zeros before the first one, residuals that outgrow the axis, and what is no number: 70,000 also fill a bin. */
Test(rank, taken_residuals_are_asked_for_and_then_added)
{
    struct rank taken = {0}, added = {0};
    for (int i = 0; i < 70000; i++) {
        const double size = i < 30 ? 0 : i % 97 == 0 ? INFINITY : i % 89 == 0 ? NAN : i < 3000 ? 1e-9 : 1e6;
        const double residual = size * (i % 3 ? 1 : (double)eddy_random_normal(5, (uint64_t)i));
        const double p = rank_p(&added, residual), level = i % 2 ? .1 : i % 100 / 99.;
        rank_add(&added, residual);
        cr_assert_eq(rank_take_below(&taken, residual, level), p < level, "residual %d", i);
        cr_assert_arr_eq(&taken, &added, sizeof(taken), "after residual %d", i);
    }
}

/* Whatever bin the residual is in: every larger one counts, and counts once. */
Test(rank, counts_the_larger_ones_of_any_bin_exactly)
{
    struct rank r = {.origin = 0, .known = 1};
    for (int i = 0; i < RANK_BINS; i++) {
        r.bins[i] = (uint16_t)(i % 7 == 0 ? UINT16_MAX : i * 131);
        r.n += r.bins[i];
    }
    for (int own = 0; own < RANK_BINS; own++) { /* bin 63 begins at 1, and three of them are an octave */
        const double residual = ldexp(1 + (own % 3 + .125) / 3, own / 3 - 21);
        double larger = 0;
        for (int i = own + 1; i < RANK_BINS; i++) larger += r.bins[i];
        const double p = (larger + r.bins[own] * .875 + .5) / ((double)r.n + 1);
        cr_assert_float_eq(rank_p(&r, residual), p, 1e-12, "bin %d", own);
        const double exact = rank_p(&r, residual);
        struct rank below = r, not_below = r;
        cr_assert(rank_take_below(&below, residual, nextafter(exact, 2)), "bin %d", own);
        cr_assert_not(rank_take_below(&not_below, residual, exact), "bin %d", own);
    }
}

Test(tail, is_minus_log10_of_the_normal_tail)
{
    for (double z = -.99; z < 8; z += .01) {
        double exact = -log10(.5 * erfc(z / sqrt(2)));
        double found;
        tail_minus_log10(1, &z, &found);
        cr_assert_float_eq(found, exact, .01 * exact + .004, "z %g", z);
    }
    const double odd[] = {NAN, -INFINITY, INFINITY, -1};
    double found[4];
    tail_minus_log10(4, odd, found);
    cr_assert_eq(found[0], 0);
    cr_assert_eq(found[1], 0);
    cr_assert_eq(found[2], tail_table[TAIL_STEPS]);
    cr_assert_eq(found[3], 0);
}

/* ---- the whole detector ---- */

struct series {
    void *settings, *state;
    double score, evidence, support;
    int64_t n;
};

static void series_open(struct series *s)
{
    struct eddy_error err = {0};
    const struct eddy_detector *d = &detector_exceedance;
    *s = (struct series){.settings = calloc(1, d->part.settings_size), .support = NAN};
    cr_assert_geq(config_part_defaults(&d->part, s->settings, &err), 0, "%s", err.message);
    s->state = calloc(1, d->state_bytes(s->settings, 1, 1));
}

static void series_close(struct series *s)
{
    free(s->settings);
    free(s->state);
}

static void series_add(struct series *s, double x, double residual)
{
    static const int horizons[] = {1};
    float attribution[1] = {0};
    struct eddy_verdict verdict = {.attribution = attribution};
    const struct eddy_evidence in = {.n_values = 1,
                                     .n_horizons = 1,
                                     .horizons = horizons,
                                     .x = &x,
                                     .residual = &residual,
                                     .count = s->n++,
                                     .threshold = .4,
                                     .warmup = s->n < 50,
                                     .support = s->support};
    detector_exceedance.judge(s->settings, s->state, &in, &verdict);
    s->score = verdict.score;
    s->evidence = verdict.evidence;
    cr_assert(verdict.score >= 0 && verdict.evidence <= 1 && verdict.score <= verdict.evidence);
}

static double noise(int i)
{
    return (double)eddy_random_normal(11, (uint64_t)i);
}

Test(exceedance, is_quiet_on_noise)
{
    struct series s;
    int alarms = 0;
    series_open(&s);
    for (int i = 0; i < 5000; i++) {
        series_add(&s, noise(i), noise(i));
        alarms += i > 300 && s.score >= .4;
    }
    cr_assert_leq(alarms, 12, "%d alarms in 4,700 events", alarms);
    series_close(&s);
}

Test(exceedance, alarms_when_residuals_stay_large_and_is_mute_afterwards)
{
    struct series s;
    int alarms = 0, first = -1;
    series_open(&s);
    for (int i = 0; i < 2000; i++) series_add(&s, noise(i), noise(i));
    for (int i = 0; i < 60; i++) {
        series_add(&s, noise(i) / 2, 3 + noise(i));
        if (s.score >= .4) {
            alarms++;
            if (first < 0) first = i;
        }
    }
    cr_assert(first >= 0 && first < 30, "first alarm after %d events", first);
    cr_assert_eq(alarms, 1, "one row per alert: the mute lasts 100 events here");
    cr_assert_gt(s.evidence, .4, "evidence goes on under the mute");
    series_close(&s);
}

Test(exceedance, one_huge_residual_counts_once_but_a_new_extreme_is_novel)
{
    struct series s;
    series_open(&s);
    for (int i = 0; i < 1000; i++) series_add(&s, noise(i), noise(i));
    series_add(&s, 0, 1e12);
    cr_assert_lt(s.evidence, .4);
    series_add(&s, 100, 100);
    cr_assert_eq(s.evidence, 1);
    series_close(&s);
}

Test(exceedance, a_missing_value_moves_nothing)
{
    struct series s;
    series_open(&s);
    for (int i = 0; i < 100; i++) series_add(&s, noise(i), noise(i));
    size_t bytes = detector_exceedance.state_bytes(s.settings, 1, 1);
    void *before = malloc(bytes);
    memcpy(before, s.state, bytes);
    series_add(&s, NAN, NAN);
    cr_assert_eq(s.evidence, 0);
    cr_assert_eq(memcmp(before, s.state, bytes), 0);
    free(before);
    series_close(&s);
}

/* How many alarms 60 rows of large residuals raise, when another detector is as near an alarm as `support` says. */
static int alarms_with(double gate, double support)
{
    struct series s;
    int alarms = 0;
    series_open(&s);
    double *setting = (double *)((char *)s.settings + 7 * sizeof(double));
    cr_assert_eq(*setting, 0, "gate is not where this test thinks");
    *setting = gate;
    for (int i = 0; i < 2000; i++) series_add(&s, noise(i), noise(i));
    for (int i = 0; i < 60; i++) {
        s.support = i < 20 || isnan(support) ? support : 0;
        series_add(&s, noise(i) / 2, 3 + noise(i));
        alarms += s.score >= .4;
    }
    series_close(&s);
    return alarms;
}

Test(exceedance, behind_a_gate_counts_only_with_the_support_of_another_detector)
{
    cr_assert_eq(alarms_with(0, .1), 1, "no gate");
    cr_assert_eq(alarms_with(.6, .7), 1, "support");
    cr_assert_eq(alarms_with(.6, .5), 0, "too little support");
    cr_assert_eq(alarms_with(.6, NAN), 1, "nobody to ask");
}

Test(exceedance, refuses_a_mute_that_ends_before_it_begins)
{
    struct eddy_error err = {0};
    struct series s;
    series_open(&s);
    cr_assert_eq(detector_exceedance.part.check(s.settings, &err), EDDY_OK);
    int64_t *mute_max = (int64_t *)s.settings + 6;
    cr_assert_eq(*mute_max, 150);
    *mute_max = 3;
    cr_assert_eq(detector_exceedance.part.check(s.settings, &err), EDDY_ECONFIG);
    series_close(&s);
}

/* ---- options ---- */

static void series_set(struct series *s, const char *option, double value)
{
    test_set(&detector_exceedance.part, s->settings, option, value);
}

static void series_windows(struct series *s, const int *windows, int n)
{
    *(struct eddy_ints *)test_setting(&detector_exceedance.part, s->settings,
                                      "windows") = (struct eddy_ints){n, windows};
}

/* Evidence after 2,000 ordinary rows and `rows` with a large residual. */
static double evidence_after(struct series *s, int rows)
{
    for (int i = 0; i < 2000; i++) series_add(s, noise(i), noise(i));
    for (int i = 0; i < rows; i++) series_add(s, noise(i) / 2, 3 + noise(i));
    return s->evidence;
}

Test(exceedance, decades_say_how_improbable_is_certain)
{
    double evidence[3];
    static const double decades[3] = {5, 10, 18};
    for (int i = 0; i < 3; i++) {
        struct series s;
        series_open(&s);
        series_set(&s, "decades", decades[i]);
        series_set(&s, "marginal_weight", 0);
        evidence[i] = evidence_after(&s, 4);
        series_close(&s);
    }
    cr_assert(evidence[1] > 0 && evidence[0] < .999, "%g", evidence[0]);
    cr_assert_float_eq(evidence[0], 2 * evidence[1], 1e-9);
    cr_assert_float_eq(evidence[2], evidence[1] * 10 / 18, 1e-9);
}

Test(exceedance, shorter_windows_say_more_of_a_short_fault)
{
    static const int few[] = {4}, many[] = {50, 55};
    struct series s, t;
    series_open(&s);
    series_open(&t);
    series_windows(&s, few, 1);
    series_windows(&t, many, 2);
    cr_assert_gt(evidence_after(&s, 4), 1.5 * evidence_after(&t, 4));
    series_close(&s);
    series_close(&t);
}

Test(exceedance, a_long_window_counts_alone)
{
    double evidence[2];
    for (int i = 0; i < 2; i++) {
        static const int never[] = {64};
        struct series s;
        series_open(&s);
        series_windows(&s, never, 1);
        series_set(&s, "marginal_weight", 0);
        *(int64_t *)test_setting(&detector_exceedance.part, s.settings, "long_window") = i ? 4 : 64;
        evidence[i] = evidence_after(&s, 4);
        series_close(&s);
    }
    cr_assert_gt(evidence[1], 1.5 * evidence[0]);
}

/* Evidence of values that have moved away as far as three of their deviations, when the forecast has followed. */
static double evidence_of_a_move(const char *option, double value)
{
    struct series s;
    series_open(&s);
    if (option) series_set(&s, option, value);
    for (int i = 0; i < 2000; i++) series_add(&s, noise(i), noise(i) * 1e-3);
    for (int i = 0; i < 20; i++) series_add(&s, 2.2 + noise(i) / 10, noise(i) * 1e-3);
    const double evidence = s.evidence;
    series_close(&s);
    return evidence;
}

Test(exceedance, the_marginal_channel_has_a_weight_a_level_and_a_gain)
{
    const double usual = evidence_of_a_move(NULL, 0);
    cr_assert_gt(usual, .2, "%g", usual);
    cr_assert_lt(evidence_of_a_move("marginal_weight", 0), .25 * usual);
    cr_assert_lt(evidence_of_a_move("marginal_gain", .9), .25 * usual, "the slow mean is there at once");
    cr_assert_lt(evidence_of_a_move("marginal_level", 1e-4), .25 * usual, "so far is nothing");
}

/* Alarms of six bursts, each with support that is enough for a key without alarms of late. */
static int alarms_with_memory(double gate_memory)
{
    struct series s;
    int alarms = 0;
    series_open(&s);
    series_set(&s, "gate", .6);
    series_set(&s, "gate_rise", 10);
    series_set(&s, "gate_memory", gate_memory);
    s.support = .7;
    for (int burst = 0; burst < 6; burst++) {
        for (int i = 0; i < 800; i++) series_add(&s, noise(800 * burst + i), noise(800 * burst + i));
        for (int i = 0; i < 60; i++) {
            series_add(&s, noise(i) / 2, 4 + noise(i));
            alarms += s.score >= .4;
        }
    }
    series_close(&s);
    return alarms;
}

Test(exceedance, the_gate_forgets_alarms_as_fast_as_it_is_told)
{
    const int soon = alarms_with_memory(1), late = alarms_with_memory(1e9);
    cr_assert_gt(soon, late, "%d, %d", soon, late);
}

/* Evidence when only residuals of the h-th of 24 horizons become large. */
static double evidence_of_horizon(int64_t horizons, int h)
{
    enum { H = 24 };
    static int all[H];
    struct series s;
    struct eddy_verdict verdict;
    for (int i = 0; i < H; i++) all[i] = i + 1;
    series_open(&s);
    *(int64_t *)test_setting(&detector_exceedance.part, s.settings, "horizons") = horizons;
    void *state = calloc(1, detector_exceedance.state_bytes(s.settings, 1, H));
    for (int t = 0; t < 2020; t++) {
        float attribution[1] = {0};
        double residual[H], x = noise(t);
        for (int i = 0; i < H; i++) residual[i] = noise(t) + (t >= 2000 && i == h - 1 ? 6 : 0);
        const struct eddy_evidence in = {.n_values = 1,
                                         .n_horizons = H,
                                         .horizons = all,
                                         .x = &x,
                                         .residual = residual,
                                         .count = t,
                                         .threshold = .4,
                                         .support = NAN};
        verdict = (struct eddy_verdict){.attribution = attribution};
        detector_exceedance.judge(s.settings, state, &in, &verdict);
    }
    free(state);
    series_close(&s);
    return verdict.evidence;
}

Test(exceedance, looks_at_as_many_horizons_as_it_is_told)
{
    const double none = evidence_of_horizon(3, 2);
    cr_assert_gt(evidence_of_horizon(3, 1), none + .2);
    cr_assert_gt(evidence_of_horizon(3, 7), none + .2, "one at a quarter");
    cr_assert_gt(evidence_of_horizon(3, 24), none + .2);
    cr_assert_lt(evidence_of_horizon(1, 24), none + .1, "the first alone");
    cr_assert_gt(evidence_of_horizon(1, 1), none + .2);
    cr_assert_gt(evidence_of_horizon(2, 24), none + .2);
    cr_assert_lt(evidence_of_horizon(2, 7), none + .1);
}

/* Which is how a configuration that was changed is told from the state that it finds. */
Test(exceedance, windows_and_horizons_size_the_state)
{
    static const int four[] = {8, 16, 24, 32};
    struct series s;
    series_open(&s);
    const size_t usual = detector_exceedance.state_bytes(s.settings, 1, 24);
    series_windows(&s, four, 4);
    cr_assert_eq(detector_exceedance.state_bytes(s.settings, 1, 24), usual + 16);
    *(int64_t *)test_setting(&detector_exceedance.part, s.settings, "horizons") = 2;
    cr_assert_eq(detector_exceedance.state_bytes(s.settings, 1, 24), usual + 16 - 272);
    series_close(&s);
}

Test(exceedance, refuses_too_many_windows)
{
    static const int nine[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct eddy_error err = {0};
    struct series s;
    series_open(&s);
    series_windows(&s, nine, 9);
    cr_assert_eq(detector_exceedance.part.check(s.settings, &err), EDDY_ECONFIG);
    series_windows(&s, nine, 8);
    cr_assert_eq(detector_exceedance.part.check(s.settings, &err), EDDY_OK);
    series_close(&s);
}
