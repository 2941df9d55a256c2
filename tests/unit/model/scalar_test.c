#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "engine/math/scalar.h"

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

Test(scalar, least_and_most_are_fmin_and_fmax)
{
    const double x[] = {-INFINITY, -DBL_MAX, -1, -DBL_MIN, 0, 4e-324, 1, 1.5, DBL_MAX, INFINITY, NAN};
    enum { N = sizeof(x) / sizeof(x[0]) };
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            if (isnan(x[i]) && isnan(x[j])) continue;
            cr_expect(same_bits(scalar_least(x[i], x[j]), fmin(x[i], x[j])), "least of %g and %g", x[i], x[j]);
            cr_expect(same_bits(scalar_most(x[i], x[j]), fmax(x[i], x[j])), "most of %g and %g", x[i], x[j]);
        }
    cr_expect(isnan(scalar_least(NAN, NAN)) && isnan(scalar_most(NAN, NAN)));
}

Test(scalar, bits_are_counted_one_by_one)
{
    uint64_t x = 1;
    for (int i = 0; i < 1000; i++, x = x * 6364136223846793005u + 1442695040888963407u) {
        int n = 0;
        for (int b = 0; b < 64; b++) n += (int)(x >> b & 1);
        cr_expect_eq(scalar_bits(x), n, "%llx", (unsigned long long)x);
    }
    cr_expect_eq(scalar_bits(0), 0);
    cr_expect_eq(scalar_bits(UINT64_MAX), 64);
}
