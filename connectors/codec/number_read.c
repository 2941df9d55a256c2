/* Reading decimals exactly.
 *
 * A number of at most 8 characters, as most are, is read as one word: its dot is taken out, and its digits are weighed
 * in pairs, fours and eights side by side.  Longer ones go digit by digit, or by eight digits.
 *
 * w * 10^e with w < 2^64 is rounded once in one of two ways:
 *   w <= 2^53 and |e| <= 22   both are exact doubles, so one product or quotient is the nearest double (Clinger, "How to
 *                             read floating point numbers accurately", 1990)
 *   |e| <= 19                 10^|e| < 2^64: the product or the quotient with its remainder is exact in 128 bits
 * What is left goes to strtod_l(). */
#include <endian.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/codec/number.h"

enum { EXACT_EXPONENT = 22, WORD_EXPONENT = 19, WORD_DIGITS = 19 };

/* More significant digits than these never change the nearest double, but for being there at all. */
enum { MOST_DIGITS = 800 };

static const double exact_power[EXACT_EXPONENT + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static const uint64_t word_power[WORD_EXPONENT + 1] = {1,
                                                       10,
                                                       100,
                                                       1000,
                                                       10000,
                                                       100000,
                                                       1000000,
                                                       10000000,
                                                       100000000,
                                                       1000000000,
                                                       10000000000,
                                                       100000000000,
                                                       1000000000000,
                                                       10000000000000,
                                                       100000000000000,
                                                       1000000000000000,
                                                       10000000000000000,
                                                       100000000000000000,
                                                       1000000000000000000,
                                                       10000000000000000000u};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The first 8 of n bytes, the first one lowest; what is not there is 0. */
static uint64_t load_some(const char *p, size_t n)
{
    uint64_t word = 0;
    uint32_t low, high;
    if (n >= 8) {
        memcpy(&word, p, sizeof(word));
        return le64toh(word);
    }
    if (n < 4) {
        for (size_t i = 0; i < n; i++) word |= (uint64_t)(unsigned char)p[i] << 8 * i;
        return word;
    }
    memcpy(&low, p, sizeof(low));
    memcpy(&high, p + n - 4, sizeof(high)); /* may begin within the first four */
    return le32toh(low) | (uint64_t)le32toh(high) << 8 * (n - 4);
}

static const uint64_t all_zeros = 0x3030303030303030u;

/* How many of the lowest bytes are 0 to 9. */
static int small_bytes(uint64_t x)
{
    const uint64_t odd = (x | (x + 0x7676767676767676u)) & 0x8080808080808080u; /* a carry spoils later bytes only */
    return odd ? __builtin_ctzll(odd) / 8 : 8;
}

/* The number whose 8 digits are the bytes of x, the first one lowest. */
static uint64_t weigh_eight(uint64_t x)
{
    x = (x * 10 + (x >> 8)) & 0x00FF00FF00FF00FFu;
    x = (x * 100 + (x >> 16)) & 0x0000FFFF0000FFFFu;
    return (x * 10000 + (x >> 32)) & 0xFFFFFFFFu;
}

/* Digits, perhaps with a dot among them, that end within 8 bytes and before an exponent: digits / 10^places.  Returns
 * their end; NULL: not so, or no JSON number. */
static inline const char *scan_short(const char *p, const char *end, uint64_t *digits, int *places)
{
    uint64_t x = load_some(p, (size_t)(end - p)) ^ all_zeros;
    const int whole = small_bytes(x);
    int n = whole;
    if (whole == 0 || whole == 8 || (whole > 1 && *p == '0')) return NULL;
    const char *rest = p + whole;
    if (rest < end && *rest == '.') {
        const uint64_t low = (1ull << 8 * whole) - 1;
        x = (x & low) | (x >> 8 & ~low) | 0xFFull << 56;
        n = small_bytes(x);
        if (n == whole) return NULL;
        rest = p + n + 1;
    }
    if (rest < end && (is_digit(*rest) || (*rest | 0x20) == 'e')) return NULL;
    *digits = weigh_eight(x << 8 * (8 - n));
    *places = n - whole;
    return rest;
}

/* Takes in a run of digits; `step` is what a digit that is kept adds to the exponent, 0 or -1. */
static const char *scan_digits(const char *p, const char *end, int step, int *n_kept, struct number_decimal *d)
{
    while (end - p >= 8 && *n_kept <= WORD_DIGITS - 8 && (d->digits || *p != '0')) {
        const uint64_t x = load_some(p, 8) ^ all_zeros;
        if (small_bytes(x) < 8) break;
        d->digits = d->digits * 100000000 + weigh_eight(x);
        d->exponent += 8 * step;
        *n_kept += 8;
        p += 8;
    }
    for (; p < end && is_digit(*p); p++) {
        unsigned digit = (unsigned)(*p - '0');
        if (*n_kept < WORD_DIGITS) {
            d->digits = d->digits * 10 + digit;
            *n_kept += d->digits != 0; /* leading zeros are not significant */
            d->exponent += step;
        } else {
            d->truncated |= digit != 0;
            d->exponent += step + 1;
        }
    }
    return p;
}

/* [eE][+-]?[0-9]+ */
static const char *scan_exponent(const char *p, const char *end, struct number_decimal *d)
{
    const int64_t huge = INT64_MAX / 1000; /* far beyond what any text's length could make good */
    bool negative = false;
    int64_t exponent = 0;
    p++;
    if (p < end && (*p == '+' || *p == '-')) negative = *p++ == '-';
    if (p == end || !is_digit(*p)) return NULL;
    for (; p < end && is_digit(*p); p++)
        if (exponent < huge) exponent = exponent * 10 + (*p - '0');
    d->exponent += negative ? -exponent : exponent;
    return p;
}

static bool is_minus(const char *p, const char *end)
{
    return p < end && *p == '-';
}

/* What is not short. */
static const char *scan_long(const char *p, const char *end, struct number_decimal *d)
{
    int n_kept = 0;
    *d = (struct number_decimal){.negative = is_minus(p, end)};
    p += d->negative;
    if (p == end || !is_digit(*p)) return NULL;
    if (*p == '0' && p + 1 < end && is_digit(p[1])) return NULL;
    p = scan_digits(p, end, 0, &n_kept, d);
    if (p < end && *p == '.') {
        p++;
        if (p == end || !is_digit(*p)) return NULL;
        p = scan_digits(p, end, -1, &n_kept, d);
    }
    if (p < end && (*p == 'e' || *p == 'E')) p = scan_exponent(p, end, d);
    return p;
}

const char *number_scan(const char *p, const char *end, struct number_decimal *d)
{
    const bool negative = is_minus(p, end);
    uint64_t digits;
    int places;
    const char *rest = scan_short(p + negative, end, &digits, &places);
    if (!rest) return scan_long(p, end, d);
    *d = (struct number_decimal){.negative = negative, .digits = digits, .exponent = -places};
    return rest;
}

/* The double nearest to (w + a bit more, when `more`) * 2^e; w > 0. */
static double round_words(unsigned __int128 w, bool more, int e)
{
    int bits = w >> 64 ? 128 - __builtin_clzll((uint64_t)(w >> 64)) : 64 - __builtin_clzll((uint64_t)w);
    int drop = bits - 53;
    if (drop <= 0) return (double)(uint64_t)w * (e < 0 ? 1.0 / (double)(1ull << -e) : 1.0);

    uint64_t kept = (uint64_t)(w >> drop);
    unsigned __int128 rest = w & (((unsigned __int128)1 << drop) - 1), half = (unsigned __int128)1 << (drop - 1);
    if (rest > half || (rest == half && (more || (kept & 1)))) kept++;
    double value = (double)kept;              /* at most 2^53: exact */
    for (int shift = drop + e; shift != 0;) { /* |shift| < 128: powers of two in exact steps */
        int step = shift > 62 ? 62 : shift < -62 ? -62 : shift;
        value = step > 0 ? value * (double)(1ull << step) : value / (double)(1ull << -step);
        shift -= step;
    }
    return value;
}

/* digits / 10^k, k <= 19: shifted left as far as it goes, so that the quotient has 64 bits or more. */
static double divide_words(uint64_t digits, int k)
{
    int shift = 63 + __builtin_clzll(digits);
    unsigned __int128 w = (unsigned __int128)digits << shift;
    return round_words(w / word_power[k], w % word_power[k] != 0, -shift);
}

static double read_slowly(const char *begin, const char *end)
{
    char text[MOST_DIGITS + 64];
    size_t n = 0;
    int64_t exponent = 0;
    bool fraction = false, more = false;
    const char *p = begin;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '-' || *p == '.') {
            fraction |= *p == '.';
        } else if (n == 0 && *p == '0') {
            exponent -= fraction;
        } else if (n < MOST_DIGITS) {
            text[n++] = *p;
            exponent -= fraction;
        } else {
            more |= *p != '0';
            exponent += !fraction;
        }
    }
    if (more) {
        text[n++] = '1';
        exponent--;
    }
    struct number_decimal tail = {0};
    if (p < end) scan_exponent(p, end, &tail);
    exponent += tail.exponent;
    if (exponent > 99999) exponent = 99999;
    if (exponent < -99999) exponent = -99999;
    text[n++] = 'e';
    n += number_write_int(exponent, text + n);
    text[n] = '\0';

    locale_t c_locale = newlocale(LC_ALL_MASK, "C",
                                  (locale_t)0); /* a constant of the C library: no memory is taken */
    double value = c_locale ? strtod_l(text, NULL, c_locale) : strtod(text, NULL);
    if (c_locale) freelocale(c_locale);
    return value;
}

/* What scanned as [begin, end) and as d. */
static double decimal_value(const struct number_decimal *d, const char *begin, const char *end)
{
    int64_t e = d->exponent;
    double value;
    if (d->digits == 0)
        value = 0;
    else if (!d->truncated && d->digits <= 1ull << 53 && e >= -EXACT_EXPONENT && e <= EXACT_EXPONENT)
        value = e < 0 ? (double)d->digits / exact_power[-e] : (double)d->digits * exact_power[e];
    else if (!d->truncated && e >= -WORD_EXPONENT && e < 0)
        value = divide_words(d->digits, (int)-e);
    else if (!d->truncated && e >= 0 && e <= WORD_EXPONENT)
        value = round_words((unsigned __int128)d->digits * word_power[e], false, 0);
    else
        value = read_slowly(begin, end);
    return d->negative ? -value : value;
}

/* Out of the way of the short ones, which then save no registers. */
__attribute__((noinline)) static const char *parse_long(const char *p, const char *end, double *out)
{
    struct number_decimal d;
    const char *rest = scan_long(p, end, &d);
    if (rest) *out = decimal_value(&d, p, rest);
    return rest;
}

const char *number_parse(const char *p, const char *end, double *out)
{
    const bool negative = is_minus(p, end);
    uint64_t digits;
    int places;
    const char *rest = scan_short(p + negative, end, &digits, &places);
    if (!rest) return parse_long(p, end, out);
    const double value = (double)(int64_t)digits / exact_power[places]; /* of at most eight digits */
    *out = negative ? -value : value;
    return rest;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool number_parse_text(const char *text, size_t len, double *out)
{
    const char *p = text, *end = text + len;
    while (p < end && is_blank(*p)) p++;
    while (end > p && is_blank(end[-1])) end--;

    struct number_decimal d = {0};
    int n_kept = 0;
    if (p < end && (*p == '+' || *p == '-')) d.negative = *p++ == '-';
    const char *whole = p, *number = p;
    p = scan_digits(p, end, 0, &n_kept, &d);
    ptrdiff_t n_digits = p - whole;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        p = scan_digits(p, end, -1, &n_kept, &d);
        n_digits += p - fraction;
    }
    if (n_digits == 0) return false;
    if (p < end && (*p == 'e' || *p == 'E')) p = scan_exponent(p, end, &d);
    if (p != end) return false;
    *out = decimal_value(&d, number, end);
    return true;
}
