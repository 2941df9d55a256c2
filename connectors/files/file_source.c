#include "connectors/files/file_source.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/log.h"
#include "connectors/files/file_inputs.h"
#include "connectors/files/file_trace.h"
#include "connectors/files/files.h"

/* The rows of all inputs as partition 0, for both sources of this file. */
struct file_source {
    struct file_inputs *inputs;
    bool own_inputs;
    bool blanks_count; /* standard input as a pipe: one line in, one result out */
    struct source_listener listener;
    char *topic; /* of the partition: the first path */
    void *tag;
    bool assigned, paused;
    int64_t start; /* rows before it are passed over */
    int64_t row;   /* the next row's number */
    int at;        /* the input being read */
    bool header_due;
    struct line_reader *reader;
    struct eddy_record *records; /* [cap_records] */
    int cap_records;
    int n_records; /* of the last poll */

    /* What the rows were (file_trace.h), where positions are kept. */
    bool traced;
    struct file_trace trace;  /* of all rows before `row` */
    struct file_trace before; /* of all before the last poll's records, or the last row that was passed over */
    uint64_t *sums;           /* [cap_records] up to each of them */
    const char *started_path; /* of the last row before `start`, and .. */
    struct line started;      /* .. the row, until more is read */
    bool due;                 /* the state goes on at `start`, which has not been reached */
    bool compared;            /* with .. */
    struct file_trace expected;
};

/* ---- open and close ---- */

static void source_free(struct file_source *s)
{
    if (!s) return;
    line_reader_close(s->reader);
    if (s->own_inputs) file_inputs_close(s->inputs);
    free(s->records);
    free(s->sums);
    free(s->topic);
    free(s);
}

/* Takes over `inputs` when they are its own, also when it fails. */
static eddy_status source_make(const struct source_request *request, const char *topic, struct file_inputs *inputs,
                               bool own, void **out, struct eddy_error *err)
{
    struct file_source *s = calloc(1, sizeof(*s));
    char *copy = strdup(topic);
    if (!s || !copy) {
        free(copy);
        free(s);
        if (own) file_inputs_close(inputs);
        return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", topic);
    }
    *s = (struct file_source){
        .inputs = inputs, .own_inputs = own, .listener = request->listener, .topic = copy, .traced = request->traced};
    *out = s;
    return EDDY_OK;
}

static const char *shown_path(const char *path)
{
    return strcmp(path, "-") == 0 ? "stdin" : path;
}

static eddy_status file_open(const void *settings, const struct source_request *request, void **out,
                             struct eddy_error *err)
{
    const struct file_source_settings *file = settings;
    struct file_inputs *inputs = file->inputs;
    *out = NULL;
    if (!inputs) {
        eddy_status rc = file_inputs_open(file, request->limits, &inputs, err);
        if (rc < 0) return rc;
    }
    const char *topic = file->paths.n ? file->paths.item[0] : inputs->item[0].path;
    return source_make(request, shown_path(topic), inputs, !file->inputs, out, err);
}

static eddy_status stdin_open(const void *settings, const struct source_request *request, void **out,
                              struct eddy_error *err)
{
    (void)settings;
    *out = NULL;
    struct file_inputs *inputs = NULL;
    eddy_status rc = file_inputs_stdin(request->limits, &inputs, err);
    if (rc >= 0) rc = source_make(request, "stdin", inputs, true, out, err);
    if (rc >= 0) ((struct file_source *)*out)->blanks_count = true;
    return rc;
}

static void file_close(void *source)
{
    struct file_source *s = source;
    struct eddy_error ignored;
    if (s && s->assigned) (void)s->listener.revoke(s->listener.context, s->tag, false, &ignored);
    source_free(s);
}

/* ---- reading ---- */

static eddy_status assign(struct file_source *s, struct eddy_error *err)
{
    const struct source_partition whole = {
        .topic = s->topic, .partition = 0, .committed = -1, .metadata = "", .low = 0, .high = INT64_MAX, .start = 0};
    int64_t start = s->listener.assign(s->listener.context, &whole, &s->tag, err);
    if (start < 0) return (eddy_status)start;
    s->start = start;
    s->assigned = true;
    return EDDY_OK;
}

/* Opens the input whose turn it is.  One that was looked at before, standard input, goes on where it stands. */
static eddy_status open_input(struct file_source *s, struct eddy_error *err)
{
    struct file_input *in = &s->inputs->item[s->at];
    s->header_due = in->header;
    file_trace_begin(&s->trace, in->key);
    if (in->columns) in->columns->first_offset = s->row;
    if (in->reader) {
        s->reader = in->reader;
        in->reader = NULL;
        return EDDY_OK;
    }
    return line_reader_open(in->path, s->inputs->max_len, &s->reader, err);
}

static eddy_status room_for(struct file_source *s, int n, struct eddy_error *err)
{
    if (n <= s->cap_records) return EDDY_OK;
    struct eddy_record *more = realloc(s->records, (size_t)n * sizeof(*more));
    if (more) s->records = more;
    uint64_t *sums = realloc(s->sums, (size_t)n * sizeof(*sums));
    if (sums) s->sums = sums;
    if (!more || !sums) return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", s->topic);
    s->cap_records = n;
    return EDDY_OK;
}

/* A line that is none of the rows: blank, or the names of the columns. */
static bool passes_over(struct file_source *s, const struct line *line)
{
    if (line->len == 0 && !s->blanks_count) return true;
    if (!s->header_due) return false;
    s->header_due = false;
    file_trace_header(&s->trace, line);
    return true;
}

/* Makes records of the lines that the buffer holds; none before `start`, where it stops once. */
static int take_lines(struct file_source *s, int max_records)
{
    const struct file_input *in = &s->inputs->item[s->at];
    struct line line;
    int n = 0;
    s->before = s->trace;
    while (n < max_records && line_reader_next(s->reader, &line)) {
        if (passes_over(s, &line)) continue;
        int64_t row = s->row++;
        if (row < s->start) s->before = s->trace;
        if (s->traced) file_trace_row(&s->trace, &line);
        if (row < s->start) {
            s->started_path = shown_path(in->path);
            s->started = line;
            if (s->row == s->start) break;
            continue;
        }
        s->sums[n] = s->trace.sum;
        s->records[n++] = (struct eddy_record){.topic = shown_path(in->path),
                                               .offset = row,
                                               .time_ns = EDDY_NO_TIME,
                                               .key = in->key,
                                               .key_len = strlen(in->key),
                                               .payload = line.text,
                                               .payload_len = line.len,
                                               .line = line.number,
                                               .context = in->columns};
    }
    s->n_records = n;
    return n;
}

/* ---- is it still what it was ---- */

#define START_ANEW "put it back as it was, or start anew with another state.path"

static void source_trace(void *source, void *tag, int64_t next, char out[SOURCE_TRACE_BYTES])
{
    const struct file_source *s = source;
    const int64_t first = s->n_records > 0 ? s->records[0].offset : s->row, at = next - first;
    (void)tag;
    *out = '\0';
    if (!s->traced || s->row < s->start) return;
    if (next == s->row)
        file_trace_text(&s->trace, out);
    else if (at == 0)
        file_trace_text(&s->before, out);
    else if (at > 0 && at <= s->n_records)
        file_trace_text(&(struct file_trace){.sum = s->sums[at - 1]},
                        out); /* not a file's last row, which is `row` - 1 */
}

static void source_expect(void *source, int64_t next, const char *trace)
{
    struct file_source *s = source;
    s->due = next > 0;
    s->compared = file_trace_read(&s->expected, trace);
}

/* The rows before `start` have been passed. */
static eddy_status met_expected(struct file_source *s, struct eddy_error *err)
{
    s->due = false;
    if (!s->compared || s->trace.sum == s->expected.sum) return EDDY_OK;
    if (file_trace_grown(&s->expected, &s->before, &s->started)) {
        log_warn("position",
                 "%s:%" PRId64 ": the last row that was read had no line end and has grown since: what it was then "
                 "counts, its other %zu bytes are left out",
                 s->started_path, s->started.number, s->started.len - s->expected.open);
        return EDDY_OK;
    }
    return eddy_fail(
        err, EDDY_EMISMATCH,
        "%s: its first %" PRId64 " rows, up to %s:%" PRId64
        ", are not those that the state was made of: was a file replaced, or one added that sorts before "
        "others? (" START_ANEW ")",
        s->topic, s->start, s->started_path, s->started.number);
}

static eddy_status ends_early(const struct file_source *s, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_EMISMATCH,
                     "%s: the state goes on at row %" PRId64 ", but the input ends at row %" PRId64
                     ": was a file cut off, replaced or removed? (" START_ANEW ")",
                     s->topic, s->start, s->row);
}

static eddy_status file_poll(void *source, int timeout_ms, int max_records, struct source_batch *batches,
                             int max_batches, struct eddy_error *err)
{
    struct file_source *s = source;
    eddy_status rc = s->assigned ? EDDY_OK : assign(s, err);
    if (rc >= 0) rc = room_for(s, max_records, err);
    if (rc < 0) return rc;
    if (s->paused || max_batches < 1 || max_records < 1) {
        if (s->paused && timeout_ms > 0) (void)poll(NULL, 0, timeout_ms);
        return 0;
    }
    while (s->at < s->inputs->n) {
        if (!s->reader) rc = open_input(s, err);
        if (rc < 0) return rc;
        int n = take_lines(s, max_records);
        if (s->due && s->row == s->start) {
            rc = met_expected(s, err);
            if (rc < 0) return rc;
            continue;
        }
        if (n > 0) {
            batches[0] = (struct source_batch){.tag = s->tag, .n = n, .records = s->records};
            return 1;
        }
        if (line_reader_ended(s->reader)) {
            line_reader_close(s->reader);
            s->reader = NULL;
            s->at++;
            continue;
        }
        rc = line_reader_fill(s->reader, timeout_ms, err);
        if (rc <= 0) return rc;
    }
    return s->due ? ends_early(s, err) : 0;
}

static void file_release(void *source)
{
    (void)source; /* lines are given up by the next read */
}

static eddy_status file_serve(void *source, struct eddy_error *err)
{
    (void)source;
    (void)err;
    return EDDY_OK;
}

static eddy_status file_pause(void *source, void *tag, struct eddy_error *err)
{
    (void)tag;
    (void)err;
    ((struct file_source *)source)->paused = true;
    return EDDY_OK;
}

static eddy_status file_resume(void *source, void *tag, struct eddy_error *err)
{
    (void)tag;
    (void)err;
    ((struct file_source *)source)->paused = false;
    return EDDY_OK;
}

static bool file_ended(void *source)
{
    const struct file_source *s = source;
    return s->at >= s->inputs->n && !s->due;
}

/* ---- the parts ---- */

#define CSV_AT(member) offsetof(struct file_csv_settings, member)

static const struct eddy_option csv_options[] = {
    {.name = "time_column",
     .type = EDDY_OPT_STRING,
     .offset = CSV_AT(time_column),
     .default_text = "",
     .help = "The column of the time. Unset: the first of ts, time, timestamp, date, datetime, ds; none: rows are "
             "numbered by start and interval."},
    {.name = "key_column",
     .type = EDDY_OPT_STRING,
     .offset = CSV_AT(key_column),
     .default_text = "",
     .help = "The column of the key. Unset: the first of key, id, unique_id, symbol, sensor, item; else the file's "
             "name."},
    {.name = "values",
     .type = EDDY_OPT_STRINGS,
     .offset = CSV_AT(values),
     .default_text = "",
     .help = "The columns to score. Unset: every other column with numbers."},
    {.name = "label_column",
     .type = EDDY_OPT_STRING,
     .offset = CSV_AT(label_column),
     .default_text = "",
     .help = "The column with the class of the event, for networks that classify."},
    {.name = "category_columns",
     .type = EDDY_OPT_STRINGS,
     .offset = CSV_AT(category_columns),
     .default_text = "",
     .help = "Columns with a word or a code, such as a machine's type, which a network takes as input."},
    {.name = "header",
     .type = EDDY_OPT_BOOL,
     .offset = CSV_AT(header),
     .default_text = "true",
     .help = "The first line holds the names of the columns; else they are c0, c1, .."},
    {.name = "start",
     .type = EDDY_OPT_STRING,
     .offset = CSV_AT(start),
     .default_text = "",
     .help = "Time of a file's first row, with time_column: none."},
    {.name = "interval",
     .type = EDDY_OPT_DURATION,
     .offset = CSV_AT(interval),
     .default_text = "1s",
     .min = 1,
     .max = 9e18,
     .help = "Time between two rows, with time_column: none."},
    {.name = "time_unit",
     .type = EDDY_OPT_ENUM,
     .offset = CSV_AT(time_unit),
     .default_text = "iso8601",
     .unit = TIME_UNIT_WORDS,
     .help =
         "How times are written: RFC 3339 or YYYY-MM-DD[ HH:MM[:SS]], or as a number of s, ms, us or ns since 1970."},
    {0}};

static const struct eddy_option file_options[] = {
    {.name = "paths",
     .type = EDDY_OPT_STRINGS,
     .offset = offsetof(struct file_source_settings, paths),
     .help = "Files (CSV or JSON lines, also .gz), directories with such files, or - for standard input."},
    {.name = "csv",
     .type = EDDY_OPT_GROUP,
     .offset = offsetof(struct file_source_settings, csv),
     .default_text = "",
     .sub = csv_options,
     .help = "How CSV files are read."},
    {0}};

const struct eddy_source source_file = {
    .part = {.struct_size = sizeof(struct eddy_source),
             .kind = EDDY_PART_SOURCE,
             .name = "file",
             .summary = "CSV files and JSON lines, plain or .gz, one after the other.",
             .options = file_options,
             .settings_size = sizeof(struct file_source_settings)},
    .open = file_open,
    .poll = file_poll,
    .release = file_release,
    .serve = file_serve,
    .pause = file_pause,
    .resume = file_resume,
    .trace = source_trace,
    .expect = source_expect,
    .ended = file_ended,
    .close = file_close,
};

const struct eddy_source source_stdin = {
    .part = {.struct_size = sizeof(struct eddy_source),
             .kind = EDDY_PART_SOURCE,
             .name = "stdin",
             .summary = "Lines of standard input, one record each."},
    .open = stdin_open,
    .poll = file_poll,
    .release = file_release,
    .serve = file_serve,
    .pause = file_pause,
    .resume = file_resume,
    .trace = source_trace,
    .expect = source_expect,
    .ended = file_ended,
    .close = file_close,
};
