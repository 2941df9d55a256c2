/* What prices need: another domain, bands that follow volatility, probabilities of moves. */
#include <criterion/criterion.h>
#include <math.h>

#include "eddy_layer.h"
#include "engine/forecast/moves.h"
#include "engine/forecast/transform.h"
#include "engine/forecast/volatility.h"
#include "engine/math/quantiles.h"

Test(transform, there_and_back_is_the_same_price)
{
    for (double x = 1e-300; x < 1e300; x *= 17)
        cr_assert_float_eq(transform_back(TRANSFORM_LOG, transform_forth(TRANSFORM_LOG, x)), x, 1e-12 * x);
    cr_assert_eq(transform_back(TRANSFORM_NONE, transform_forth(TRANSFORM_NONE, -3)), -3);
}

Test(transform, what_has_no_logarithm_is_missing_and_nothing_overflows)
{
    static const double no_prices[] = {0, -1, NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 5; i++) cr_assert(isnan(transform_forth(TRANSFORM_LOG_RETURN, no_prices[i])));
    cr_assert(isfinite(transform_back(TRANSFORM_LOG, 1e9)));
    cr_assert(isfinite(transform_back(TRANSFORM_LOG, -1e9)));
    cr_assert(isnan(transform_back(TRANSFORM_LOG, NAN)));
}

/* By hand: after changes of 1, 3 both means are 2; four steps ahead the scale is twice that. */
Test(volatility, is_the_mean_change_and_grows_with_the_root_of_the_horizon)
{
    struct volatility v = {0};
    volatility_update(&v, 10, 0);
    cr_assert_eq(volatility_scale(&v, 1), 0);
    volatility_update(&v, 11, 0);
    volatility_update(&v, 8, 0);
    cr_assert_float_eq((double)volatility_scale(&v, 1), 2, 1e-6);
    cr_assert_float_eq((double)volatility_scale(&v, 4), 4, 1e-6);
}

Test(volatility, follows_calm_and_restless_times_and_stays_finite)
{
    struct volatility v = {0};
    double x = 0;
    for (int i = 0; i < 2000; i++) volatility_update(&v, x += (double)eddy_random_normal(1, (uint64_t)i), 0);
    const double calm = (double)volatility_scale(&v, 1);
    cr_assert_float_eq(calm, .8, .2, "mean absolute value of a normal change, got %g", calm);
    for (int i = 0; i < 60; i++) volatility_update(&v, x += 5 * (double)eddy_random_normal(2, (uint64_t)i), 0);
    cr_assert_gt((double)volatility_scale(&v, 1), 2 * calm);
    volatility_update(&v, 1e308, 0);
    volatility_update(&v, -1e308, 0);
    cr_assert(isfinite(volatility_scale(&v, 1024)));
}

Test(quantiles, the_normal_probability_undoes_the_normal_quantile)
{
    for (double p = 1e-12; p < 1; p = p < .5 ? p * 3 : 1 - (1 - p) / 3) {
        cr_assert_float_eq(normal_probability(normal_quantile(p)), p, 1e-9 * p + 1e-14, "p %g", p);
        if (p > 1 - 1e-9) break;
    }
    cr_assert_float_eq(normal_probability(1.959963984540054), .975, 1e-12);
    cr_assert_eq(normal_probability(-1e9), 0);
    cr_assert_eq(normal_probability(1e9), 1);
}

/* A normal distribution of deviation 2 around 10, said by its 50 % and 90 % bands. */
Test(moves, bands_of_a_normal_distribution_give_its_probabilities)
{
    const double z[2] = {normal_quantile(.75), normal_quantile(.95)};
    const double lower[2] = {10 - 2 * z[0], 10 - 2 * z[1]}, upper[2] = {10 + 2 * z[0], 10 + 2 * z[1]};
    const struct moves_law law = {2, z, lower, upper, 1, 10};
    for (double x = 0; x <= 20; x += .37)
        cr_assert_float_eq(moves_below(&law, x), normal_probability((x - 10) / 2), 1e-9, "%g", x);
    double share[N_MOVES];
    moves_shares(&law, 11, 1, share);
    cr_assert_float_eq(share[MOVE_DOWN], .5, 1e-12);
    cr_assert_float_eq(share[MOVE_UP], 1 - normal_probability(1), 1e-12);
    cr_assert_float_eq(share[MOVE_FLAT], normal_probability(1) - .5, 1e-12);
}

Test(moves, a_value_that_never_moves_is_flat)
{
    const double z[1] = {1}, edge[1] = {7};
    const struct moves_law law = {1, z, edge, edge, 1, 7};
    double share[N_MOVES];
    moves_shares(&law, 7, .1, share);
    cr_assert_eq(share[MOVE_FLAT], 1);
    cr_assert_eq(share[MOVE_DOWN], 0);
    cr_assert_eq(share[MOVE_UP], 0);
}

Test(moves, without_bands_nothing_is_said)
{
    const double z[1] = {1}, edge[1] = {NAN};
    const struct moves_law law = {1, z, edge, edge, 1, 7};
    double share[N_MOVES];
    moves_shares(&law, 7, .1, share);
    for (int m = 0; m < N_MOVES; m++) cr_assert(isnan(share[m]));
}
