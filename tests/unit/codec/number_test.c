/* Decimals are read as strtod() reads them and written so that they come back. */
#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/codec/number.h"
#include "fixture.h"
#include "tests/fuzz/number_grammar.h"

static double parse(const char *text)
{
    double x = NAN;
    const char *end = number_parse(text, text + strlen(text), &x);
    cr_expect(end == text + strlen(text), "%s", text);
    return x;
}

static void expect_written(double x, const char *text)
{
    char out[NUMBER_TEXT_BYTES + 1];
    out[number_write(x, out)] = '\0';
    cr_expect_str_eq(out, text, "%.17g gave %s, not %s", x, out, text);
}

/* The number of digits from the first to the last that is not 0. */
static int significant_digits(const char *text)
{
    int n = 0, last = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (n == 0 && *text == '0')) continue;
        n++;
        if (*text != '0') last = n;
    }
    return last;
}

Test(number, plain_numbers_are_read)
{
    cr_expect_eq(parse("0"), 0.0);
    cr_expect_eq(parse("21.5"), 21.5);
    cr_expect_eq(parse("-3"), -3.0);
    cr_expect_eq(parse("1e3"), 1000.0);
    cr_expect_eq(parse("1.25E-2"), 0.0125);
    cr_expect(signbit(parse("-0")));
}

Test(number, what_json_does_not_allow_is_no_number)
{
    static const char *const bad[] = {"",   "-",   "+1",  ".5",       "1.",   "1.e5", "01",
                                      "1e", "1e+", "NaN", "Infinity", "0x10", "--1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        double x;
        const char *end = number_parse(bad[i], bad[i] + strlen(bad[i]), &x);
        cr_expect(end == NULL || *end != '\0', "%s was taken", bad[i]);
    }
}

Test(number, texts_of_people_are_read_and_nothing_else)
{
    double x = 0;
    cr_expect(number_parse_text(" +1.5\t", 6, &x) && x == 1.5);
    cr_expect(number_parse_text(".5", 2, &x) && x == 0.5);
    cr_expect(number_parse_text("5.", 2, &x) && x == 5);
    cr_expect(number_parse_text("007", 3, &x) && x == 7);
    static const char *const bad[] = {"", " ", ".", "+", "1,5", "1 2", "abc", "1x", "inf", "0x1p3", "1e"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        cr_expect(!number_parse_text(bad[i], strlen(bad[i]), &x), "%s was taken", bad[i]);
}

Test(number, hard_cases_are_rounded_as_strtod_does)
{
    static const char *const hard[] = {"9007199254740993",
                                       "9007199254740992.5",
                                       "0.1",
                                       "123456789012345678",
                                       "1.7976931348623157e308",
                                       "2.2250738585072011e-308",
                                       "4.9406564584124654e-324",
                                       "2.4703282292062327e-324",
                                       "1e23",
                                       "8.5e22",
                                       "0.000000000000000000000000000000000000001",
                                       "100000000000000000000000000000000000000",
                                       "5708990770823839524233143877797980545530986496.0",
                                       "7.2057594037927933e16",
                                       "0.12345678901234567",
                                       "99999999999999999999",
                                       "3.14159265358979323846264338327950288419716939937510582097494459"};
    for (size_t i = 0; i < sizeof(hard) / sizeof(*hard); i++) {
        double ours = parse(hard[i]), theirs = strtod(hard[i], NULL);
        cr_expect(memcmp(&ours, &theirs, sizeof(ours)) == 0, "%s: %a and %a", hard[i], ours, theirs);
    }
}

Test(number, a_thousand_digits_and_a_huge_exponent_cancel_out)
{
    static char text[3000];
    memset(text, '0', 2000);
    memcpy(text, "0.", 2);
    strcpy(text + 2000, "15e2000"); /* 1998 zeros, then 15: 0.15 * 10^-1998 * 10^2000 */
    cr_expect_eq(parse(text), 15.0);
    memset(text, '1', 2000);
    strcpy(text + 2000, "e-1999");
    cr_expect_eq(parse(text), 1.1111111111111111);
}

Test(number, too_large_is_infinite_and_too_small_is_zero)
{
    cr_expect(isinf(parse("1e400")) && parse("-1e400") < 0);
    cr_expect_eq(parse("1e-400"), 0.0);
    cr_expect_eq(parse("0e99999999999999999999"), 0.0);
    cr_expect(isinf(parse("1e99999999999999999999")));
}

Test(number, random_decimals_are_read_as_strtod_does)
{
    uint64_t seed = 1;
    char text[64];
    for (int i = 0; i < 100000; i++) {
        int64_t digits = (int64_t)(next_random(&seed) >> (next_random(&seed) % 60));
        (void)snprintf(text, sizeof(text), "%lld.%llue%d", (long long)digits,
                       (unsigned long long)next_random(&seed) >> 40, (int)(next_random(&seed) % 60) - 30);
        double ours = parse(text), theirs = strtod(text, NULL);
        cr_assert(ours == theirs, "%s: %.17g and %.17g", text, ours, theirs);
    }
}

/* Takes a text and a byte behind it, in memory that ends there. */
static void expect_as_strtod(const char *text, size_t len)
{
    char *exact = malloc(len);
    cr_assert_not_null(exact);
    memcpy(exact, text, len);
    double x = 0;
    const char *end = number_parse(exact, exact + len, &x), *by_grammar = number_grammar_end(text);
    const ptrdiff_t n = end ? end - exact : -1;
    free(exact);
    cr_assert_eq(n, by_grammar ? by_grammar - text : -1, "%s", text);
    const double theirs = end ? strtod(text, NULL) : 0;
    cr_assert(memcmp(&x, &theirs, sizeof(x)) == 0, "%s: %.17g and %.17g", text, x, theirs);
}

Test(number, every_short_text_is_read_by_the_grammar)
{
    static const char letters[] = "0189.-+e,";
    enum { N = sizeof(letters) - 1, MOST = 5 };
    int n = N;
    for (size_t len = 1; len <= MOST; len++, n *= N)
        for (int i = 0; i < n; i++) {
            char text[MOST + 1] = "";
            for (int k = i, at = 0; at < (int)len; at++, k /= N) text[at] = letters[k % N];
            expect_as_strtod(text, len);
        }
}

Test(number, plain_decimals_of_any_length_are_read_as_strtod_does)
{
    static const char *const tails[] = {"", "", ",", "}", "e", "e1", "E-3", ".", "x", "-", " "};
    uint64_t seed = 11;
    for (int i = 0; i < 200000; i++) {
        char text[64] = "";
        size_t n = 0;
        const size_t whole = 1 + next_random(&seed) % 12, fraction = next_random(&seed) % 14;
        if (next_random(&seed) % 4 == 0) text[n++] = '-';
        for (size_t k = 0; k < whole; k++) text[n++] = (char)('0' + next_random(&seed) % 10);
        if (fraction) text[n++] = '.';
        for (size_t k = 0; k < fraction; k++) text[n++] = (char)('0' + next_random(&seed) % 10);
        strcpy(text + n, tails[next_random(&seed) % (sizeof(tails) / sizeof(*tails))]);
        expect_as_strtod(text, strlen(text));
    }
}

Test(number, writing_gives_the_shortest_text)
{
    expect_written(0.1, "0.1");
    expect_written((double)0.1f, "0.1");
    expect_written(21.5, "21.5");
    expect_written(-2.25, "-2.25");
    expect_written(100, "100");
    expect_written(1234567.5, "1234567.5");
    expect_written(1e-7, "1e-7");
    expect_written(0.00001, "0.00001");
    expect_written(1e15, "1000000000000000");
    expect_written(2.5e16, "2.5e16");
    expect_written((double)(1.0f / 3), "0.33333334");
    expect_written(1.0 / 3, "0.33333334");
    expect_written(0, "0");
    expect_written(-0.0, "0");
}

Test(number, a_double_of_nine_digits_is_not_cut_to_a_float)
{
    expect_written(1234567.89, "1234567.89");
    expect_written(123456789, "123456789");
    expect_written(16777217, "16777217");
}

Test(number, what_no_float_holds_keeps_nine_digits_of_the_double)
{
    expect_written(1e300, "1e300");
    expect_written(1.23456789012e-300, "1.23456789e-300");
    expect_written(-1.5e39, "-1.5e39");
}

Test(number, what_is_not_finite_is_null)
{
    expect_written(NAN, "null");
    expect_written(INFINITY, "null");
    expect_written(-INFINITY, "null");
}

Test(number, every_float_comes_back_from_nine_digits_or_fewer)
{
    uint64_t seed = 3;
    char text[NUMBER_TEXT_BYTES + 1];
    for (int i = 0; i < 400000; i++) {
        uint32_t bits = (uint32_t)next_random(&seed);
        float f;
        memcpy(&f, &bits, sizeof(f));
        if (!isfinite(f)) continue;
        text[number_write((double)f, text)] = '\0';
        cr_assert(strtof(text, NULL) == f, "%.9g became %s", (double)f, text);
        cr_assert((float)strtod(text, NULL) == f, "%.9g became %s", (double)f, text);
        cr_assert_leq(significant_digits(text), 9, "%s", text);
        cr_assert_lt(strlen(text), (size_t)NUMBER_TEXT_BYTES);
    }
}

Test(number, every_double_comes_back_as_its_float)
{
    uint64_t seed = 5;
    char text[NUMBER_TEXT_BYTES + 1];
    for (int i = 0; i < 200000; i++) {
        double x = ldexp((double)(int64_t)next_random(&seed), (int)(next_random(&seed) % 120) - 120);
        text[number_write(x, text)] = '\0';
        cr_assert((float)strtod(text, NULL) == (float)x, "%.17g became %s", x, text);
        cr_assert_leq(significant_digits(text), 9, "%.17g became %s", x, text);
    }
}

Test(number, integers_are_written_in_full)
{
    static const int64_t values[] = {0, 7, -7, 10, 99, 100, 12345, INT64_MAX, INT64_MIN};
    char ours[NUMBER_TEXT_BYTES + 1], theirs[NUMBER_TEXT_BYTES];
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        ours[number_write_int(values[i], ours)] = '\0';
        (void)snprintf(theirs, sizeof(theirs), "%lld", (long long)values[i]);
        cr_expect_str_eq(ours, theirs);
    }
}

Test(number, the_locale_does_not_matter)
{
    char text[NUMBER_TEXT_BYTES + 1];
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
        cr_skip_test("no locale with a comma");
    cr_expect_eq(parse("1.5e-300"), 1.5e-300);
    text[number_write(1.5e-300, text)] = '\0';
    cr_expect_str_eq(text, "1.5e-300");
}
