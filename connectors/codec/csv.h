/* The CSV codec: a record is one line of cells as in RFC 4180, without its line end; a quoted cell may hold the
 * separator and doubled quotes, but no line end.
 *
 * Records of a file bring the file's columns as their context (connectors/files/csv_columns.h makes them); records
 * without one, as from Kafka, are read by the codec's own settings.
 * Values    a number, blanks around it are fine; missing: an empty cell, NA, NaN, null (letters of any case).
 * Label     the text without blanks around it, unless they are in quotes; missing as above = none.
 * Category  the same; missing counts as the empty text.
 * Encode    the columns of csv_header(). */
#ifndef CONNECTORS_CODEC_CSV_H
#define CONNECTORS_CODEC_CSV_H

#include "connectors/codec/timestamp.h"
#include "eddy_codec.h"

struct csv_settings {
    struct eddy_strings columns; /* names of the cells of a record without context, in order */
    const char *key, *time;      /* a column, or $key, $timestamp as for json */
    int time_unit, time_format;  /* enum time_unit, enum time_format */
    struct eddy_strings values;  /* empty: every column that is nothing else */
    const char *label;           /* a column; NULL = none */
    struct eddy_strings categories;
    bool header; /* encode: the line of names goes before the first result */
};

/* What a cell is for; 0 and above: the value of that index in `values`; CSV_CATEGORY - i: the i-th of `categories`. */
enum csv_role { CSV_KEY = -1, CSV_TIME = -2, CSV_IGNORE = -3, CSV_LABEL = -4, CSV_CATEGORY = -5 };

/* Where an event's time comes from. */
enum csv_clock {
    CSV_CLOCK_COLUMN,
    CSV_CLOCK_RECORD, /* the record's own time */
    CSV_CLOCK_ROWS    /* start_ns + (offset - first_offset) * interval_ns */
};

/* The columns of one file.  They must stay as they are while a codec that has seen them is open. */
struct csv_columns {
    int n_columns;
    const int *role; /* [n_columns] enum csv_role or an index */
    int n_values;
    const char *const *values; /* [n_values] names of this file's values */
    int n_categories;
    const char *const *categories; /* [n_categories] names of this file's categories */
    const struct eddy_schema *all; /* the values of all files that are read together; discover() gives these */
    int time_unit;                 /* enum time_unit */
    bool has_key;                  /* else the record's own key counts */
    bool has_label;
    int clock; /* enum csv_clock */
    int64_t start_ns, interval_ns, first_offset;
};

/* Splits a line into cells.  Quoted cells with doubled quotes are written anew into the arena; all others point into the
 * line.  Returns their number, at most `max` of which are stored; EDDY_EDATA (not_csv) for broken quotes. */
struct csv_cell {
    const char *text;
    size_t len;
    bool quoted;
};
eddy_status csv_split(const char *line, size_t len, struct eddy_arena *, struct csv_cell *cells, int max,
                      struct eddy_error *);
bool csv_is_missing(const struct csv_cell *);
bool csv_is_empty(const struct csv_cell *); /* nothing, or blanks */
/* What a cell says as text: without blanks around it, unless it is in quotes.  Returns its length, 0 when missing. */
size_t csv_text(const struct csv_cell *, const char **text);

/* The line of names for results shaped as this one, without a line end. */
eddy_status csv_header(const struct eddy_result *, struct eddy_buffer *out, struct eddy_error *);

#endif
