/* Numbers converted side by side have the texts that number_write() gives them one by one, whatever lies beside them. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/codec/number_lanes.h"

static const char *const sets[] = {"avx2", "avx512"};
enum { N_SETS = sizeof(sets) / sizeof(sets[0]) };

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static double of_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static double float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof(x));
    return (double)x;
}

/* 1 .. 2, times 2^-46 .. 2^33, of either sign: most have digits that the lanes find themselves. */
static double usual(uint64_t *seed)
{
    const uint64_t r = next_random(seed);
    return ldexp(1 + (double)(r >> 12) * 0x1p-52, (int)(r % 80) - 46) * (r & 0x800 ? -1 : 1);
}

/* Where the number of digits before the point changes, where one digit fewer becomes enough, what is no number.. */
static double odd(uint64_t *seed)
{
    static const double odd[] = {0,           -0.0,     NAN,        INFINITY,   -INFINITY, 1e308,   -1e308, 5e-324,
                                 1e22,        1e9,      1e8,        1e-13,      1e-11,     1e-5,    1e-6,   999999999,
                                 999999999.9, 0.5,      99999999.5, 123456.785, 1,         1000,    0x1p-9, 16777217,
                                 0x1p23,      2.2e-308, 1e-12,      1e-1,       9.9999999, 33554433};
    const uint64_t r = next_random(seed);
    double x = odd[r % (sizeof(odd) / sizeof(odd[0]))];
    for (uint64_t steps = r >> 32 & 3; steps > 0; steps--) x = nextafter(x, r >> 40 & 1 ? INFINITY : -INFINITY);
    return x;
}

static double some(uint64_t *seed)
{
    const uint64_t r = next_random(seed);
    switch (r >> 60) {
    case 0: return of_bits(next_random(seed));
    case 1: return float_of_bits((uint32_t)next_random(seed));
    case 2: return odd(seed);
    case 3: return (double)(r % 100000000) / 1000; /* few decimals, as measured values have them */
    case 4: return (double)(float)usual(seed);
    case 5:
        return (double)(r % 10000000) * pow(10, (int)(r >> 32 & 15) - 12) / 2; /* the middle between two decimals */
    default: return usual(seed);
    }
}

/* n numbers, n <= NUMBER_LANES: each has the text that number_write() gives it, and only what has an e, nine digits and more
 * before the point, or none at all is left to it. */
static void expect_row(const char *set, const double x[NUMBER_LANES], int n)
{
    const double *at[NUMBER_LANES];
    char text[NUMBER_LANES][NUMBER_LANE_BYTES], one[NUMBER_TEXT_BYTES];
    int64_t len[NUMBER_LANES];
    for (int i = 0; i < NUMBER_LANES; i++) at[i] = x + i;
    number_lanes_named(set)(at, n, text, len);
    for (int i = 0; i < n; i++) {
        const size_t want = number_write(x[i], one);
        if (len[i] > 0)
            cr_assert(len[i] == (int64_t)want && memcmp(text[i], one, want) == 0, "%s: %.17g became %.*s, not %.*s",
                      set, x[i], (int)len[i], text[i], (int)want, one);
        else
            cr_assert(!(fabs(x[i]) >= 1e-5 && fabs(x[i]) < 999999900), "%s: %.17g has no text", set, x[i]);
    }
}

Test(number_lanes, a_row_has_the_texts_of_its_numbers_one_by_one)
{
    double x[NUMBER_LANES];
    for (int s = 0; s < N_SETS; s++) {
        uint64_t seed = 7;
        for (int row = 0; row < 250000 && number_lanes_named(sets[s]); row++) {
            for (int i = 0; i < NUMBER_LANES; i++) x[i] = some(&seed);
            expect_row(sets[s], x, NUMBER_LANES);
        }
    }
}

Test(number_lanes, an_odd_number_in_any_lane_leaves_the_others_alone)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, 0, -0.0, 5e-324, 1e308, 1e22, 1e-14, 1e9};
    for (int s = 0; s < N_SETS; s++)
        for (size_t o = 0; o < sizeof(odd) / sizeof(odd[0]) && number_lanes_named(sets[s]); o++)
            for (int lane = 0; lane < NUMBER_LANES; lane++) {
                double x[NUMBER_LANES] = {21.5, -20.123456789, 0.25, 0.7123456, 1e-5, 123456.78, 3, -0.000012345};
                x[lane] = odd[o];
                expect_row(sets[s], x, NUMBER_LANES);
            }
}

Test(number_lanes, part_of_a_row_has_its_texts_too)
{
    const double x[NUMBER_LANES] = {21.5, -20.123456789, 0.25, 0.7123456, 1e-5, 123456.78, 3, -0.0000123456789};
    for (int s = 0; s < N_SETS; s++)
        for (int n = 0; n <= NUMBER_LANES && number_lanes_named(sets[s]); n++) expect_row(sets[s], x, n);
}

Test(number_lanes, a_name_of_no_set_gives_none)
{
    cr_expect_eq(number_lanes_named("portable"), NULL);
    cr_expect_eq(number_lanes_named(""), NULL);
}

/* ---- batches ---- */

static struct number_batch batch;

static void expect_next(const double *x)
{
    char text[NUMBER_TEXT_BYTES + 1], one[NUMBER_TEXT_BYTES + 1];
    text[number_batch_write(&batch, x, text)] = '\0';
    one[number_write(*x, one)] = '\0';
    cr_assert_str_eq(text, one, "%.17g of %d", *x, batch.n);
}

Test(number_lanes, a_batch_of_any_size_has_the_texts_of_its_numbers)
{
    double x[NUMBER_BATCH_MAX + 20];
    uint64_t seed = 11;
    for (int n = 0; n <= NUMBER_BATCH_MAX + 20; n++) {
        for (int i = 0; i < n; i++) x[i] = some(&seed);
        batch.n = 0;
        number_batch_add(&batch, x, n / 2);
        number_batch_add(&batch, x + n / 2, n - n / 2);
        number_batch_convert(&batch);
        for (int i = 0; i < n; i++) expect_next(x + i);
    }
}

Test(number_lanes, what_a_batch_does_not_hold_is_written_all_the_same)
{
    const double x[16] = {1.25, 2.5, 3.75, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, other = 77.5;
    batch.n = 0;
    number_batch_add(&batch, x, 16);
    number_batch_convert(&batch);
    expect_next(x);
    expect_next(&other);
    expect_next(x + 2);
    expect_next(x + 9);
    for (int i = 4; i < 16; i++) expect_next(x + i);
    expect_next(&other);
}

/* ---- the layout ---- */

/* x, which has 9 digits at most, as number.h lays it out: character by character, from the digits that printf gives. */
static void reference_layout(double x, char *out)
{
    char text[64], digits[16];
    int n = 0;
    (void)snprintf(text, sizeof(text), "%.8e", fabs(x));
    const char *c = text;
    for (; *c != 'e'; c++)
        if (*c != '.') digits[n++] = *c;
    const int e10 = atoi(c + 1);
    while (n > 1 && digits[n - 1] == '0') n--;
    if (x < 0) *out++ = '-';
    if (e10 < -5 || e10 > 15) {
        for (int i = 0; i < n; i++) out += sprintf(out, i == 1 ? ".%c" : "%c", digits[i]);
        (void)sprintf(out, "e%d", e10);
        return;
    }
    for (int i = e10 < 0 ? e10 : 0; i < n || i <= e10; i++) { /* i: of the digits; those before the first are zeros */
        if (i == (e10 < 0 ? e10 : 0) + (e10 < 0 ? 1 : e10 + 1)) *out++ = '.';
        *out++ = i >= 0 && i < n ? digits[i] : '0';
    }
    *out = '\0';
}

static void expect_laid_out(double x)
{
    char text[NUMBER_TEXT_BYTES + 1], reference[64];
    text[number_write(x, text)] = '\0';
    reference_layout(strtod(text, NULL), reference);
    cr_assert_str_eq(text, reference, "%.17g became %s, not %s", x, text, reference);
}

Test(number_lanes, a_number_is_laid_out_as_its_digits_and_its_exponent_say)
{
    uint64_t seed = 13;
    for (int i = 0; i < 400000; i++) {
        const double x = some(&seed);
        if (isfinite(x) && fabs(x) > 1e-307 && fabs(x) < 1e307) expect_laid_out(x);
    }
    for (int e10 = -20; e10 < 30; e10++)
        for (int64_t digits = 1; digits < 1000000000; digits = digits * 10 + 7) {
            expect_laid_out((double)digits * pow(10, e10));
            expect_laid_out(-(double)digits * pow(10, e10));
        }
}

Test(number_lanes, an_integer_of_any_length_is_written_in_full)
{
    uint64_t seed = 17;
    char ours[NUMBER_TEXT_BYTES + 1], theirs[NUMBER_TEXT_BYTES];
    for (int i = 0; i < 200000; i++) {
        const int64_t value = (int64_t)next_random(&seed) >> (next_random(&seed) % 64);
        ours[number_write_int(value, ours)] = '\0';
        (void)snprintf(theirs, sizeof(theirs), "%lld", (long long)value);
        cr_assert_str_eq(ours, theirs);
    }
}
