/* The mix of experts: who gets which weight, and when. */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "config/config.h"
#include "eddy_layer.h"
#include "engine/forecast/mix.h"
#include "tests/unit/forecast/mix_usual.h"

enum { MAX_EXPERTS = 6, MAX_HORIZONS = 8, MAX_BYTES = 256 };
static const struct mix_settings standard = {MIX_USUAL, .horizons = MIX_TOGETHER};

/* A mix at work: errors of all horizons at each step, from t = horizon on. */
struct world {
    struct mix_settings settings;
    int n_experts;
    struct mix_groups groups;
    _Alignas(8) unsigned char state[MAX_BYTES];
    double weights[MAX_EXPERTS];
};

/* `horizons` [n_horizons] ascending; NULL: 1, 2, .. */
static struct world world_of(int n_experts, int n_horizons, const int *horizons, int kind)
{
    static const int steps[MAX_HORIZONS] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct world w = {.settings = standard, .n_experts = n_experts};
    w.settings.horizons = kind;
    mix_group(&w.settings, horizons ? horizons : steps, n_horizons, &w.groups);
    cr_assert_leq(mix_bytes(n_experts, &w.groups), sizeof(w.state));
    return w;
}

static struct world world(int n_experts, int n_horizons)
{
    return world_of(n_experts, n_horizons, NULL, MIX_TOGETHER);
}

static double noise(uint64_t seed, int i)
{
    return (double)eddy_random_normal(seed, (uint64_t)i);
}

/* The weights at the first horizon. */
static void weigh(struct world *w)
{
    double sum = 0;
    mix_weights(&w->settings, w->n_experts, w->state, 0, w->weights);
    for (int i = 0; i < w->n_experts; i++) {
        cr_assert(w->weights[i] >= w->settings.floor / w->n_experts / 1.0001 && w->weights[i] <= 1);
        sum += w->weights[i];
    }
    cr_assert_float_eq(sum, 1, 1e-12);
}

/* `n` steps on which expert i errs with the deviation sizes[i] at every horizon; NaN = it is silent. */
static void learn(struct world *w, const double *sizes, int n, uint64_t seed)
{
    for (int t = 0; t < n; t++)
        for (int j = 0; j < w->groups.n_horizons; j++) {
            double errors[MAX_EXPERTS];
            for (int i = 0; i < w->n_experts; i++)
                errors[i] = sizes[i] * noise(seed + (uint64_t)i, t * w->groups.n_horizons + j);
            mix_learn(&w->settings, w->n_experts, &w->groups, w->state, j, errors);
        }
    weigh(w);
}

Test(mix, weighs_equally_before_it_has_seen_enough)
{
    struct world w = world(4, 3);
    const double sizes[] = {1, 2, 3, 4};
    weigh(&w);
    for (int i = 0; i < 4; i++) cr_assert_float_eq(w.weights[i], .25, 1e-9);
    learn(&w, sizes, 49, 1);
    for (int i = 0; i < 4; i++) cr_assert_float_eq(w.weights[i], .25, 1e-9);
    learn(&w, sizes, 1, 2);
    cr_assert_gt(w.weights[0], .4);
}

Test(mix, follows_the_better_expert_and_switches_after_a_change)
{
    struct world w = world(3, 2);
    const double before[] = {1, 1.3, 1.6}, after[] = {1.6, 1.3, 1};
    learn(&w, before, 1500, 1);
    cr_assert_gt(w.weights[0], .98, "weight %g", w.weights[0]);
    learn(&w, after, 1500, 2);
    cr_assert_gt(w.weights[2], .98, "weight %g", w.weights[2]);
}

/* The equations once more, with losses kept per expert and horizon. */
struct exact {
    double hard[4], loss[3][4];
};

static void exact_learn(struct exact *x, double rate, int j, double n, const double *errors)
{
    double total[3] = {0}, lowest = INFINITY, m = 0, whole = 0;
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 4; k++) total[i] += x->loss[i][k] / 4;
        lowest = fmin(lowest, total[i]);
    }
    for (int i = 0; i < 3; i++) {
        const double share = 1 / (1 + pow(rate * (total[i] - lowest), 2));
        m += share * errors[i] * errors[i];
        whole += share;
    }
    m /= whole;
    if (x->hard[j] == 0)
        x->hard[j] = m;
    else
        x->hard[j] += fmax(.005, 1 / (n + 1)) * (fmin(m, 20 * x->hard[j]) - x->hard[j]);
    for (int i = 0; i < 3; i++) x->loss[i][j] = .998 * x->loss[i][j] + fmin(errors[i] * errors[i] / x->hard[j], 10);
}

Test(mix, has_the_weights_of_losses_kept_per_expert_and_horizon)
{
    struct world w = world(3, 4);
    struct exact x = {{0}, {{0}}};
    const double sizes[] = {1, 1.02, 1.05};
    double exact[3], sum = 0;
    for (int t = 0; t < 2000; t++)
        for (int j = 0; j < 4 && j <= t; j++) { /* the label of the j-th horizon comes from step j on */
            double errors[3];
            for (int i = 0; i < 3; i++) errors[i] = (j + 1) * sizes[i] * noise((uint64_t)i, 4 * t + j);
            exact_learn(&x, w.settings.rate, j, j == 0 ? t : t + 1, errors);
            mix_learn(&w.settings, 3, &w.groups, w.state, j, errors);
        }
    weigh(&w);
    for (int i = 0; i < 3; i++) {
        exact[i] = exp(-w.settings.rate * (x.loss[i][0] + x.loss[i][1] + x.loss[i][2] + x.loss[i][3]) / 4);
        sum += exact[i];
    }
    for (int i = 0; i < 3; i++)
        cr_assert_float_eq(w.weights[i], .999 * exact[i] / sum + .001 / 3, .005, "expert %d: %g, exact %g", i,
                           w.weights[i], .999 * exact[i] / sum + .001 / 3);
}

Test(mix, lets_another_expert_lead_further_ahead_unless_it_weighs_all_together)
{
    const double near[] = {1, 1.5}, far[] = {1.5, 1};
    for (int together = 0; together < 2; together++) {
        struct world w = world_of(2, 8, NULL, together ? MIX_TOGETHER : MIX_GROUPED);
        double first[2], last[2];
        for (int t = 0; t < 1000; t++)
            for (int j = 0; j < 8; j++) {
                const double *size = j == 0 ? near : far;
                const double errors[] = {size[0] * noise(1, 8 * t + j), size[1] * noise(2, 8 * t + j)};
                mix_learn(&w.settings, 2, &w.groups, w.state, j, errors);
            }
        mix_weights(&w.settings, 2, w.state, 0, first);
        mix_weights(&w.settings, 2, w.state, w.groups.of[7], last);
        cr_assert_gt(last[1], .98);
        cr_assert(together ? first[1] == last[1] : first[0] > .98, "%g", first[0]);
    }
}

/* Mixes of an expert that says 0, and gets worse the further it looks, with one that says 1. */
static void mix_by_distance(int n_horizons, const int *horizons, double *mixed)
{
    struct world w = world_of(2, n_horizons, horizons, MIX_GROUPED);
    double forecasts[2 * MAX_HORIZONS] = {0};
    w.settings.start = 0;
    for (int j = 0; j < n_horizons; j++) forecasts[n_horizons + j] = 1;
    for (int t = 0; t < 100; t++)
        for (int j = 0; j < n_horizons; j++) {
            const double errors[] = {1 + .1 * horizons[j], 1};
            mix_learn(&w.settings, 2, &w.groups, w.state, j, errors);
        }
    mix_combine(&w.settings, 2, &w.groups, w.state, forecasts, mixed);
}

Test(mix, horizons_as_far_ahead_as_each_other_share_weights)
{
    static const int near[] = {1, 2, 3, 4, 5, 6, 7, 8}, some[] = {1, 3, 4, 6, 8, 9, 24, 48};
    double mixed[8];
    mix_by_distance(8, near, mixed); /* 1 | 2 | 3, 4 | 5 .. 8 */
    cr_expect(mixed[0] < mixed[1] && mixed[1] < mixed[2] && mixed[3] < mixed[4]);
    cr_expect(mixed[2] == mixed[3] && mixed[4] == mixed[5] && mixed[4] == mixed[7]);
    mix_by_distance(8, some, mixed); /* 1 | 3, 4 | 6, 8 | 9 | 24 | 48, though they are the first, second, .. */
    cr_expect(mixed[0] < mixed[1] && mixed[2] < mixed[3] && mixed[4] < mixed[5] && mixed[5] < mixed[6]);
    cr_expect(mixed[1] == mixed[2] && mixed[3] == mixed[4] && mixed[6] < mixed[7]);
}

Test(mix, takes_no_room_for_distances_that_nobody_forecasts)
{
    static const int far[] = {1, 24, 1000}, near[] = {1, 2, 3};
    const struct world a = world_of(2, 3, far, MIX_GROUPED), b = world_of(2, 3, near, MIX_GROUPED);
    cr_expect_eq(mix_bytes(2, &a.groups), mix_bytes(2, &b.groups));
    cr_expect_eq(a.groups.n, 3);
}

Test(mix, does_not_depend_on_the_unit_of_the_values)
{
    struct world one = world(3, 2), tiny = world(3, 2), huge = world(3, 2);
    const double sizes[] = {1, 1.02, 1.05};
    const double tiny_sizes[] = {1e-30, 1.02e-30, 1.05e-30}, huge_sizes[] = {1e30, 1.02e30, 1.05e30};
    learn(&one, sizes, 300, 1);
    learn(&tiny, tiny_sizes, 300, 1);
    learn(&huge, huge_sizes, 300, 1);
    for (int i = 0; i < 3; i++) {
        cr_assert_float_eq(one.weights[i], tiny.weights[i], 1e-4);
        cr_assert_float_eq(one.weights[i], huge.weights[i], 1e-4);
    }
}

Test(mix, tells_good_from_better_though_another_is_very_bad)
{
    struct world w = world(3, 1);
    const double sizes[] = {1, 1.4, 100};
    learn(&w, sizes, 2000, 1);
    cr_assert_gt(w.weights[0], .9, "%g", w.weights[0]);
}

Test(mix, a_jump_says_nothing_about_who_is_better)
{
    struct world w = world(2, 1);
    const double sizes[] = {1, 1.1}, jump[] = {1e6, 2e6};
    learn(&w, sizes, 1000, 1);
    const double before = w.weights[0];
    mix_learn(&w.settings, 2, &w.groups, w.state, 0, jump);
    weigh(&w);
    cr_assert_float_eq(w.weights[0], before, .01);
}

Test(mix, gives_no_weight_to_the_silent_at_that_time)
{
    struct world w = world(2, 3);
    const double forecasts[] = {1, NAN, NAN, 3, 3, INFINITY};
    double mixed[3];
    mix_combine(&w.settings, 2, &w.groups, w.state, forecasts, mixed);
    cr_assert_float_eq(mixed[0], 2, 1e-12);
    cr_assert_float_eq(mixed[1], 3, 0);
    cr_assert(isnan(mixed[2]));
}

Test(mix, silence_neither_pays_nor_costs)
{
    struct world w = world(3, 1);
    const double together[] = {1, 1, 1.5}, apart[] = {1, NAN, 1.5};
    learn(&w, together, 500, 1);
    const double before = w.weights[1] / w.weights[0];
    learn(&w, apart, 500, 2);
    cr_assert_float_eq(w.weights[1] / w.weights[0], before, .2 * before);
}

Test(mix, learns_nothing_when_all_were_silent)
{
    struct world w = world(2, 2);
    const double silent[] = {NAN, INFINITY};
    unsigned char before[MAX_BYTES];
    memcpy(before, w.state, MAX_BYTES);
    mix_learn(&w.settings, 2, &w.groups, w.state, 0, silent);
    cr_assert_eq(memcmp(before, w.state, MAX_BYTES), 0);
}

Test(mix, stays_finite_whatever_the_errors)
{
    static const double hostile[] = {0, 0, 1.7e308, -1.7e308, 5e-324, 1, 0, NAN, -INFINITY, 1e-300, 1e39, 1e18};
    enum { N = sizeof(hostile) / sizeof(*hostile) };
    struct world w = world(3, 2);
    for (int t = 0; t < 5000; t++) {
        const double errors[] = {hostile[t % N], hostile[t * 7 % N], hostile[t * t % N]};
        mix_learn(&w.settings, 3, &w.groups, w.state, t % 2, errors);
        weigh(&w);
    }
    const double forecasts[] = {DBL_MAX, -DBL_MAX, DBL_MAX, -DBL_MAX, DBL_MAX, -DBL_MAX};
    double mixed[2];
    mix_combine(&w.settings, 3, &w.groups, w.state, forecasts, mixed);
    cr_assert(isfinite(mixed[0]) && isfinite(mixed[1]));
}

Test(mix, perfect_experts_stay_equal_until_one_errs)
{
    struct world w = world(2, 1);
    const double perfect[] = {0, 0}, one_errs[] = {0, 1};
    learn(&w, perfect, 100, 1);
    cr_assert_float_eq(w.weights[0], .5, 1e-9);
    learn(&w, one_errs, 100, 1);
    cr_assert_gt(w.weights[0], .9);
}

/* Expert 0 is the better one but for a jump now and then, which the other foresees. */
Test(mix, a_jump_costs_no_more_than_the_limit)
{
    double weight[2];
    static const double limits[2] = {1, 1e6};
    for (int k = 0; k < 2; k++) {
        struct world w = world(2, 1);
        w.settings.loss_limit = limits[k];
        for (int t = 0; t < 2000; t++) {
            const double errors[2] = {t % 20 == 0 ? 15 : noise(1, t), 2 * noise(2, t)};
            mix_learn(&w.settings, 2, &w.groups, w.state, 0, errors);
        }
        weigh(&w);
        weight[k] = w.weights[0];
    }
    cr_assert(weight[0] > .5 && weight[1] < .5, "%g, %g", weight[0], weight[1]);
}
