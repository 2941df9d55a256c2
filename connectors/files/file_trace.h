/* A sum over the rows that a source has passed so far, in their order, and over what they belong to: the name of the file's
 * series and its header, which count with its first row.  Equal sums: the same was read, though the files may lie elsewhere
 * or be compressed by now. */
#ifndef CONNECTORS_FILES_FILE_TRACE_H
#define CONNECTORS_FILES_FILE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file_trace {
    uint64_t sum;  /* of all rows so far */
    uint64_t head; /* of the file that has begun and has had no row */
    bool begun;
};

void file_trace_begin(struct file_trace *, const char *key); /* a file */
void file_trace_header(struct file_trace *, const char *text, size_t len);
void file_trace_row(struct file_trace *, const char *text, size_t len);

#endif
