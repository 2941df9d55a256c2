/* The linear head against the normal equations, and the inputs against sums by hand. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/forecast/head.h"
#include "engine/forecast/regressors.h"
#include "tests/unit/forecast/experts_fixture.h"

enum { N = 5, STEPS = 300 };
static const int horizons[] = {1, 3, 12};
static const struct head_rule plain = {.n = N, .n_horizons = 3, .horizons = horizons, .forgetting = 1};

static struct head open_head(const struct head_rule *rule)
{
    int n_steps;
    const size_t each = head_kept_bytes(rule, &n_steps);
    const struct head head = {rule, calloc(1, head_bytes(rule)), calloc((size_t)n_steps, each)};
    cr_assert(head.state && head.kept);
    head_init(&head);
    return head;
}

static void close_head(const struct head *head)
{
    free(head->state);
    free(head->kept);
}

static void row_at(int t, double row[N])
{
    row[0] = 1;
    for (int i = 1; i < N; i++) row[i] = test_noise((uint64_t)i, t);
}

/* What follows `h` steps after a row. */
static double value_at(int t)
{
    double row[N];
    row_at(t - 3 < 0 ? 0 : t - 3, row);
    return 2 * row[0] - 3 * row[1] + .5 * row[2] + .1 * test_noise(9, t);
}

/* (A + 10 I) w = b by elimination: A and b over all origins up to STEPS - 1 - h. */
static void solve_normal_equations(int h, double w[N])
{
    double a[N][N + 1] = {{0}};
    for (int i = 0; i < N; i++) a[i][i] = 10;
    for (int s = 0; s + h < STEPS; s++) {
        double row[N];
        row_at(s, row);
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < N; j++) a[i][j] += row[i] * row[j];
            a[i][N] += row[i] * (value_at(s + h) - value_at(s)) / 2;
        }
    }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            if (k == i) continue;
            const double by = a[k][i] / a[i][i];
            for (int j = 0; j <= N; j++) a[k][j] -= by * a[i][j];
        }
    for (int i = 0; i < N; i++) w[i] = a[i][N] / a[i][i];
}

static void run(const struct head *head, double y[3])
{
    for (int t = 0; t < STEPS; t++) {
        double row[N];
        row_at(t, row);
        const double x = value_at(t);
        head_forecast(head, t, &x, row, x, 2, y);
    }
}

static void expect_normal_equations(const struct head_rule *rule, double tolerance)
{
    double y[3], row[N];
    const struct head head = open_head(rule);
    run(&head, y);
    row_at(STEPS - 1, row);
    for (int j = 0; j < 3; j++) {
        double w[N], sum = 0;
        solve_normal_equations(horizons[j], w);
        for (int i = 0; i < N; i++) sum += w[i] * row[i];
        cr_expect_float_eq(y[j], sum, tolerance, "%d steps: %.12g, not %.12g", horizons[j], y[j], sum);
    }
    close_head(&head);
}

Test(head, without_forgetting_it_solves_the_normal_equations_of_every_horizon)
{
    struct head_rule single = plain;
    single.single = true;
    expect_normal_equations(&plain, 1e-9);
    expect_normal_equations(&single, 1e-4);
}

Test(head, an_error_counts_up_to_its_limit)
{
    struct head_rule rule = plain;
    rule.huber = 3;
    double with[3], without[3];
    for (int glitch = 0; glitch < 2; glitch++) {
        const struct head head = open_head(&rule);
        run(&head, without);
        const double x = value_at(STEPS) + (glitch ? 1e9 : 0);
        double row[N];
        row_at(STEPS, row);
        head_forecast(&head, STEPS, &x, row, 0, 2, with);
        cr_expect_float_eq(with[1], 2 * row[0] / 2, 100, "%g", with[1]);
        close_head(&head);
    }
}

Test(head, what_says_nothing_does_not_wind_up)
{
    struct head_rule rule = plain;
    rule.forgetting = .9;
    double y[3] = {0};
    const struct head head = open_head(&rule);
    for (int t = 0; t < 20000; t++) {
        double row[N] = {1, 0, 0, 0, 0};
        if (t % 1000 == 999) row[3] = 1;
        const double x = 5;
        head_forecast(&head, t, &x, row, 5, 1, y);
        for (int j = 0; j < 3; j++) cr_assert(fabs(y[j]) < 1, "%d: %g", t, y[j]);
    }
    close_head(&head);
}

Test(head, a_step_without_a_row_teaches_nothing)
{
    double y[3], again[3], row[N] = {1, 0, 0, 0, 0};
    const struct head head = open_head(&plain);
    run(&head, y);
    const double x = 0, far = 1e5;
    for (int t = STEPS; t < STEPS + 20; t++) head_skip(&head, t, NULL);
    head_forecast(&head, STEPS + 20, &x, row, 0, 2, y);
    for (int t = STEPS + 21; t < STEPS + 30; t++) head_skip(&head, t, NULL);
    head_forecast(&head, STEPS + 30, &far, row, 0, 2, again);
    for (int j = 0; j < 3; j++) cr_expect_float_eq(y[j], again[j], 1e-12);
    close_head(&head);
}

Test(regressors, are_what_they_say)
{
    static const int lags[] = {1, 3};
    static const double ahead[REGRESSORS_AHEAD + 1] = {0, 2, 100};
    static const float hidden[] = {.25F, -.5F};
    const struct regressors_shape shape = {.raw = false, .n_lags = 2, .lags = lags, .n_features = 2};
    struct regressors_state *past = calloc(1, regressors_bytes(&shape));
    double row[64], low, high;
    cr_assert(past);
    cr_assert_eq(regressors_count(&shape), 1 + 2 + 4 + 1 + 23 + 1 + 2);
    for (int t = 0; t < 8; t++) {
        cr_expect_not(regressors_ready(&shape, past));
        regressors_learn(&shape, past, t < 7 ? t : 90);
    }
    cr_assert(regressors_ready(&shape, past));
    const struct eddy_expert_event in = {.sigma = 2, .level = 1, .ahead = ahead, .features = hidden};
    regressors_write(&shape, past, &in, row);
    const double mean = (0 + 1 + 2 + 3 + 4 + 5 + 6 + 90) / 8.; /* no mean has had its steps yet */
    cr_expect_eq(row[0], 1);
    cr_expect_eq(row[1], 4, "(90 - 6) / 2 is far out");
    cr_expect_eq(row[2], 4);
    cr_expect_eq(row[3 + 4], 4);
    cr_expect_eq(row[8], 1, "ahead by one, over sigma");
    cr_expect_eq(row[9], 4);
    cr_expect_float_eq(row[8 + 23], (90 - mean) / 2 - 4, 1e-9, "%g", row[8 + 23]);
    cr_expect_eq(row[8 + 24], .25);
    regressors_range(&shape, past, &low, &high);
    cr_expect_eq(low, 4);
    cr_expect_eq(high, 90);
    free(past);
}

Test(rls, learns_a_process_that_its_inputs_describe)
{
    enum { STEPS_OF_IT = 3000 };
    static double x[STEPS_OF_IT];
    for (int i = 2; i < STEPS_OF_IT; i++) x[i] = 1.6 * x[i - 1] - .8 * x[i - 2] + test_noise(4, i);
    /* The best that can be: the error of one step is the noise, 1. */
    double persistence = 0;
    for (int i = 1000; i < STEPS_OF_IT; i++)
        persistence += (x[i] - x[i - 1]) * (x[i] - x[i - 1]) / (STEPS_OF_IT - 1000);
    const double best = 1 / persistence;
    const double scaled = test_expert_error("rls", 24, x, 1000, STEPS_OF_IT, 1);
    const double raw = test_expert_error("rls: {units: raw}", 24, x, 1000, STEPS_OF_IT, 1);
    cr_expect_lt(scaled, 1.06 * best, "%g against %g", scaled, best);
    cr_expect_lt(raw, 1.06 * best, "%g against %g", raw, best);
}

/* A sensor that is only switched on after a while must not be measured in the unit of its standstill. */
Test(regressors, the_raw_unit_is_that_of_a_value_that_moves)
{
    static const int lags[] = {1, 3};
    const struct regressors_shape shape = {.raw = true, .n_lags = 2, .lags = lags};
    double unit[2];
    for (int late = 0; late < 2; late++) {
        struct regressors_state *past = calloc(1, regressors_bytes(&shape));
        for (int t = 0; t < 1000 * late; t++) regressors_learn(&shape, past, 50);
        for (int t = 0; t < 400; t++) regressors_learn(&shape, past, 50 + (t % 7 - 3));
        unit[late] = regressors_unit(&shape, past, 1);
        regressors_learn(&shape, past, 1e6);
        cr_expect_eq(regressors_unit(&shape, past, 1), unit[late], "then it stands still");
        free(past);
    }
    cr_expect(unit[1] > .2 * unit[0] && unit[1] < 5 * unit[0], "%g and %g", unit[1], unit[0]);
}
