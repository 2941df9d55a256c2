#include "connectors/codec/json_scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/codec/json_layout.h"
#include "connectors/codec/json_plain.h"
#include "connectors/codec/number.h"
#include "connectors/codec/utf8.h"

const char *json_type_text(int type)
{
    static const char *const text[] = {"nothing",       "null",      "a number", "a string",
                                       "true or false", "an object", "a list"};
    return text[type];
}

eddy_status json_scanner_open(struct json_scanner *s, const struct eddy_limits *limits, struct eddy_error *err)
{
    s->limits = limits;
    s->open = malloc((size_t)limits->depth + 1);
    return s->open ? EDDY_OK : eddy_fail(err, EDDY_ENOMEM, "json: out of memory");
}

void json_scanner_close(struct json_scanner *s)
{
    free(s->open);
    s->open = NULL;
}

/* One pass over one record.  The functions below return false when the record is at fault, and have said why. */
struct cursor {
    const char *p, *begin, *end;
    struct json_scanner *scanner;
    struct eddy_arena *arena;
    struct eddy_error *err;
    int64_t n_names;
    eddy_status status;
};

static bool refuse(struct cursor *c, const char *reason, const char *what)
{
    c->status = eddy_fail_record(c->err, reason, "byte %lld: %s", (long long)(c->p - c->begin) + 1, what);
    return false;
}

static bool refuse_json(struct cursor *c, const char *what)
{
    return refuse(c, "not_json", c->p < c->end ? what : "the record ends too early");
}

static inline void skip_blanks(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t' || *c->p == '\r')) c->p++;
}

static bool expect(struct cursor *c, char wanted, const char *what)
{
    skip_blanks(c);
    if (c->p == c->end || *c->p != wanted) return refuse_json(c, what);
    c->p++;
    return true;
}

/* ---- strings ---- */

static bool scan_hex(struct cursor *c, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, c->p++) {
        char digit = c->p < c->end ? *c->p : '\0', lower = (char)(digit | 0x20);
        if (digit >= '0' && digit <= '9')
            *code = *code << 4 | (uint32_t)(digit - '0');
        else if (lower >= 'a' && lower <= 'f')
            *code = *code << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return refuse_json(c, "\\u wants four hexadecimal digits");
    }
    return true;
}

/* \uXXXX, of which surrogates come in pairs; p stands behind the u. */
static bool scan_unicode(struct cursor *c, uint32_t *code)
{
    if (!scan_hex(c, code)) return false;
    if (*code < 0xD800 || *code > 0xDFFF) return true;
    uint32_t low = 0;
    if (*code > 0xDBFF || c->end - c->p < 2 || c->p[0] != '\\' || c->p[1] != 'u')
        return refuse_json(c, "half of a surrogate pair");
    c->p += 2;
    if (!scan_hex(c, &low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) return refuse_json(c, "half of a surrogate pair");
    *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

/* An escape whose backslash is at p; gives its code point. */
static bool scan_escape(struct cursor *c, uint32_t *code)
{
    c->p++;
    if (c->p == c->end) return refuse_json(c, "");
    char letter = *c->p++;
    switch (letter) {
    case '"':
    case '\\':
    case '/': *code = (uint32_t)letter; return true;
    case 'b': *code = '\b'; return true;
    case 'f': *code = '\f'; return true;
    case 'n': *code = '\n'; return true;
    case 'r': *code = '\r'; return true;
    case 't': *code = '\t'; return true;
    case 'u': return scan_unicode(c, code);
    default: c->p--; return refuse_json(c, "no such escape");
    }
}

/* Goes on to the closing quote, which it leaves at p.  With `out`, writes the characters there. */
static bool scan_characters(struct cursor *c, char *out, size_t *n_out)
{
    char *o = out;
    for (;;) {
        const char *run = c->p;
        c->p = json_plain_end(c->p, c->end);
        const char *after = c->p;
        uint32_t code = 0;
        char bytes[4];
        int n = 0;
        if (c->p == c->end) return refuse_json(c, "");
        if (*c->p == '\\') {
            if (!scan_escape(c, &code)) return false;
            n = utf8_write(code, bytes);
        } else if ((unsigned char)*c->p >= 0x80) {
            n = utf8_length(c->p, c->end);
            if (n == 0) return refuse(c, "not_utf8", "not UTF-8");
            memcpy(bytes, c->p, (size_t)n);
            c->p += n;
        } else if (*c->p != '"') {
            return refuse_json(c, "a control character inside a string");
        }
        if (out) {
            memcpy(o, run, (size_t)(after - run));
            o += after - run;
            memcpy(o, bytes, (size_t)n);
            o += n;
        }
        if (n == 0) break;
    }
    if (out) *n_out = (size_t)(o - out);
    return true;
}

/* A string whose opening quote is at p.  text may be NULL: then it is only checked.  Without escapes it stays where it
 * is; else it is written into the arena, where it cannot be longer than it was. */
static bool scan_string(struct cursor *c, const char **text, size_t *len)
{
    const char *begin = ++c->p;
    c->p = json_plain_end(c->p, c->end);
    if (c->p == c->end || *c->p != '"') {
        if (!scan_characters(c, NULL, NULL)) return false;
        if (text && memchr(begin, '\\', (size_t)(c->p - begin))) {
            char *decoded = eddy_arena_take(c->arena, (size_t)(c->p - begin) + 1);
            if (!decoded) {
                c->status = eddy_fail(c->err, EDDY_ENOMEM, "json: out of memory");
                return false;
            }
            c->p = begin;
            bool good = scan_characters(c, decoded, len);
            *text = decoded;
            c->p++;
            return good;
        }
    }
    if (text) {
        *text = begin;
        *len = (size_t)(c->p - begin);
    }
    c->p++;
    return true;
}

/* ---- values ---- */

static bool scan_word(struct cursor *c, const char *word, size_t len)
{
    if ((size_t)(c->end - c->p) < len || memcmp(c->p, word, len) != 0)
        return refuse_json(c, "a value is wanted here");
    c->p += len;
    return true;
}

static bool scan_bool(struct cursor *c, const char *word, size_t len, struct json_value *value)
{
    value->type = JSON_TYPE_BOOL;
    value->text = word;
    value->len = len;
    return scan_word(c, word, len);
}

static bool scan_number(struct cursor *c, struct json_value *value)
{
    const char *begin = c->p, *rest = number_parse(begin, c->end, &value->number);
    if (!rest) return refuse_json(c, "not a number");
    if (isinf(value->number)) return refuse(c, "not_finite", "a number too large for a double");
    value->type = JSON_TYPE_NUMBER;
    value->text = begin;
    value->len = (size_t)(rest - begin);
    value->number += 0.0; /* there is no -0 among measurements */
    c->p = rest;
    return true;
}

/* A string, number or word at p; keep = false: strings need not be decoded. */
static bool scan_scalar(struct cursor *c, bool keep, struct json_value *value)
{
    if (c->p == c->end) return refuse_json(c, "");
    switch (*c->p) {
    case '"': value->type = JSON_TYPE_STRING; return scan_string(c, keep ? &value->text : NULL, &value->len);
    case 't': return scan_bool(c, "true", 4, value);
    case 'f': return scan_bool(c, "false", 5, value);
    case 'n': value->type = JSON_TYPE_NULL; return scan_word(c, "null", 4);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return scan_number(c, value);
    default: return refuse_json(c, "a value is wanted here");
    }
}

/* "name": up to the colon. */
static bool scan_name(struct cursor *c, const char **name, size_t *len)
{
    skip_blanks(c);
    if (c->p == c->end || *c->p != '"') return refuse_json(c, "a field's name is wanted here");
    if (++c->n_names > c->scanner->limits->fields)
        return refuse(c, "too_many_fields", "more fields than limits.fields");
    if (!scan_string(c, name, len)) return false;
    if (memchr(*name, '\0', *len)) return refuse_json(c, "NUL in a field's name");
    return expect(c, ':', "a colon is wanted here");
}

/* Checks an object or list whose bracket is at p, without recursion: `open` holds the brackets. */
static bool skip_nested(struct cursor *c)
{
    char *open = c->scanner->open;
    int64_t depth = 1; /* the record's own */
    const char *name;
    size_t len;
    struct json_value value;
    do {
        skip_blanks(c);
        bool fresh = c->p < c->end && (*c->p == '{' || *c->p == '[');
        if (fresh) {
            if (depth >= c->scanner->limits->depth) return refuse(c, "too_deep", "nested deeper than limits.depth");
            open[depth++] = *c->p++;
        } else if (!scan_scalar(c, false, &value)) {
            return false;
        }
        while (depth > 1) { /* up to the next value, over what closes here */
            char bracket = open[depth - 1];
            skip_blanks(c);
            if (c->p < c->end && *c->p == (bracket == '{' ? '}' : ']')) {
                c->p++;
                depth--;
                fresh = false;
                continue;
            }
            if (!fresh &&
                !expect(c, ',', bracket == '{' ? "a comma or } is wanted here" : "a comma or ] is wanted here"))
                return false;
            if (bracket == '{' && !scan_name(c, &name, &len)) return false;
            break;
        }
    } while (depth > 1);
    return true;
}

static bool scan_value(struct cursor *c, bool keep, struct json_value *value)
{
    skip_blanks(c);
    if (c->p < c->end && (*c->p == '{' || *c->p == '[')) {
        value->type = *c->p == '{' ? JSON_TYPE_OBJECT : JSON_TYPE_ARRAY;
        return skip_nested(c);
    }
    return scan_scalar(c, keep, value);
}

/* ---- the record ---- */

struct findings {
    const struct json_fields *fields;
    struct json_value *values;
    struct eddy_buffer *numbers;
    int *n_numbers;
    struct json_learner layout;
};

static bool keep_number(struct cursor *c, const struct findings *f, const char *name, size_t len)
{
    const char *known = f->numbers->data;
    for (int i = 0; i < *f->n_numbers; i++, known += strlen(known) + 1)
        if (strlen(known) == len && memcmp(known, name, len) == 0) return true;
    if (eddy_buffer_append(f->numbers, name, len) < 0 || eddy_buffer_append(f->numbers, "", 1) < 0) {
        c->status = eddy_fail(c->err, EDDY_ENOMEM, "json: out of memory");
        return false;
    }
    ++*f->n_numbers;
    return true;
}

static bool scan_member(struct cursor *c, struct findings *f)
{
    const char *name = NULL;
    size_t len = 0;
    if (!scan_name(c, &name, &len)) return false;
    int i = json_fields_find(f->fields, name, len);
    if (i >= 0 && f->values[i].type != JSON_TYPE_ABSENT) {
        c->status = eddy_fail_record(c->err, "duplicate_field", "field \"%.*s\" is given twice", (int)len, name);
        return false;
    }
    struct json_value unwanted, *value = i >= 0 ? &f->values[i] : &unwanted;
    skip_blanks(c);
    const char *begin = c->p;
    if (!scan_value(c, i >= 0, value)) return false;
    json_layout_value(&f->layout, begin, c->p, i, *begin == '{' || *begin == '[');
    return i >= 0 || !f->numbers || value->type != JSON_TYPE_NUMBER || keep_number(c, f, name, len);
}

static bool scan_record(struct cursor *c, struct findings *f)
{
    skip_blanks(c);
    if (c->p == c->end) {
        c->status = eddy_fail_record(c->err, "empty", "the record is empty");
        return false;
    }
    if (*c->p != '{') { /* valid, but not what can be read, or no JSON at all */
        struct json_value value;
        if (!scan_value(c, false, &value)) return false;
        skip_blanks(c);
        if (c->p < c->end) return refuse_json(c, "something follows the record");
        c->status = eddy_fail_record(c->err, "wrong_type", "the record is %s, not an object",
                                     json_type_text(value.type));
        return false;
    }
    c->p++;
    skip_blanks(c);
    if (c->p < c->end && *c->p == '}') {
        c->p++;
    } else {
        for (;;) {
            if (!scan_member(c, f)) return false;
            skip_blanks(c);
            if (c->p < c->end && *c->p == ',') {
                c->p++;
                continue;
            }
            if (!expect(c, '}', "a comma or } is wanted here")) return false;
            break;
        }
    }
    skip_blanks(c);
    return c->p == c->end || refuse_json(c, "something follows the record");
}

static void forget_values(const struct json_fields *fields, struct json_value *values)
{
    for (int i = 0; i < fields->n; i++) values[i].type = JSON_TYPE_ABSENT;
}

static eddy_status scan(struct json_scanner *scanner, struct findings *f, const char *text, size_t len,
                        struct eddy_arena *arena, struct eddy_error *err)
{
    struct cursor c = {.p = text, .begin = text, .end = text + len, .scanner = scanner, .arena = arena, .err = err};
    forget_values(f->fields, f->values);
    if (!scan_record(&c, f)) return c.status;
    json_layout_end(&f->layout, c.end);
    return EDDY_OK;
}

/* The record is like none that is known; out of the way of those that are, which save few registers then. */
__attribute__((noinline)) static eddy_status scan_anew(struct json_scanner *scanner, const struct json_fields *fields,
                                                       const char *text, size_t len, struct eddy_arena *arena,
                                                       struct json_value *values, struct eddy_error *err)
{
    struct findings f = {.fields = fields, .values = values, .layout = json_layout_learn(fields->layout, text)};
    return scan(scanner, &f, text, len, arena, err);
}

eddy_status json_scan(struct json_scanner *scanner, const struct json_fields *fields, const char *text, size_t len,
                      struct eddy_arena *arena, struct json_value *values, struct eddy_error *err)
{
    forget_values(fields, values);
    if (json_layout_read(fields->layout, text, len, values)) return EDDY_OK;
    return scan_anew(scanner, fields, text, len, arena, values, err);
}

eddy_status json_scan_numbers(struct json_scanner *scanner, const struct json_fields *fields, const char *text,
                              size_t len, struct eddy_arena *arena, struct json_value *values,
                              struct eddy_buffer *numbers, int *n_numbers, struct eddy_error *err)
{
    struct findings f = {.fields = fields, .values = values, .numbers = numbers, .n_numbers = n_numbers};
    return scan(scanner, &f, text, len, arena, err);
}
