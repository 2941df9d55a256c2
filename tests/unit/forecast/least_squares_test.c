/* Recursive least squares. */
#include <criterion/criterion.h>
#include <math.h>

#include "eddy_layer.h"
#include "engine/forecast/least_squares.h"

enum { N = 3 };
static const double ridge = .1;

static double noise(uint64_t seed, int i)
{
    return (double)eddy_random_normal(seed, (uint64_t)i);
}

static void learn(double *state, const double *x, double y, double lambda, double weight)
{
    double error = y;
    for (int k = 0; k < N; k++) error -= state[k] * x[k];
    least_squares_learn(N, state, &(struct least_squares_step){x, error, lambda, weight, ridge});
}

Test(least_squares, solves_the_normal_equations_with_a_ridge)
{
    double state[9], a[N][N] = {{0}}, b[N] = {0};
    cr_assert_eq(least_squares_doubles(N), 9);
    least_squares_init(N, ridge, state);
    for (int k = 0; k < N; k++) a[k][k] = ridge;
    for (int i = 0; i < 50; i++) {
        const double x[N] = {noise(1, i), noise(2, i), 1}, weight = i % 5 ? 1 : .25;
        const double y = 2 * x[0] - x[1] + .5 + noise(3, i);
        learn(state, x, y, 1, weight);
        for (int k = 0; k < N; k++) {
            for (int m = 0; m < N; m++) a[k][m] += weight * x[k] * x[m];
            b[k] += weight * x[k] * y;
        }
    }
    for (int k = 0; k < N; k++) {
        double left = 0;
        for (int m = 0; m < N; m++) left += a[k][m] * state[m];
        cr_assert_float_eq(left, b[k], 1e-9);
    }
}

Test(least_squares, forgets_at_the_rate_it_is_told)
{
    double state[9];
    const double x[N] = {1, 0, 0};
    least_squares_init(N, ridge, state);
    for (int i = 0; i < 1000; i++) learn(state, x, 1, .99, 1);
    for (int i = 0; i < 69; i++) learn(state, x, 3, .99, 1); /* .99^69 = 1/2 */
    cr_assert_float_eq(state[0], 2, .01, "%g", state[0]);
}

Test(least_squares, does_not_wind_up_where_inputs_say_nothing)
{
    double state[9];
    const double nothing[N] = {0}, x[N] = {1, 1, 1};
    least_squares_init(N, ridge, state);
    for (int i = 0; i < 100000; i++) learn(state, nothing, 0, .99, 1);
    for (int k = N; k < 9; k++) cr_assert_leq(fabs(state[k]), LEAST_SQUARES_WIND_UP * 1.0001);
    learn(state, x, 3, .99, 1);
    for (int k = 0; k < N; k++) cr_assert_float_eq(state[k], 1, 1e-3);
}

Test(least_squares, stays_finite_on_collinear_and_huge_inputs)
{
    double state[9];
    least_squares_init(N, ridge, state);
    for (int i = 0; i < 100000; i++) {
        const double v = i % 1000 ? noise(1, i) : 1e6, x[N] = {v, v, v * (1 + 1e-12)};
        learn(state, x, fmin(fmax(v, -3), 3), .95, 1);
        for (int k = 0; k < 9; k++) cr_assert(isfinite(state[k]), "step %d", i);
    }
}
