/* Periods found in a series' own past. */
#include <criterion/criterion.h>
#include <math.h>

#include "eddy_layer.h"
#include "engine/forecast/season_search.h"

static double noise(int64_t i)
{
    return (double)eddy_random_normal(11, (uint64_t)i);
}

struct searched {
    struct season_search s;
    struct season_past past;
};

static void add(struct searched *q, float u)
{
    if (season_search_add(&q->s, u)) (void)season_search_decide(&q->s, &q->past);
}

/* Feeds the differences of x(t), t = from .. to - 1. */
static void feed(struct searched *q, double (*x)(int), int from, int to)
{
    for (int t = from; t < to; t++) add(q, (float)(x(t + 1) - x(t)));
}

static double pump(int t) /* on for 9 of 30 steps */
{
    return (t % 30 < 9 ? 5 : 0) + .5 * noise(t);
}
static double wave(int t)
{
    return 3 * sin(2 * M_PI * t / 24) + .3 * noise(t);
}
static double faster(int t)
{
    return 3 * sin(2 * M_PI * t / 17.3) + .3 * noise(t);
}
static double long_cycle(int t)
{
    return (t % 100 < 40 ? 5 : 0) + .4 * noise(t);
}

static double noise_at_rest(int t)
{
    return noise(t);
}

Test(season_search, finds_cycles_of_any_shape_and_length_within_reach)
{
    static const struct {
        double (*x)(int);
        double period;
    } cases[] = {{pump, 30}, {wave, 24}, {faster, 17.3}, {long_cycle, 100}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct searched q = {0};
        feed(&q, cases[i].x, 0, 1000);
        cr_assert_float_eq(q.s.period, cases[i].period, .02 * cases[i].period, "case %zu: %g", i, q.s.period);
    }
}

/* The equation, difference by difference: waiting changes no bit of it. */
Test(season_search, lags_that_wait_learn_what_they_would_have_learnt_at_once)
{
    enum { N = 1600 }; /* beyond 8 x 128, where the memory ends */
    static float u[SEASON_LAGS + N], r[SEASON_LAGS + 1];
    struct searched q = {0};
    for (int t = 0; t < N; t++) {
        float *now = u + SEASON_LAGS + t;
        const float n = (float)t + 1, a = 1 / (n < 8 * SEASON_LAGS ? n : 8 * SEASON_LAGS);
        *now = (float)(wave(t + 1) - wave(t));
        add(&q, *now);
        for (int L = 0; L <= SEASON_LAGS; L++) r[L] += a * (*now * now[-L] - r[L]);
        if ((t + 1) % SEASON_WAITING == 0) cr_assert_arr_eq(q.past.r, r, sizeof(r), "after %d differences", t + 1);
    }
}

Test(season_search, follows_a_change_and_forgets_a_cycle_that_ends)
{
    struct searched q = {0};
    feed(&q, wave, 0, 1500);
    cr_assert_float_eq(q.s.period, 24, .3, "%g", q.s.period);
    feed(&q, faster, 1500, 4500);
    cr_assert_float_eq(q.s.period, 17.3, .2, "%g", q.s.period);
    feed(&q, noise_at_rest, 4500, 9000);
    cr_assert_eq(q.s.period, 0);
}

Test(season_search, sees_no_cycle_in_noise_walks_and_resonances)
{
    int noises = 0, resonances = 0;
    for (int run = 0; run < 60; run++) {
        struct searched white = {0}, walk = {0}, resonant = {0};
        double y1 = 0, y2 = 0;
        for (int t = 0; t < 2000; t++) {
            const double e = noise(run * 100000 + t), y = 1.6 * y1 - .9 * y2 + e;
            add(&white, (float)(e - noise(run * 100000 + t - 1)));
            add(&walk, (float)e);
            add(&resonant, (float)(y - y1) / 3);
            y2 = y1, y1 = y;
        }
        noises += (white.s.period > 0) + (walk.s.period > 0);
        resonances += resonant.s.period > 0;
    }
    cr_assert_eq(noises, 0, "%d of 120", noises);
    cr_assert_leq(resonances, 9, "%d of 60", resonances);
}

/* What rises by the same step for ever: its lags are alike but for rounding, and a walk from summit to summit stood still. */
Test(season_search, comes_to_an_end_on_a_ramp, .timeout = 20)
{
    struct searched q = {0};
    for (int t = 0; t < 40000; t++) add(&q, 1);
    cr_expect(isfinite(q.s.period));
}
