#include "connectors/files/file_inputs.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/log.h"
#include "connectors/files/csv_columns.h"
#include "connectors/files/file_list.h"

enum { LOOK_BYTES = 1 << 20 }; /* of standard input, which may be slow or endless */

static void input_free(struct file_input *in)
{
    free(in->path);
    free(in->key);
    csv_columns_free(in->columns);
    line_reader_close(in->reader);
}

void file_inputs_close(struct file_inputs *inputs)
{
    if (!inputs) return;
    for (int i = 0; i < inputs->n; i++) input_free(&inputs->item[i]);
    free(inputs->item);
    free((void *)inputs->names);
    free(inputs);
}

/* ---- what is in a file ---- */

/* 1 when the first character that is not blank is {, 0 when it is another, EDDY_ENOTFOUND when there is none. */
static eddy_status begins_as_json(struct line_reader *reader, struct eddy_error *err)
{
    struct line line;
    for (;;) {
        while (line_reader_next(reader, &line))
            for (size_t i = 0; i < line.len; i++)
                if (!isspace((unsigned char)line.text[i])) return line.text[i] == '{';
        if (line_reader_ended(reader)) return EDDY_ENOTFOUND;
        eddy_status rc = line_reader_fill(reader, -1, err);
        if (rc < 0) return rc;
    }
}

/* Reads the columns of one file, unless it is JSON lines.  Returns 0 when it has no data at all. */
static eddy_status look_into(struct file_input *in, const struct file_csv_settings *csv, struct line_reader *reader,
                             struct eddy_error *err)
{
    bool is_stdin = strcmp(in->path, "-") == 0;
    const struct csv_guess request = {is_stdin ? "stdin" : in->path, csv, in->one_series, is_stdin ? LOOK_BYTES : 0};
    int kind = file_kind(in->path);
    eddy_status rc;
    line_reader_mark(reader);
    if (kind == FILE_KIND_OTHER) {
        rc = begins_as_json(reader, err);
        if (rc == EDDY_ENOTFOUND) return 0;
        if (rc < 0) return rc;
        kind = rc ? FILE_KIND_JSONL : FILE_KIND_CSV;
        line_reader_rewind(reader);
        line_reader_mark(reader);
    }
    if (kind == FILE_KIND_JSONL) return 1;
    rc = csv_columns_guess(&request, reader, &in->columns, err);
    if (rc < 0 || !in->columns) return rc < 0 ? rc : 0;
    in->header = csv->header;
    return 1;
}

static eddy_status look_at(struct file_inputs *inputs, struct file_input *in, const struct file_csv_settings *csv,
                           struct eddy_error *err)
{
    bool is_stdin = strcmp(in->path, "-") == 0;
    struct line_reader *reader = NULL;
    eddy_status rc = line_reader_open(in->path, inputs->max_len, &reader, err);
    if (rc < 0) return rc;
    if (!is_stdin && file_kind(in->path) == FILE_KIND_JSONL)
        rc = 1; /* that it can be opened is enough */
    else
        rc = look_into(in, csv, reader, err);
    if (rc == 0 && !is_stdin) log_warn("empty_file", "%s: no data", in->path);
    if (rc >= 0 && is_stdin) {
        line_reader_rewind(reader);
        in->reader = reader;
        return rc;
    }
    line_reader_close(reader);
    return rc;
}

/* ---- the values of all files ---- */

static eddy_status add_value(struct file_inputs *inputs, const char *name, struct eddy_error *err)
{
    struct eddy_schema *s = &inputs->schema;
    for (int i = 0; i < s->n_values; i++)
        if (strcmp(s->names[i], name) == 0) return EDDY_OK;
    const char **names = realloc((void *)inputs->names, ((size_t)s->n_values + 1) * sizeof(*names));
    if (!names) return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", name);
    inputs->names = names;
    names[s->n_values++] = name;
    s->names = names;
    return EDDY_OK;
}

/* By first appearance; values that were asked for come in the order they were asked in, and must be somewhere. */
static eddy_status collect_values(struct file_inputs *inputs, const struct file_csv_settings *csv,
                                  struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    const char *first = NULL;
    for (int i = inputs->n - 1; i >= 0; i--)
        if (inputs->item[i].columns) first = inputs->item[i].path;
    if (!first) return EDDY_OK;
    for (int k = 0; k < csv->values.n && rc >= 0; k++) {
        const char *name = csv->values.item[k], *found = NULL;
        for (int i = 0; i < inputs->n && !found; i++) {
            const struct csv_columns *c = inputs->item[i].columns;
            for (int v = 0; c && v < c->n_values && !found; v++)
                if (strcmp(c->values[v], name) == 0) found = c->values[v];
        }
        if (!found)
            return eddy_fail(err, EDDY_EINVAL, "%s: there is no column \"%s\" (values)%s", first, name,
                             inputs->n > 1 ? ", nor in the other files" : "");
        rc = add_value(inputs, found, err);
    }
    for (int i = 0; i < inputs->n && rc >= 0; i++) {
        struct csv_columns *c = inputs->item[i].columns;
        for (int v = 0; c && v < c->n_values && rc >= 0; v++) rc = add_value(inputs, c->values[v], err);
        if (c) c->all = &inputs->schema;
    }
    if (rc >= 0 && inputs->schema.n_values == 0)
        rc = eddy_fail(err, EDDY_EINVAL, "%s: no column with numbers but time and key", first);
    return rc;
}

/* ---- opening ---- */

eddy_status file_inputs_open(const struct file_source_settings *settings, const struct eddy_limits *limits,
                             struct file_inputs **out, struct eddy_error *err)
{
    *out = NULL;
    struct file_inputs *inputs = calloc(1, sizeof(*inputs));
    if (!inputs) return eddy_fail(err, EDDY_ENOMEM, "inputs: out of memory");
    inputs->max_len = (size_t)limits->record;
    eddy_status rc = settings->paths.n ? EDDY_OK : eddy_fail(err, EDDY_EINVAL, "no input is named");
    for (int i = 0; i < settings->paths.n && rc >= 0; i++) rc = file_list_add(inputs, settings->paths.item[i], err);

    int kept = 0; /* files without data are left out */
    for (int i = 0; i < inputs->n && rc >= 0; i++) {
        struct file_input *in = &inputs->item[i];
        rc = look_at(inputs, in, &settings->csv, err);
        if (rc < 0) break;
        if (rc == 0 && !in->reader && inputs->n > 1) {
            input_free(in);
            *in = (struct file_input){0};
            continue;
        }
        if (rc == 0 && inputs->n == 1)
            rc = eddy_fail(err, EDDY_EINVAL, "%s: no data", in->reader ? "stdin" : in->path);
        if (kept != i) {
            inputs->item[kept] = *in;
            *in = (struct file_input){0};
        }
        kept++;
    }
    if (rc >= 0) inputs->n = kept;
    if (rc >= 0 && kept == 0) rc = eddy_fail(err, EDDY_EINVAL, "%s: all files are empty", settings->paths.item[0]);
    if (rc >= 0) rc = collect_values(inputs, &settings->csv, err);
    if (rc < 0) {
        file_inputs_close(inputs);
        return rc;
    }
    *out = inputs;
    return EDDY_OK;
}

eddy_status file_inputs_stdin(const struct eddy_limits *limits, struct file_inputs **out, struct eddy_error *err)
{
    *out = NULL;
    struct file_inputs *inputs = calloc(1, sizeof(*inputs));
    if (!inputs) return eddy_fail(err, EDDY_ENOMEM, "stdin: out of memory");
    inputs->max_len = (size_t)limits->record;
    eddy_status rc = file_list_add(inputs, "-", err);
    if (rc < 0) {
        file_inputs_close(inputs);
        return rc;
    }
    *out = inputs;
    return EDDY_OK;
}

const struct eddy_schema *file_inputs_schema(const struct file_inputs *inputs)
{
    return inputs->schema.n_values ? &inputs->schema : NULL;
}
