#include <criterion/criterion.h>
#include <math.h>

#include "eddy_layer.h"

enum { DRAWS = 200000 };

Test(random, a_number_depends_on_seed_and_counter_alone)
{
    const uint64_t first = eddy_random_bits(7, 42);
    (void)eddy_random_bits(8, 1);
    cr_assert_eq(eddy_random_bits(7, 42), first);
    cr_assert_neq(eddy_random_bits(7, 43), first);
    cr_assert_neq(eddy_random_bits(8, 42), first);
}

/* Files and replays rely on these numbers: they may not change between releases or machines. */
Test(random, the_numbers_never_change)
{
    cr_assert_eq(eddy_random_bits(0, 0), UINT64_C(0x48218226ff3cd4bf));
    cr_assert_eq(eddy_random_bits(1, 2), UINT64_C(0xf18d6ce93d6cf1ee));
    cr_assert_float_eq(eddy_random_normal(1, 2), -0.021522928f, 1e-6f);
}

Test(random, each_bit_is_set_half_the_time)
{
    int set[64] = {0};
    for (uint64_t i = 0; i < DRAWS; i++)
        for (int b = 0; b < 64; b++) set[b] += (int)(eddy_random_bits(1, i) >> b & 1);
    for (int b = 0; b < 64; b++) cr_assert(abs(set[b] - DRAWS / 2) < 1200, "bit %d: %d", b, set[b]); /* 5 sigma */
}

Test(random, neighbouring_counters_and_seeds_differ_in_half_their_bits)
{
    double by_counter = 0, by_seed = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        by_counter += __builtin_popcountll(eddy_random_bits(3, i) ^ eddy_random_bits(3, i + 1));
        by_seed += __builtin_popcountll(eddy_random_bits(i, 3) ^ eddy_random_bits(i + 1, 3));
    }
    cr_assert_float_eq(by_counter / 20000, 32, 0.15);
    cr_assert_float_eq(by_seed / 20000, 32, 0.15);
}

Test(random, uniform_fills_the_unit_interval_evenly)
{
    int cell[16] = {0};
    for (uint64_t i = 0; i < DRAWS; i++) {
        const float u = eddy_random_uniform(5, i);
        cr_assert(u >= 0 && u < 1);
        cell[(int)(u * 16)]++;
    }
    for (int c = 0; c < 16; c++) cr_assert(abs(cell[c] - DRAWS / 16) < 550, "cell %d: %d", c, cell[c]); /* 5 sigma */
}

Test(random, normal_has_the_moments_of_a_normal_and_its_tails)
{
    double m[5] = {0};
    int beyond_two = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        const double x = (double)eddy_random_normal(9, i);
        cr_assert(isfinite(x) && fabs(x) < 8);
        for (int k = 1; k <= 4; k++) m[k] += pow(x, k) / DRAWS;
        beyond_two += fabs(x) > 2;
    }
    cr_assert_float_eq(m[1], 0, 0.012);
    cr_assert_float_eq(m[2], 1, 0.02);
    cr_assert_float_eq(m[3], 0, 0.05);
    cr_assert_float_eq(m[4], 3, 0.12);
    cr_assert_float_eq((double)beyond_two / DRAWS, 0.0455, 0.0025);
}

Test(random, neighbouring_normals_are_not_correlated)
{
    double product = 0;
    for (uint64_t i = 0; i < DRAWS; i++)
        product += (double)eddy_random_normal(11, i) * (double)eddy_random_normal(11, i + 1) / DRAWS;
    cr_assert_float_eq(product, 0, 0.012);
}
