#include "plugin/demo/scored.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A place in the line; after a failure `bad` says what was expected there and everything else returns at once. */
struct cursor {
    const char *start, *at, *end;
    const char *bad;
};

static bool cursor_expect(struct cursor *c, const char *what)
{
    if (!c->bad) c->bad = what;
    return false;
}

static bool cursor_accept(struct cursor *c, char byte)
{
    if (c->bad || c->at == c->end || *c->at != byte) return false;
    c->at++;
    return true;
}

static bool read_byte(struct cursor *c, char byte, const char *what)
{
    return cursor_accept(c, byte) || cursor_expect(c, what);
}

static bool read_string(struct cursor *c, const char **text, int *len)
{
    if (!read_byte(c, '"', "a string")) return false;
    *text = c->at;
    while (c->at < c->end && *c->at != '"') c->at += *c->at == '\\' && c->at + 1 < c->end ? 2 : 1;
    *len = (int)(c->at - *text);
    return read_byte(c, '"', "the end of a string");
}

static bool read_word(struct cursor *c, const char *word)
{
    size_t n = strlen(word);
    if (c->bad || (size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0) return false;
    c->at += n;
    return true;
}

static bool read_number(struct cursor *c, double *value)
{
    char text[40];
    size_t n = 0;
    *value = NAN;
    if (read_word(c, "null")) return true;
    while (c->at + n < c->end && n < sizeof(text) - 1 && strchr("+-.0123456789eE", c->at[n])) n++;
    memcpy(text, c->at, n);
    text[n] = 0;
    char *end;
    *value = strtod(text, &end);
    if (n == 0 || *end) return cursor_expect(c, "a number or null");
    c->at += n;
    return true;
}

static bool read_bool(struct cursor *c, bool *value)
{
    *value = read_word(c, "true");
    return *value || read_word(c, "false") || cursor_expect(c, "true or false");
}

/* Any value that is of no interest here. */
static bool skip_value(struct cursor *c)
{
    int depth = 0;
    const char *text;
    int len;
    do {
        if (c->at == c->end) return cursor_expect(c, "a value");
        if (*c->at == '"') {
            if (!read_string(c, &text, &len)) return false;
            continue;
        }
        if (strchr("{[", *c->at)) depth++;
        if (strchr("}]", *c->at)) depth--;
        c->at++;
    } while (depth > 0 || (c->at < c->end && !strchr(",}]", *c->at)));
    return true;
}

/* RFC 3339 in UTC, with or without a fraction. */
static bool read_time(struct cursor *c, int64_t *time_ns)
{
    const char *text;
    int len, used = 0;
    char copy[40];
    struct tm tm = {0};
    if (!read_string(c, &text, &len)) return false;
    snprintf(copy, sizeof(copy), "%.*s", len, text);
    if (sscanf(copy, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
               &tm.tm_sec, &used) != 6 ||
        used == 0)
        return cursor_expect(c, "a time");
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *time_ns = (int64_t)timegm(&tm) * 1000000000;
    double fraction = 0;
    char *end = copy + used;
    if (*end == '.') fraction = strtod(end, &end);
    *time_ns += llround(fraction * 1e9);
    return strcmp(end, "Z") == 0 || cursor_expect(c, "a time in UTC");
}

static bool read_forecast(struct cursor *c, struct scored_forecast *out)
{
    const char *name;
    int len;
    double h = 0;
    *out = (struct scored_forecast){.yhat = NAN, .lower = NAN, .upper = NAN};
    if (!read_byte(c, '{', "a forecast")) return false;
    do {
        if (!read_string(c, &name, &len) || !read_byte(c, ':', "a colon")) return false;
        double *value = len == 1 && *name == 'h'                    ? &h
                        : len == 4 && memcmp(name, "yhat", 4) == 0  ? &out->yhat
                        : len == 5 && memcmp(name, "lower", 5) == 0 ? &out->lower
                        : len == 5 && memcmp(name, "upper", 5) == 0 ? &out->upper
                                                                    : NULL;
        if (!(value ? read_number(c, value) : skip_value(c))) return false;
    } while (cursor_accept(c, ','));
    out->h = isfinite(h) && h >= 0 && h <= 1e6 ? (int)h : 0;
    return read_byte(c, '}', "the end of a forecast");
}

static bool read_forecasts(struct cursor *c, struct scored *out)
{
    struct scored_forecast more;
    if (read_word(c, "null")) return true;
    if (!read_byte(c, '[', "a list of forecasts")) return false;
    if (cursor_accept(c, ']')) return true;
    do {
        bool room = out->n_forecasts < SCORED_MAX_HORIZONS;
        if (!read_forecast(c, room ? &out->forecasts[out->n_forecasts] : &more)) return false;
        out->n_forecasts += room;
    } while (cursor_accept(c, ','));
    return read_byte(c, ']', "the end of the forecasts");
}

static bool name_is(const char *name, int len, const char *word)
{
    return strlen(word) == (size_t)len && memcmp(name, word, (size_t)len) == 0;
}

static bool read_member(struct cursor *c, struct scored *out)
{
    const char *name;
    int len;
    if (!read_string(c, &name, &len) || !read_byte(c, ':', "a colon")) return false;
    if (name_is(name, len, "key")) return read_string(c, &out->key, &out->key_len);
    if (name_is(name, len, "ts")) return read_time(c, &out->time_ns);
    if (name_is(name, len, "anomaly")) return read_bool(c, &out->anomaly);
    if (name_is(name, len, "forecast")) return read_forecasts(c, out);

    const struct {
        const char *name;
        double *value;
    } numbers[] = {{"y", &out->y},
                   {"yhat", &out->yhat},
                   {"yhat_lower", &out->lower},
                   {"yhat_upper", &out->upper},
                   {"score", &out->score}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (!name_is(name, len, numbers[i].name)) continue;
        /* A codec may name the value even when there is only one: {"temperature":21.5}. */
        bool named = cursor_accept(c, '{');
        const char *value_name;
        if (named && !(read_string(c, &value_name, &len) && read_byte(c, ':', "a colon"))) return false;
        return read_number(c, numbers[i].value) && (!named || read_byte(c, '}', "one value"));
    }
    return skip_value(c);
}

eddy_status scored_read(const char *line, size_t len, struct scored *out, struct eddy_error *err)
{
    struct cursor c = {.start = line, .at = line, .end = line + len};
    *out = (struct scored){.time_ns = INT64_MIN, .y = NAN, .yhat = NAN, .lower = NAN, .upper = NAN, .score = NAN};
    if (read_byte(&c, '{', "an object")) {
        while (read_member(&c, out) && cursor_accept(&c, ',')) {}
        (void)read_byte(&c, '}', "the end of the record");
    }
    if (!c.bad && !out->key) c.bad = "a member \"key\"";
    if (!c.bad && out->time_ns == INT64_MIN) c.bad = "a member \"ts\"";
    if (!c.bad && isnan(out->score)) c.bad = "a member \"score\" with a number";
    if (!c.bad) return EDDY_OK;
    return eddy_fail(err, EDDY_EDATA, "scored record: expected %s at byte %d of %.*s", c.bad, (int)(c.at - line),
                     len > 200 ? 200 : (int)len, line);
}
