/* The detectors for machines with several sensors. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "eddy_layer.h"
#include "engine/detect/detectors.h"
#include "engine/detect/haar.h"
#include "engine/detect/moments.h"
#include "tests/unit/setting.h"

enum { WARM = 400, MOST_VALUES = 64 };
static const double THRESHOLD = .4;

/* ---- the parts ---- */

static double noise(int stream, int i)
{
    return (double)eddy_random_normal((uint64_t)stream, (uint64_t)i);
}

static const struct haar_settings haar_usual = {
    .memory = 4000, .clip = 25, .trust = 8, .rate = .08, .slope_level = -.3, .slope_drift = .5};

Test(haar, white_noise_is_a_level_whose_block_variances_halve_with_each_octave)
{
    struct haar h = {0};
    double drift = -1;
    for (int i = 0; i < 20000; i++) haar_add(&h, noise(1, i), (uint32_t)i + 1, &haar_usual);
    for (int j = 1; j <= 6; j++) {
        const double expected = 1. / (1 << j); /* half the variance of a difference of two means of 2^j values */
        cr_assert_float_eq((double)h.octaves[j - 1].variance, expected, .25 * expected, "octave %d: %g", j,
                           (double)h.octaves[j - 1].variance);
    }
    cr_assert_float_eq(haar_tolerance(&h, &haar_usual, &drift), .36, .08);
    cr_assert_lt(drift, .1);
}

Test(haar, a_random_walk_drifts)
{
    struct haar h = {0};
    double drift = -1, x = 0;
    for (int i = 0; i < 5000; i++) haar_add(&h, x += noise(1, i), (uint32_t)i + 1, &haar_usual);
    cr_assert_gt(haar_tolerance(&h, &haar_usual, &drift), 8);
    cr_assert_gt(drift, .9);
}

Test(haar, no_block_reaches_over_a_restart)
{
    struct haar h = {0};
    for (int i = 0; i < 64; i++) haar_add(&h, 1, (uint32_t)i + 1, &haar_usual);
    haar_restart(&h);
    for (int i = 0; i < 64; i++) haar_add(&h, 1000, (uint32_t)i + 65, &haar_usual);
    for (int j = 0; j < HAAR_OCTAVES; j++) cr_assert_eq(h.octaves[j].variance, 0);
}

/* By hand: correlation c, no ridge to speak of: what x1 is beyond x2 is z1 - c z2, and T^2 of (1, 1) is 2 / (1 + c). */
Test(moments, residuals_are_what_a_value_is_beyond_the_others)
{
    double bytes[64] = {0}, centred[2], z[2], r[2];
    cr_assert_leq(moments_bytes(2), sizeof(bytes));
    const struct moments m = moments_at(bytes, 2);
    for (int i = 0; i < 20000; i++) {
        const double common = noise(1, i), x[2] = {common + noise(2, i), 10 * (common + noise(3, i))};
        moments_centre(&m, x, centred);
        moments_learn(&m, centred, i + 1, 1e9);
    }
    moments_invert(&m, 1e-9);
    const double c = (double)m.covariance[1] / sqrt((double)m.covariance[0] * (double)m.covariance[2]);
    cr_assert_float_eq(c, .5, .03);
    const double x[2] = {5, -20};
    moments_centre(&m, x, centred);
    moments_standardise(&m, centred, z);
    moments_residuals(&m, z, r);
    cr_assert_float_eq(r[0], z[0] - c * z[1], 1e-5);
    cr_assert_float_eq(r[1], z[1] - c * z[0], 1e-5);
    const double one[2] = {1, 1};
    cr_assert_float_eq(moments_distance(&m, one), 2 / (1 + c), 1e-5);
}

Test(haar, variances_of_0_come_back_when_the_channel_moves)
{
    struct haar h = {0};
    for (int i = 0; i < 100; i++) haar_add(&h, i % 2, (uint32_t)i + 1, &haar_usual); /* all blocks have one mean */
    for (int i = 100; i < 4000; i++) haar_add(&h, noise(1, i), (uint32_t)i + 1, &haar_usual);
    for (int j = 1; j <= 5; j++) {
        const double expected = 1. / (1 << j);
        cr_assert_float_eq((double)h.octaves[j - 1].variance, expected, .4 * expected, "octave %d", j);
    }
}

/* The second value stands still for `idle` records, is missing before that for `absent`, and then moves about 50. */
static void moments_must_know(int absent, int idle)
{
    double bytes[64] = {0}, centred[2], z[2];
    const struct moments m = moments_at(bytes, 2);
    cr_assert_leq(moments_bytes(2), sizeof(bytes));
    for (int i = 0; i < 1000; i++) {
        const double x[2] = {noise(1, i), i < absent ? NAN : i < absent + idle ? 0 : 50 + 2 * noise(2, i)};
        moments_centre(&m, x, centred);
        moments_learn(&m, centred, i + 1, 4000);
    }
    const double x[2] = {3, 56};
    moments_centre(&m, x, centred);
    moments_standardise(&m, centred, z);
    cr_expect_float_eq(z[0], 3, .4, "%g", z[0]);
    cr_expect_float_eq(z[1], 3, .4, "%d absent, %d idle: %g", absent, idle, z[1]);
    moments_invert(&m, .02);
    for (int i = 0; i < 3; i++) cr_expect(fabs((double)m.inverse[i]) < 1.3, "%d: %g", i, (double)m.inverse[i]);
}

Test(moments, how_long_a_value_stood_still_at_first_says_nothing_of_how_it_moves)
{
    const int rows[] = {0, 2, 40, 300, 800};
    for (int i = 0; i < 5; i++) moments_must_know(0, rows[i]);
    for (int i = 1; i < 5; i++) moments_must_know(rows[i], 0);
    moments_must_know(100, 100);
}

/* ---- whole detectors ---- */

struct plant {
    const struct eddy_detector *detector;
    void *settings, *state;
    int n_values, alarms;
    int64_t n;
    double threshold;
    struct eddy_verdict verdict;
    float attribution[MOST_VALUES];
};

static void plant_open(struct plant *p, const struct eddy_detector *detector, int n_values)
{
    struct eddy_error err = {0};
    *p = (struct plant){.detector = detector, .n_values = n_values, .threshold = THRESHOLD};
    p->settings = calloc(1, detector->part.settings_size);
    cr_assert_geq(config_part_defaults(&detector->part, p->settings, &err), 0, "%s", err.message);
    if (detector->part.check) cr_assert_eq(detector->part.check(p->settings, &err), EDDY_OK, "%s", err.message);
    p->state = calloc(1, detector->state_bytes(p->settings, n_values, 1));
}

static void plant_close(struct plant *p)
{
    free(p->settings);
    free(p->state);
}

static void plant_add(struct plant *p, const double *x)
{
    static const int horizons[] = {1};
    const double residual[MOST_VALUES] = {0};
    memset(p->attribution, 0, sizeof(p->attribution));
    p->verdict = (struct eddy_verdict){.attribution = p->attribution};
    const struct eddy_evidence in = {.n_values = p->n_values,
                                     .n_horizons = 1,
                                     .horizons = horizons,
                                     .x = x,
                                     .residual = residual,
                                     .count = p->n++,
                                     .threshold = p->threshold,
                                     .warmup = p->n <= WARM,
                                     .warmup_events = WARM};
    p->detector->judge(p->settings, p->state, &in, &p->verdict);
    const struct eddy_verdict *v = &p->verdict;
    cr_assert(v->score >= 0 && v->score <= v->evidence && v->evidence <= 1, "event %d: score %g evidence %g",
              (int)p->n - 1, v->score, v->evidence);
    for (int i = 0; i < p->n_values; i++) cr_assert(p->attribution[i] >= 0 && isfinite(p->attribution[i]));
    p->alarms += v->score >= p->threshold;
}

/* How far sensor 0 of one must be from its noise before a fault opens, at this detect.threshold. */
static double plant_opens_at(const struct eddy_detector *detector, double threshold)
{
    struct plant p;
    double level = 0;
    plant_open(&p, detector, 1);
    p.threshold = threshold;
    for (int i = 0; i < 1500; i++) plant_add(&p, (const double[]){noise(1, i)});
    for (; level < 10 && !p.verdict.holds; level += .01) plant_add(&p, (const double[]){level});
    plant_close(&p);
    return level;
}

static void sensitivity_must_move(const struct eddy_detector *detector)
{
    const double normal = plant_opens_at(detector, THRESHOLD);
    cr_assert(normal < 10, "%g", normal);
    cr_expect_float_eq(plant_opens_at(detector, .5) / normal, 1.25, .1, "%s", detector->part.name);
    cr_expect_float_eq(plant_opens_at(detector, .32) / normal, .8, .1, "%s", detector->part.name);
}

Test(machine, sensitivity_moves_its_limit)
{
    sensitivity_must_move(&detector_machine);
}

Test(chart, sensitivity_moves_its_limit)
{
    sensitivity_must_move(&detector_chart);
}

/* Three sensors: two share a course, the third is by itself. */
static void plant_usual(int i, double *x)
{
    const double course = noise(1, i) + noise(1, i + 1) + noise(1, i + 2);
    x[0] = 20 + course + .3 * noise(2, i);
    x[1] = -3 + .5 * course + .15 * noise(3, i);
    x[2] = 100 + noise(4, i);
}

static void plant_run(struct plant *p, int n)
{
    for (int i = 0; i < n; i++) {
        double x[3];
        plant_usual((int)p->n, x);
        plant_add(p, x);
    }
}

/* x in a unit that is 2^40 times as large, about 1e12. */
Test(machine, sees_a_sensor_the_same_in_any_unit)
{
    struct plant usual, tiny;
    plant_open(&usual, &detector_machine, 3);
    plant_open(&tiny, &detector_machine, 3);
    for (int i = 0; i < 2500; i++) {
        double x[3], y[3];
        plant_usual(i, x);
        if (i >= 1500 && i < 1700) x[2] += 4;
        for (int k = 0; k < 3; k++) y[k] = ldexp(x[k], -40);
        plant_add(&usual, x);
        plant_add(&tiny, y);
        cr_assert_float_eq(usual.verdict.evidence, tiny.verdict.evidence, 1e-6, "row %d: %g, %g", i,
                           usual.verdict.evidence, tiny.verdict.evidence);
    }
    cr_assert_geq(usual.alarms, 1);
    plant_close(&usual);
    plant_close(&tiny);
}

/* Adds `by` to sensor `which` for n events; after how many the alarm came, or -1. */
static int plant_shift(struct plant *p, int which, double by, int n)
{
    int first = -1;
    for (int i = 0; i < n; i++) {
        double x[3];
        plant_usual((int)p->n, x);
        x[which] += by;
        plant_add(p, x);
        if (first < 0 && p->verdict.score >= THRESHOLD) first = i;
    }
    return first;
}

Test(machine, is_quiet_while_nothing_changes)
{
    struct plant p;
    plant_open(&p, &detector_machine, 3);
    plant_run(&p, 6000);
    cr_assert_leq(p.alarms, 1);
    plant_close(&p);
}

/* Sensor 1 shows nothing but `at_first` in its first `rows` rows; then both kinds of fault of it are found, and no other. */
static void machine_must_find_faults_after(int rows, double at_first)
{
    struct plant p;
    int open = 0;
    plant_open(&p, &detector_machine, 3);
    for (int i = 0; i < 3000; i++) {
        double x[3];
        plant_usual(i, x);
        if (i < rows) x[1] = at_first;
        plant_add(&p, x);
        open += p.verdict.holds != 0;
    }
    cr_expect_leq(p.alarms, 1, "%d rows of %g: %d alarms", rows, at_first, p.alarms);
    cr_expect_leq(open, 100, "%d rows of %g: %d rows of fault", rows, at_first, open);
    const int alone = plant_shift(&p, 1, 1.2, 150);
    cr_expect(alone >= 0 && alone < 60, "%d rows of %g: found after %d", rows, at_first, alone);
    plant_run(&p, 600);
    const int far = plant_shift(&p, 1, 10, 100);
    cr_expect(far >= 0 && far < 20, "%d rows of %g: found after %d", rows, at_first, far);
    plant_close(&p);
}

Test(machine, a_sensor_that_stood_still_at_first_is_judged_like_the_others)
{
    const int rows[] = {0, 20, 40, 100, 200, 350, 500};
    for (int i = 0; i < 7; i++) machine_must_find_faults_after(rows[i], -3);
    for (int i = 1; i < 7; i++) machine_must_find_faults_after(rows[i], -500);
}

/* One option of a detector that is open, as a number. */
static void plant_set(struct plant *p, const char *option, double value)
{
    const struct eddy_option *o = p->detector->part.options;
    while (strcmp(o->name, option) != 0) o++;
    memcpy((unsigned char *)p->settings + o->offset, &value, sizeof(value));
}

/* One whole number, new every `every` rows, that is 50 deviations too high from row 3000 on for 400: what is found of it. */
static void machine_must_judge_one_that_moves_every(int every)
{
    struct plant p;
    int open = 0, early = 0;
    plant_open(&p, &detector_machine, 1);
    plant_set(&p, "residual_weight", 0);
    for (int i = 0; i < 3400; i++) {
        const double x = 100 + round(8 * noise(5, i / every)) + (i >= 3000 ? 400 : 0);
        plant_add(&p, &x);
        early += i < 3000 && p.verdict.holds;
        open += i >= 3000 && p.verdict.holds;
    }
    cr_expect_leq(early, 200, "every %d rows: %d of 3000 rows of fault before it", every, early);
    cr_expect_geq(open, 390, "every %d rows: %d of 400 rows of fault", every, open);
    plant_close(&p);
}

Test(machine, a_sensor_that_moves_less_often_than_it_is_read_is_judged)
{
    const int every[] = {1, 2, 3, 10, 40, 150};
    for (int i = 0; i < 6; i++) machine_must_judge_one_that_moves_every(every[i]);
}

Test(machine, a_sensor_that_comes_later_is_judged_like_the_others)
{
    const int rows[] = {20, 40, 100, 200, 350, 500};
    for (int i = 0; i < 6; i++) machine_must_find_faults_after(rows[i], NAN);
}

Test(machine, raises_one_alarm_for_a_shift_and_names_the_sensor)
{
    struct plant p;
    plant_open(&p, &detector_machine, 3);
    plant_run(&p, 1500);
    const int after = plant_shift(&p, 2, 4, 300);
    cr_assert(after >= 0 && after < 20, "alarm after %d events", after);
    cr_assert_eq(p.alarms, 1);
    cr_assert(p.attribution[2] > p.attribution[0] && p.attribution[2] > p.attribution[1]);
    cr_assert_gt(p.verdict.evidence, THRESHOLD, "evidence goes on while the fault stays");
    cr_assert_eq(p.verdict.holds, 1);
    plant_run(&p, 200);
    cr_assert_eq(p.verdict.holds, 0);
    cr_assert_lt(p.verdict.evidence, THRESHOLD);
    plant_close(&p);
}

Test(machine, sees_that_two_sensors_no_longer_agree)
{
    struct plant p;
    plant_open(&p, &detector_machine, 3);
    plant_run(&p, 1500);
    const double alone = plant_shift(&p, 1, .8, 100); /* half of its own usual spread */
    cr_assert_geq(alone, 0);
    plant_close(&p);
}

Test(machine, a_fault_does_not_become_its_own_excuse_before_it_is_accepted)
{
    struct plant p;
    plant_open(&p, &detector_machine, 3);
    plant_run(&p, 1500);
    plant_shift(&p, 2, 5, 100);
    const double early = p.verdict.evidence;
    plant_shift(&p, 2, 5, 650);
    cr_assert_float_eq(p.verdict.evidence, early, .1);
    cr_assert_eq(p.alarms, 1);
    plant_shift(&p, 2, 5, 1000); /* the new normal */
    cr_assert_lt(p.verdict.evidence, THRESHOLD);
    cr_assert_eq(p.alarms, 1);
    plant_close(&p);
}

Test(machine, a_fault_that_comes_back_is_found_again)
{
    struct plant p;
    plant_open(&p, &detector_machine, 3);
    plant_run(&p, 1500);
    for (int k = 0; k < 3; k++) {
        cr_assert_geq(plant_shift(&p, 2, 6, 150), 0, "fault %d", k);
        plant_run(&p, 600);
    }
    cr_assert_eq(p.alarms, 3);
    plant_close(&p);
}

Test(machine, leaves_an_outlier_of_two_events_to_others)
{
    struct plant p;
    plant_open(&p, &detector_machine, 3);
    plant_run(&p, 1000);
    plant_shift(&p, 0, 1e9, 2);
    plant_run(&p, 100);
    cr_assert_eq(p.alarms, 0);
    plant_close(&p);
}

/* Alarms of an outlier of so many events. */
static int outlier_told(int64_t spike_events, int n)
{
    struct plant p;
    plant_open(&p, &detector_machine, 3);
    *(int64_t *)test_setting(&detector_machine.part, p.settings, "spike_events") = spike_events;
    plant_run(&p, 1000);
    plant_shift(&p, 0, 1e9, n);
    plant_run(&p, 100);
    plant_close(&p);
    return p.alarms;
}

Test(machine, takes_as_many_events_for_an_outlier_as_it_is_told)
{
    cr_expect_eq(outlier_told(2, 3), 1);
    cr_expect_eq(outlier_told(5, 3), 0);
    cr_expect_eq(outlier_told(5, 5), 0);
    cr_expect_eq(outlier_told(5, 6), 1);
    cr_expect_eq(outlier_told(0, 1), 1);
}

Test(machine, missing_values_are_skipped_and_the_others_still_judged)
{
    struct plant p;
    plant_open(&p, &detector_machine, 3);
    for (int i = 0; i < 1500; i++) {
        double x[3];
        plant_usual(i, x);
        if (i % 3 == 0) x[i / 3 % 3] = NAN;
        plant_add(&p, x);
    }
    cr_assert_leq(p.alarms, 1);
    const int before = p.alarms;
    for (int i = 0; i < 100; i++) plant_add(&p, (const double[]){NAN, NAN, NAN});
    cr_assert_eq(p.alarms, before);
    cr_assert_eq(p.attribution[0], 0);
    for (int i = 0; i < 100; i++) {
        double x[3];
        plant_usual((int)p.n, x);
        x[0] = NAN;
        x[2] += 5;
        plant_add(&p, x);
    }
    cr_assert_eq(p.alarms, before + 1);
    plant_close(&p);
}

/* A fault goes on behind values that are missing: its incident stays open, and ends with the first rows that are well. */
static void stays_open_while_nothing_is_seen(const struct eddy_detector *detector)
{
    struct plant p;
    plant_open(&p, detector, 3);
    plant_run(&p, 1500);
    const int quiet = p.alarms;
    plant_shift(&p, 2, 8, 60);
    cr_assert_eq(p.alarms, quiet + 1);
    cr_assert_eq(p.verdict.holds, 1);
    for (int i = 0; i < 100; i++) {
        plant_add(&p, (const double[]){NAN, NAN, NAN});
        cr_assert_eq(p.verdict.holds, 1, "row %d", i);
    }
    plant_shift(&p, 2, 8, 20);
    cr_expect_eq(p.alarms, quiet + 1, "the same fault");
    plant_run(&p, 200);
    cr_expect_eq(p.verdict.holds, 0);
    plant_close(&p);
}

Test(machine, a_fault_stays_open_while_nothing_is_seen)
{
    stays_open_while_nothing_is_seen(&detector_machine);
}

Test(chart, a_fault_stays_open_while_nothing_is_seen)
{
    stays_open_while_nothing_is_seen(&detector_chart);
}

Test(machine, a_fault_is_accepted_although_nothing_is_seen)
{
    struct plant p;
    plant_open(&p, &detector_machine, 3);
    plant_run(&p, 1500);
    plant_shift(&p, 2, 5, 100);
    cr_assert_eq(p.verdict.holds, 1);
    for (int i = 0; i < 2000; i++) plant_add(&p, (const double[]){NAN, NAN, NAN});
    cr_expect_eq(p.verdict.holds, 0);
    plant_close(&p);
}

/* Nothing that is no number may be written to state: all floats of it are looked at. */
static void plant_must_be_finite(const struct plant *p, const char *series)
{
    const size_t n = p->detector->state_bytes(p->settings, p->n_values, 1) / sizeof(float);
    const float *at = p->state;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, at + i, sizeof(bits));
        cr_assert_neq(bits & 0x7fffffffu, 0x7f800000u, "%s: infinite at %zu of %zu", series, i, n);
        cr_assert_neq(bits & 0x7fffffffu, 0x7fc00000u, "%s: no number at %zu of %zu", series, i, n);
    }
}

static const struct odd_series {
    const char *name;
    double high, low;
} odd_series[] = {{"constant", 7, 7},        {"two values", 1, 0},      {"huge", 1e308, -1e308},
                  {"jumps", 1e9, 0},         {"denormal", 5e-324, 0},   {"tiny", 1e-25, -1e-25},
                  {"all missing", NAN, NAN}, {"infinite", INFINITY, 1}, {"zero", 0, 0}};

static void plant_feed_odd(const struct eddy_detector *detector, const struct odd_series *odd)
{
    struct plant p;
    plant_open(&p, detector, 2);
    for (int i = 0; i < 3000; i++) {
        const bool high = eddy_random_uniform(5, (uint64_t)i) < .3f;
        plant_add(&p, (const double[]){high ? odd->high : odd->low, (double)(i % 2)});
    }
    plant_must_be_finite(&p, odd->name);
    cr_assert_leq(p.alarms, 30, "%s: %d alarms", odd->name, p.alarms);
    plant_close(&p);
}

Test(machine, survives_odd_series_without_a_storm)
{
    for (size_t i = 0; i < sizeof(odd_series) / sizeof(odd_series[0]); i++)
        plant_feed_odd(&detector_machine, &odd_series[i]);
}

Test(chart, survives_odd_series_without_a_storm)
{
    for (size_t i = 0; i < sizeof(odd_series) / sizeof(odd_series[0]); i++)
        plant_feed_odd(&detector_chart, &odd_series[i]);
}

Test(machine, refuses_slopes_in_the_wrong_order)
{
    struct plant p;
    struct eddy_error err = {0};
    plant_open(&p, &detector_machine, 1);
    for (const struct eddy_option *o = detector_machine.part.options; o->name; o++)
        if (strcmp(o->name, "slope_level") == 0) *(double *)(void *)((char *)p.settings + o->offset) = .9;
    cr_assert_eq(detector_machine.part.check(p.settings, &err), EDDY_ECONFIG);
    cr_assert(strstr(err.message, "slope_level (0.9) must be below slope_drift (0.5)"), "%s", err.message);
    plant_close(&p);
}

/* ---- against tests/golden/machine.py, which makes the same series ---- */

static double golden_noise(uint32_t *state)
{
    double total = 0;
    for (int k = 0; k < 4; k++) {
        *state = *state * 1664525u + 1013904223u;
        total += *state >> 16;
    }
    return (total - 131072) / 32768;
}

static void golden_row(int t, uint32_t *state, double *course, double *x)
{
    *course = .9 * *course + golden_noise(state);
    x[0] = 20 + *course + .25 * golden_noise(state);
    x[1] = -3 + .5 * *course + .25 * golden_noise(state);
    x[2] = 100 + golden_noise(state);
    if (t >= 700 && t < 800) x[2] += 4;
    if (t >= 1200) x[1] += 6;
    if (t == 600 || t == 601) x[0] = 1e6;
    if (t % 97 == 5) x[t / 97 % 3] = NAN;
}

Test(machine, agrees_with_an_independent_computation_row_by_row)
{
    FILE *f = fopen("tests/golden/detectors/machine.txt", "r");
    cr_assert_not_null(f);
    struct plant p;
    plant_open(&p, &detector_machine, 3);
    uint32_t state = 12345;
    double course = 0, evidence;
    int rows = 0, open, was_open = 0;
    for (; fscanf(f, "%lf %d", &evidence, &open) == 2; rows++) {
        double x[3];
        golden_row(rows, &state, &course, x);
        plant_add(&p, x);
        cr_assert_float_eq(p.verdict.evidence, evidence, 2e-3 * evidence + 1e-4, "row %d: %g instead of %g", rows,
                           p.verdict.evidence, evidence);
        cr_assert_eq(p.verdict.score >= THRESHOLD, open && !was_open, "row %d", rows);
        cr_assert_eq(p.verdict.holds, (uint32_t)open, "row %d", rows);
        was_open = open;
    }
    cr_assert_eq(rows, 2200);
    fclose(f);
    plant_close(&p);
}

/* ---- the chart ---- */

/* Evidence of two sensors that began to go together after the warm-up, when they part once. */
static double parted(int64_t refresh)
{
    struct plant p;
    plant_open(&p, &detector_chart, 2);
    test_set(&detector_chart.part, p.settings, "memory", 400);
    *(int64_t *)test_setting(&detector_chart.part, p.settings, "refresh") = refresh;
    for (int i = 0; i < 4000; i++) {
        const double a = noise(1, i), b = i < 400 ? noise(2, i) : a;
        plant_add(&p, (const double[]){a, b});
    }
    for (int i = 0; i < 20; i++) plant_add(&p, (const double[]){.3, -.3});
    plant_close(&p);
    return p.verdict.evidence;
}

Test(chart, learns_how_values_go_together_as_often_as_it_is_told)
{
    const double often = parted(64), never = parted(1000000);
    cr_expect_gt(often, 2 * never, "%g and %g", often, never);
}

Test(chart, raises_one_alarm_for_a_shift_and_ends_with_it)
{
    struct plant p;
    plant_open(&p, &detector_chart, 3);
    plant_run(&p, 1500);
    cr_assert_eq(p.alarms, 0);
    const int after = plant_shift(&p, 2, 4, 300);
    cr_assert(after >= 0 && after < 30, "alarm after %d events", after);
    cr_assert(p.attribution[2] > p.attribution[0] && p.attribution[2] > p.attribution[1]);
    cr_assert_leq(p.alarms, 3);
    cr_assert_eq(p.verdict.holds, 1);
    plant_run(&p, 100);
    cr_assert_eq(p.verdict.holds, 0);
    cr_assert_lt(p.verdict.evidence, THRESHOLD);
    plant_close(&p);
}

Test(chart, a_sensor_that_stood_still_at_first_is_judged_like_the_others)
{
    const int rows[] = {0, 40, 80, 200, 395};
    for (int k = 0; k < 5; k++) {
        struct plant p;
        plant_open(&p, &detector_chart, 3);
        for (int i = 0; i < 1500; i++) {
            double x[3];
            plant_usual(i, x);
            if (i < rows[k]) x[2] = 100;
            plant_add(&p, x);
        }
        cr_expect_leq(p.alarms, 1, "%d rows: %d alarms", rows[k], p.alarms);
        const int after = plant_shift(&p, 2, 4, 300);
        cr_expect(k == 4 ? after < 0 : after >= 0 && after < 30, "%d rows: %d", rows[k], after);
        plant_close(&p);
    }
}

Test(chart, a_sensor_that_moves_less_often_than_it_is_read_is_judged)
{
    const int every[] = {1, 2, 3, 10, 40};
    for (int k = 0; k < 5; k++) {
        struct plant p;
        int open = 0;
        plant_open(&p, &detector_chart, 1);
        for (int i = 0; i < 3400; i++) {
            const double x = 100 + round(8 * noise(5, i / every[k])) + (i >= 3000 ? 400 : 0);
            plant_add(&p, &x);
            open += i >= 3000 && p.verdict.holds;
        }
        cr_expect_geq(open, 390, "every %d rows: %d of 400 rows of alarm", every[k], open);
        plant_close(&p);
    }
}

/* One name for one fault, whoever finds it: alerts are routed by it. */
Test(chart, tells_of_its_shifts_by_the_name_that_level_shift_gives_them)
{
    cr_assert_str_eq(detector_chart.kinds[0], "level_shift");
    cr_assert_str_eq(detector_level_shift.kinds[0], "level_shift");
    cr_assert_null(detector_chart.kinds[1]);
}

/* By hand: the average of noise with rate .1 has deviation sqrt(.1 / 1.9) = .229; 5 x 6.63 = 5.76 of them are 1.32. */
Test(chart, of_one_value_is_the_ewma_chart)
{
    struct plant p;
    plant_open(&p, &detector_chart, 1);
    for (int i = 0; i < 400; i++) plant_add(&p, (const double[]){noise(1, i)});
    double last = 0;
    for (double level = 0; level < 3; level += .01) {
        for (int i = 0; i < 60; i++) plant_add(&p, (const double[]){level});
        if (p.alarms) {
            last = level;
            break;
        }
    }
    cr_assert_float_eq(last, 1.32, .3, "%g", last);
    plant_close(&p);
}
