/* The schema-directed JSON scanner: one pass over a record, no DOM, no allocation beyond the arena.
 *
 * Every byte is checked (RFC 8259, strict UTF-8), also in fields that nobody wants; only wanted fields at the top of the
 * object are kept.  Limits: nesting (the object itself is level 1), and names over all levels.
 * A record that is laid out as the one before is read without looking at its names (json_layout.h).
 * Errors   EDDY_EDATA with reason empty, not_json, not_utf8, too_deep, too_many_fields, duplicate_field, wrong_type (the
 *          record is no object), not_finite; EDDY_ENOMEM.
 * Threads  scanner and fields belong to one thread. */
#ifndef CONNECTORS_CODEC_JSON_SCAN_H
#define CONNECTORS_CODEC_JSON_SCAN_H

#include "connectors/codec/json_fields.h"

enum json_type {
    JSON_TYPE_ABSENT,
    JSON_TYPE_NULL,
    JSON_TYPE_NUMBER,
    JSON_TYPE_STRING,
    JSON_TYPE_BOOL,
    JSON_TYPE_OBJECT,
    JSON_TYPE_ARRAY
};
const char *json_type_text(int type); /* "a string", .. */

/* A wanted field's value. */
struct json_value {
    int type;         /* enum json_type */
    const char *text; /* a string's characters, a number as it is written, true, false: in the record, the arena or
                         constant */
    size_t len;
    double number;
};

struct json_scanner {
    const struct eddy_limits *limits;
    char *open; /* [limits->depth] the brackets that are open */
};
eddy_status json_scanner_open(struct json_scanner *, const struct eddy_limits *, struct eddy_error *);
void json_scanner_close(struct json_scanner *);

/* Fills values[fields->n]. */
eddy_status json_scan(struct json_scanner *, const struct json_fields *, const char *text, size_t len,
                      struct eddy_arena *, struct json_value *values, struct eddy_error *);
/* The same, and `numbers` takes the names of all numeric fields at the top that are not wanted, each with a NUL, in their
 * order and without repeats; *n_numbers counts them. */
eddy_status json_scan_numbers(struct json_scanner *, const struct json_fields *, const char *text, size_t len,
                              struct eddy_arena *, struct json_value *values, struct eddy_buffer *numbers,
                              int *n_numbers, struct eddy_error *);

#endif
