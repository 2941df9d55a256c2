/* Lines of a file, plain or .gz, or of standard input.
 *
 * Line      without its line end (LF or CRLF); the last one may lack it.  A byte-order mark before the first is dropped.
 * Too long  of a line of more than max_len bytes the first max_len + 1 are given, once its end has come; the rest is kept
 *           nowhere, but counts in its sum.
 * Memory    lines are borrowed until the next line_reader_fill(); the buffer grows to the longest line.
 * Errors    EDDY_ENOTFOUND, EDDY_EIO (also a .gz that breaks off or is none), EDDY_ENOMEM, all naming the path, and the
 *           line where one is known.
 * Threads   one reader belongs to one thread. */
#ifndef CONNECTORS_FILES_LINE_READER_H
#define CONNECTORS_FILES_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eddy_error.h"

struct line {
    const char *text;
    size_t len;
    int64_t number; /* from 1 */
    bool cut;       /* it was too long */
    bool open;      /* the input ended within it: it has no line end */
    uint64_t whole; /* when cut: the sum of all of it */
};
/* The same for equal lines, however much of them is given. */
uint64_t line_sum(const struct line *);

struct line_reader;

/* path "-" is standard input, which is not closed at the end. */
eddy_status line_reader_open(const char *path, size_t max_len, struct line_reader **, struct eddy_error *);
void line_reader_close(struct line_reader *); /* NULL is fine */

/* The next line that the buffer holds in full; false when there is none (any more). */
bool line_reader_next(struct line_reader *, struct line *);
/* Gives up the lines taken so far and reads on.  Returns 1 when something came or the end was reached, 0 when nothing
 * came within timeout_ms (-1 = wait; files never wait). */
eddy_status line_reader_fill(struct line_reader *, int timeout_ms, struct eddy_error *);
/* True when all lines have been taken. */
bool line_reader_ended(const struct line_reader *);

/* Looking ahead: between these two calls lines stay in the buffer, however many, and then come once more. */
void line_reader_mark(struct line_reader *);
void line_reader_rewind(struct line_reader *);
size_t line_reader_looked(const struct line_reader *); /* bytes taken since the mark */

#endif
