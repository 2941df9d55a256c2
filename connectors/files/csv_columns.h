/* What the columns of a CSV file are for.
 *
 * Names     the first line; without a header c0, c1, ..; a column without a name gets cN too.
 * Time      `time_column`; else the first of ts, time, timestamp, date, datetime, ds (letters of any case); "none": rows
 *           are numbered by `start` and `interval`.
 * Key       `key_column`; else the first of key, id, unique_id, symbol, sensor, item; else the series' name.  Below a
 *           directory each file is one series: there only `key_column` makes a key.
 * Label     `label_column`, and categories: `category_columns`, as far as the file has them.
 * Values    those of `values` that the file has; else every other column whose first cell that is not missing is a
 *           number, or that is missing throughout. */
#ifndef CONNECTORS_FILES_CSV_COLUMNS_H
#define CONNECTORS_FILES_CSV_COLUMNS_H

#include "connectors/codec/csv.h"
#include "connectors/files/file_source.h"
#include "connectors/files/line_reader.h"

struct csv_guess {
    const char *path; /* for messages */
    const struct file_csv_settings *settings;
    bool one_series;   /* a file below a directory */
    size_t look_bytes; /* look no further than this; 0 = as far as needed */
};

/* Reads lines until the columns are known.  *out is NULL when there is no line at all. */
eddy_status csv_columns_guess(const struct csv_guess *, struct line_reader *, struct csv_columns **out,
                              struct eddy_error *);
void csv_columns_free(struct csv_columns *); /* NULL is fine */

#endif
