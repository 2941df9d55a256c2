#include "engine/train/schedule.h"

#include <criterion/criterion.h>
#include <math.h>

#include "tests/unit/train/fixture.h"

static double share_at(int schedule, int64_t n, double floor, int64_t t)
{
    struct train_settings s = test_train_settings();
    s.schedule = schedule;
    s.schedule_steps = n;
    s.schedule_floor = floor;
    return schedule_share(&s, t, NULL);
}

Test(schedule, constant_is_1_at_every_step)
{
    cr_assert_eq(share_at(SCHEDULE_CONSTANT, 100, 0.1, 1), 1);
    cr_assert_eq(share_at(SCHEDULE_CONSTANT, 100, 0.1, INT64_MAX), 1);
}

Test(schedule, warmup_climbs_in_a_straight_line_and_stays)
{
    cr_assert_float_eq(share_at(SCHEDULE_WARMUP, 100, 0.1, 1), 0.01, 1e-15);
    cr_assert_float_eq(share_at(SCHEDULE_WARMUP, 100, 0.1, 50), 0.5, 1e-15);
    cr_assert_eq(share_at(SCHEDULE_WARMUP, 100, 0.1, 100), 1);
    cr_assert_eq(share_at(SCHEDULE_WARMUP, 100, 0.1, INT64_MAX), 1);
    cr_assert_eq(share_at(SCHEDULE_WARMUP, 1, 0.1, 1), 1);
}

Test(schedule, inverse_sqrt_falls_with_the_root_of_the_steps_down_to_the_floor)
{
    cr_assert_float_eq(share_at(SCHEDULE_INVERSE_SQRT, 100, 0.1, 25), 0.25, 1e-15);
    cr_assert_eq(share_at(SCHEDULE_INVERSE_SQRT, 100, 0.1, 100), 1);
    cr_assert_float_eq(share_at(SCHEDULE_INVERSE_SQRT, 100, 0.1, 400), 0.5, 1e-15);
    cr_assert_float_eq(share_at(SCHEDULE_INVERSE_SQRT, 100, 0.1, 2500), 0.2, 1e-15);
    cr_assert_eq(share_at(SCHEDULE_INVERSE_SQRT, 100, 0.1, 1000000), 0.1);
}

Test(schedule, cosine_starts_again_in_periods_that_double)
{
    cr_assert_eq(share_at(SCHEDULE_COSINE, 100, 0.2, 1), 1);
    cr_assert_float_eq(share_at(SCHEDULE_COSINE, 100, 0.2, 51), 0.6, 1e-15); /* half way between 1 and the floor */
    cr_assert_float_eq(share_at(SCHEDULE_COSINE, 99, 0.2, 34), 0.8, 1e-15);  /* a third: cos is 1/2 */
    cr_assert_lt(share_at(SCHEDULE_COSINE, 100, 0.2, 100), 0.21);
    cr_assert_eq(share_at(SCHEDULE_COSINE, 100, 0.2, 101), 1);
    cr_assert_float_eq(share_at(SCHEDULE_COSINE, 100, 0.2, 201), 0.6, 1e-15);
    cr_assert_eq(share_at(SCHEDULE_COSINE, 100, 0.2, 301), 1);
    cr_assert_eq(share_at(SCHEDULE_COSINE, 100, 0.2, 701), 1);
    for (int64_t t = INT64_MAX / 4; t < INT64_MAX / 2; t += INT64_MAX / 50) {
        const double share = share_at(SCHEDULE_COSINE, 1, 0.2, t);
        cr_assert(share >= 0.2 && share <= 1);
    }
}

/* Steps t + 1 .. t + n with a loss of `level` plus noise of this size, falling by `fall` each; returns the share then. */
static double live(const struct train_settings *s, struct train_pace *pace, int64_t *t, int n, double level,
                   double fall)
{
    for (int i = 0; i < n; i++) {
        ++*t;
        schedule_note(s, *t, level - fall * i + 0.5 * (double)eddy_random_normal(1, (uint64_t)*t), pace);
    }
    return schedule_share(s, *t + 1, pace);
}

Test(schedule, plateau_waits_while_the_loss_falls_lowers_when_it_stands_and_raises_when_it_rises)
{
    static const double levels[] = {10, 0, -10}; /* a log likelihood may be below 0 */
    struct train_settings s = test_train_settings();
    s.schedule = SCHEDULE_PLATEAU;
    for (int i = 0; i < 3; i++) {
        struct train_pace pace = {0};
        int64_t t = 0;
        cr_assert_eq(schedule_share(&s, 1, &pace), 1);
        cr_assert_geq(live(&s, &pace, &t, 2000, levels[i], 5e-3), 0.9, "falling");
        const double standing = live(&s, &pace, &t, 8000, levels[i] - 10, 0);
        cr_assert_lt(standing, 0.3, "standing: %g", standing);
        cr_assert_geq(standing, 0.1);
        const double rising = live(&s, &pace, &t, 1000, levels[i], 0);
        cr_assert_gt(rising, 0.9, "rising: %g", rising);
    }
}

Test(schedule, plateau_stops_at_its_floor_and_needs_no_past)
{
    struct train_settings s = test_train_settings();
    struct train_pace pace = {0};
    s.schedule = SCHEDULE_PLATEAU;
    s.schedule_steps = 1;
    for (int64_t t = 5000; t < 5100; t++) schedule_note(&s, t, 5000.0 / (double)t + (t % 2 ? 1e-3 : -1e-3), &pace);
    cr_assert(pace.share >= 0.1 && pace.share <= 1);
    cr_assert_eq(schedule_share(&s, 1, NULL), 1);
}

Test(schedule, others_keep_no_averages)
{
    struct train_settings s = test_train_settings();
    struct train_pace pace = {0};
    schedule_note(&s, 1, 3, &pace);
    cr_assert_eq(pace.share, 0);
}
