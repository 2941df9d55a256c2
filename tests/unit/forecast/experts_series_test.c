/* What each expert is for: it must beat persistence there; and what small series must give, by hand. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/forecast/mix.h"
#include "tests/unit/forecast/experts_fixture.h"
#include "tests/unit/forecast/mix_usual.h"

enum { N = 2000, FIRST = 1000, SEASON = 24 };

static const double turn = 6.283185307179586;

static double rhythm(int i)
{
    return 5 * sin(turn * i / SEASON) + 2 * cos(turn * i / 6);
}

static void make_noise(double *x)
{
    for (int i = 0; i < N; i++) x[i] = 100 + test_noise(1, i);
}

/* ---- by hand ---- */

static void assert_forecast(const char *yaml, int season, const double *x, int n, int horizon, double want)
{
    struct test_expert t;
    test_expert_open(&t, yaml, season);
    for (int i = 0; i < n; i++) test_expert_fold(&t, x[i]);
    cr_assert_float_eq(t.forecast[horizon - 1], want, 1e-9, "%s: %g, not %g", yaml, t.forecast[horizon - 1], want);
    test_expert_close(&t);
}

Test(persistence, is_the_last_known_value)
{
    const double x[] = {3, 5, NAN, NAN};
    assert_forecast("persistence", 0, x, 4, 1, 5);
    assert_forecast("persistence", 0, x, 4, 24, 5);
}

Test(seasonal_naive, is_the_value_of_one_season_ago)
{
    const double x[] = {1, 2, 3, 10, 20, 30};
    assert_forecast("seasonal_naive: {season: 3}", 0, x, 2, 1, 2); /* no full season yet: persistence */
    assert_forecast("seasonal_naive: {season: 3}", 0, x, 3, 1, 1);
    assert_forecast("seasonal_naive: {season: 3}", 0, x, 5, 1, 3);
    assert_forecast("seasonal_naive: {season: 3}", 0, x, 5, 2, 10);
    assert_forecast("seasonal_naive", 3, x, 6, 5, 20);
}

Test(seasonal_naive, keeps_its_phase_over_missing_values)
{
    const double gap[] = {1, 2, 3, 10, NAN, 30}, begins_late[] = {NAN, 1, 2, NAN, 4};
    assert_forecast("seasonal_naive: {season: 3}", 0, gap, 6, 2, 2); /* the value of two seasons ago */
    assert_forecast("seasonal_naive: {season: 3}", 0, gap, 6, 1, 10);
    assert_forecast("seasonal_naive: {season: 3}", 0, begins_late, 5, 2, 2); /* stood in for the missing one */
}

Test(wma, weighs_the_last_known_values)
{
    const double x[] = {100, 1, 2, NAN, 6};
    assert_forecast("wma: {window: 3}", 0, x, 5, 1, (3 * 6 + 2 * 2 + 1 * 1) / 6.);
    assert_forecast("wma: {window: 3, weights: equal}", 0, x, 5, 24, 3);
    assert_forecast("wma: {window: 8, weights: equal}", 0, x, 3, 1, 103 / 3.);
}

Test(ses, moves_its_level_by_alpha)
{
    const double x[] = {10, 20, NAN, 0};
    assert_forecast("ses: {alpha: 0.5}", 0, x, 2, 1, 15);
    assert_forecast("ses: {alpha: 0.5}", 0, x, 3, 9, 15);
    assert_forecast("ses: {alpha: 0.5}", 0, x, 4, 1, 7.5);
}

/* ---- better than persistence where they are meant to be ---- */

Test(wma, beats_persistence_on_noise_around_a_level)
{
    double x[N];
    make_noise(x);
    cr_assert_lt(test_expert_error("wma", 0, x, FIRST, N, 1), .7); /* (1 + sum of squared weights) / 2 = .62 */
}

Test(ses, finds_the_best_alpha)
{
    double x[N], level = 0;
    make_noise(x);
    cr_assert_lt(test_expert_error("ses", 0, x, FIRST, N, 1), .54); /* alpha .05: (1 + .026) / 2 */
    for (int i = 0; i < N; i++) level += test_noise(1, i), x[i] = level;
    cr_assert_lt(test_expert_error("ses", 0, x, FIRST, N, 1), 1.01); /* alpha 1 is persistence */
}

Test(holt, beats_persistence_on_a_trend)
{
    double x[N];
    for (int i = 0; i < N; i++) x[i] = .5 * i + test_noise(1, i);
    cr_assert_lt(test_expert_error("holt", 0, x, FIRST, N, 1), .7);
    cr_assert_lt(test_expert_error("holt", 0, x, FIRST, N, 12), .25);
    cr_assert_lt(test_expert_error("holt: {phi: 1}", 0, x, FIRST, N, 24), .05);
}

Test(seasonal_naive, beats_persistence_on_a_season)
{
    double x[N];
    for (int i = 0; i < N; i++) x[i] = rhythm(i) + .3 * test_noise(1, i);
    cr_assert_lt(test_expert_error("seasonal_naive", SEASON, x, FIRST, N, 12), .01);
}

Test(holt_winters, beats_persistence_and_seasonal_naive_on_season_and_trend)
{
    double x[N];
    for (int i = 0; i < N; i++) x[i] = .05 * i + rhythm(i) + .3 * test_noise(1, i);
    for (int h = 1; h <= 12; h += 11) {
        const double naive = test_expert_error("seasonal_naive", SEASON, x, FIRST, N, h);
        const double own = test_expert_error("holt_winters", SEASON, x, FIRST, N, h);
        cr_assert_lt(own, .5 * naive, "%d ahead: %g, seasonal naive %g", h, own, naive);
        cr_assert_lt(own, .05, "%d ahead: %g", h, own);
    }
}

Test(holt_winters, expects_an_error_to_die_away_as_errors_did)
{
    double x[N], slow = 0;
    for (int i = 0; i < N; i++) {
        slow = .8 * slow + test_noise(1, i);
        x[i] = rhythm(i) + slow;
    }
    const double carries = test_expert_error("holt_winters", SEASON, x, FIRST, N, 1);
    const double forgets = test_expert_error("holt_winters: {carry: false}", SEASON, x, FIRST, N, 1);
    cr_assert_lt(carries, .85 * forgets, "%g and %g", carries, forgets);
}

Test(holt_winters, does_not_learn_a_season_from_a_jump)
{
    struct test_expert calm, jumped;
    test_expert_open(&calm, "holt_winters", SEASON);
    test_expert_open(&jumped, "holt_winters", SEASON);
    for (int i = 0; i < 920; i++) {
        const double x = rhythm(i) + .3 * test_noise(1, i);
        test_expert_fold(&calm, x);
        test_expert_fold(&jumped, i == 900 ? x + 1000 : x);
    }
    /* The same phase a season later.  The jump by itself would leave gamma 1000 = 150. */
    const double left = jumped.forecast[4] - calm.forecast[4];
    cr_assert_lt(fabs(left), 15, "%g", left);
    test_expert_close(&calm);
    test_expert_close(&jumped);
}

Test(arima, beats_persistence_on_an_autoregression)
{
    double x[N] = {0};
    for (int i = 2; i < N; i++) x[i] = 1.5 * x[i - 1] - .7 * x[i - 2] + test_noise(1, i);
    for (int i = 0; i < N; i++) x[i] += 100;
    /* One step ahead the innovations alone are left: 1 against Var(x_t - x_{t-1}) = 2 Var(x) (1 - 1.5/1.7) = 2.02 */
    cr_assert_lt(test_expert_error("arima: {p: 2, d: 0, q: 0}", 0, x, FIRST, N, 1), .52);
    cr_assert_lt(test_expert_error("arima", 0, x, FIRST, N, 1), .55);
    cr_assert_lt(test_expert_error("arima: {p: 2, d: 0, q: 0}", 0, x, FIRST, N, 6), .6);
}

Test(arima, learns_moving_averages_of_differences)
{
    double x[N], level = 0;
    for (int i = 0; i < N; i++) {
        level += .3 * test_noise(1, i);
        x[i] = level + test_noise(2, i);
    }
    /* Signal to noise .09: alpha = .258, one-step error 1 / (1 - alpha) = 1.35 against 2.09 */
    cr_assert_lt(test_expert_error("arima: {p: 0, d: 1, q: 1}", 0, x, FIRST, N, 1), .68);
}

Test(arima, follows_coefficients_that_change)
{
    double x[N] = {0};
    for (int i = 1; i < N; i++) x[i] = (i < FIRST ? .9 : -.9) * x[i - 1] + test_noise(1, i);
    cr_assert_lt(test_expert_error("arima: {p: 1, d: 0, q: 0, forgetting: 0.99}", 0, x, FIRST + 200, N, 1), .3);
}

Test(arima, undoes_what_it_has_differenced)
{
    double x[N], y[N];
    for (int i = 0; i < N; i++) x[i] = .5 * i + test_noise(1, i), y[i] = .001 * i * i + .01 * test_noise(1, i);
    cr_assert_lt(test_expert_error("arima: {p: 2, d: 1, q: 1, mean: running}", 0, x, FIRST, N, 12), .05);
    cr_assert_lt(test_expert_error("arima: {p: 0, d: 2, q: 2}", 0, y, FIRST, N, 12), .01);
}

/* ---- all of them together ---- */

static const char *const pool[] = {"persistence", "seasonal_naive", "wma", "ses", "holt", "holt_winters", "arima"};
enum { N_POOL = sizeof(pool) / sizeof(*pool), N_AHEAD = 3 };

struct pooled {
    double mixed[N_AHEAD], persistence[N_AHEAD]; /* sums of squared errors over the judged steps */
    double weights[N_POOL];                      /* at the last step, one step ahead */
};

static void pool_run(const double *x, int first, int n, struct pooled *out)
{
    static const int horizons[N_AHEAD] = {1, 6, 24};
    static const struct mix_settings settings = {MIX_USUAL};
    struct mix_groups groups;
    static double kept[N][N_POOL + 1][N_AHEAD], state[100];
    struct test_expert t[N_POOL];
    mix_group(&settings, horizons, N_AHEAD, &groups);
    cr_assert_leq(mix_bytes(N_POOL, &groups), sizeof(state));
    memset(state, 0, sizeof(state));
    *out = (struct pooled){{0}, {0}, {0}};
    for (int k = 0; k < N_POOL; k++) test_expert_open_at(&t[k], pool[k], SEASON, N_AHEAD, horizons);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < N_AHEAD && i >= horizons[j]; j++) {
            double errors[N_POOL + 1];
            for (int k = 0; k <= N_POOL; k++) errors[k] = x[i] - kept[i - horizons[j]][k][j];
            mix_learn(&settings, N_POOL, &groups, state, j, errors);
            if (i >= first) out->mixed[j] += errors[N_POOL] * errors[N_POOL];
            if (i >= first) out->persistence[j] += errors[0] * errors[0];
        }
        for (int k = 0; k < N_POOL; k++) {
            test_expert_fold(&t[k], x[i]);
            memcpy(kept[i][k], t[k].forecast, sizeof(kept[i][k]));
        }
        mix_combine(&settings, N_POOL, &groups, state, &kept[i][0][0], kept[i][N_POOL]);
    }
    mix_weights(&settings, N_POOL, state, 0, out->weights);
    for (int k = 0; k < N_POOL; k++) test_expert_close(&t[k]);
}

Test(pool, ends_up_at_persistence_on_a_random_walk)
{
    double x[N], level = 0;
    struct pooled p;
    for (int i = 0; i < N; i++) level += test_noise(1, i), x[i] = level;
    pool_run(x, FIRST, N, &p);
    for (int j = 0; j < N_AHEAD; j++)
        cr_assert_lt(p.mixed[j] / p.persistence[j], 1.04, "%g", p.mixed[j] / p.persistence[j]);
}

Test(pool, is_nearly_as_good_as_its_best_expert)
{
    double x[N];
    struct pooled p;
    for (int i = 0; i < N; i++) x[i] = .05 * i + rhythm(i) + .3 * test_noise(1, i);
    pool_run(x, FIRST, N, &p);
    const double best = test_expert_error("holt_winters", SEASON, x, FIRST, N, 1);
    cr_assert_lt(p.mixed[0] / p.persistence[0], 1.1 * best, "%g, best %g", p.mixed[0] / p.persistence[0], best);
}

Test(pool, switches_when_the_series_changes_its_nature)
{
    double x[N], level = 0;
    struct pooled p;
    for (int i = 0; i < N; i++) { /* a season, then a random walk */
        level += test_noise(1, i);
        x[i] = i < FIRST ? rhythm(i) + test_noise(2, i) : x[FIRST - 1] + level;
    }
    pool_run(x, 500, FIRST, &p);
    cr_assert_lt(p.weights[0], .01, "persistence: %g", p.weights[0]);
    cr_assert_gt(p.weights[1] + p.weights[5] + p.weights[6], .95, "seasonal_naive, holt_winters, arima");
    pool_run(x, FIRST + 200, N, &p);
    cr_assert_lt(p.mixed[0] / p.persistence[0], 1.1, "%g", p.mixed[0] / p.persistence[0]);
}
