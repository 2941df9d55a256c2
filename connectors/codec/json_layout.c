#include "connectors/codec/json_layout.h"

#include <endian.h>
#include <math.h>
#include <string.h>

#include "connectors/codec/json_plain.h"
#include "connectors/codec/json_scan.h"
#include "connectors/codec/number.h"

/* ---- reading ---- */

static const char *read_string(const char *p, const char *end, struct json_value *value)
{
    const char *quote = json_plain_end(p + 1, end);
    if (quote == end || *quote != '"') return NULL;
    value->type = JSON_TYPE_STRING;
    value->text = p + 1;
    value->len = (size_t)(quote - p) - 1;
    return quote + 1;
}

static const char *read_number(const char *p, const char *end, struct json_value *value)
{
    const char *rest = number_parse(p, end, &value->number);
    if (!rest || isinf(value->number)) return NULL;
    value->type = JSON_TYPE_NUMBER;
    value->text = p;
    value->len = (size_t)(rest - p);
    value->number += 0.0; /* there is no -0 among measurements */
    return rest;
}

static const char *read_word(const char *p, const char *end, const char *word, size_t len, int type,
                             struct json_value *value)
{
    if ((size_t)(end - p) < len || memcmp(p, word, len) != 0) return NULL;
    value->type = type;
    value->text = word;
    value->len = len;
    return p + len;
}

/* A value at p; returns where it ends, or NULL when it is none, or none that can be read without a closer look. */
static const char *read_value(const char *p, const char *end, struct json_value *value)
{
    if (*p == '"') return read_string(p, end, value);
    switch (*p) {
    case 't': return read_word(p, end, "true", 4, JSON_TYPE_BOOL, value);
    case 'f': return read_word(p, end, "false", 5, JSON_TYPE_BOOL, value);
    case 'n': return read_word(p, end, "null", 4, JSON_TYPE_NULL, value);
    default: return read_number(p, end, value);
    }
}

/* The first 1 to 8 bytes, `len` of them, at p and at there, where 8 can be read, are equal. */
static inline bool is_same_start(const char *p, const char *there, size_t len)
{
    uint64_t a, b;
    memcpy(&a, p, sizeof(a));
    memcpy(&b, there, sizeof(b));
    return le64toh(a ^ b) << (64 - 8 * len) == 0;
}

/* len > 0 bytes at p, which may be the record's last ones; a piece is followed by 8 bytes of whatever. */
static inline bool is_piece(const char *p, const char *end, const char *piece, size_t len)
{
    for (; len > 8; len -= 8, p += 8, piece += 8)
        if (!is_same_start(p, piece, 8)) return false;
    if (end - p >= 8) return is_same_start(p, piece, len);
    for (; len > 0; len--)
        if (*p++ != *piece++) return false;
    return true;
}

bool json_layout_read(const struct json_layout *l, const char *text, size_t len, struct json_value *values)
{
    const char *p = text, *end = text + len;
    const struct json_piece *piece = l->piece, *last = piece + l->n;
    struct json_value unwanted;
    if (l->n < 0) return false;
    for (; piece < last; piece++) {
        if ((size_t)(end - p) <= piece->len || !is_piece(p, end, l->text + piece->at, piece->len)) return false;
        p = read_value(p + piece->len, end, piece->field >= 0 ? &values[piece->field] : &unwanted);
        if (!p) return false;
    }
    return (size_t)(end - p) == piece->len && is_piece(p, end, l->text + piece->at, piece->len);
}

/* ---- learning ---- */

struct json_learner json_layout_learn(struct json_layout *l, const char *text)
{
    l->n = -1;
    return (struct json_learner){.layout = l, .from = text, .fits = true};
}

/* The piece in hand ends at `end`; it is number n. */
static void learn_piece(struct json_learner *s, int n, const char *end, int field)
{
    const size_t len = (size_t)(end - s->from);
    s->fits = s->fits && n <= JSON_LAYOUT_MEMBERS && len <= JSON_LAYOUT_BYTES - s->used;
    if (!s->fits) return;
    memcpy(s->layout->text + s->used, s->from, len);
    s->layout->piece[n] = (struct json_piece){(uint16_t)s->used, (uint16_t)len, field};
    s->used += len;
}

void json_layout_value(struct json_learner *s, const char *begin, const char *end, int field, bool nested)
{
    if (!s->layout) return;
    s->fits = s->fits && !nested;
    learn_piece(s, s->n, begin, field);
    s->n++;
    s->from = end;
}

void json_layout_end(struct json_learner *s, const char *end)
{
    if (!s->layout) return;
    learn_piece(s, s->n, end, -1);
    if (s->fits) s->layout->n = s->n;
}
