/* Scale, bands, waiting forecasts, calendar: the small parts that a forecast is made of. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "eddy_layer.h"
#include "engine/forecast/bands.h"
#include "engine/forecast/calendar.h"
#include "engine/forecast/outlook.h"
#include "engine/forecast/scale.h"

Test(scale, follows_differences_and_not_the_level)
{
    struct scale low = {0}, high = {0};
    for (int i = 0; i < 500; i++) {
        double noise = (double)eddy_random_normal(1, (uint64_t)i);
        scale_update(&low, noise);
        scale_update(&high, 1e6 + noise);
    }
    double ratio = (scale_sigma(&high) - 1) / scale_sigma(&low); /* 1e-6 |x| = 1 is meant */
    cr_assert(ratio > .9 && ratio < 1.1, "ratio %g", ratio);
}

Test(scale, a_jump_does_not_become_the_scale)
{
    struct scale s = {0};
    for (int i = 0; i < 500; i++) scale_update(&s, (double)eddy_random_normal(1, (uint64_t)i));
    double before = scale_sigma(&s);
    scale_update(&s, 1e4);
    cr_assert_lt(scale_sigma(&s), before + 6 + 10, "w moves by 1e4 x 2/673 x .05 at most");
}

Test(scale, a_jump_of_a_young_key_is_not_its_scale)
{
    struct scale calm = {0}, jumped = {0};
    for (int i = 0; i < 20; i++) {
        const double x = (double)eddy_random_normal(1, (uint64_t)i);
        scale_update(&calm, x);
        scale_update(&jumped, x + (i >= 8 ? 100 : 0));
    }
    cr_assert_lt(scale_sigma(&jumped) - .05 * jumped.spread, 1.6 * scale_sigma(&calm));
}

Test(scale, a_constant_has_a_positive_scale)
{
    struct scale s = {0};
    for (int i = 0; i < 100; i++) scale_update(&s, 0);
    cr_assert_gt(scale_sigma(&s), 0);
}

Test(scale, is_the_same_in_any_unit)
{
    struct scale usual = {0}, tiny = {0};
    for (int i = 0; i < 100; i++) {
        const double x = (double)eddy_random_normal(1, (uint64_t)i);
        scale_update(&usual, x);
        scale_update(&tiny, ldexp(x, -40));
    }
    cr_assert_float_eq(ldexp(scale_sigma(&tiny), 40) / scale_sigma(&usual), 1, 1e-9);
}

Test(scale, stays_finite_for_the_largest_numbers)
{
    struct scale s = {0};
    for (int i = 0; i < 1000; i++) {
        scale_update(&s, i % 2 ? 1.7e308 : -1.7e308);
        cr_assert(isfinite(scale_sigma(&s)) && isfinite(s.mean) && isfinite(s.slow));
    }
}

static const struct bands_rates rates = {.quantile = .03, .scale = .01};

/* Independent normal errors of a random walk's forecasts, `lag` steps before they are known: how many lie inside. */
static void expect_coverage(int lag)
{
    enum { N_BANDS = 2, STEPS = 20000, MOST = 48 };
    static const double coverages[N_BANDS] = {.5, .9};
    const struct eddy_reals wanted = {N_BANDS, coverages};
    float tracker[16] = {0}, s0[MOST] = {0};
    bands_edge edges[MOST][2 * N_BANDS] = {{0}};
    double walk[STEPS] = {0};
    int inside[N_BANDS] = {0}, n = 0;
    cr_assert_leq(bands_floats(N_BANDS), 16);
    for (int t = 1; t < STEPS; t++) {
        walk[t] = walk[t - 1] + 3 * (double)eddy_random_normal(5, (uint64_t)t);
        if (t >= lag) {
            const double error = walk[t] - walk[t - lag];
            const float s = s0[t % lag];
            for (int b = 0; b < N_BANDS && t >= 500; b++)
                inside[b] += error >= bands_offset(s, edges[t % lag][b]) &&
                             error <= bands_offset(s, edges[t % lag][N_BANDS + b]);
            n += t >= 500;
            bands_update(tracker, &wanted, rates, error, s, edges[t % lag]);
        }
        s0[t % lag] = bands_scale(tracker);
        (void)bands_write(tracker, N_BANDS, edges[t % lag]);
    }
    cr_expect_float_eq((double)inside[0] / n, .5, .01, "%d steps: %g", lag, (double)inside[0] / n);
    cr_expect_float_eq((double)inside[1] / n, .9, .005, "%d steps: %g", lag, (double)inside[1] / n);
}

Test(bands, cover_what_they_promise_at_every_horizon)
{
    expect_coverage(1);
    expect_coverage(8);
    expect_coverage(24);
    expect_coverage(48);
}

Test(bands, begin_as_those_of_a_normal_error)
{
    static const double coverages[] = {.5, .9};
    const struct eddy_reals wanted = {2, coverages};
    float tracker[16] = {0};
    bands_edge edges[4];
    cr_assert_not(bands_write(tracker, 2, edges));
    cr_expect_eq(edges[1], 0);
    bands_update(tracker, &wanted, rates, -2, 0, edges);
    cr_assert(bands_write(tracker, 2, edges));
    cr_expect_eq(bands_scale(tracker), 2);
    /* .67449 and 1.64485 standard deviations, of which .79788 are the mean size */
    cr_expect_float_eq(bands_offset(1, edges[2]), .67449 / .79788, BANDS_STEP);
    cr_expect_float_eq(bands_offset(1, edges[3]), 1.64485 / .79788, BANDS_STEP);
    cr_expect_float_eq(bands_offset(2, edges[1]), -2 * 1.64485 / .79788, 2 * BANDS_STEP);
}

Test(bands, go_by_what_somebody_expects_until_the_first_error_and_keep_it_in_mind)
{
    static const double coverages[] = {.9};
    const struct eddy_reals wanted = {1, coverages};
    float tracker[16] = {0};
    bands_edge e[2];
    bands_expect(tracker, &wanted, NAN);
    cr_assert_not(bands_write(tracker, 1, e));
    bands_expect(tracker, &wanted, 5);
    bands_expect(tracker, &wanted, 3);
    cr_assert(bands_write(tracker, 1, e));
    cr_expect_eq(bands_scale(tracker), 3);
    bands_update(tracker, &wanted, rates, 12, bands_scale(tracker), e);
    cr_expect_float_eq(bands_scale(tracker), 3 + (12 - 3) / 9.f, 1e-6);
    bands_expect(tracker, &wanted, 100);
    cr_expect_float_eq(bands_scale(tracker), 4, 1e-6, "errors of its own count from then on");
}

Test(bands, know_nothing_before_the_first_error_and_nest_afterwards)
{
    static const double coverages[] = {.5, .9};
    const struct eddy_reals wanted = {2, coverages};
    float tracker[16] = {0};
    bands_edge e[4] = {0};
    cr_assert_not(bands_write(tracker, 2, e));
    for (int i = 0; i < 3000; i++) {
        bands_update(tracker, &wanted, rates, i % 7 ? .1 : 1e29, bands_scale(tracker), e);
        cr_assert(bands_write(tracker, 2, e));
        cr_assert(e[1] <= e[0] && e[0] <= e[2] && e[2] <= e[3]);
    }
}

/* Share of `n` errors of deviation 1 from the event `from` on that the 90 % band covers, after `still` events without one. */
static double covered_after(int still, int n)
{
    static const double coverages[] = {.9};
    const struct eddy_reals wanted = {1, coverages};
    float tracker[16] = {0};
    bands_edge e[2] = {0};
    int inside = 0;
    for (int i = 0; i < 2000 + still + n; i++) {
        const bool stands = i >= 2000 && i < 2000 + still;
        const double error = stands ? 0 : (double)eddy_random_normal(9, (uint64_t)i);
        const float s = bands_scale(tracker);
        inside += i >= 2000 + still && error >= bands_offset(s, e[0]) && error <= bands_offset(s, e[1]);
        bands_update(tracker, &wanted, rates, error, s, e);
        (void)bands_write(tracker, 1, e);
    }
    return (double)inside / n;
}

Test(bands, come_back_soon_after_a_long_standstill)
{
    const double usual = covered_after(0, 300), after = covered_after(5000, 300);
    cr_expect_float_eq(usual, .9, .04, "%g", usual);
    cr_expect_gt(after, .45, "%g: with a scale that has gone to 0 it is .04", after);
}

Test(bands, of_a_series_that_never_moved_begin_with_its_first_error)
{
    static const double coverages[] = {.9};
    const struct eddy_reals wanted = {1, coverages};
    float tracker[16] = {0};
    bands_edge e[2] = {0};
    for (int i = 0; i < 500; i++) bands_update(tracker, &wanted, rates, 0, bands_scale(tracker), e);
    cr_expect_eq(bands_scale(tracker), 0);
    bands_update(tracker, &wanted, rates, 3, 0, e);
    cr_expect_eq(bands_scale(tracker), 3);
}

Test(outlook, returns_at_its_step_what_was_forecast_for_it)
{
    static const int horizons[] = {1, 3, 12};
    static const size_t first[] = {0, 1, 4, 16};
    const struct outlook_shape shape = {3, 2, horizons, first, 4};
    _Alignas(8) unsigned char memory[1024];
    cr_assert_leq(outlook_bytes(&shape), sizeof(memory));
    for (int64_t t = 0; t < 100; t++)
        for (int j = 0; j < 3; j++) {
            struct outlook_entry e = outlook_at(&shape, memory, j, t);
            if (t >= horizons[j]) cr_assert_float_eq(e.xhat[1], (double)(t - horizons[j]) + .5, 0);
            e.xhat[0] = -1;
            e.xhat[1] = (double)t + .5;
            e.s0[0] = e.s0[1] = 1;
            for (int k = 0; k < 2 * 4; k++) e.edges[k] = (bands_edge)t;
        }
}

Test(calendar, is_sine_and_cosine_of_day_and_week)
{
    const double turn = 6.283185307179586;
    for (int64_t s = -200000; s < 2000000; s += 1237) {
        float c[CALENDAR_INPUTS];
        calendar_inputs(s * 1000000000, c);
        double day = (double)((s % 86400 + 86400) % 86400) / 86400;
        double week = (double)(((s + 3 * 86400) % 604800 + 604800) % 604800) / 604800;
        cr_assert_float_eq(c[0], sin(turn * day), 1e-6);
        cr_assert_float_eq(c[1], cos(turn * day), 1e-6);
        cr_assert_float_eq(c[2], sin(2 * turn * day), 1e-6);
        cr_assert_float_eq(c[3], cos(2 * turn * day), 1e-6);
        cr_assert_float_eq(c[4], sin(turn * week), 1e-6);
        cr_assert_float_eq(c[5], cos(turn * week), 1e-6);
    }
}

Test(calendar, what_is_remembered_is_that_of_the_second_asked_for)
{
    static const int64_t times_ns[] = {1500000000, 1999999999, 2000000000, 1999999999, -1, -999999999, 0, 999999999};
    struct calendar_memory m;
    float c[CALENDAR_INPUTS];
    calendar_forget(&m);
    for (size_t i = 0; i < sizeof(times_ns) / sizeof(times_ns[0]); i++) {
        calendar_inputs(times_ns[i], c);
        cr_assert_arr_eq(calendar_remembered(&m, times_ns[i]), c, sizeof(c), "case %zu", i);
    }
    /* Many more seconds than there are places, every one twice. */
    for (int64_t i = 0; i < 8 * CALENDAR_REMEMBERED; i++) {
        const int64_t t = (i / 2 + i % 7) * 60 * 1000000000;
        calendar_inputs(t, c);
        cr_assert_arr_eq(calendar_remembered(&m, t), c, sizeof(c), "minute %d", (int)(i / 2 + i % 7));
    }
}

Test(bands, their_scale_follows_as_fast_as_it_is_told)
{
    static const double coverages[] = {.9};
    static const struct bands_rates fast = {.quantile = .03, .scale = .2};
    const struct eddy_reals wanted = {1, coverages};
    float slowly[16] = {0}, quickly[16] = {0};
    bands_edge e[2] = {0};
    for (int i = 0; i < 520; i++) {
        const double error = i < 500 ? 1 : 10;
        bands_update(slowly, &wanted, rates, error, 1, e);
        bands_update(quickly, &wanted, fast, error, 1, e);
    }
    /* 10 - 9 (1 - rate)^20 */
    cr_expect_float_eq((double)bands_scale(slowly), 10 - 9 * pow(.99, 20), 1e-3);
    cr_expect_float_eq((double)bands_scale(quickly), 10 - 9 * pow(.8, 20), 1e-3);
}
