/* A sum over the rows that a source has passed so far, in their order, and over what they belong to: the name of the file's
 * series and its header, which count with its first row.  Equal sums: the same was read, though the files may lie elsewhere
 * or be compressed by now, and whatever limits.record is.
 * As text   "2:SUM", or "2:SUM+LEN" where the file ended within the last row, LEN bytes from where the row began: it may have
 *           been caught while it was written, and be longer later. */
#ifndef CONNECTORS_FILES_FILE_TRACE_H
#define CONNECTORS_FILES_FILE_TRACE_H

#include <stdbool.h>

#include "connectors/files/line_reader.h"
#include "engine/flow/source.h"

struct file_trace {
    uint64_t sum;  /* of all rows so far */
    uint32_t open; /* LEN; 0 = the last row had its line end, or is too long to be compared */
    uint64_t head; /* of the file that has begun and has had no row */
    bool begun;
};

void file_trace_begin(struct file_trace *, const char *key); /* a file */
void file_trace_header(struct file_trace *, const struct line *);
void file_trace_row(struct file_trace *, const struct line *);

void file_trace_text(const struct file_trace *, char out[SOURCE_TRACE_BYTES]);
/* False when the text is of no trace, or of one that was made otherwise: nothing can be compared. */
bool file_trace_read(struct file_trace *, const char *text);
/* Was `then` made of the rows of `before` and of what `row` was while it was written? */
bool file_trace_grown(const struct file_trace *then, const struct file_trace *before, const struct line *row);

#endif
