/* Experts become one forecast: the stack, the mean of both, shrinkage, extreme rows. */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/forecast/blend.h"
#include "engine/forecast/stack.h"
#include "tests/unit/forecast/experts_fixture.h"
#include "tests/unit/forecast/mix_usual.h"

Test(stack, finds_the_least_of_small_problems)
{
    /* Alone each would get .6: together they may have no more than 1. */
    const double M[] = {1, 0, 0, 1}, b[] = {.6, .6};
    double a[] = {0, 0};
    for (int i = 0; i < 20; i++) stack_descend(2, M, b, a);
    cr_expect_float_eq(a[0], .5, 1e-6);
    cr_expect_float_eq(a[1], .5, 1e-6);
    /* What would be negative is 0, and the other alone decides: .9 / 2. */
    const double pulls[] = {2, .5, .5, 1}, c[] = {.9, -.3};
    double d[] = {.5, .5};
    for (int i = 0; i < 20; i++) stack_descend(2, pulls, c, d);
    cr_expect_float_eq(d[0], .45, 1e-6);
    cr_expect_eq(d[1], 0);
}

static double objective(const double *M, const double *b, const double *a)
{
    double value = 0;
    for (int i = 0; i < 3; i++) {
        value -= 2 * b[i] * a[i];
        for (int j = 0; j < 3; j++) value += a[i] * M[i * 3 + j] * a[j];
    }
    return value;
}

Test(stack, is_never_above_a_grid)
{
    for (int trial = 0; trial < 50; trial++) {
        double f[9], M[9] = {0}, b[3], a[3] = {0}, least = INFINITY;
        for (int i = 0; i < 9; i++) f[i] = test_noise(1, 20 * trial + i);
        for (int i = 0; i < 3; i++) b[i] = test_noise(2, 20 * trial + i);
        for (int i = 0; i < 9; i++) {
            for (int k = 0; k < 3; k++) M[i] += f[i / 3 * 3 + k] * f[i % 3 * 3 + k];
            M[i] += i % 4 == 0 ? .05 : 0;
        }
        for (int i = 0; i < 400; i++) stack_descend(3, M, b, a);
        for (int i = 0; i <= 20; i++)
            for (int j = 0; i + j <= 20; j++)
                for (int k = 0; i + j + k <= 20; k++) {
                    const double at[] = {i / 20., j / 20., k / 20.};
                    least = fmin(least, objective(M, b, at));
                }
        cr_expect(a[0] >= 0 && a[1] >= 0 && a[2] >= 0 && a[0] + a[1] + a[2] <= 1 + 1e-12);
        cr_expect_leq(objective(M, b, a), least + 1e-9, "%d: %g against %g", trial, objective(M, b, a), least);
    }
}

enum { MAX_EXPERTS = 3, H = 3 };
static const int horizons[H] = {1, 2, 5};
static const size_t first[H + 1] = {0, 1, 3, 8};
static const struct mix_settings standard = {MIX_USUAL, .kind = MIX_BOTH, .stack_discount = .9995, .extreme = 8};

/* A blend at work on a series that is known beforehand. */
struct world {
    struct mix_settings settings;
    struct blend blend;
    struct mix_groups groups;
    void *state;
    double mixed[H], errors[MAX_EXPERTS * H];
    double loss, persistence; /* at the last horizon, of what was mixed and of the last value */
    double kept[8][2];
    int64_t t;
};

static void world_open(struct world *w, int n_experts, const struct mix_settings *settings)
{
    *w = (struct world){.settings = *settings};
    mix_group(settings, horizons, H, &w->groups);
    w->blend = (struct blend){&w->settings, n_experts, H, horizons, first, &w->groups};
    w->state = calloc(1, blend_bytes(&w->blend));
    cr_assert(w->state);
}

/* One step: the value and what the experts say. */
static void world_step(struct world *w, double x, double sigma, const double *forecasts)
{
    double *waiting = w->kept[w->t % 5];
    blend_learn(&w->blend, w->state, w->t, x, w->errors);
    if (w->t >= 1000) {
        w->loss += (x - waiting[0]) * (x - waiting[0]);
        w->persistence += (x - waiting[1]) * (x - waiting[1]);
    }
    blend_forecast(&w->blend, w->state, NULL, w->t, x, sigma, forecasts, w->mixed);
    waiting[0] = w->mixed[H - 1];
    waiting[1] = x;
    w->t++;
}

enum { STEPS = 4000 };
static double walk[STEPS + 8];

static void make_walk(void)
{
    for (int i = 1; i < STEPS + 8; i++) walk[i] = walk[i - 1] + test_noise(1, i);
}

/* Experts that know part of what is to come: what they say is the truth with an error of their own. */
static void run(struct world *w, const double *sizes, double common)
{
    make_walk();
    for (int t = 0; t < STEPS; t++) {
        double forecasts[MAX_EXPERTS * H];
        for (int i = 0; i < w->blend.n_experts; i++)
            for (int j = 0; j < H; j++)
                forecasts[i * H + j] = isnan(sizes[i]) ? NAN
                                                       : walk[t + horizons[j]] +
                                                             sizes[i] * test_noise((uint64_t)(10 + i), t * H + j) +
                                                             common * test_noise(99, t * H + j);
        world_step(w, walk[t], 3, forecasts);
    }
    free(w->state);
}

Test(blend, tells_the_errors_of_every_expert)
{
    struct world w;
    world_open(&w, 2, &standard);
    for (int t = 0; t < 20; t++) {
        const double said[2 * H] = {t + 10, t + 20, t + 30, NAN, t + 2, t + 5};
        world_step(&w, t, 1, said);
        if (t < 5) continue;
        cr_expect_float_eq(w.errors[0], 1 - 10, 1e-9);
        cr_expect_float_eq(w.errors[2], 5 - 30, 1e-9);
        cr_expect(isnan(w.errors[H]));
        cr_expect_float_eq(w.errors[H + 2], 0, 1e-9);
    }
    free(w.state);
}

Test(blend, a_stack_lets_experts_that_err_apart_make_up_for_each_other)
{
    const double sizes[] = {1, 1, 1.5};
    struct mix_settings stack = standard, hedge = standard;
    struct world by_stack, by_hedge, by_both;
    stack.kind = MIX_STACK;
    hedge.kind = MIX_HEDGE;
    world_open(&by_stack, 3, &stack);
    world_open(&by_hedge, 3, &hedge);
    world_open(&by_both, 3, &standard);
    run(&by_stack, sizes, 0);
    run(&by_hedge, sizes, 0);
    run(&by_both, sizes, 0);
    /* The best weights are in proportion to 1 / variance: an error of 1 / (1 + 1 + .44). */
    const double best = 1 / (1 + 1 + 1 / 2.25) * (STEPS - 1000);
    cr_expect_lt(by_stack.loss, 1.1 * best, "%g against %g", by_stack.loss, best);
    cr_expect_lt(by_stack.loss, by_hedge.loss);
    cr_expect_lt(by_both.loss, by_hedge.loss);
}

Test(blend, shrinks_what_is_no_better_than_the_last_value_and_nothing_else)
{
    const double useless[] = {6, 6}, good[] = {.5, .5};
    struct mix_settings shrinking = standard;
    struct world without, with, proven;
    shrinking.shrink = 2;
    world_open(&with, 2, &shrinking);
    run(&with, useless, 6);
    world_open(&without, 2, &(struct mix_settings){MIX_USUAL});
    run(&without, useless, 6);
    world_open(&proven, 2, &shrinking);
    run(&proven, good, 0);
    cr_expect_gt(without.loss, 2 * without.persistence);
    cr_expect_lt(with.loss, 1.01 * with.persistence, "%g", with.loss / with.persistence);
    cr_expect_lt(proven.loss, .04 * proven.persistence, "%g", proven.loss / proven.persistence);
}

Test(blend, the_weights_are_those_of_the_forecast)
{
    struct mix_settings shrinking = standard;
    struct world w;
    shrinking.shrink = 2;
    world_open(&w, 2, &shrinking);
    make_walk();
    for (int t = 0; t < 1500; t++) {
        double forecasts[2 * H], weights[2];
        for (int i = 0; i < 2 * H; i++)
            forecasts[i] = walk[t + horizons[i % H]] + test_noise((uint64_t)(10 + i / H), t * H + i % H);
        world_step(&w, walk[t], 3, forecasts);
        for (int j = 0; j < H; j++) {
            blend_weights(&w.blend, w.state, NULL, w.t, j, weights);
            const double mixed = walk[t] + weights[0] * (forecasts[j] - walk[t]) +
                                 weights[1] * (forecasts[H + j] - walk[t]);
            cr_assert_float_eq(w.mixed[j], mixed, 1e-9, "%d: %g, not %g", t, w.mixed[j], mixed);
        }
    }
    free(w.state);
}

Test(blend, the_silent_cost_nothing)
{
    const double sizes[] = {1, NAN, 1}, two[] = {1, 1, 1};
    struct world silent, all;
    world_open(&silent, 3, &standard);
    world_open(&all, 3, &standard);
    run(&silent, sizes, 0);
    run(&all, two, 0);
    cr_expect_lt(silent.loss, 1.8 * all.loss);
    cr_expect_lt(silent.loss, .3 * silent.persistence);
}

Test(blend, extreme_rows_have_weights_of_their_own)
{
    struct world w;
    double usual[2] = {0}, extreme[2] = {0};
    world_open(&w, 2, &standard);
    for (int t = 0; t < 6000; t++) {
        /* Every 60 steps the value jumps far out for 6: there the second expert is right, elsewhere the first. */
        const bool out = t % 60 >= 54;
        const double x = (out ? 100 : 0) + .1 * test_noise(3, t);
        double forecasts[2 * H];
        for (int j = 0; j < H; j++) {
            const double then = (t + horizons[j]) % 60 >= 54 ? 100 : 0;
            forecasts[j] = out ? x : then;
            forecasts[H + j] = out ? then : x;
        }
        world_step(&w, x, 1, forecasts);
        if (t > 4000) blend_weights(&w.blend, w.state, NULL, w.t, H - 1, out ? extreme : usual);
    }
    cr_expect_gt(usual[0], .9, "%g", usual[0]);
    cr_expect_gt(extreme[1], .8, "%g", extreme[1]);
    free(w.state);
}

Test(blend, extreme_rows_without_a_label_go_by_the_usual_weights)
{
    struct world w;
    double usual[2], extreme[2];
    world_open(&w, 2, &standard);
    for (int t = 0; t <= 1500; t++) {
        /* The second expert is always wrong; the last value lies far out, as none before. */
        const double x = t == 1500 ? 100 : test_noise(3, t);
        double forecasts[2 * H];
        for (int j = 0; j < H; j++) {
            forecasts[j] = t + horizons[j] == 1500 ? 100 : test_noise(3, t + horizons[j]);
            forecasts[H + j] = x + 3;
        }
        world_step(&w, x, 1, forecasts);
        blend_weights(&w.blend, w.state, NULL, w.t, 0, t == 1500 ? extreme : usual);
    }
    cr_expect_gt(usual[0], .9, "%g", usual[0]);
    cr_expect_float_eq(extreme[0], usual[0], .05, "%g, not %g", extreme[0], usual[0]);
    cr_expect_float_eq(extreme[1], usual[1], .05, "%g, not %g", extreme[1], usual[1]);
    free(w.state);
}

Test(blend, stays_finite_whatever_comes)
{
    static const double hostile[] = {0, 1.7e308, -1.7e308, 5e-324, 1, NAN, 1e-300, 1e39, 1e18, INFINITY};
    enum { N = sizeof(hostile) / sizeof(*hostile) };
    struct mix_settings shrinking = standard;
    struct world w;
    shrinking.shrink = 2;
    world_open(&w, 3, &shrinking);
    for (int t = 0; t < 3000; t++) {
        double said[3 * H], weights[3];
        for (int i = 0; i < 3 * H; i++) said[i] = t < 2000 ? hostile[(t * (i + 3) + i) % N] : 1;
        world_step(&w, t < 2000 ? hostile[t % (N - 1)] : 1, 1, said);
        for (int j = 0; j < H; j++) {
            cr_assert_not(isinf(w.mixed[j]), "step %d", t);
            blend_weights(&w.blend, w.state, NULL, w.t, j, weights);
            for (int i = 0; i < 3; i++) cr_assert(isfinite(weights[i]));
            cr_assert(t < 2000 || w.mixed[j] == 1, "step %d: %g", t, w.mixed[j]);
        }
    }
    free(w.state);
}

/* ---- options ---- */

/* A world of two experts at work for some steps; errors of expert i are sizes[i] large, in every `every`-th row far[i]. */
struct experts {
    double sizes[2], far[2];
    int every, n;
};

static void work(struct world *w, const struct experts *e)
{
    make_walk();
    for (int end = (int)w->t + e->n; w->t < end;) {
        const int t = (int)w->t;
        double forecasts[2 * H];
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < H; j++)
                forecasts[i * H + j] = walk[t + horizons[j]] +
                                       (e->every > 0 && t % e->every == 0
                                            ? e->far[i]
                                            : e->sizes[i] * test_noise((uint64_t)(10 + i), t * H + j));
        world_step(w, walk[t], 3, forecasts);
    }
}

/* The weights of both at the last horizon after that. */
static void weights_after(const struct mix_settings *settings, const struct experts *e, double weights[2])
{
    struct world w;
    world_open(&w, 2, settings);
    work(&w, e);
    blend_weights(&w.blend, w.state, NULL, w.t, H - 1, weights);
    free(w.state);
}

Test(blend, a_ridge_draws_a_stack_to_equal_weights)
{
    const struct experts e = {.sizes = {.5, 2}, .n = 2000};
    struct mix_settings usual = standard, drawn;
    double by[2], to[2];
    usual.kind = MIX_STACK;
    drawn = usual;
    drawn.ridge = 1e6;
    weights_after(&usual, &e, by);
    weights_after(&drawn, &e, to);
    cr_expect_gt(by[0], .75, "%g", by[0]);
    cr_expect_float_eq(to[0], to[1], .02, "%g, %g", to[0], to[1]);
}

Test(blend, a_stack_counts_from_its_start)
{
    const struct experts e = {.sizes = {1, 1}, .n = 600};
    struct mix_settings soon = standard, late, hedge;
    double by[2], hedged[2], stacked[2];
    soon.kind = MIX_STACK;
    late = soon;
    late.stack_start = 1000;
    hedge = late;
    hedge.kind = MIX_BOTH;
    weights_after(&soon, &e, stacked);
    weights_after(&late, &e, by);
    weights_after(&hedge, &e, hedged);
    cr_expect_float_eq(by[0], hedged[0], 1e-12);
    cr_expect_gt(fabs(by[0] - stacked[0]), .01, "%g, %g", by[0], stacked[0]);
}

Test(blend, shrinks_from_its_start)
{
    const struct experts e = {.sizes = {9, 9}, .n = 500};
    struct mix_settings soon = standard, late;
    double by[2], from[2];
    soon.shrink = 2;
    soon.kind = MIX_HEDGE;
    late = soon;
    late.shrink_start = 1000;
    weights_after(&soon, &e, from);
    weights_after(&late, &e, by);
    cr_expect_lt(from[0] + from[1], .5, "%g", from[0] + from[1]);
    cr_expect_float_eq(by[0] + by[1], 1, 1e-9);
}

Test(blend, forgets_what_was_gained_by_its_discount)
{
    const struct experts good = {.sizes = {.5, .5}, .n = 2000}, useless = {.sizes = {9, 9}, .n = 300};
    double left[2];
    for (int k = 0; k < 2; k++) {
        struct mix_settings s = standard;
        struct world w;
        double weights[2];
        s.shrink = 2;
        s.kind = MIX_HEDGE;
        if (k == 1) s.shrink_discount = .97;
        world_open(&w, 2, &s);
        work(&w, &good);
        work(&w, &useless);
        blend_weights(&w.blend, w.state, NULL, w.t, H - 1, weights);
        left[k] = weights[0] + weights[1];
        free(w.state);
    }
    cr_expect_lt(left[1], .7 * left[0], "%g, %g", left[1], left[0]);
}

/* Expert 0 is the better one, but misses by more in rows that both miss. */
Test(blend, rows_that_all_miss_count_less_beyond_a_jump)
{
    const struct experts e = {.sizes = {.5, 1}, .far = {60, 20}, .every = 100, .n = 3000};
    struct mix_settings little = standard, much;
    double by[2], whole[2];
    little.kind = MIX_STACK;
    little.extreme = 0;
    little.jump = 1;
    much = little;
    much.jump = 1e6;
    weights_after(&little, &e, by);
    weights_after(&much, &e, whole);
    cr_expect_gt(by[0], by[1] + .2, "%g, %g", by[0], by[1]);
    cr_expect_lt(whole[0], whole[1], "%g, %g", whole[0], whole[1]);
}

/* A first extreme row: nothing is known of such rows but what usual rows have shown. */
Test(blend, extreme_rows_begin_with_the_usual_ones_proof)
{
    double moved[2];
    static const double prior[2] = {0, 30};
    for (int k = 0; k < 2; k++) {
        const struct experts good = {.sizes = {.5, .5}, .n = 1000};
        struct mix_settings s = standard;
        struct world w;
        double forecasts[2 * H];
        s.shrink = 2;
        s.extreme_prior = prior[k];
        world_open(&w, 2, &s);
        work(&w, &good);
        for (int i = 0; i < 2 * H; i++) forecasts[i] = 900;
        world_step(&w, 1000, 3, forecasts);
        moved[k] = fabs(w.mixed[0] - 1000);
        free(w.state);
    }
    cr_expect_eq(moved[0], 0, "%g", moved[0]);
    cr_expect_gt(moved[1], 10, "%g", moved[1]);
}
