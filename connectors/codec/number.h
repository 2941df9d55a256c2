/* Decimal numbers, exact both ways and independent of the process's locale.
 *
 * Reading gives the double nearest to the decimal (ties to even), as strtod() does in the C locale.  Numbers of up to 19
 * digits and a usual exponent are decided in integer or exact double arithmetic; the rest goes through strtod_l().
 * Writing gives at most 9 significant digits: those that read back as the same double when there are such, else the
 * shortest ones that read back as the same float; what a float cannot hold is written with 9 digits of the double.
 * Memory   nothing is allocated; text need not end with a NUL.
 * Threads  reentrant. */
#ifndef CONNECTORS_CODEC_NUMBER_H
#define CONNECTORS_CODEC_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUMBER_TEXT_BYTES = 32 }; /* room that every writer below needs */

/* Reads the JSON number that begins at p.  Returns where it ends, or NULL when there is none.  Too large gives an
 * infinity, too small gives 0. */
const char *number_parse(const char *p, const char *end, double *out);

/* Reads a whole text as people write numbers: blanks around it, a leading +, ".5" and "5." are fine too.
 * Returns false when it is no number. */
bool number_parse_text(const char *text, size_t len, double *out);

/* Both write without a NUL and return the length.  A value that is not finite is written as null. */
size_t number_write(double value, char *out);
size_t number_write_int(int64_t value, char *out);

/* A decimal as digits * 10^exponent; digits that do not fit are dropped and counted in the exponent. */
struct number_decimal {
    bool negative, truncated; /* truncated: a digit other than 0 was dropped */
    uint64_t digits;
    int64_t exponent;
};
/* As number_parse(), without rounding to a double. */
const char *number_scan(const char *p, const char *end, struct number_decimal *out);

#endif
