/* What a model that keys share is worth to them: simulated fleets, one key after another. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "engine/forecast/fleet_shape.h"
#include "tests/unit/forecast/experts_fixture.h"

enum { KEYS = 60, UNSEEN = 60, STEPS = 320, LONGEST = 24 };

/* Key k of a fleet: the same dynamics for all, an own level, scale and noise. */
static void plant(int k, double *x, int n)
{
    double y = 0, before = 0;
    for (int t = -100; t < n; t++) {
        const double next = 1.5 * y - .56 * before + test_noise(1, 4096 * k + t + 100);
        before = y;
        y = next;
        if (t >= 0) x[t] = 10 * test_noise(2, k) + (1 + k % 7) * (y + .1 * test_noise(3, 4096 * k + t));
    }
}

/* A price. */
static void walk(int k, double *x, int n)
{
    x[0] = 100;
    for (int t = 1; t < n; t++) x[t] = x[t - 1] + test_noise(4, 4096 * k + t);
}

/* A course of three waves at the key's own hour, and noise. */
static void course(int k, double *x, int n)
{
    const double hour = fmod(fabs(10 * test_noise(5, k)), 24), a = 2 * 3.14159265358979 / 24;
    for (int t = 0; t < n; t++)
        x[t] = 10 * test_noise(2, k) +
               (1 + k % 7) * (sin(a * (t + hour)) + .6 * sin(2 * a * (t + hour) + 1) + .4 * sin(3 * a * (t + hour)) +
                              .1 * test_noise(3, 4096 * k + t));
}

/* Mean squared error h steps ahead of keys [first, last), forecasts made at ages [from, to), relative to persistence; the
 * model goes on from one key to the next. */
struct group {
    void (*series)(int k, double *x, int n);
    int first, last;
};
static double group_error(struct test_expert *fleet, const struct group *g, int from, int to, int h)
{
    static double x[STEPS], forecasts[STEPS];
    double own = 0, persistence = 0;
    for (int k = g->first; k < g->last; k++) {
        struct test_expert t;
        test_expert_open(&t, "fleet", 0);
        if (fleet->model) test_expert_join(&t, fleet);
        g->series(k, x, STEPS);
        for (int i = 0; i < STEPS; i++) {
            test_expert_fold(&t, x[i]);
            forecasts[i] = t.forecast[h - 1];
        }
        for (int i = from; i < to && i + h < STEPS; i++) {
            own += (x[i + h] - forecasts[i]) * (x[i + h] - forecasts[i]);
            persistence += (x[i + h] - x[i]) * (x[i + h] - x[i]);
        }
        if (fleet->model) test_expert_close(fleet);
        *fleet = t;
    }
    return own / persistence;
}

static void learnt(struct test_expert *fleet, void (*series)(int k, double *x, int n))
{
    const struct group keys = {series, 0, KEYS};
    *fleet = (struct test_expert){0};
    (void)group_error(fleet, &keys, 0, 1, 1);
}

Test(fleet, a_young_key_is_forecast_nearly_as_well_as_an_old_one)
{
    const struct group unseen = {plant, KEYS, KEYS + UNSEEN};
    struct test_expert fleet;
    learnt(&fleet, plant);
    const double young = group_error(&fleet, &unseen, 20, 45, 1), old = group_error(&fleet, &unseen, 200, 290, 1);
    cr_assert_lt(old, .8);
    cr_assert_lt(young, 1.15 * old, "%g against %g", young, old);
    const double far = group_error(&fleet, &unseen, 30, 60, 8), old_far = group_error(&fleet, &unseen, 200, 290, 8);
    cr_assert_lt(old_far, .8);
    cr_assert_lt(far, 1.35 * old_far, "%g against %g", far, old_far);
    test_expert_close(&fleet);
}

/* With the lags of a grown key alone it would be .24: before its first day is over nobody has a season to go by. */
Test(fleet, a_young_key_has_enough_lags_to_tell_where_in_its_course_it_is)
{
    const struct group unseen = {course, KEYS, KEYS + UNSEEN};
    struct test_expert fleet;
    learnt(&fleet, course);
    const double young = group_error(&fleet, &unseen, 16, 24, 8);
    cr_assert_lt(young, .12, "%g", young);
    test_expert_close(&fleet);
}

Test(fleet, a_young_key_alone_knows_less)
{
    const struct group unseen = {plant, KEYS, KEYS + UNSEEN};
    struct test_expert fleet;
    double alone = 0;
    learnt(&fleet, plant);
    for (int k = KEYS; k < KEYS + UNSEEN; k++) {
        const struct group one = {plant, k, k + 1};
        struct test_expert nobody = {0};
        alone += group_error(&nobody, &one, 20, 60, 1) / UNSEEN;
        test_expert_close(&nobody);
    }
    const double shared = group_error(&fleet, &unseen, 20, 60, 1);
    cr_assert_lt(shared, .85 * alone, "%g against %g", shared, alone);
    test_expert_close(&fleet);
}

Test(fleet, a_random_walk_is_forecast_by_its_last_value)
{
    const struct group unseen = {walk, KEYS, KEYS + UNSEEN};
    struct test_expert fleet;
    learnt(&fleet, walk);
    for (int h = 1; h <= LONGEST; h += 23) {
        const double error = group_error(&fleet, &unseen, 0, STEPS, h);
        cr_assert_float_eq(error, 1, .01, "%d steps ahead: %g", h, error);
    }
    test_expert_close(&fleet);
}

static struct fleet_shape shape_of(int last, int season)
{
    const struct eddy_expert_shape given = {1, &last, season, last > 24 ? last : 24, 0};
    struct fleet_shape s;
    fleet_shape_of(&given, &s);
    return s;
}

Test(fleet, anchors_reach_the_last_horizon_whatever_it_is)
{
    for (int last = 1; last <= 3000; last++) {
        const struct fleet_shape s = shape_of(last, 0);
        cr_assert_leq(s.n_anchors, FLEET_ANCHORS);
        cr_assert_eq(s.horizon[0], 1);
        cr_assert_eq(s.horizon[s.n_anchors - 1], last);
        for (int a = 1; a < s.n_anchors; a++) cr_assert_gt(s.horizon[a], s.horizon[a - 1], "up to %d", last);
    }
}

Test(fleet, keeps_what_the_horizons_need_and_no_more)
{
    cr_assert_eq(shape_of(1, 0).bytes, 280);
    cr_assert_eq(shape_of(24, 0).bytes, 1008);
    cr_assert_eq(shape_of(48, 0).bytes, 1720);
    cr_assert_lt(shape_of(288, 0).bytes, 4500);
}

Test(fleet, lags_and_offsets_follow_a_season_of_steps)
{
    const struct fleet_shape day = shape_of(48, 24), other = shape_of(48, 12), unknown = shape_of(48, 300);
    cr_assert_arr_eq(day.lags, ((int[]){1, 2, 8, 22, 25}), sizeof(day.lags));
    cr_assert_arr_eq(day.offsets, ((int[]){1, 4, 8, 16, 20, 23}), sizeof(day.offsets));
    cr_assert_arr_eq(other.lags, ((int[]){1, 2, 4, 10, 13}), sizeof(day.lags));
    cr_assert_arr_eq(unknown.lags, day.lags, sizeof(day.lags));
    for (int season = 2; season < 400; season++) cr_assert_neq(season % shape_of(48, season).stride, 0);
}
