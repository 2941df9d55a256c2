/* Numbers as people write them, with and without units.
 *
 * Each parser returns NULL and sets *out, or returns what is wrong ("is too large"), to be put behind the quoted text.
 * Values are exact: 1.5s is 1,500,000,000 ns, and what cannot be held is refused, never rounded.
 * The decimal point is a point: the caller sees to it that the C locale is in force (see config.c).
 * Threads  reentrant. */
#ifndef CONFIG_UNIT_H
#define CONFIG_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

const char *parse_bool(const char *text, bool *out);
const char *parse_int(const char *text, int64_t *out);
const char *parse_real(const char *text, double *out);      /* finite */
const char *parse_duration(const char *text, int64_t *out); /* ns; ns us ms s m h d w; 0 needs no unit */
const char *parse_size(const char *text, int64_t *out);     /* bytes; B kB MB GB TB KiB MiB GiB TiB or none */
/* "7" or "1-48". */
const char *parse_range(const char *text, int64_t *first, int64_t *last);

/* The shortest text that reads back as the same value. */
enum { UNIT_TEXT_BYTES = 32 };
void format_real(double value, char out[UNIT_TEXT_BYTES]);
void format_duration(int64_t ns, char out[UNIT_TEXT_BYTES]);
void format_size(int64_t bytes, char out[UNIT_TEXT_BYTES]);

#endif
