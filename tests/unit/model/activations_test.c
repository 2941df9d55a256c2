#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "engine/math/activations.h"

enum { STRIDE = 20011 }; /* of the 2^32 bit patterns: about 210,000 floats of every size and sign */

static float from_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof(x));
    return x;
}

/* Largest error over all finite floats in [low, high], divided by max(|truth|, floor). */
static double worst(float (*f)(float), long double (*truth)(long double), float low, float high, double floor)
{
    double most = 0;
    for (uint64_t u = 0; u < UINT64_C(0x100000000); u += STRIDE) {
        const float x = from_bits((uint32_t)u);
        if (!(x >= low && x <= high)) continue;
        const long double want = truth((long double)x);
        const double size = fabs((double)want) > floor ? fabs((double)want) : floor;
        const double error = fabs((double)((long double)f(x) - want)) / size;
        if (error > most) most = error;
    }
    return most;
}

static long double sigmoid_truth(long double x)
{
    return 1 / (1 + expl(-x));
}

Test(activations, exp_is_within_2e7_relative)
{
    cr_assert_leq(worst(math_exp, expl, -87, 88, 0), 2e-7);
}

Test(activations, sigmoid_is_within_3e7)
{
    cr_assert_leq(worst(math_sigmoid, sigmoid_truth, -INFINITY, INFINITY, 1), 3e-7);
}

Test(activations, tanh_is_within_3e7_absolute_and_relative)
{
    cr_assert_leq(worst(math_tanh, tanhl, -INFINITY, INFINITY, 1), 3e-7);
    cr_assert_leq(worst(math_tanh, tanhl, -INFINITY, INFINITY, 1e-37), 3e-7);
}

Test(activations, log_is_within_2e7)
{
    cr_assert_leq(worst(math_log, logl, 1.2e-38f, 3.4e38f, 1), 2e-7);
}

Test(activations, tanh_is_odd_and_bounded_bit_for_bit)
{
    for (uint32_t u = 0; u < 0x7F800000u; u += STRIDE) {
        const float x = from_bits(u), y = math_tanh(x);
        cr_assert_eq(y, -math_tanh(-x));
        cr_assert(y >= 0 && y <= 1, "tanh(%g) = %g", (double)x, (double)y);
    }
}

Test(activations, sigmoid_stays_in_the_unit_interval)
{
    for (uint64_t u = 0; u < UINT64_C(0x100000000); u += STRIDE) {
        const float x = from_bits((uint32_t)u), y = math_sigmoid(x);
        if (!isnan(x)) cr_assert(y >= 0 && y <= 1, "sigmoid(%g) = %g", (double)x, (double)y);
    }
}

Test(activations, known_points_are_exact)
{
    cr_assert_eq(math_exp(0), 1);
    cr_assert_eq(math_log(1), 0);
    cr_assert_eq(math_tanh(0), 0);
    cr_assert_eq(math_sigmoid(0), 0.5f);
}

Test(activations, extremes_saturate_and_nan_stays_nan)
{
    cr_assert_eq(math_tanh(INFINITY), 1);
    cr_assert_eq(math_tanh(-INFINITY), -1);
    cr_assert_eq(math_sigmoid(INFINITY), 1);
    cr_assert(math_sigmoid(-INFINITY) >= 0 && math_sigmoid(-INFINITY) < 1e-30f);
    cr_assert(isfinite(math_exp(INFINITY)) && math_exp(INFINITY) > 1e38f);
    cr_assert(math_exp(-INFINITY) >= 0 && math_exp(-INFINITY) < 1e-37f);
    cr_assert(math_log(0) < -87 && isfinite(math_log(INFINITY)));
    cr_assert(isnan(math_log(-1)) && isnan(math_log(NAN)) && isnan(math_exp(NAN)) && isnan(math_tanh(NAN)) &&
              isnan(math_sigmoid(NAN)));
}
