/* The past that a command reads, and its flags: files with --input, a topic with --from and --to. */
#ifndef PLUGIN_HISTORY_H
#define PLUGIN_HISTORY_H

#include "plugin/command.h"
#include "plugin/pipeline.h"
#include "plugin/schema.h"

struct history {
    struct command_list inputs;
    const char *from, *to;
    const char *time_column, *key_column, *values, *label_column, *category_columns;
    const char *time, *start, *interval, *time_unit;
    bool no_header;
};

/* Rows for a command's options; `member` is its struct history. */
#define HISTORY_SOURCE(type, member)                                                                                 \
    {"input", COMMAND_LIST, offsetof(type, member.inputs), "PATH", "file, directory or - (repeatable)"},             \
        {"from", COMMAND_TEXT, offsetof(type, member.from), "T", "the topic's past: earliest or RFC 3339"},          \
    {                                                                                                                \
        "to", COMMAND_TEXT, offsetof(type, member.to), "T", "up to here: latest (default) or RFC 3339"               \
    }
#define HISTORY_CSV(type, member)                                                                                    \
    {"time-column", COMMAND_TEXT, offsetof(type, member.time_column), "NAME", "CSV: the column of the time"},        \
        {"key-column", COMMAND_TEXT, offsetof(type, member.key_column), "NAME", "CSV: the column of the key"},       \
        {"values", COMMAND_TEXT, offsetof(type, member.values), "a,b", "CSV: the columns that are values"},          \
        {"label-column", COMMAND_TEXT, offsetof(type, member.label_column), "NAME", "CSV: the column of the class"}, \
        {"category-columns", COMMAND_TEXT, offsetof(type, member.category_columns), "a,b",                           \
         "CSV: columns with words or codes"},                                                                        \
        {"no-header", COMMAND_FLAG, offsetof(type, member.no_header), NULL,                                          \
         "CSV: no line of names; they are c0, c1, .."},                                                              \
        {"time", COMMAND_TEXT, offsetof(type, member.time), "none",                                                  \
         "CSV: no column of the time, rows are numbered"},                                                           \
        {"start", COMMAND_TEXT, offsetof(type, member.start), "T", "with --time none: time of the first row"},       \
        {"interval", COMMAND_TEXT, offsetof(type, member.interval), "D",                                             \
         "with --time none: from row to row, e.g. 1h"},                                                              \
    {                                                                                                                \
        "time-unit", COMMAND_TEXT, offsetof(type, member.time_unit), "U", "CSV: unit of epoch times: s, ms, us, ns"  \
    }

/* NULL = fine, else what is wrong with the flags. */
const char *history_complaint(const struct history *);

struct history_names {
    struct schema_names values, categories; /* --values, --category-columns */
};
/* Makes it the source of a bare pipeline; *misused: the error is one of the command line. */
eddy_status history_open(const struct history *, struct pipeline *, struct history_names *, bool *misused,
                         struct eddy_error *);
void history_close(struct history_names *); /* after the pipeline was freed; {0} is fine */

#endif
