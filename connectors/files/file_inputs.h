/* What file_inputs_open() found out about each file; for the file source alone. */
#ifndef CONNECTORS_FILES_FILE_INPUTS_H
#define CONNECTORS_FILES_FILE_INPUTS_H

#include "connectors/codec/csv.h"
#include "connectors/files/file_source.h"
#include "connectors/files/line_reader.h"

struct file_input {
    char *path;                  /* "-" = standard input */
    char *key;                   /* name of the series */
    bool one_series;             /* lies below a directory */
    struct csv_columns *columns; /* NULL = JSON lines */
    bool header;                 /* the first line holds names */
    struct line_reader *reader;  /* standard input, opened to look at it; else NULL */
};

struct file_inputs {
    int n, cap;
    struct file_input *item;
    struct eddy_schema schema;
    const char **names;      /* [schema.n_values] borrowed from the files' columns */
    const char **categories; /* [schema.n_categories] the same */
    size_t max_len;          /* limits.record */
};

/* Standard input as JSON lines, not looked at. */
eddy_status file_inputs_stdin(const struct eddy_limits *, struct file_inputs **, struct eddy_error *);

#endif
