/* How the last record was laid out, in the hope that the next one is like it: the constant pieces between its values, byte
 * for byte, and the field that each value belongs to.
 *
 *     {"ts":"2026-01-01T00:00:00Z","temperature":20.5}      pieces  {"ts":  ,"temperature":  }
 *
 * The scanner has read that record and found nothing wrong with it, so a record with the same pieces, and any strings,
 * numbers and words between them, is right, too, and its names need no look.  Whatever is not like it is left to the scanner.
 * Limits   64 members and 2 KiB of pieces; lists and objects as values are not learnt.
 * Memory   one block; a layout belongs to one set of fields. */
#ifndef CONNECTORS_CODEC_JSON_LAYOUT_H
#define CONNECTORS_CODEC_JSON_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_LAYOUT_MEMBERS = 64, JSON_LAYOUT_BYTES = 2048 };

struct json_value;

/* What stands before a value, or behind the last one. */
struct json_piece {
    uint16_t at, len; /* in text */
    int32_t field;    /* of the value that follows; -1: nobody wants it */
};

struct json_layout {
    int n; /* values; -1 while none is known */
    struct json_piece piece[JSON_LAYOUT_MEMBERS + 1];
    char text[JSON_LAYOUT_BYTES + 8]; /* whatever is in the last 8 bytes, they can be read */
};

/* Reads a record that is laid out so; false when it is not, and then `values` hold nothing of use. */
bool json_layout_read(const struct json_layout *, const char *text, size_t len, struct json_value *values);

/* Learns one, value by value.  A value that is a list or an object, and whatever does not fit, makes the layout unknown. */
struct json_learner {
    struct json_layout *layout; /* NULL: nothing is learnt */
    const char *from;           /* where the piece in hand begins */
    int n;                      /* values so far */
    size_t used;                /* of text */
    bool fits;
};
struct json_learner json_layout_learn(struct json_layout *, const char *text);
void json_layout_value(struct json_learner *, const char *begin, const char *end, int field, bool nested);
void json_layout_end(struct json_learner *, const char *end); /* the record is right up to its end */

#endif
