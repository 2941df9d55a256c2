#include "config/unit.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
    bool printed; /* spellings that are only read are false */
};

/* Largest first, so that the printer takes the first that divides. */
static const struct unit durations[] = {
    {"w", 604800000000000, false},
    {"d", 86400000000000, true},
    {"h", 3600000000000, true},
    {"m", 60000000000, true},
    {"min", 60000000000, false},
    {"s", 1000000000, true},
    {"ms", 1000000, true},
    {"us", 1000, true},
    {"\xC2\xB5s", 1000, false},
    {"ns", 1, true},
    {NULL, 0, false},
};

static const struct unit sizes[] = {
    {"TiB", (int64_t)1 << 40, true},
    {"TB", 1000000000000, false},
    {"GiB", (int64_t)1 << 30, true},
    {"GB", 1000000000, false},
    {"MiB", 1 << 20, true},
    {"MB", 1000000, false},
    {"KiB", 1 << 10, true},
    {"kB", 1000, false},
    {"KB", 1000, false},
    {"B", 1, false},
    {NULL, 0, false},
};

const char *parse_bool(const char *text, bool *out)
{
    if (strcasecmp(text, "true") == 0)
        *out = true;
    else if (strcasecmp(text, "false") == 0)
        *out = false;
    else
        return "is neither true nor false";
    return NULL;
}

/* Reads [+-]digits and moves *text behind them. */
static const char *read_int(const char **text, int64_t *out)
{
    const char *at = *text + (**text == '-' || **text == '+');
    if (!isdigit((unsigned char)*at)) return "is not a whole number";
    char *end;
    errno = 0;
    long long value = strtoll(*text, &end, 10);
    if (errno == ERANGE) return value < 0 ? "is too far below zero" : "is too large";
    *out = value;
    *text = end;
    return NULL;
}

const char *parse_int(const char *text, int64_t *out)
{
    const char *wrong = read_int(&text, out);
    return wrong ? wrong : *text ? "is not a whole number" : NULL;
}

const char *parse_range(const char *text, int64_t *first, int64_t *last)
{
    const char *wrong = read_int(&text, first);
    if (wrong)
        return *wrong == 'i' && strstr(wrong, "whole") ? "is neither a number nor a range such as 1-48" : wrong;
    *last = *first;
    if (!*text) return NULL;
    if (*text != '-' || !isdigit((unsigned char)text[1])) return "is neither a number nor a range such as 1-48";
    text++;
    wrong = read_int(&text, last);
    if (wrong) return wrong;
    if (*text) return "is neither a number nor a range such as 1-48";
    return *first > *last ? "is a range that runs backwards" : NULL;
}

/* True for [+-] digits [. digits] [e [+-] digits] with at least one digit before or after the point: what strtod takes
 * less hexadecimals, infinities and NaN. */
static bool looks_real(const char *at)
{
    at += *at == '-' || *at == '+';
    size_t whole = strspn(at, "0123456789");
    at += whole;
    size_t part = 0;
    if (*at == '.') {
        at++;
        part = strspn(at, "0123456789");
        at += part;
    }
    if (whole + part == 0) return false;
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '-' || *at == '+';
        size_t digits = strspn(at, "0123456789");
        if (digits == 0) return false;
        at += digits;
    }
    return *at == 0;
}

const char *parse_real(const char *text, double *out)
{
    if (!looks_real(text)) return "is not a number";
    double value = strtod(text, NULL);
    if (!isfinite(value)) return "is too large";
    *out = value;
    return NULL;
}

static const struct unit *unit_find(const struct unit *units, const char *name)
{
    for (; units->name; units++)
        if (strcmp(units->name, name) == 0) return units;
    return NULL;
}

/* Digits [. digits] as mantissa / scale. */
struct decimal {
    int64_t mantissa, scale;
};

static const char *read_decimal(const char **text, struct decimal *out)
{
    const char *at = *text;
    bool point = false, digits = false;
    *out = (struct decimal){0, 1};
    for (; isdigit((unsigned char)*at) || (*at == '.' && !point); at++) {
        if (*at == '.') {
            point = true;
            continue;
        }
        digits = true;
        if (__builtin_mul_overflow(out->mantissa, 10, &out->mantissa) ||
            __builtin_add_overflow(out->mantissa, *at - '0', &out->mantissa))
            return "is too large";
        if (point && __builtin_mul_overflow(out->scale, 10, &out->scale)) return "has too many digits";
    }
    *text = at;
    return digits ? NULL : "is not a number with a unit";
}

static const char *parse_with_unit(const char *text, const struct unit *units, const struct unit **unit,
                                   struct decimal *number)
{
    if (*text == '-') return "is negative";
    const char *wrong = read_decimal(&text, number);
    if (wrong) return wrong;
    text += *text == ' ';
    *unit = NULL;
    if (!*text) return NULL;
    *unit = unit_find(units, text);
    return *unit ? NULL : "has an unknown unit";
}

static const char *scaled(struct decimal number, int64_t factor, const char *remainder, int64_t *out)
{
    __int128 product = (__int128)number.mantissa * factor;
    if (product % number.scale) return remainder;
    product /= number.scale;
    if (product > INT64_MAX) return "is too large";
    *out = (int64_t)product;
    return NULL;
}

const char *parse_duration(const char *text, int64_t *out)
{
    const struct unit *unit;
    struct decimal number;
    const char *wrong = parse_with_unit(text, durations, &unit, &number);
    if (wrong) return wrong;
    if (!unit && number.mantissa) return "has no unit";
    return scaled(number, unit ? unit->factor : 1, "is finer than a nanosecond", out);
}

const char *parse_size(const char *text, int64_t *out)
{
    const struct unit *unit;
    struct decimal number;
    const char *wrong = parse_with_unit(text, sizes, &unit, &number);
    if (wrong) return wrong;
    return scaled(number, unit ? unit->factor : 1, "is not a whole number of bytes", out);
}

void format_real(double value, char out[UNIT_TEXT_BYTES])
{
    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(out, UNIT_TEXT_BYTES, "%.*g", digits, value);
        if (strtod(out, NULL) == value) return;
    }
}

static void format_with_unit(int64_t value, const struct unit *unit, char out[UNIT_TEXT_BYTES])
{
    while (unit->name && (!unit->printed || value % unit->factor)) unit++;
    if (value == 0 || !unit->name)
        (void)snprintf(out, UNIT_TEXT_BYTES, "%" PRId64, value);
    else
        (void)snprintf(out, UNIT_TEXT_BYTES, "%" PRId64 "%s", value / unit->factor, unit->name);
}

void format_duration(int64_t ns, char out[UNIT_TEXT_BYTES])
{
    format_with_unit(ns, durations, out);
}

void format_size(int64_t bytes, char out[UNIT_TEXT_BYTES])
{
    format_with_unit(bytes, sizes, out);
}
