/* Files as a source: CSV and JSON lines, plain or .gz, one after the other.
 *
 * Inputs    each path is a file, a directory (all *.csv and *.jsonl below it, also .gz, in byte order of their paths;
 *           names that begin with a dot are left out) or "-" (standard input).  .csv and .jsonl are what they are called;
 *           others are JSON lines when their first character is {, else CSV.
 * Records   all inputs are partition 0; `topic` is the file's path ("stdin" for "-"), `offset` the number of the row over
 *           all inputs (blank lines and headers do not count), `line` its line in the file.
 *           `context` is the file's struct csv_columns for CSV and NULL for JSON lines: a record with a context is for
 *           the CSV codec, one without is for the configured codec.
 *           `key` is the name of the file's series: below a directory the path without extensions, else the file's
 *           name without directory and extensions; the codec uses it when nothing else gives the key.
 * Too long  of a line beyond limits.record its first limits.record + 1 bytes come, so that the codec says too_large.
 * Position  a row's number says nothing of the rows before it, so a kept one has a sum over them (file_trace.h): files may
 *           grow at the end, and others follow, but where the rows before it are others, poll() says so and gives none.
 *           A last row without a line end is a row like others, as a file may end so.  When it was caught while it was
 *           written and is longer at the next start, that goes on behind it, with a warning.
 * CSV       the rules of connectors/files/csv_columns.h. */
#ifndef CONNECTORS_FILES_FILE_SOURCE_H
#define CONNECTORS_FILES_FILE_SOURCE_H

#include "connectors/codec/timestamp.h"
#include "engine/flow/source.h"

struct file_csv_settings {
    const char *time_column;    /* NULL = by name; "none" = rows are numbered by `start` and `interval` */
    const char *key_column;     /* NULL = by name */
    struct eddy_strings values; /* empty = every column that is numeric */
    const char *label_column;   /* NULL = none */
    struct eddy_strings category_columns;
    bool header;       /* the first line holds names; else they are c0, c1, .. */
    const char *start; /* time of each file's first row; NULL = 1970-01-01 */
    int64_t interval;  /* ns between rows */
    int time_unit;     /* enum time_unit */
};

struct file_inputs;

struct file_source_settings {
    struct eddy_strings paths;
    struct file_csv_settings csv;
    struct file_inputs *inputs; /* opened by file_inputs_open(), and then `paths` and `csv` do not count; else NULL */
};

/* Looks at all inputs before anything is read: finds the files, reads the CSV headers and as many rows as it takes to
 * tell numbers from text.  A command that wants the values first opens the inputs itself and hands them over in the
 * settings; a source opened without them does it by itself.  Standard input is looked at without losing a byte of it.
 * Errors   EDDY_ENOTFOUND, EDDY_EIO, EDDY_EINVAL (no data, no time column, ..) naming file and line. */
eddy_status file_inputs_open(const struct file_source_settings *, const struct eddy_limits *, struct file_inputs **,
                             struct eddy_error *);
/* The values of all CSV inputs by first appearance, and the categories; NULL when no input is CSV. */
const struct eddy_schema *file_inputs_schema(const struct file_inputs *);
void file_inputs_close(struct file_inputs *); /* after the source that uses them; NULL is fine */

#endif
