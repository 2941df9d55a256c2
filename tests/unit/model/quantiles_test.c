#include "engine/math/quantiles.h"

#include <criterion/criterion.h>
#include <math.h>

#include "engine/math/precise.h"

Test(precise, exp_log_and_cos_are_within_1e15)
{
    for (double x = -700; x < 700; x += 0.1357)
        cr_assert_float_eq((double)(precise_exp(x) / expl(x)), 1, 1e-15, "exp %g", x);
    for (long double x = 1e-300L; x < 1e300L; x *= 1.0123L) {
        const long double want = logl((long double)(double)x);
        cr_assert_float_eq((double)((precise_log((double)x) - want) / fmaxl(1, fabsl(want))), 0, 1e-15);
    }
    for (double x = 0; x <= 1; x += 0.00137)
        cr_assert_float_eq((double)(precise_cos(x) - cosl(3.14159265358979323846264338327950288L * x)), 0, 1e-15);
}

Test(precise, exp_saturates)
{
    cr_assert(isfinite(precise_exp(1e300)));
    cr_assert_eq(precise_exp(INFINITY), precise_exp(709));
    cr_assert_gt(precise_exp(-INFINITY), 0);
}

/* From scipy 1.17.1: levels 1e-6, 0.01, 0.3, 0.975, 0.9999. */
static const double levels[] = {1e-6, 0.01, 0.3, 0.975, 0.9999};
static const double normal[] = {-4.75342430882, -2.32634787404, -0.524400512708, 1.95996398454, 3.71901648546};
static const struct {
    double freedom, quantiles[5];
} student_t[] = {
    {1, {-318309.8862, -31.82051595, -0.726542528, 12.70620474, 3183.098757}},
    {1.5, {-5219.469325, -11.19731618, -0.6517954826, 6.016663104, 242.2640988}},
    {3.7, {-51.64005027, -3.920507819, -0.5724353841, 2.867520707, 14.78039645}},
    {30, {-5.87111712, -2.457261542, -0.5300190039, 2.042272456, 4.233985957}},
    {1e6, {-4.753452348, -2.326351603, -0.5244006799, 1.959966357, 3.719030275}},
};

Test(quantiles, agree_with_scipy)
{
    for (int i = 0; i < 5; i++) cr_assert_float_eq(normal_quantile(levels[i]) / normal[i], 1, 1e-11);
    for (int v = 0; v < 5; v++)
        for (int i = 0; i < 5; i++)
            cr_assert_float_eq(student_t_quantile(levels[i], student_t[v].freedom) / student_t[v].quantiles[i], 1,
                               1e-9);
}

Test(quantiles, of_cauchy_are_tangents)
{
    for (double p = 0.01; p < 1; p += 0.01) {
        const double want = tan(M_PI * (p - 0.5));
        cr_assert_float_eq(student_t_quantile(p, 1), want, 1e-9 * (1 + fabs(want)));
    }
}

Test(quantiles, of_both_halves_mirror_each_other_and_the_middle_is_0)
{
    cr_assert_eq(normal_quantile(0.5), 0);
    cr_assert_eq(student_t_quantile(0.5, 4), 0);
    cr_assert_eq(normal_quantile(0.25), -normal_quantile(0.75));
    cr_assert_eq(student_t_quantile(0.125, 4), -student_t_quantile(0.875, 4));
}

Test(quantiles, of_levels_at_the_edge_of_a_double_are_finite)
{
    const double freedoms[] = {1, 2.5, 1000, 1e6};
    cr_assert(isfinite(normal_quantile(0)) && isfinite(normal_quantile(1)));
    for (int i = 0; i < 4; i++) {
        cr_assert(isfinite(student_t_quantile(0, freedoms[i])));
        cr_assert(isfinite(student_t_quantile(1, freedoms[i])));
        cr_assert_lt(student_t_quantile(0, freedoms[i]), student_t_quantile(1e-90, freedoms[i]));
    }
}
