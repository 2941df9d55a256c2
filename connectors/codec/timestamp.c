/* Days <-> civil date count from 1 March, so that the leap day is the last of its year; 400 years are 146,097 days
 * (H. Hinnant, "chrono-compatible low-level date algorithms"). */
#include "connectors/codec/timestamp.h"

#include <endian.h>
#include <string.h>

#include "connectors/codec/number.h"

enum { DAY_S = 86400, ERA_DAYS = 146097, EPOCH_DAYS = 719468 /* 0000-03-01 .. 1970-01-01 */ };
static const int64_t second_ns = 1000000000;

/* Of the years 0 to 9999; 400 years are added, so that no number is negative. */
static int64_t days_from_civil(unsigned year, unsigned month, unsigned day)
{
    const unsigned y = year + 400 - (month <= 2), era = y / 400, year_of_era = y % 400;
    const unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    const unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)(era * ERA_DAYS + day_of_era) - ERA_DAYS - EPOCH_DAYS;
}

static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
    unsigned from_march = (unsigned)(days + EPOCH_DAYS); /* the range of int64 ns lies after the year 0 */
    unsigned era = from_march / ERA_DAYS, day_of_era = from_march % ERA_DAYS;
    unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned m = (5 * day_of_year + 2) / 153; /* 0 = March */
    *day = (int)(day_of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(year_of_era + era * 400) + (*month <= 2);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool two_digits(const char *p, int *out)
{
    if (!is_digit(p[0]) || !is_digit(p[1])) return false;
    *out = (p[0] - '0') * 10 + (p[1] - '0');
    return true;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return leap ? 29 : days[month - 1];
}

/* 8 bytes at p, the first one lowest, less those of `zeros`: bytes 0 to 9 where digits stand over zeros. */
static uint64_t load_digits(const char *p, const char zeros[8])
{
    uint64_t word, zero;
    memcpy(&word, p, sizeof(word));
    memcpy(&zero, zeros, sizeof(zero));
    return le64toh(word ^ zero);
}

/* The top bits of bytes that are more than 9; exact when there are none. */
static uint64_t odd_digits(uint64_t x)
{
    return (x | (x + 0x7676767676767676u)) & 0x8080808080808080u;
}

/* The number of two digits whose first one is byte i. */
static unsigned pair_at(uint64_t pairs, int i)
{
    return (unsigned)(pairs >> 8 * i) & 0xFF;
}

enum { READ_MINUTE_BYTES = 16 };

/* YYYY-MM-DDTHH:MM, two words; the T is somebody else's. */
static bool parse_minute(const char *p, int64_t *minutes)
{
    const uint64_t month_dashes = 0xFF0000FF00000000u, colon = 0x0000FF0000000000u, letter = 0x0000000000FF0000u;
    const uint64_t first = load_digits(p, "0000-00-"), second = load_digits(p + 8, "00T00:00") & ~letter;
    if ((odd_digits(first) | odd_digits(second) | (first & month_dashes) | (second & colon)) != 0) return false;

    const uint64_t date = first * 10 + (first >> 8), clock = second * 10 + (second >> 8); /* two digits are < 100 */
    const unsigned year = pair_at(date, 0) * 100 + pair_at(date, 2), month = pair_at(date, 5);
    const unsigned day = pair_at(clock, 0), hour = pair_at(clock, 3), minute = pair_at(clock, 6);
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) return false;
    if (hour > 23 || minute > 59) return false;
    *minutes = days_from_civil(year, month, day) * (DAY_S / 60) + hour * 60 + minute;
    return true;
}

/* YYYY-MM-DD at p, 10 bytes. */
static bool parse_date(const char *p, int64_t *minutes)
{
    char midnight[READ_MINUTE_BYTES];
    memcpy(midnight, "0000-00-00T00:00", sizeof(midnight));
    memcpy(midnight, p, 10);
    return parse_minute(midnight, minutes);
}

/* [:SS[.f]]; returns where it ends, or NULL. */
static const char *parse_second(const char *p, const char *end, int64_t *seconds, int64_t *fraction_ns)
{
    int second;
    if (end - p < 3 || *p != ':') return p;
    if (!two_digits(p + 1, &second) || second > 60) return NULL;
    *seconds += second;
    p += 3;
    if (p < end && *p == '.') {
        int64_t unit = second_ns / 10;
        if (++p == end || !is_digit(*p)) return NULL;
        for (; p < end && is_digit(*p); p++, unit /= 10) *fraction_ns += (*p - '0') * unit;
    }
    return p;
}

/* Z or +HH:MM; returns where it ends, or NULL. */
static const char *parse_zone(const char *p, const char *end, int64_t *seconds)
{
    if (*p == 'Z' || *p == 'z') return p + 1;
    int hours, minutes;
    if ((*p != '+' && *p != '-') || end - p < 6 || !two_digits(p + 1, &hours) || p[3] != ':' ||
        !two_digits(p + 4, &minutes) || hours > 23 || minutes > 59)
        return NULL;
    int64_t offset = hours * 3600 + minutes * 60;
    *seconds -= *p == '+' ? offset : -offset;
    return p + 6;
}

static bool to_ns(__int128 ns, int64_t *out)
{
    if (ns <= INT64_MIN || ns > INT64_MAX) return false; /* INT64_MIN is EDDY_NO_TIME */
    *out = (int64_t)ns;
    return true;
}

/* What follows the minutes: [:SS[.f]][zone] */
static bool parse_rest(const char *p, const char *end, int64_t minutes, int64_t *ns)
{
    int64_t seconds = minutes * 60, fraction_ns = 0;
    p = parse_second(p, end, &seconds, &fraction_ns);
    if (p && p < end) p = parse_zone(p, end, &seconds);
    return p == end && to_ns((__int128)seconds * second_ns + fraction_ns, ns);
}

static bool parse_near(struct timestamp_minute *near, const char *text, size_t len, int64_t *ns)
{
    int64_t minutes;
    if (len < READ_MINUTE_BYTES)
        return len == 10 && parse_date(text, &minutes) && to_ns((__int128)minutes * 60 * second_ns, ns);
    if (!near->known || memcmp(near->text, text, READ_MINUTE_BYTES) != 0) {
        if ((text[10] != 'T' && text[10] != 't' && text[10] != ' ') || !parse_minute(text, &minutes)) return false;
        memcpy(near->text, text, READ_MINUTE_BYTES);
        near->minute = minutes;
        near->known = true;
    }
    return parse_rest(text + READ_MINUTE_BYTES, text + len, near->minute, ns);
}

bool timestamp_parse(const char *text, size_t len, int64_t *ns)
{
    struct timestamp_minute none = {0};
    return parse_near(&none, text, len, ns);
}

bool timestamp_parse_epoch(const char *text, size_t len, enum time_unit unit, int64_t *ns)
{
    static const int unit_exponent[] = {
        [TIME_ISO8601] = 0, [TIME_S] = 9, [TIME_MS] = 6, [TIME_US] = 3, [TIME_NS] = 0};
    struct number_decimal d;
    const char *end = text + len;
    if (number_scan(text, end, &d) != end) return false;

    int64_t exponent = d.exponent + unit_exponent[unit];
    __int128 value = d.digits;
    for (; exponent > 0 && value != 0; exponent--) {
        if (value > INT64_MAX) return false;
        value *= 10;
    }
    for (; exponent < 0 && value != 0; exponent++) value /= 10;
    return to_ns(d.negative ? -value : value, ns);
}

bool timestamp_parse_as(struct timestamp_minute *near, const char *text, size_t len, enum time_unit unit, int64_t *ns)
{
    return unit == TIME_ISO8601 ? parse_near(near, text, len, ns) : timestamp_parse_epoch(text, len, unit, ns);
}

static char *write_two(char *p, int value)
{
    p[0] = (char)('0' + value / 10);
    p[1] = (char)('0' + value % 10);
    return p + 2;
}

/* .mmm, .mmmuuu or .mmmuuunnn */
static char *write_fraction(char *p, int64_t fraction_ns)
{
    int digits = 9;
    while (digits > 3 && fraction_ns % 1000 == 0) {
        fraction_ns /= 1000;
        digits -= 3;
    }
    *p = '.';
    for (int i = digits; i > 0; i--, fraction_ns /= 10) p[i] = (char)('0' + fraction_ns % 10);
    return p + 1 + digits;
}

/* Rounds down, also before 1970. */
static int64_t floor_divide(int64_t a, int64_t b, int64_t *rest)
{
    int64_t quotient = a / b;
    *rest = a % b;
    if (*rest < 0) {
        *rest += b;
        quotient--;
    }
    return quotient;
}

enum { MINUTE_TEXT_BYTES = 17 };

static void write_minute(int64_t minute, char out[MINUTE_TEXT_BYTES])
{
    int64_t of_day;
    int year, month, day;
    civil_from_days(floor_divide(minute, DAY_S / 60, &of_day), &year, &month, &day);
    char *p = write_two(write_two(out, year / 100), year % 100);
    *p++ = '-';
    p = write_two(p, month);
    *p++ = '-';
    p = write_two(p, day);
    *p++ = 'T';
    p = write_two(p, (int)of_day / 60);
    *p++ = ':';
    p = write_two(p, (int)of_day % 60);
    *p = ':';
}

void timestamp_see(struct timestamp_last *last, int64_t ns)
{
    int64_t in_minute_ns;
    const int64_t minute = floor_divide(ns, 60 * second_ns, &in_minute_ns);
    if (last->len == 0 || last->minute != minute) write_minute(minute, last->text);
    char *p = write_two(last->text + MINUTE_TEXT_BYTES, (int)(in_minute_ns / second_ns));
    const int64_t fraction_ns = in_minute_ns % second_ns;
    if (fraction_ns) p = write_fraction(p, fraction_ns);
    *p++ = 'Z';
    last->ns = ns;
    last->minute = minute;
    last->len = (size_t)(p - last->text);
}

size_t timestamp_write(int64_t ns, char *out)
{
    struct timestamp_last none = {0};
    return timestamp_write_after(&none, ns, out);
}

size_t timestamp_write_epoch_ms(int64_t ns, char *out)
{
    int64_t rest;
    return number_write_int(floor_divide(ns, 1000000, &rest), out);
}
