/* The committee's rates, each by what it is the rate of. */
#include <criterion/criterion.h>
#include <math.h>

#include "config/config.h"
#include "eddy_layer.h"
#include "engine/detect/committee.h"
#include "engine/detect/detectors.h"
#include "tests/unit/setting.h"

enum { DAY = 24, CHANGE = 1500 };

/* A series: a course of the day times `course`, and noise times `noise` that remembers `memory` of itself. */
struct course {
    double course, noise, memory, last;
};

static double course_step(struct course *c, int t)
{
    c->last = c->memory * c->last + c->noise * (double)eddy_random_normal(21, (uint64_t)t);
    return 20 + c->course * sin(2 * 3.14159265358979 * (t % DAY) / DAY) + c->last;
}

/* What is known `rows` rows after `before` became `after`, with one of the committee's options set. */
struct known {
    struct committee_value v;
    struct committee_event event;
    double errors, exceeding; /* mean |e| since the change; share of errors that exceeded in all */
};

static struct known known_with(const char *option, double value, struct course before, struct course after, int rows)
{
    struct eddy_error err = {0};
    struct known k = {.errors = 0};
    void *settings = calloc(1, detector_committee.part.settings_size);
    cr_assert_geq(config_part_defaults(&detector_committee.part, settings, &err), 0, "%s", err.message);
    if (option) test_set(&detector_committee.part, settings, option, value);
    const struct committee_rates *rates = test_setting(&detector_committee.part, settings, "drift");
    for (int t = 0; t < CHANGE + rows; t++) {
        const struct eddy_season season = {DAY, (double)(t % DAY) / DAY};
        if (t == CHANGE) after.last = before.last;
        const double x = course_step(t < CHANGE ? &before : &after, t);
        cr_assert(committee_begin(&k.v, rates, x, &season, &k.event));
        committee_foresee(&k.v, &k.event);
        committee_windows(&k.v, &k.event);
        for (int m = 0; m < COMMITTEE_MEMBERS; m++)
            (void)committee_evidence(&committee_members[m], &k.v, &k.event, 24, 3000);
        committee_learn(&k.v, &k.event);
        if (t >= CHANGE) k.errors += fabs(k.event.e) / rows;
        k.exceeding += (double)(k.v.exceeded & 1) / (CHANGE + rows);
    }
    free(settings);
    return k;
}

static const struct course calm = {2, 1, .5, 0}, lively = {2, 3, .5, 0};

Test(committee_rates, the_usual_move_is_followed_by_move_rate)
{
    const double usual = known_with(NULL, 0, calm, lively, 60).v.sd,
                 fast = known_with("move_rate", .05, calm, lively, 60).v.sd;
    cr_assert_gt(fast, 1.5 * usual, "%g, %g", fast, usual);
}

Test(committee_rates, the_usual_error_is_followed_by_error_rate)
{
    const double usual = known_with(NULL, 0, calm, lively, 60).v.error,
                 fast = known_with("error_rate", .05, calm, lively, 60).v.error;
    cr_assert_gt(fast, 1.5 * usual, "%g, %g", fast, usual);
}

/* The course turns upside down: morning moves are negative now. */
Test(committee_rates, the_course_of_the_season_is_followed_by_season_rate)
{
    const struct course up = {6, .2, 0, 0}, down = {-6, .2, 0, 0};
    const double was = known_with(NULL, 0, up, up, 5 * DAY).v.season.move[1],
                 usual = known_with(NULL, 0, up, down, 5 * DAY).v.season.move[1],
                 fast = known_with("season_rate", .5, up, down, 5 * DAY).v.season.move[1];
    cr_assert(was > 1 && usual > 0 && fast < -.5, "%g, %g, %g", was, usual, fast);
}

Test(committee_rates, the_usual_error_of_an_hour_is_followed_by_season_error_rate)
{
    double usual = 0, fast = 0;
    const struct known slow = known_with(NULL, 0, calm, lively, 5 * DAY),
                       quick = known_with("season_error_rate", .5, calm, lively, 5 * DAY);
    for (int b = 0; b < DAY; b++) {
        usual += (double)slow.v.season.error[b] / DAY;
        fast += (double)quick.v.season.error[b] / DAY;
    }
    cr_assert_gt(fast, 1.2 * usual, "%g, %g", fast, usual);
}

Test(committee_rates, the_one_step_forecast_follows_other_dynamics_by_forgetting)
{
    const struct course kept = {0, 1, .9, 0}, turned = {0, 1, -.9, 0};
    const double usual = known_with(NULL, 0, kept, turned, 300).errors,
                 fast = known_with("forgetting", .98, kept, turned, 300).errors;
    cr_assert_lt(fast, .9 * usual, "%g, %g", fast, usual);
}

Test(committee_rates, a_share_of_errors_as_large_as_exceeding_exceeds)
{
    const struct course white = {0, 1, 0, 0};
    cr_assert_float_eq(known_with(NULL, 0, white, white, 4000).exceeding, .08, .02);
    cr_assert_float_eq(known_with("exceeding", .3, white, white, 4000).exceeding, .3, .05);
}

Test(committee_rates, the_new_level_is_a_mean_over_level_events)
{
    const struct course still = {0, .1, 0, 0};
    const struct known one = known_with("level_events", 1, still, still, 10);
    cr_assert_float_eq(one.v.fast, one.event.x - one.event.profile, 1e-9);
    struct course high = still;
    high.memory = 1; /* goes on from where it was, by a walk */
    const double usual = known_with(NULL, 0, still, high, 200).v.fast,
                 slow = known_with("level_events", 1000, still, high, 200).v.fast;
    cr_assert_gt(fabs(usual - 20), 3 * fabs(slow - 20), "%g, %g", usual, slow);
}

/* Errors of a series that alternates have products below 0: roughness is the mean of them over rough_events. */
Test(committee_rates, alternation_is_a_mean_over_rough_events)
{
    const struct course white = {0, 1, 0, 0};
    const double usual = fabs((double)known_with(NULL, 0, white, white, 100).v.roughness),
                 slow = fabs((double)known_with("rough_events", 1e5, white, white, 100).v.roughness);
    cr_assert_lt(slow, .5 * usual, "%g, %g", slow, usual);
}
