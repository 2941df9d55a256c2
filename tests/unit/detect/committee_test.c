/* The committee on simulated sensors: a daily course, noise that remembers, and faults of known kinds. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "eddy_layer.h"
#include "engine/detect/calibration.h"
#include "engine/detect/committee.h"
#include "engine/detect/detectors.h"
#include "tests/unit/setting.h"

enum { FAULT = 2000, SERIES = 20, DAY = 24 };

struct sensor {
    void *settings, *state;
    size_t bytes;
    int n_values;
    int64_t n;
    double threshold, score, evidence, support;
    float attribution[4];
};

static void sensor_open(struct sensor *s, int n_values)
{
    struct eddy_error err = {0};
    const struct eddy_detector *d = &detector_committee;
    *s = (struct sensor){.settings = calloc(1, d->part.settings_size), .n_values = n_values, .threshold = .4};
    cr_assert_geq(config_part_defaults(&d->part, s->settings, &err), 0, "%s", err.message);
    s->bytes = d->state_bytes(s->settings, n_values, 1);
    s->state = calloc(1, s->bytes);
}

static void sensor_close(struct sensor *s)
{
    free(s->settings);
    free(s->state);
}

/* True on an alarm. */
static bool sensor_add(struct sensor *s, const double *x, struct eddy_season season)
{
    static const int next[] = {1};
    const double unknown[4] = {NAN, NAN, NAN, NAN};
    memset(s->attribution, 0, sizeof(s->attribution));
    struct eddy_verdict verdict = {.attribution = s->attribution, .support = NAN};
    const struct eddy_evidence in = {.n_values = s->n_values,
                                     .n_horizons = 1,
                                     .horizons = next,
                                     .x = x,
                                     .residual = unknown,
                                     .count = s->n,
                                     .season = season,
                                     .threshold = s->threshold,
                                     .warmup = s->n < 50,
                                     .warmup_events = 50,
                                     .support = NAN};
    detector_committee.judge(s->settings, s->state, &in, &verdict);
    s->n++;
    s->score = verdict.score;
    s->evidence = verdict.evidence;
    s->support = verdict.support;
    cr_assert(verdict.score >= 0 && verdict.evidence <= 1 && verdict.score <= verdict.evidence);
    return s->score >= s->threshold;
}

static struct eddy_season day_at(int64_t t)
{
    return (struct eddy_season){DAY, (double)(t % DAY) / DAY};
}

/* ---- the simulated plant: unit noise that remembers .7 of itself ---- */

struct plant {
    uint64_t seed;
    double noise, x, last;
};

static double plant_random(const struct plant *p, int64_t t, int stream)
{
    return (double)eddy_random_normal(p->seed * 8 + (uint64_t)stream, (uint64_t)t);
}

static double plant_course(int64_t t)
{
    const double angle = 2 * 3.14159265358979 * (double)(t % DAY) / DAY;
    return 3 * sin(angle) + 1.5 * cos(2 * angle);
}

static double plant_step(struct plant *p, int64_t t)
{
    p->noise = .7 * p->noise + plant_random(p, t, 0);
    p->last = p->x;
    p->x = 20 + plant_course(t) + p->noise;
    return p->x;
}

typedef double fault(const struct plant *, int64_t t, int64_t since);

static double spike(const struct plant *p, int64_t t, int64_t since)
{
    (void)t;
    return since == 0 ? p->x + 10 : p->x;
}
static double shift(const struct plant *p, int64_t t, int64_t since)
{
    (void)t, (void)since;
    return p->x + 8;
}
static double drift(const struct plant *p, int64_t t, int64_t since)
{
    (void)t;
    return p->x + .15 * (double)since;
}
static double frozen(const struct plant *p, int64_t t, int64_t since)
{
    (void)p, (void)t, (void)since;
    return 21.5;
}
static double burst(const struct plant *p, int64_t t, int64_t since)
{
    (void)since;
    return p->x + 4 * plant_random(p, t, 1);
}
static double quiet(const struct plant *p, int64_t t, int64_t since)
{
    (void)t, (void)since;
    return 20 + .1 * (p->x - 20);
}
static double upside_down(const struct plant *p, int64_t t, int64_t since)
{
    (void)since;
    return p->x - plant_course(t) + plant_course(t + DAY / 2);
}
static double dropout(const struct plant *p, int64_t t, int64_t since)
{
    (void)t, (void)since;
    return since % 5 == 4 ? p->x : NAN;
}

/* A search for a fault of `rows` rows. */
struct search {
    fault *bad;
    int rows;
    int idle;           /* rows at first that show nothing but .. */
    double at_first;    /* .. this */
    const char *member; /* who searches; NULL: all */
    const char *option; /* set to `value`; NULL: none */
    double value;
};

static bool search_one(const struct search *q, uint64_t seed)
{
    struct plant p = {.seed = seed};
    struct sensor s;
    bool hit = false;
    sensor_open(&s, 1);
    if (q->member) *(struct eddy_strings *)s.settings = (struct eddy_strings){1, &q->member};
    if (q->option) test_set(&detector_committee.part, s.settings, q->option, q->value);
    for (int t = 0; t < FAULT + q->rows + DAY; t++) {
        double x = plant_step(&p, t);
        if (t < q->idle) x = q->at_first;
        if (t >= FAULT && t < FAULT + q->rows) x = q->bad(&p, t, t - FAULT);
        const bool alarm = sensor_add(&s, &x, day_at(t));
        hit = hit || (alarm && t >= FAULT);
    }
    sensor_close(&s);
    return hit;
}

/* In how many of SERIES sensors it is found within a day of its end. */
static int search(struct search q)
{
    int hits = 0;
    for (int i = 0; i < SERIES; i++) hits += search_one(&q, (uint64_t)i + 1);
    return hits;
}

#define FINDS(kind, what, n_rows, least)                                                                             \
    Test(committee, finds_##kind)                                                                                    \
    {                                                                                                                \
        const int hits = search((struct search){.bad = what, .rows = n_rows});                                       \
        cr_assert_geq(hits, least, "%d of %d", hits, SERIES);                                                        \
    }
FINDS(a_spike, spike, 1, 18)
FINDS(a_shift, shift, 48, 18)
FINDS(a_drift, drift, 120, 18)
FINDS(a_frozen_value, frozen, 40, 18)
FINDS(a_burst, burst, 36, 18)
FINDS(less_motion, quiet, 72, 18)
FINDS(a_day_upside_down, upside_down, 96, 18)
FINDS(a_dropout, dropout, 24, 18)

/* Alarms in n clean sensors of so many rows, at this detect.threshold. */
static int alarms_at(double threshold, int n, int rows)
{
    int alarms = 0;
    for (int i = 0; i < n; i++) {
        struct plant p = {.seed = (uint64_t)i + 100};
        struct sensor s;
        sensor_open(&s, 1);
        s.threshold = threshold;
        for (int t = 0; t < rows; t++) {
            const double x = plant_step(&p, t);
            alarms += sensor_add(&s, &x, day_at(t));
        }
        sensor_close(&s);
    }
    return alarms;
}

Test(committee, is_quiet_on_clean_sensors)
{
    enum { ROWS = 5000, MANY = 40 };
    const int alarms = alarms_at(.4, MANY, ROWS);
    const double rate = 1e3 * alarms / (MANY * (ROWS - 300));
    cr_assert_lt(rate, 1.5, "%g alarms per 1,000 rows", rate);
}

Test(committee, a_sensor_that_stood_still_at_first_is_judged_like_the_others)
{
    static const struct {
        const char *name;
        fault *bad;
        int rows;
    } kinds[] = {{"spike", spike, 1}, {"shift", shift, 48}, {"burst", burst, 36}, {"quiet", quiet, 72}};
    const int idle[] = {40, 250, 1000};
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 6; i++) {
            const double at_first = i < 3 ? 20 : 0;
            const int hits = search((struct search){
                .bad = kinds[k].bad, .rows = kinds[k].rows, .idle = idle[i % 3], .at_first = at_first});
            cr_expect_geq(hits, 17, "%s after %d rows of %g: %d of %d", kinds[k].name, idle[i % 3], at_first, hits,
                          SERIES);
        }
}

/* The row of the first alarm from row 4000 on, or -1, of one with a new level every `every` rows that is 50 of its
 * deviations too high from there on, or missing, for 200 rows. */
static int seldom_told(int every, bool missing)
{
    const struct plant p = {.seed = 3};
    struct sensor s;
    int told = -1;
    sensor_open(&s, 1);
    for (int t = 0; t < 4300 && told < 0; t++) {
        const bool bad = t >= 4000 && t < 4200;
        double x = 100 + round(8 * plant_random(&p, t / every, 0));
        if (bad) x = missing ? NAN : x + 400;
        if (sensor_add(&s, &x, day_at(t)) && t >= 4000) told = t;
    }
    sensor_close(&s);
    return told;
}

Test(committee, a_sensor_that_moves_less_often_than_it_takes_to_learn_is_judged)
{
    const int every[] = {1, 20, 31, 40, 100};
    for (int i = 0; i < 5; i++) {
        const int jump = seldom_told(every[i], false), dropout_told = seldom_told(every[i], true);
        cr_expect(jump >= 4000 && jump < 4010, "every %d rows: %d", every[i], jump);
        cr_expect(dropout_told >= 4000 && dropout_told < 4220, "every %d rows, missing: %d", every[i], dropout_told);
    }
}

/* The row of the first alarm, or -1, of one that freezes for ever in row `from`. */
static int frozen_told(int from)
{
    struct plant p = {.seed = 2};
    struct sensor s;
    int told = -1;
    double x = 20;
    sensor_open(&s, 1);
    for (int t = 0; t < 900 && told < 0; t++) {
        if (t < from) x = plant_step(&p, t);
        if (sensor_add(&s, &x, day_at(t))) told = t;
    }
    sensor_close(&s);
    return told;
}

Test(committee, tells_after_the_warmup_what_began_in_it_and_goes_on)
{
    for (int from = 240; from <= 290; from += 10) {
        const int told = frozen_told(from);
        cr_expect(told >= 299 && told < 350, "frozen from %d on: told in %d", from, told);
    }
    cr_expect_eq(frozen_told(0), -1, "what has never moved is no fault");
}

Test(committee, sees_a_sensor_the_same_at_any_zero_point)
{
    struct plant p = {.seed = 9};
    struct sensor s[2];
    struct eddy_strings level = {1, (const char *const[]){"level"}};
    for (int i = 0; i < 2; i++) {
        sensor_open(&s[i], 1);
        *(struct eddy_strings *)s[i].settings = level;
    }
    int alarms = 0;
    for (int t = 0; t < 1600; t++) {
        const double x = plant_step(&p, t) + (t >= 900 ? 12 : 0), far = x + 1000;
        const bool alarm = sensor_add(&s[0], &x, day_at(t));
        cr_expect_eq(alarm, sensor_add(&s[1], &far, day_at(t)), "row %d", t);
        alarms += alarm;
    }
    cr_expect_geq(alarms, 1);
    for (int i = 0; i < 2; i++) sensor_close(&s[i]);
}

Test(committee, finds_the_fourth_spike_as_it_found_the_first)
{
    int hits[4] = {0};
    for (int i = 0; i < SERIES; i++) {
        struct plant p = {.seed = (uint64_t)i + 1};
        struct sensor s;
        sensor_open(&s, 1);
        for (int t = 0; t < FAULT + 2000; t++) {
            double x = plant_step(&p, t);
            const bool bad = t >= FAULT && (t - FAULT) % 500 == 0;
            if (bad) x += t % 1000 ? -12 : 12;
            if (sensor_add(&s, &x, day_at(t)) && bad) hits[(t - FAULT) / 500]++;
        }
        sensor_close(&s);
    }
    cr_assert_geq(hits[0], 18);
    cr_assert_geq(hits[3], 18, "%d, %d, %d and %d of %d", hits[0], hits[1], hits[2], hits[3], SERIES);
}

Test(committee, is_mute_after_an_alarm_but_goes_on_saying_what_it_sees)
{
    struct plant p = {.seed = 3};
    struct sensor s;
    int alarms = 0, beyond = 0;
    sensor_open(&s, 1);
    for (int t = 0; t < FAULT + 48; t++) {
        double x = plant_step(&p, t) + (t >= FAULT ? t - FAULT + 20 : 0);
        const bool alarm = sensor_add(&s, &x, day_at(t));
        if (t < FAULT) continue;
        alarms += alarm;
        beyond += s.evidence >= s.threshold;
    }
    cr_assert_eq(alarms, 1, "%d", alarms);
    cr_assert_gt(beyond, 10, "%d", beyond);
    sensor_close(&s);
}

/* In how many of SERIES sensors what comes 20 rows after a first fault is told, in a mute of 48: a spike of this size, or
 * missing values where it is NaN.  The first fault: 8 missing rows, or a spike of 20. */
static int told_in_mute(bool after_spike, double size, double louder)
{
    int told = 0;
    for (int i = 0; i < SERIES; i++) {
        struct plant p = {.seed = (uint64_t)i + 1};
        struct sensor s;
        bool first = false, second = false;
        sensor_open(&s, 1);
        test_set(&detector_committee.part, s.settings, "louder", louder);
        for (int t = 0; t < FAULT + 32; t++) {
            double x = plant_step(&p, t);
            if (t >= FAULT && t < FAULT + 8 && !after_spike) x = NAN;
            if (t == FAULT && after_spike) x += 20;
            if (t >= FAULT + 20 && (t == FAULT + 20 || isnan(size))) x -= size;
            const bool alarm = sensor_add(&s, &x, day_at(t));
            first = first || (alarm && t >= FAULT && t < FAULT + 8);
            second = second || (alarm && t >= FAULT + 20);
        }
        told += first && second;
        sensor_close(&s);
    }
    return told;
}

Test(committee, a_short_fault_of_another_kind_breaks_the_mute)
{
    cr_expect_geq(told_in_mute(false, 20, 3), 17, "a spike after missing values: %d", told_in_mute(false, 20, 3));
    cr_expect_geq(told_in_mute(true, NAN, 3), 17, "missing values after a spike: %d", told_in_mute(true, NAN, 3));
    cr_expect_eq(told_in_mute(false, 20, 0), 0);
    cr_expect_eq(told_in_mute(true, NAN, 0), 0);
}

Test(committee, a_spike_after_a_spike_breaks_the_mute_only_where_it_is_far_larger)
{
    cr_expect_eq(told_in_mute(true, 20, 3), 0);
    cr_expect_geq(told_in_mute(true, 400, 3), 17, "%d", told_in_mute(true, 400, 3));
    cr_expect_eq(told_in_mute(true, 400, 1e6), 0);
}

Test(committee, says_which_value_it_was)
{
    struct plant a = {.seed = 5}, b = {.seed = 6};
    struct sensor s;
    bool alarm = false;
    sensor_open(&s, 2);
    for (int t = 0; t <= FAULT; t++) {
        const double x[] = {plant_step(&a, t), plant_step(&b, t) + (t == FAULT ? 30 : 0)};
        alarm = sensor_add(&s, x, day_at(t));
    }
    cr_assert(alarm);
    cr_assert_gt(s.attribution[1], 2 * s.attribution[0]);
    cr_assert_gt(s.support, 1);
    sensor_close(&s);
}

Test(committee, says_nothing_of_a_sensor_younger_than_its_warmup)
{
    struct sensor s;
    sensor_open(&s, 1);
    for (int t = 0; t < 299; t++) {
        const double x = t % 50 ? (double)(t % 3) : 1e6 * t;
        sensor_add(&s, &x, day_at(t));
        cr_assert_eq(s.evidence, 0);
    }
    sensor_close(&s);
}

/* ---- bad input ---- */

static double hostile(int kind, int t)
{
    switch (kind) {
    case 0: return 5;         /* constant */
    case 1: return t / 7 % 2; /* two values */
    case 2: return NAN;       /* nothing at all */
    case 3: return t % 100 == 99 ? 1e300 : (double)(t % 5);
    case 4: return (t % 2 ? 1e308 : -1e308);
    case 5: return 4e-320 * (t % 11);                              /* denormals */
    case 6: return t % 1000 < 500 ? (double)(t % 7) : 1e9 + t % 7; /* jumps */
    case 7: return t < 50 ? NAN : t % 3 ? NAN : (double)(t % 13);  /* hardly ever there */
    case 8: return t % 2 ? INFINITY : 1;
    default: return t < 3000 ? 0 : (double)eddy_random_normal(1, (uint64_t)t); /* wakes up */
    }
}

static void state_is_finite(const struct sensor *s)
{
    /* The key's own two words, then values x [64], then z [64]: what any later member would be computed from. */
    const double *x = (const double *)s->state + 2;
    for (int i = 0; i < 64; i++) cr_assert(isfinite(x[i]));
    const float *z = (const float *)(const void *)(x + 64);
    for (int i = 0; i < 64; i++) cr_assert(isfinite(z[i]));
}

Test(committee, stays_finite_and_raises_no_storm_whatever_comes)
{
    for (int kind = 0; kind < 10; kind++)
        for (int season = 0; season < 3; season++) {
            struct sensor s;
            int alarms = 0;
            sensor_open(&s, 1);
            for (int t = 0; t < 6000; t++) {
                const double x = hostile(kind, t), steps = season ? 24 * season * season : 0;
                const struct eddy_season at = {steps, steps > 0 ? fmod(t, steps) / steps : 0};
                alarms += sensor_add(&s, &x, at);
                cr_assert(isfinite(s.score) && isfinite(s.evidence) && isfinite(s.support));
            }
            state_is_finite(&s);
            cr_assert_leq(alarms, 20, "kind %d: %d alarms", kind, alarms);
            sensor_close(&s);
        }
}

Test(committee, sees_a_sensor_the_same_in_any_unit)
{
    struct plant p = {.seed = 9};
    struct sensor s[2];
    for (int i = 0; i < 2; i++) sensor_open(&s[i], 1);
    for (int t = 0; t < 4000; t++) {
        const double x = plant_step(&p, t) + (t % 1000 == 999 ? 12 : 0), small = ldexp(x, -60);
        cr_assert_eq(sensor_add(&s[0], &x, day_at(t)), sensor_add(&s[1], &small, day_at(t)), "row %d", t);
    }
    for (int i = 0; i < 2; i++) sensor_close(&s[i]);
}

Test(committee, another_season_begins_another_profile)
{
    struct plant p = {.seed = 11};
    struct sensor s;
    int alarms = 0;
    sensor_open(&s, 1);
    for (int t = 0; t < 6000; t++) {
        const double x = plant_step(&p, t);
        const struct eddy_season none = {0, 0}, wrong = {17, (double)(t % 17) / 17};
        alarms += sensor_add(&s, &x, t < 2000 ? none : t < 3000 ? wrong : day_at(t));
    }
    cr_assert_leq(alarms, 10, "%d", alarms);
    sensor_close(&s);
}

Test(committee, knows_its_members)
{
    struct eddy_error err = {0};
    struct sensor s;
    sensor_open(&s, 1);
    struct eddy_strings *members = s.settings;
    cr_assert_eq(detector_committee.part.check(s.settings, &err), EDDY_OK);
    *members = (struct eddy_strings){1, (const char *const[]){"clairvoyant"}};
    cr_assert_eq(detector_committee.part.check(s.settings, &err), EDDY_ECONFIG);
    cr_assert(strstr(err.message, "clairvoyant"), "%s", err.message);
    *members = (struct eddy_strings){2, (const char *const[]){"stuck", "miss"}};
    cr_assert_eq(detector_committee.part.check(s.settings, &err), EDDY_OK);
    struct plant p = {.seed = 3};
    for (int t = 0; t <= FAULT; t++) {
        double x = plant_step(&p, t) + (t == FAULT ? 1000 : 0);
        cr_assert_not(sensor_add(&s, &x, day_at(t)));
    }
    sensor_close(&s);
}

Test(calibration, measures_against_the_maxima_of_blocks)
{
    struct calibration q = {0};
    double r = 0;
    for (int i = 0; i < 24 * 200; i++) r = calibration_judge(&q, i % 24 == 5 ? 10 + i / 24 % 2 : 0, 24, 3000);
    cr_assert_eq(r, -1, "an ordinary row is below the record");
    cr_assert_float_eq(q.mean, 10.5, .1, "%g", (double)q.mean);
    cr_assert_float_eq(q.deviation, .5, .1, "%g", (double)q.deviation);
    cr_assert_float_eq(calibration_judge(&q, 20, 24, 3000), 19, 2);
}

Test(committee, finds_the_fourth_dropout_as_it_found_the_first)
{
    struct plant p = {.seed = 21};
    struct sensor s;
    int found_in = 0;
    sensor_open(&s, 1);
    for (int k = 0, t = 0; k < 4; k++) {
        bool hit = false;
        for (int end = FAULT + 800 * k; t < end; t++) {
            double x = plant_step(&p, t);
            if (t > end - 24) x = NAN;
            const bool alarm = sensor_add(&s, &x, day_at(t));
            hit = hit || (alarm && t > end - 24);
        }
        found_in += hit;
    }
    cr_assert_eq(found_in, 4, "%d", found_in);
    sensor_close(&s);
}

Test(committee, is_quieter_at_a_higher_threshold)
{
    const int high = alarms_at(.32, 10, 4000), normal = alarms_at(.4, 10, 4000), low = alarms_at(.5, 10, 4000);
    cr_assert(low < normal && normal < high, "%d, %d, %d", low, normal, high);
}

/* ---- options ---- */

static int found_with(fault *bad, int rows, const char *member, const char *option, double value)
{
    return search((struct search){.bad = bad, .rows = rows, .member = member, .option = option, .value = value});
}

Test(committee, has_a_factor_for_the_limit_of_every_member)
{
    struct sensor s;
    sensor_open(&s, 1);
    double *first = test_setting(&detector_committee.part, s.settings, "member_limits");
    for (int m = 0; m < COMMITTEE_MEMBERS; m++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "member_limits.%s", committee_members[m].name);
        double *factor = test_setting(&detector_committee.part, s.settings, path);
        cr_expect_eq(factor - first, m, "%s", path);
        cr_expect_eq(*factor, 1, "%s", path);
    }
    sensor_close(&s);
}

Test(committee, a_member_with_a_higher_limit_is_quieter_and_the_others_are_not)
{
    cr_assert_geq(found_with(frozen, 40, "stuck", "member_limits.stuck", 1), 18);
    cr_assert_eq(found_with(frozen, 40, "stuck", "member_limits.stuck", 100), 0);
    cr_assert_geq(found_with(frozen, 40, "stuck", "member_limits.miss", 100), 18);
    cr_assert_geq(found_with(spike, 1, "e1ph", "member_limits.e1ph", 1), 15);
    cr_assert_eq(found_with(spike, 1, "e1ph", "member_limits.e1ph", 1e6), 0);
}

Test(committee, cusum_forgives_drifts_as_it_is_told)
{
    cr_assert_geq(found_with(drift, 120, "cusum", "drift", .3), 12);
    cr_assert_eq(found_with(drift, 120, "cusum", "drift", 4), 0);
}

/* How often a value is told of that is frozen for 60 rows of every 90. */
static int told_with(int64_t episode)
{
    struct plant p = {.seed = 5};
    struct sensor s;
    int alarms = 0;
    sensor_open(&s, 1);
    *(struct eddy_strings *)s.settings = (struct eddy_strings){1, (const char *const[]){"stuck"}};
    *(int64_t *)test_setting(&detector_committee.part, s.settings, "episode") = episode;
    test_set(&detector_committee.part, s.settings, "repeat", 10);
    for (int t = 0; t < FAULT + 900; t++) {
        double x = plant_step(&p, t);
        if (t >= FAULT && (t - FAULT) % 90 < 60) x = 21.5;
        alarms += sensor_add(&s, &x, day_at(t)) && t >= FAULT;
    }
    sensor_close(&s);
    return alarms;
}

Test(committee, an_episode_ends_after_so_many_usual_rows)
{
    const int apart = told_with(10), one = told_with(1000);
    cr_assert_eq(one, 1, "%d", one);
    cr_assert_gt(apart, 1, "%d", apart);
}
