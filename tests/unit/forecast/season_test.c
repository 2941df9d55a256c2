/* Seasons: where an event lies, and the profile of differences. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "eddy_layer.h"
#include "engine/forecast/season.h"
#include "engine/math/scalar.h"

static const int64_t SECOND_NS = 1000000000;

static struct season_rule rule_of(const char *text)
{
    struct season_rule r;
    cr_assert_null(parse_season(text, &r), "%s", text);
    return r;
}

Test(season, texts_are_read_and_nonsense_is_refused)
{
    cr_assert_eq(rule_of("auto").kind, SEASON_AUTO);
    cr_assert_eq(rule_of("none").kind, SEASON_NONE);
    cr_assert_eq(rule_of("24").steps, 24);
    cr_assert_eq(rule_of("24h").period_ns, 86400 * SECOND_NS);
    struct season_rule r;
    for (const char *const *bad = (const char *const[]){"1", "0", "0h", "-1h", "day", "1000001", "", NULL}; *bad;
         bad++)
        cr_assert(parse_season(*bad, &r) || r.kind == SEASON_STEPS, "%s", *bad);
    cr_assert_not_null(parse_season("1", &r));
    cr_assert_not_null(parse_season("day", &r));
}

Test(season, auto_takes_the_calendar_period_that_fits_the_pace)
{
    const struct season_rule r = rule_of("auto");
    cr_assert_float_eq(season_at(&r, 0, 9, 300).steps, 288, 1e-9);
    cr_assert_float_eq(season_at(&r, 0, 9, 86400).steps, 7, 1e-9);
    cr_assert_float_eq(season_at(&r, 0, 9, 30 * 86400).steps, 12.175, 1e-9);
    cr_assert_eq(season_at(&r, 0, 9, 0).steps, 0);
    cr_assert_eq(season_at(&r, 0, 9, 1e9).steps, 0);
    cr_assert_float_eq(season_at(&r, -6 * 3600 * SECOND_NS, 9, 3600).phase, .75, 1e-12, "before 1970 too");
}

/* A profile that has seen `days` days of the function. */
static struct season_profile *profile_of(const struct season_rule *r, double interval_s, int days,
                                         double (*f)(double))
{
    const int bins = season_bins(r), steps = (int)(86400 / interval_s);
    struct season_profile *p = calloc(1, season_profile_bytes(bins));
    for (int k = 1; k <= days * steps; k++) {
        const struct eddy_season s = season_at(r, (int64_t)(k * interval_s) * SECOND_NS, k, interval_s);
        season_learn(p, bins, &s, f((double)k / steps), f((double)k / steps) - f((double)(k - 1) / steps), 0, 1e3);
    }
    return p;
}

static double tide(double day)
{
    return 10 * sin(2 * M_PI * day) + 3 * sin(4 * M_PI * day + 1);
}

Test(season, profile_foretells_the_moves_of_a_day)
{
    const struct season_rule r = rule_of("24h");
    const double pace[] = {3600, 300, 7200};
    for (int i = 0; i < 3; i++) {
        struct season_profile *p = profile_of(&r, pace[i], 20, tide);
        double ahead[49], worst = 0;
        const struct eddy_season s = season_at(&r, 21 * 86400 * SECOND_NS, 9, pace[i]);
        struct season_course c;
        season_course_of(p, season_bins(&r), s.steps, &c);
        season_look_ahead(&c, s.phase, ahead, 48);
        const double level = season_level(&c, s.phase);
        for (int j = 1; j <= 48; j++) worst = fmax(worst, fabs(ahead[j] - (tide(j * pace[i] / 86400) - tide(0))));
        cr_assert_lt(worst, .7, "pace %g: %g", pace[i], worst);
        cr_assert_float_eq(level, tide(0), .4, "pace %g: level %g", pace[i], level);
        free(p);
    }
}

/* What is seen of a value that comes every `every`-th event for 20 days. */
static struct season_profile *profile_of_gaps(int every)
{
    const struct season_rule r = rule_of("24h");
    struct season_profile *p = calloc(1, season_profile_bytes(24));
    for (int k = every; k <= 20 * 24 * every; k += every) {
        const struct eddy_season s = season_at(&r, k * 3600 * SECOND_NS, k, 3600);
        season_learn(p, 24, &s, tide(k / 24.), tide(k / 24.) - tide((k - every) / 24.), every - 1, 1e3);
    }
    return p;
}

static void expect_tide(const struct season_profile *p, int every, double tolerance)
{
    struct season_course c;
    season_course_of(p, 24, 24, &c);
    double worst = 0;
    for (int k = 0; k < 24; k += every)
        worst = fmax(worst, fabs(season_level(&c, k / 24.) - season_level(&c, 0) - (tide(k / 24.) - tide(0))));
    cr_expect_lt(worst, tolerance, "every %d: %g", every, worst);
}

Test(season, moves_over_gaps_are_spread_over_their_steps)
{
    struct season_profile *p = profile_of_gaps(5); /* at every hour, in the course of five days */
    expect_tide(p, 1, 4.5);
    free(p);
}

/* The last value stands until the next one comes, at the same hours day by day: so does the course. */
Test(season, a_move_over_hours_that_never_have_a_value_is_one_of_the_hour_at_which_it_comes)
{
    static const int gaps[] = {3, 6, 8, 12};
    for (int i = 0; i < 4; i++) {
        struct season_profile *p = profile_of_gaps(gaps[i]);
        cr_expect_eq(scalar_bits(p->seen), 24 / gaps[i]);
        expect_tide(p, gaps[i], .5);
        for (int b = 0; b < 24; b++)
            if (b % gaps[i]) cr_expect_eq((double)p->rate[b], 0, "%d: %d", gaps[i], b);
        free(p);
    }
}

/* Of a value that comes at every hour. */
Test(season, nothing_is_learnt_of_a_move_over_half_a_season)
{
    const struct season_rule r = rule_of("24h");
    struct season_profile *p = profile_of_gaps(1);
    const struct eddy_season s = season_at(&r, 0, 30, 3600);
    const double before = (double)p->rate[0];
    season_learn(p, 24, &s, 5, 100, 11, 1e3);
    cr_expect_eq((double)p->rate[0], before);
    season_learn(p, 24, &s, 5, 100, 1000, 1e3);
    cr_expect_eq((double)p->rate[0], before);
    season_learn(p, 24, &s, 5, 100, 10, 1e3);
    cr_expect_gt((double)p->rate[0], before);
    free(p);
}

Test(season, nothing_is_told_before_a_whole_season_was_seen)
{
    const struct season_rule r = rule_of("24");
    struct season_profile *p = calloc(1, season_profile_bytes(24));
    double ahead[25];
    struct season_course c;
    for (int k = 0; k < 23; k++) {
        const struct eddy_season s = season_at(&r, 0, k, 0);
        season_learn(p, 24, &s, k % 2, k % 2 ? 1 : -1, 0, 10);
        season_course_of(p, 24, s.steps, &c);
        season_look_ahead(&c, s.phase, ahead, 24);
        cr_assert_eq(season_level(&c, s.phase), 0);
        cr_assert_eq(ahead[5], 0);
    }
    free(p);
}

/* The same differences day after day, but a level that walks at random: what the profile says of it is not followed. */
Test(season, a_course_that_says_nothing_is_not_followed)
{
    const struct season_rule r = rule_of("24");
    struct season_profile *p = calloc(1, season_profile_bytes(24));
    double x = 0, trust = 0;
    for (int k = 0; k < 24 * 400; k++) {
        const struct eddy_season s = season_at(&r, 0, k, 0);
        const double step = (double)eddy_random_normal(7, (uint64_t)k);
        struct season_course c;
        season_learn(p, 24, &s, x += step, step, 0, 3);
        season_course_of(p, 24, s.steps, &c);
        if (k >= 24 * 20) trust += c.trust / (24 * 380);
    }
    cr_assert_lt(trust, .25, "%g", trust);
    free(p);
}

Test(season, outrageous_differences_leave_finite_numbers)
{
    const struct season_rule r = rule_of("7");
    struct season_profile *p = calloc(1, season_profile_bytes(7));
    double ahead[25];
    struct season_course c;
    for (int k = 0; k < 100; k++) {
        const struct eddy_season s = season_at(&r, 0, k, 0);
        season_learn(p, 7, &s, k % 2 ? 1e308 : -1e308, k % 2 ? INFINITY : -1e308, 0, 1e308);
        season_course_of(p, 7, s.steps, &c);
        season_look_ahead(&c, s.phase, ahead, 24);
        for (int j = 0; j <= 24; j++) cr_assert(isfinite(ahead[j]));
    }
    free(p);
}
