/* Times as text, against values that `date -u -d` gives. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "connectors/codec/timestamp.h"
#include "fixture.h"

static const int64_t second = 1000000000;

static void expect_time(const char *text, int64_t seconds, int64_t ns)
{
    int64_t time = -1;
    cr_expect(timestamp_parse(text, strlen(text), &time), "%s was refused", text);
    cr_expect(time == (__int128)seconds * second + ns, "%s: %lld", text, (long long)time);
}

static void expect_no_time(const char *text)
{
    int64_t time;
    cr_expect(!timestamp_parse(text, strlen(text), &time), "%s was taken", text);
}

static void expect_epoch(const char *text, enum time_unit unit, int64_t ns)
{
    int64_t time = -1;
    cr_expect(timestamp_parse_epoch(text, strlen(text), unit, &time), "%s was refused", text);
    cr_expect_eq(time, ns, "%s: %lld", text, (long long)time);
}

static void expect_written(int64_t ns, const char *text)
{
    char out[TIMESTAMP_MAX + 1];
    out[timestamp_write(ns, out)] = '\0';
    cr_expect_str_eq(out, text);
}

Test(timestamp, rfc_3339_is_read)
{
    expect_time("1970-01-01T00:00:00Z", 0, 0);
    expect_time("2026-11-21T05:33:05Z", 1795239185, 0);
    expect_time("2026-11-21t05:33:05z", 1795239185, 0);
    expect_time("2026-11-21 05:33:05.25Z", 1795239185, 250000000);
    expect_time("2026-11-21T05:33:05.123456789Z", 1795239185, 123456789);
    expect_time("2026-11-21T05:33:05.1234567899Z", 1795239185, 123456789);
    expect_time("2026-11-21T06:33:05+01:00", 1795239185, 0);
    expect_time("2026-11-20T23:03:05-06:30", 1795239185, 0);
    expect_time("1969-12-31T23:59:59.5Z", -1, 500000000);
}

Test(timestamp, dates_without_a_zone_are_utc)
{
    expect_time("2015-02-26 21:42:53", 1424986973, 0);
    expect_time("2015-02-26T21:42:53", 1424986973, 0);
    expect_time("2015-02-26 21:42", 1424986920, 0);
    expect_time("2015-02-26", 1424908800, 0);
    expect_time("2015-02-26 21:42:53.5", 1424986973, 500000000);
}

Test(timestamp, a_leap_second_is_the_next_one)
{
    expect_time("2016-12-31T23:59:60Z", 1483228800, 0);
    expect_no_time("2016-12-31T23:59:61Z");
}

Test(timestamp, days_that_do_not_exist_are_refused)
{
    expect_time("2024-02-29", 1709164800, 0);
    expect_time("2000-02-29", 951782400, 0);
    expect_no_time("2023-02-29");
    expect_no_time("1900-02-29");
    expect_no_time("2023-04-31");
    expect_no_time("2023-13-01");
    expect_no_time("2023-00-01");
    expect_no_time("2023-01-00");
}

Test(timestamp, broken_texts_are_refused)
{
    static const char *const bad[] = {"",
                                      "2023",
                                      "2023-01-01T",
                                      "2023-01-01T1",
                                      "2023-01-01T24:00:00Z",
                                      "2023-01-01T12:60:00Z",
                                      "2023-01-01T12:00:00.Z",
                                      "2023-01-01T12:00:00+1:00",
                                      "2023-01-01T12:00:00+01:60",
                                      "2023-01-01T12:00:00ZZ",
                                      "2023-01-01 ",
                                      " 2023-01-01",
                                      "2023-01-01X12:00:00Z",
                                      "2023/01/01",
                                      "20230101",
                                      "2023-01-01T12:00:0",
                                      "abcd-ef-gh",
                                      "2023-01-01T12Z"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) expect_no_time(bad[i]);
}

Test(timestamp, the_range_ends_where_int64_nanoseconds_end)
{
    expect_time("2262-04-11T23:47:16.854775807Z", 9223372036, 854775807);
    expect_no_time("2262-04-11T23:47:16.854775808Z");
    expect_time("1677-09-21T00:12:43.145224193Z", -9223372037, 145224193);
    expect_no_time("1677-09-21T00:12:43.145224192Z"); /* EDDY_NO_TIME */
    expect_no_time("0001-01-01");
    expect_no_time("9999-12-31T23:59:59Z");
}

Test(timestamp, epoch_numbers_are_exact_in_every_unit)
{
    expect_epoch("1700000000", TIME_S, 1700000000 * second);
    expect_epoch("1700000000.123456789", TIME_S, 1700000000123456789);
    expect_epoch("1.7e9", TIME_S, 1700000000 * second);
    expect_epoch("1700000000123", TIME_MS, 1700000000123000000);
    expect_epoch("1700000000123.5", TIME_MS, 1700000000123500000);
    expect_epoch("1700000000123456", TIME_US, 1700000000123456000);
    expect_epoch("1700000000123456789", TIME_NS, 1700000000123456789);
    expect_epoch("-1.5", TIME_S, -1500000000);
    expect_epoch("0", TIME_S, 0);
    expect_epoch("9223372036854775807", TIME_NS, INT64_MAX);
}

Test(timestamp, epoch_numbers_out_of_range_are_refused)
{
    static const char *const bad[] = {"9223372036854775808",
                                      "-9223372036854775808",
                                      "1e30",
                                      "1e99999999999",
                                      "99999999999999999999",
                                      "",
                                      "12a",
                                      "NaN"};
    int64_t time;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        cr_expect(!timestamp_parse_epoch(bad[i], strlen(bad[i]), TIME_NS, &time), "%s", bad[i]);
    cr_expect(!timestamp_parse_epoch("9223372037", 10, TIME_S, &time));
}

Test(timestamp, a_fraction_is_written_only_when_there_is_one)
{
    expect_written(0, "1970-01-01T00:00:00Z");
    expect_written(1795239185 * second, "2026-11-21T05:33:05Z");
    expect_written(1795239185 * second + 250000000, "2026-11-21T05:33:05.250Z");
    expect_written(1795239185 * second + 1000, "2026-11-21T05:33:05.000001Z");
    expect_written(1795239185 * second + 1, "2026-11-21T05:33:05.000000001Z");
    expect_written(-1, "1969-12-31T23:59:59.999999999Z");
    expect_written(INT64_MAX, "2262-04-11T23:47:16.854775807Z");
    expect_written(INT64_MIN + 1, "1677-09-21T00:12:43.145224193Z");
}

Test(timestamp, milliseconds_are_rounded_down)
{
    char out[TIMESTAMP_MAX + 1];
    out[timestamp_write_epoch_ms(1700000000123999999, out)] = '\0';
    cr_expect_str_eq(out, "1700000000123");
    out[timestamp_write_epoch_ms(-1, out)] = '\0';
    cr_expect_str_eq(out, "-1");
}

Test(timestamp, what_is_written_reads_back_and_agrees_with_gmtime)
{
    uint64_t seed = 9;
    char out[TIMESTAMP_MAX + 1], theirs[64];
    for (int i = 0; i < 100000; i++) {
        int64_t ns = (int64_t)next_random(&seed), back = 0;
        size_t len = timestamp_write(ns, out);
        cr_assert(timestamp_parse(out, len, &back) && back == ns, "%.*s", (int)len, out);
        time_t seconds = (time_t)(ns / second - (ns % second < 0));
        struct tm tm;
        gmtime_r(&seconds, &tm);
        strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S", &tm);
        cr_assert(memcmp(out, theirs, 19) == 0, "%.*s and %s", (int)len, out, theirs);
    }
}

Test(timestamp, what_is_remembered_of_the_last_time_changes_nothing)
{
    static const int64_t steps[] = {0,           1,           999,           1000000,       second,
                                    59 * second, 60 * second, 3600 * second, 86400 * second};
    uint64_t seed = 10;
    struct timestamp_last last = {0};
    int64_t ns = -3 * second;
    for (int i = 0; i < 100000; i++) {
        char remembered[TIMESTAMP_MAX], plain[TIMESTAMP_MAX];
        const int64_t step = steps[next_random(&seed) % (sizeof(steps) / sizeof(*steps))];
        ns += next_random(&seed) % 3 == 0 ? -step : step;
        const size_t len = timestamp_write(ns, plain);
        cr_assert_eq(timestamp_write_after(&last, ns, remembered), len);
        cr_assert(memcmp(remembered, plain, len) == 0, "%.*s and %.*s", (int)len, remembered, (int)len, plain);
    }
}

/* As with a memory that has just read `before`, so with none, and at the end of what can be read. */
static bool read_everywhere(const char *before, const char *text, size_t len, int64_t *ns)
{
    static char *end;
    struct timestamp_minute near = {0};
    int64_t remembered, ignored;
    if (!end) end = bench_page_end();
    (void)timestamp_parse_as(&near, before, strlen(before), TIME_ISO8601, &ignored);
    memcpy(end - len, text, len);
    const bool good = timestamp_parse(end - len, len, ns);
    cr_assert_eq(timestamp_parse_as(&near, end - len, len, TIME_ISO8601, &remembered), good, "%.*s", (int)len, text);
    cr_assert(!good || remembered == *ns, "%.*s", (int)len, text);
    return good;
}

Test(timestamp, every_byte_of_a_time_counts)
{
    static const char whole[] = "2024-02-29T23:59:60.5+01:30";
    const size_t len = sizeof(whole) - 1;
    int64_t ns;
    for (size_t at = 0; at < len; at++)
        for (int byte = 0; byte < 256; byte++) {
            char text[sizeof(whole)];
            const bool digit = byte >= '0' && byte <= '9';
            memcpy(text, whole, sizeof(whole));
            text[at] = (char)byte;
            const bool good = read_everywhere(whole, text, len, &ns);
            if (byte == whole[at]) cr_expect(good && ns == 1709245800 * second + second / 2);
            if (whole[at] >= '0' && whole[at] <= '9' && !digit) cr_expect(!good, "%s", text);
            if (at == 4 || at == 7 || at == 13 || at == 16 || at == 24)
                cr_expect_eq(good, byte == whole[at], "%s", text);
            if (at == 10) cr_expect_eq(good, byte == 'T' || byte == 't' || byte == ' ', "%s", text);
            if (at == 21) cr_expect_eq(good, byte == '+' || byte == '-', "%s", text);
        }
}

Test(timestamp, every_beginning_of_a_time_is_read_or_refused)
{
    static const char whole[] = "2024-02-29T23:59:58.25+01:30";
    int64_t ns;
    for (size_t len = 0; len < sizeof(whole); len++) {
        const bool good = len == 10 || len == 16 || len == 19 || len == 21 || len == 22 || len == 28;
        cr_expect_eq(read_everywhere(whole, whole, len, &ns), good, "%zu bytes", len);
    }
}

Test(timestamp, every_day_of_the_calendar_is_read_and_no_other)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const char *before = "2024-02-29T12:34:00Z";
    int64_t ns, days = -106751; /* before 1677-09-22 */
    for (int year = 1677; year <= 2262; year++)
        for (int month = 1; month <= 12; month++)
            for (int day = 1; day <= 32; day++) {
                char text[48];
                const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
                const bool is_day = day <= month_days[month - 1] + (month == 2 && leap);
                const int number = year * 10000 + month * 100 + day;
                const size_t len = (size_t)snprintf(text, sizeof(text), "%04d-%02d-%02dT12:34:56Z", year, month, day);
                const bool good = read_everywhere(before, text, len, &ns);
                if (number < 16770922 || number > 22620410) continue;
                cr_assert_eq(good, is_day, "%s", text);
                cr_assert(!good || ns == (days++ * 86400 + 45296) * second, "%s", text);
            }
}
