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
    free((void *)inputs->categories);
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

/* ---- the columns of all files ---- */

static eddy_status add_name(const char ***names, int *n, const char *name, struct eddy_error *err)
{
    for (int i = 0; i < *n; i++)
        if (strcmp((*names)[i], name) == 0) return EDDY_OK;
    const char **more = realloc((void *)*names, ((size_t)*n + 1) * sizeof(*more));
    if (!more) return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", name);
    *names = more;
    more[(*n)++] = name;
    return EDDY_OK;
}

static const char *first_csv(const struct file_inputs *inputs)
{
    for (int i = 0; i < inputs->n; i++)
        if (inputs->item[i].columns) return inputs->item[i].path;
    return NULL;
}

static eddy_status nowhere(const struct file_inputs *inputs, const char *name, const char *option,
                           struct eddy_error *err)
{
    return eddy_fail(err, EDDY_EINVAL, "%s: there is no column \"%s\" (%s)%s", first_csv(inputs), name, option,
                     inputs->n > 1 ? ", nor in the other files" : "");
}

/* The first column of that name among the files' values or categories; NULL when there is none. */
static const char *find_name(const struct file_inputs *inputs, const char *name, bool category)
{
    for (int i = 0; i < inputs->n; i++) {
        const struct csv_columns *c = inputs->item[i].columns;
        if (!c) continue;
        const char *const *names = category ? c->categories : c->values;
        int n = category ? c->n_categories : c->n_values;
        for (int k = 0; k < n; k++)
            if (strcmp(names[k], name) == 0) return names[k];
    }
    return NULL;
}

/* By first appearance; values that were asked for come in the order they were asked in, and must be somewhere. */
static eddy_status collect_values(struct file_inputs *inputs, const struct file_csv_settings *csv,
                                  struct eddy_error *err)
{
    struct eddy_schema *s = &inputs->schema;
    eddy_status rc = EDDY_OK;
    for (int k = 0; k < csv->values.n && rc >= 0; k++) {
        const char *found = find_name(inputs, csv->values.item[k], false);
        if (!found) return nowhere(inputs, csv->values.item[k], "values", err);
        rc = add_name(&inputs->names, &s->n_values, found, err);
    }
    for (int i = 0; i < inputs->n && rc >= 0; i++) {
        struct csv_columns *c = inputs->item[i].columns;
        for (int v = 0; c && v < c->n_values && rc >= 0; v++)
            rc = add_name(&inputs->names, &s->n_values, c->values[v], err);
        if (c) c->all = s;
    }
    s->names = inputs->names;
    if (rc >= 0 && s->n_values == 0)
        rc = eddy_fail(err, EDDY_EINVAL, "%s: no column with numbers but time and key", first_csv(inputs));
    return rc;
}

/* In the order they were asked in; each must be somewhere, and so must the label. */
static eddy_status collect_labels(struct file_inputs *inputs, const struct file_csv_settings *csv,
                                  struct eddy_error *err)
{
    struct eddy_schema *s = &inputs->schema;
    bool labelled = false;
    for (int i = 0; i < inputs->n; i++) labelled |= inputs->item[i].columns && inputs->item[i].columns->has_label;
    if (csv->label_column && !labelled) return nowhere(inputs, csv->label_column, "label column", err);
    eddy_status rc = EDDY_OK;
    for (int k = 0; k < csv->category_columns.n && rc >= 0; k++) {
        const char *found = find_name(inputs, csv->category_columns.item[k], true);
        if (!found) return nowhere(inputs, csv->category_columns.item[k], "category columns", err);
        rc = add_name(&inputs->categories, &s->n_categories, found, err);
    }
    s->categories = inputs->categories;
    return rc;
}

static eddy_status collect_columns(struct file_inputs *inputs, const struct file_csv_settings *csv,
                                   struct eddy_error *err)
{
    if (!first_csv(inputs)) return EDDY_OK;
    eddy_status rc = collect_values(inputs, csv, err);
    return rc < 0 ? rc : collect_labels(inputs, csv, err);
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
    if (rc >= 0) rc = collect_columns(inputs, &settings->csv, err);
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
