/* Writing decimals, without printf for everything between 1e-13 and 1e22.
 *
 * s = v * 10^k lies in 1e8 .. 1e9 with k = 8 - floor(log10 v), |k| <= 22, so that 10^|k| is an exact double and s is off
 * by less than 1.2e-7.  D = round(s) are the 9 digits.
 *   double   when D / 10^k is v itself, these digits are written
 *   float    a float's neighbours are 1 ulp away, 6 .. 120 units of s: whatever stays clearly within half an ulp of s
 *            reads back as the same float.  9 digits do, and 8, 7, 6 are tried; no float needs fewer than 6 digits that
 *            are not zeros at the end (FLT_DIG). */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "connectors/codec/number.h"
#include "connectors/codec/number_layout.h"

enum { MOST_DIGITS = 9, FEWEST_DIGITS = 6 };

const double number_power[NUMBER_EXACT + 2] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                               1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                               1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23};
/* The double nearest to 1e-11 times 1e11 is a little less than 1. */
const double number_from[NUMBER_LOWEST + NUMBER_EXACT + 1] = {0,     1e-13, 1e-12, 0x1.5fd7fe1796496p-37,
                                                              1e-10, 1e-9,  1e-8,  1e-7,
                                                              1e-6,  1e-5,  1e-4,  1e-3,
                                                              1e-2,  1e-1,  1e0,   1e1,
                                                              1e2,   1e3,   1e4,   1e5,
                                                              1e6,   1e7,   1e8,   1e9,
                                                              1e10,  1e11,  1e12,  1e13,
                                                              1e14,  1e15,  1e16,  1e17,
                                                              1e18,  1e19,  1e20,  1e21,
                                                              1e22};

static const char pairs[201] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445"
    "46474849505152535455565758596061626364656667686970717273747576777879808182838485868788899091"
    "9293949596979899";

/* Writes the digits of n so that they end before `end`; returns where they begin. */
static char *digits_before(uint64_t n, char *end)
{
    while (n >= 100) {
        end -= 2;
        memcpy(end, pairs + 2 * (n % 100), 2);
        n /= 100;
    }
    if (n >= 10) {
        end -= 2;
        memcpy(end, pairs + 2 * n, 2);
    } else {
        *--end = (char)('0' + n);
    }
    return end;
}

/* Apart, so that the others need not make room for it. */
__attribute__((noinline)) static size_t write_long_int(int64_t value, char *out)
{
    char text[NUMBER_TEXT_BYTES], *end = text + sizeof(text);
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *p = digits_before(size, end);
    if (value < 0) *--p = '-';
    memcpy(out, p, (size_t)(end - p));
    return (size_t)(end - p);
}

size_t number_write_int(int64_t value, char *out)
{
    if (value >= 0 && value < 100) { /* horizons, partitions */
        memcpy(out, pairs + 2 * value + (value < 10), 2);
        return value < 10 ? 1 : 2;
    }
    if (value < 0 || value >= 100000000) return write_long_int(value, out);
    const uint64_t eight = number_eight_digits((uint32_t)value);
    const unsigned n_zeros = (unsigned)__builtin_ctzll(eight) / 8;
    number_put_eight(out, (eight | 0x3030303030303030u) >> 8 * n_zeros);
    return 8 - n_zeros;
}

/* floor(log10(v)) for v in 1e-13 .. 1e22. */
static int decimal_exponent(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    const int e2 = (int)(bits >> 52) - 1023;
    const int e = ((e2 + 1) * 1233) >> 12; /* log10(2) ~ 1233 / 4096: right, or one too many */
    return e - (v < number_from[NUMBER_LOWEST + e]);
}

static double scaled(double v, int k)
{
    return k >= 0 ? v * number_power[k] : v / number_power[-k];
}

/* nine * 10^exponent as text, where nine has 9 digits or is 10^9.  Stores words of eight characters; what is written too
 * much lies within NUMBER_TEXT_BYTES. */
static size_t write_decimal(uint64_t nine, int exponent, char *out)
{
    const uint64_t zeros = 0x3030303030303030u;
    char *p = out;
    if (nine == 1000000000) { /* rounded up */
        nine = 100000000;
        exponent++;
    }
    const uint64_t first = nine / 100000000, eight = number_eight_digits((uint32_t)(nine % 100000000));
    const int e10 = exponent + MOST_DIGITS - 1; /* value = d.ddd * 10^e10 */
    if (e10 >= NUMBER_PLAIN_LOWEST && e10 <= NUMBER_SHORT_HIGHEST) return number_lay_out(first, eight, e10, out);
    const uint64_t characters = eight | zeros;
    const unsigned n = number_count_digits(eight);
    p[0] = (char)('0' + first);
    if (e10 < NUMBER_PLAIN_LOWEST || e10 > NUMBER_PLAIN_HIGHEST) {
        p[1] = '.';
        number_put_eight(p + 2, characters);
        p += n > 1 ? n + 1 : 1;
        *p++ = 'e';
        return (size_t)(p - out) + number_write_int(e10, p);
    }
    number_put_eight(p + 1, characters); /* dddddddddd, with zeros at the end */
    number_put_eight(p + 9, zeros);
    return (size_t)e10 + 1;
}

/* The p digits nearest to v through printf, whatever the locale's decimal point looks like. */
static uint64_t print_digits(double v, int p, int *exponent)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%.*e", p - 1, v);
    uint64_t digits = 0;
    const char *c = text;
    for (int n = 0; *c && n < p; c++)
        if (*c >= '0' && *c <= '9') {
            digits = digits * 10 + (uint64_t)(*c - '0');
            n++;
        }
    while (*c && *c != 'e') c++;
    int sign = 1, e = 0;
    if (*c) c++;
    if (*c == '-') sign = -1;
    if (*c) c++;
    for (; *c; c++) e = e * 10 + (*c - '0');
    *exponent = sign * e - (p - 1);
    return digits;
}

/* Very large and very small ones: the same search, by printf and strtod_l. */
static size_t write_slowly(double v, char *out)
{
    bool fits = v >= FLT_MIN && (float)v <= FLT_MAX;
    if (fits) v = (float)v;
    for (int p = fits ? FEWEST_DIGITS : MOST_DIGITS;; p++) {
        int exponent = 0;
        uint64_t digits = print_digits(v, p, &exponent);
        for (; digits < 100000000; exponent--) digits *= 10;
        size_t n = write_decimal(digits, exponent, out);
        double back = 0;
        if (p == MOST_DIGITS || (number_parse(out, out + n, &back) && (float)back == (float)v)) return n;
    }
}

static double power_of_two(int e)
{
    uint64_t bits = (uint64_t)(e + 1023) << 52;
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Half the distance from f to its nearer neighbour. */
static double half_gap(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    double ulp = power_of_two((int)(bits >> 23) - 127 - 23); /* f is normal and above 0 */
    return bits & 0x7FFFFF ? ulp / 2 : ulp / 4;
}

/* s to the nearest multiple of `unit`, by the share of one that a unit has in it. */
static int64_t rounded(double s, double share, int64_t unit)
{
    return (int64_t)(s * share + 0.5) * unit;
}

/* The 9 digits of s, of which as many are zeros at the end as may be for something less than `reach` away.  How many cannot be
 * foreseen, so all are tried and none is branched on. */
static int64_t fewest_digits(double s, double reach)
{
    static const double TENTH = .1, HUNDREDTH = .1 * .1, THOUSANDTH = .1 * .1 * .1;
    const int64_t nine = (int64_t)(s + 0.5), eight = rounded(s, TENTH, 10), seven = rounded(s, HUNDREDTH, 100),
                  six = rounded(s, THOUSANDTH, 1000);
    const int64_t to_eight = -(int64_t)(fabs((double)eight - s) < reach), /* all bits, or none */
        to_seven = to_eight & -(int64_t)(fabs((double)seven - s) < reach),
                  to_six = to_seven & -(int64_t)(fabs((double)six - s) < reach);
    return nine ^ ((nine ^ eight) & to_eight) ^ ((eight ^ seven) & to_seven) ^ ((seven ^ six) & to_six);
}

/* v in 1e-13 .. 1e22 */
static size_t write_quickly(double v, char *out)
{
    const int k = MOST_DIGITS - 1 - decimal_exponent(v);
    const double s = scaled(v, k);
    int64_t digits = (int64_t)(s + 0.5);
    if (!(fabs(s - (double)digits) < 1e-6 && scaled((double)digits, -k) == v)) {
        const float f = (float)v; /* it is the float that must come back: v may lie near the middle of two */
        digits = fewest_digits(scaled((double)f, k), scaled(half_gap(f), k) - 1e-6);
    }
    return write_decimal((uint64_t)digits, -k, out);
}

/* Nothing, no number, very large and very small ones; apart, so that the others need not make room for it. */
__attribute__((noinline)) static size_t write_oddly(double value, char *out)
{
    if (value == 0) {
        *out = '0';
        return 1;
    }
    if (!isfinite(value)) {
        memcpy(out, "null", 4);
        return 4;
    }
    const size_t sign = value < 0;
    *out = '-';
    return sign + write_slowly(fabs(value), out + sign);
}

size_t number_write(double value, char *out)
{
    const double v = fabs(value);
    if (!(v >= 1e-13 && v < 1e22)) return write_oddly(value, out);
    const size_t sign = value < 0;
    *out = '-';
    return sign + write_quickly(v, out + sign);
}
