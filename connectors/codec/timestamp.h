/* Points in time as text: int64 nanoseconds since 1970-01-01 UTC, proleptic Gregorian calendar, no leap seconds.
 *
 * Range    1677-09-21T00:12:43.145224193Z .. 2262-04-11T23:47:16.854775807Z (EDDY_NO_TIME is not a time).
 * Memory   nothing is allocated; text need not end with a NUL.
 * Threads  reentrant; no locale, no time zone of the process. */
#ifndef CONNECTORS_CODEC_TIMESTAMP_H
#define CONNECTORS_CODEC_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum time_unit { TIME_ISO8601, TIME_S, TIME_MS, TIME_US, TIME_NS };
#define TIME_UNIT_WORDS "iso8601|s|ms|us|ns"

enum time_format { TIME_FORMAT_RFC3339, TIME_FORMAT_EPOCH_MS, TIME_FORMAT_AS_INPUT };
#define TIME_FORMAT_WORDS "rfc3339|epoch_ms|as_input"

enum { TIMESTAMP_MAX = 32 }; /* room that the writers need */

/* Each returns false when the text is no such time or lies out of range.  Blanks are not skipped.
 * RFC 3339, and YYYY-MM-DD[ HH:MM[:SS[.fraction]]] with a blank or a T; without a zone it is UTC.  Digits of a fraction
 * beyond nanoseconds are dropped; second 60 is the first one of the next minute. */
bool timestamp_parse(const char *text, size_t len, int64_t *ns);
/* A decimal number of units (not TIME_ISO8601), exactly; what is finer than a nanosecond is dropped. */
bool timestamp_parse_epoch(const char *text, size_t len, enum time_unit, int64_t *ns);

/* The minute that was read last: most times that follow lie in it.  {0} is an empty memory. */
struct timestamp_minute {
    bool known;
    int64_t minute; /* since 1970, in the zone of the text */
    char text[16];  /* YYYY-MM-DDTHH:MM */
};
/* One or the other, the former through such a memory. */
bool timestamp_parse_as(struct timestamp_minute *, const char *text, size_t len, enum time_unit, int64_t *ns);

/* RFC 3339 UTC with a fraction only when there is one (3, 6 or 9 digits).  Returns the length, writes no NUL. */
size_t timestamp_write(int64_t ns, char *out);
/* The time that was written last, with its text: many that follow are the same, and most lie in its minute.  {0}: none. */
struct timestamp_last {
    int64_t ns, minute; /* minute: since 1970 */
    size_t len;         /* 0: none */
    char text[TIMESTAMP_MAX];
};
void timestamp_see(struct timestamp_last *, int64_t ns); /* makes it the last one */
/* As timestamp_write(). */
static inline size_t timestamp_write_after(struct timestamp_last *last, int64_t ns, char *out)
{
    if (last->ns != ns || last->len == 0) timestamp_see(last, ns);
    memcpy(out, last->text, TIMESTAMP_MAX);
    return last->len;
}
size_t timestamp_write_epoch_ms(int64_t ns, char *out); /* whole milliseconds, rounded down */

#endif
