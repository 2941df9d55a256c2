/* Writing decimals, without printf for everything between 1e-14 and 1e22.
 *
 * v ~ D * 10^-k with an integer D of p digits, k = p - 1 - floor(log10 v) and |k| <= 22, so that 10^|k| is an exact
 * double and D / 10^k is the double nearest to the decimal that will be written.  For p = 9 that may be v itself; else
 * the fewest digits count whose decimal rounds to the same float.  FLT_DIG is 6 and 9 digits tell all floats apart, so
 * the number of digits lies between 6 (less trailing zeros) and 9. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "connectors/codec/number.h"

enum { MOST_DIGITS = 9, FEWEST_DIGITS = 6, EXACT_EXPONENT = 22 };
enum { PLAIN_LOWEST = -5, PLAIN_HIGHEST = 15 }; /* exponents that are written without an e */

static const double exact_power[EXACT_EXPONENT + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

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

size_t number_write_int(int64_t value, char *out)
{
    char text[NUMBER_TEXT_BYTES], *end = text + sizeof(text);
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *p = digits_before(size, end);
    if (value < 0) *--p = '-';
    memcpy(out, p, (size_t)(end - p));
    return (size_t)(end - p);
}

/* floor(log10(v)), at times one too many: the caller's table decides. */
static int decimal_exponent(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    int e2 = (int)(bits >> 52 & 0x7FF) - 1023;
    int e = ((e2 + 1) * 1233) >> 12; /* log10(2) ~ 1233 / 4096 */
    if (e >= 0) return v < exact_power[e] ? e - 1 : e;
    return v * exact_power[-e] < 1 ? e - 1 : e;
}

static double scaled(double v, int k)
{
    return k >= 0 ? v * exact_power[k] : v / exact_power[-k];
}

/* True when D * 10^-k, read as a decimal, is the float f.  Exactly half-way between two floats, the double may have been
 * rounded there from either side: such a decimal is not used. */
static bool reads_back(uint64_t digits, int k, float f)
{
    double d = scaled((double)digits, -k);
    uint64_t bits;
    memcpy(&bits, &d, sizeof(bits));
    return (float)d == f && (bits & 0x1FFFFFFF) != 0x10000000;
}

/* digits * 10^exponent as text, digits > 0. */
static size_t write_decimal(uint64_t digits, int exponent, char *out)
{
    while (digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    char text[NUMBER_TEXT_BYTES], *end = text + sizeof(text), *first = digits_before(digits, end), *p = out;
    int n = (int)(end - first), e10 = exponent + n - 1; /* value = d.ddd * 10^e10 */
    if (e10 < PLAIN_LOWEST || e10 > PLAIN_HIGHEST) {
        *p++ = *first;
        if (n > 1) *p++ = '.';
        memcpy(p, first + 1, (size_t)(n - 1));
        p += n - 1;
        *p++ = 'e';
        return (size_t)(p - out) + number_write_int(e10, p);
    }
    if (e10 < 0) { /* 0.000ddd */
        memcpy(p, "0.0000", 6);
        p += 1 - e10;
        memcpy(p, first, (size_t)n);
        return (size_t)(p + n - out);
    }
    int whole = e10 + 1;
    if (whole >= n) { /* ddd000 */
        memcpy(p, first, (size_t)n);
        memset(p + n, '0', (size_t)(whole - n));
        return (size_t)whole;
    }
    memcpy(p, first, (size_t)whole);
    p[whole] = '.';
    memcpy(p + whole + 1, first + whole, (size_t)(n - whole));
    return (size_t)n + 1;
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
        size_t n = write_decimal(digits, exponent, out);
        double back = 0;
        if (p == MOST_DIGITS || (number_parse(out, out + n, &back) && (float)back == (float)v)) return n;
    }
}

/* v in 1e-13 .. 1e22 */
static size_t write_quickly(double v, char *out)
{
    int k = MOST_DIGITS - 1 - decimal_exponent(v);
    uint64_t digits = (uint64_t)(scaled(v, k) + 0.5);
    if (scaled((double)digits, -k) == v) return write_decimal(digits, -k, out);

    float f = (float)v; /* from here on it is the float that must come back: v may lie near the middle of two */
    digits = (uint64_t)(scaled(f, k) + 0.5);
    for (int dropped = 1; dropped <= MOST_DIGITS - FEWEST_DIGITS; dropped++) {
        uint64_t fewer = (uint64_t)(scaled(f, k - 1) + 0.5);
        if (!reads_back(fewer, k - 1, f)) break;
        digits = fewer;
        k--;
    }
    return write_decimal(digits, -k, out);
}

size_t number_write(double value, char *out)
{
    if (value == 0) {
        *out = '0';
        return 1;
    }
    if (!isfinite(value)) {
        memcpy(out, "null", 4);
        return 4;
    }
    size_t sign = value < 0;
    if (sign) *out = '-';
    double v = fabs(value);
    return sign + (v < 1e-13 || v >= 1e22 ? write_slowly(v, out + sign) : write_quickly(v, out + sign));
}
