#include "plugin/json_out.h"

#include <math.h>
#include <string.h>

struct json_out json_begin(FILE *out)
{
    return (struct json_out){.out = out};
}

void json_end(struct json_out *j)
{
    fputc('\n', j->out);
    j->comma = false;
}

/* Length of the UTF-8 sequence at `s` (1..4), 0 when there is none within n bytes. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    static const struct {
        unsigned char first, last, low, high; /* range of the first byte, of the second */
        size_t length;
    } forms[] = {
        {0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last) continue;
        if (forms[i].length > n) return 0;
        for (size_t k = 1; k < forms[i].length; k++) {
            unsigned char low = k == 1 ? forms[i].low : 0x80, high = k == 1 ? forms[i].high : 0xBF;
            if (s[k] < low || s[k] > high) return 0;
        }
        return forms[i].length;
    }
    return 0;
}

static void json_quote(struct json_out *j, const char *bytes, size_t n)
{
    const unsigned char *s = (const unsigned char *)bytes;
    fputc('"', j->out);
    for (size_t i = 0; i < n;) {
        size_t length = utf8_length(s + i, n - i);
        if (length == 0) {
            fputs("\xEF\xBF\xBD", j->out);
            length = 1;
        } else if (s[i] == '"' || s[i] == '\\') {
            fprintf(j->out, "\\%c", s[i]);
        } else if (s[i] < 0x20 || (j->in_markup && strchr("<>&", s[i]))) {
            fprintf(j->out, "\\u%04x", s[i]);
        } else {
            fwrite(s + i, 1, length, j->out);
        }
        i += length;
    }
    fputc('"', j->out);
}

static void json_name(struct json_out *j, const char *name)
{
    if (j->comma) fputc(',', j->out);
    j->comma = true;
    if (!name) return;
    json_quote(j, name, strlen(name));
    fputc(':', j->out);
}

void json_open(struct json_out *j, const char *name, char bracket)
{
    json_name(j, name);
    fputc(bracket, j->out);
    j->comma = false;
}

void json_close(struct json_out *j, char bracket)
{
    fputc(bracket, j->out);
    j->comma = true;
}

void json_int(struct json_out *j, const char *name, int64_t value)
{
    json_name(j, name);
    fprintf(j->out, "%lld", (long long)value);
}

void json_digits(struct json_out *j, const char *name, double value, int digits)
{
    json_name(j, name);
    if (isfinite(value))
        fprintf(j->out, "%.*g", digits, value);
    else
        fputs("null", j->out);
}

void json_real(struct json_out *j, const char *name, double value)
{
    json_digits(j, name, value, 9);
}

void json_bool(struct json_out *j, const char *name, bool value)
{
    json_name(j, name);
    fputs(value ? "true" : "false", j->out);
}

void json_bytes(struct json_out *j, const char *name, const char *bytes, size_t n)
{
    json_name(j, name);
    json_quote(j, bytes, n);
}

void json_text(struct json_out *j, const char *name, const char *value)
{
    if (value) {
        json_bytes(j, name, value, strlen(value));
        return;
    }
    json_name(j, name);
    fputs("null", j->out);
}
