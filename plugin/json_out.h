/* Writing JSON by hand for `--json` and metrics files: commas, quotes and nulls in one place.
 *
 *     struct json_out j = json_begin(stdout);
 *     json_open(&j, NULL, '{');
 *     json_int(&j, "events", 12);
 *     json_close(&j, '}');
 *     json_end(&j);
 *
 * `name` is the member's name, NULL inside an array and for the whole document.  Texts are taken as UTF-8; bytes that
 * are not become U+FFFD.
 * Errors   none here: check ferror() of the stream. */
#ifndef PLUGIN_JSON_OUT_H
#define PLUGIN_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json_out {
    FILE *out;
    bool comma;     /* something stands before the next member */
    bool in_markup; /* set it: texts are also safe inside a script element of a page */
};

struct json_out json_begin(FILE *out);
void json_end(struct json_out *); /* a line end */
void json_open(struct json_out *, const char *name, char bracket);
void json_close(struct json_out *, char bracket);
void json_int(struct json_out *, const char *name, int64_t value);
void json_real(struct json_out *, const char *name, double value); /* 9 significant digits; null when not finite */
void json_digits(struct json_out *, const char *name, double value, int digits); /* as many significant digits */
void json_bool(struct json_out *, const char *name, bool value);
void json_text(struct json_out *, const char *name, const char *value); /* NULL = null */
void json_bytes(struct json_out *, const char *name, const char *bytes, size_t n);

#endif
