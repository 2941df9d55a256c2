#include "connectors/codec/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/codec/codecs.h"
#include "connectors/codec/csv_map.h"
#include "connectors/codec/csv_write.h"
#include "connectors/codec/json.h"
#include "connectors/codec/json_incident.h"
#include "connectors/codec/number.h"
#include "connectors/codec/utf8.h"

/* What the columns of results depend on. */
struct header_shape {
    int n_values, n_horizons, n_classes;
    bool smoothed;
};

struct csv_codec {
    const struct csv_settings *settings;
    struct eddy_limits limits;
    struct csv_columns own; /* by the settings; n_columns 0 when they name none */
    int *own_role;
    struct csv_cell *cells; /* [cap_cells] */
    int cap_cells;
    struct timestamp_minute near; /* of the time that was read last */

    struct csv_map map;
    bool header_written;
    struct header_shape written;
};

static void csv_close(void *codec)
{
    struct csv_codec *c = codec;
    if (!c) return;
    free(c->own_role);
    free((void *)c->own.values);
    free(c->cells);
    csv_map_free(&c->map);
    free(c);
}

/* ---- open ---- */

static int column_index(const struct eddy_strings *columns, const char *name)
{
    for (int i = 0; i < columns->n; i++)
        if (strcmp(columns->item[i], name) == 0) return i;
    return -1;
}

/* What a column of the settings is, unless it is a value. */
static int own_role(const struct csv_settings *s, const char *name)
{
    int category = column_index(&s->categories, name);
    if (strcmp(name, s->key) == 0) return CSV_KEY;
    if (strcmp(name, s->time) == 0) return CSV_TIME;
    if (s->label && strcmp(name, s->label) == 0) return CSV_LABEL;
    return category >= 0 ? CSV_CATEGORY - category : CSV_IGNORE;
}

/* The columns that the settings name, for records without a context. */
static eddy_status own_columns(struct csv_codec *c, struct eddy_error *err)
{
    const struct csv_settings *s = c->settings;
    struct csv_columns *own = &c->own;
    int n = s->columns.n;
    if (n == 0) return EDDY_OK;
    const char **values = calloc((size_t)n, sizeof(*values));
    own->values = values;
    c->own_role = calloc((size_t)n, sizeof(*c->own_role));
    if (!values || !c->own_role) return eddy_fail(err, EDDY_ENOMEM, "csv: out of memory");

    *own = (struct csv_columns){.n_columns = n,
                                .role = c->own_role,
                                .values = values,
                                .n_categories = s->categories.n,
                                .categories = s->categories.item,
                                .time_unit = s->time_unit,
                                .clock = CSV_CLOCK_RECORD};
    for (int i = 0; i < n; i++) {
        const char *name = s->columns.item[i];
        int role = own_role(s, name);
        if (role == CSV_IGNORE && (s->values.n == 0 || column_index(&s->values, name) >= 0)) role = own->n_values;
        if (role >= 0) values[own->n_values++] = name;
        if (role == CSV_TIME) own->clock = CSV_CLOCK_COLUMN;
        own->has_key |= role == CSV_KEY;
        own->has_label |= role == CSV_LABEL;
        c->own_role[i] = role;
    }
    return EDDY_OK;
}

static eddy_status csv_open(const void *settings, const struct eddy_limits *limits, void **out,
                            struct eddy_error *err)
{
    *out = NULL;
    struct csv_codec *c = calloc(1, sizeof(*c));
    if (!c) return eddy_fail(err, EDDY_ENOMEM, "csv: out of memory");
    c->settings = settings;
    c->limits = *limits;
    eddy_status rc = own_columns(c, err);
    if (rc < 0) {
        csv_close(c);
        return rc;
    }
    *out = c;
    return EDDY_OK;
}

/* ---- decode ---- */

static eddy_status columns_of(struct csv_codec *c, const struct eddy_record *r, const struct csv_columns **columns,
                              struct eddy_error *err)
{
    *columns = r->context ? r->context : &c->own;
    if ((*columns)->n_columns > 0) return EDDY_OK;
    return eddy_fail(err, EDDY_ECONFIG, "%s: codec.csv.columns must name the columns of these records", r->topic);
}

/* The record's cells into c->cells. */
static eddy_status read_cells(struct csv_codec *c, const struct csv_columns *columns, const struct eddy_record *r,
                              struct eddy_arena *arena, struct eddy_error *err)
{
    if (!r->payload || r->payload_len == 0) return eddy_fail_record(err, "empty", "the line is empty");
    if (r->payload_len > (size_t)c->limits.record)
        return eddy_fail_record(err, "too_large", "the line has more than limits.record = %lld bytes",
                                (long long)c->limits.record);
    if (columns->n_columns > c->cap_cells) {
        struct csv_cell *more = realloc(c->cells, (size_t)columns->n_columns * sizeof(*more));
        if (!more) return eddy_fail(err, EDDY_ENOMEM, "csv: out of memory");
        c->cells = more;
        c->cap_cells = columns->n_columns;
    }
    size_t len = r->payload_len;
    while (len > 0 && (r->payload[len - 1] == '\n' || r->payload[len - 1] == '\r')) len--;
    int n = csv_split(r->payload, len, arena, c->cells, columns->n_columns, err);
    if (n >= 0 && n != columns->n_columns)
        return eddy_fail_record(err, "not_csv", "%d cells, but there are %d columns", n, columns->n_columns);
    return n < 0 ? n : EDDY_OK;
}

static eddy_status take_key(const struct csv_codec *c, const struct csv_columns *columns, const struct eddy_record *r,
                            struct eddy_event *out, struct eddy_error *err)
{
    out->key = r->key;
    out->key_len = r->key_len;
    for (int i = 0; i < columns->n_columns && columns->has_key; i++) {
        if (columns->role[i] != CSV_KEY) continue;
        out->key = c->cells[i].text;
        out->key_len = c->cells[i].len;
    }
    if (!out->key || out->key_len == 0) return eddy_fail_record(err, "missing_key", "the line has no key");
    if (out->key_len > (size_t)c->limits.key)
        return eddy_fail_record(err, "key_too_long", "the key has %zu bytes, more than limits.key = %lld",
                                out->key_len, (long long)c->limits.key);
    return utf8_valid(out->key, out->key_len) ? EDDY_OK : eddy_fail_record(err, "not_utf8", "the key is not UTF-8");
}

static eddy_status take_row_time(const struct csv_columns *columns, const struct eddy_record *r,
                                 struct eddy_event *out, struct eddy_error *err)
{
    int64_t passed_ns;
    if (__builtin_mul_overflow(r->offset - columns->first_offset, columns->interval_ns, &passed_ns) ||
        __builtin_add_overflow(columns->start_ns, passed_ns, &out->time_ns))
        return eddy_fail_record(err, "bad_time", "row %lld lies beyond the year 2262", (long long)r->offset);
    return EDDY_OK;
}

static eddy_status take_time_cell(struct timestamp_minute *near, const struct csv_columns *columns,
                                  const struct csv_cell *cell, struct eddy_event *out, struct eddy_error *err)
{
    const char *text = cell->text;
    size_t len = cell->len;
    while (len > 0 && *text == ' ') text++, len--;
    while (len > 0 && text[len - 1] == ' ') len--;
    if (csv_is_missing(cell)) return eddy_fail_record(err, "missing_time", "the time is missing");
    if (!timestamp_parse_as(near, text, len, (enum time_unit)columns->time_unit, &out->time_ns))
        return eddy_fail_record(err, "bad_time", "\"%.*s\" is no time%s", len > 60 ? 60 : (int)len, text,
                                columns->time_unit == TIME_ISO8601 ? " (epoch numbers need a time unit)" : "");
    out->time_text = text;
    out->time_text_len = len;
    return EDDY_OK;
}

static eddy_status take_time(struct csv_codec *c, const struct csv_columns *columns, const struct eddy_record *r,
                             struct eddy_event *out, struct eddy_error *err)
{
    out->time_text = NULL;
    out->time_text_len = 0;
    out->time_ns = r->time_ns;
    if (columns->clock == CSV_CLOCK_ROWS) return take_row_time(columns, r, out, err);
    for (int i = 0; i < columns->n_columns && columns->clock == CSV_CLOCK_COLUMN; i++)
        if (columns->role[i] == CSV_TIME) return take_time_cell(&c->near, columns, &c->cells[i], out, err);
    if (out->time_ns == EDDY_NO_TIME) return eddy_fail_record(err, "missing_time", "the record has no timestamp");
    return EDDY_OK;
}

static bool is_infinity(const struct csv_cell *cell)
{
    static const char *const words[] = {"inf", "infinity"};
    size_t sign = cell->len > 0 && (*cell->text == '+' || *cell->text == '-');
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (cell->len == sign + strlen(words[i]) && strncasecmp(cell->text + sign, words[i], cell->len - sign) == 0)
            return true;
    return false;
}

static eddy_status take_value(const struct csv_columns *columns, int i, const struct csv_cell *cell, double *x,
                              struct eddy_error *err)
{
    const char *name = columns->values[columns->role[i]];
    int shown = cell->len > 60 ? 60 : (int)cell->len;
    if (!number_parse_text(cell->text, cell->len, x)) {
        *x = NAN;
        if (csv_is_missing(cell)) return EDDY_OK;
        if (is_infinity(cell)) return eddy_fail_record(err, "not_finite", "column \"%s\" is infinite", name);
        return eddy_fail_record(err, "wrong_type", "column \"%s\": \"%.*s\" is not a number", name, shown,
                                cell->text);
    }
    if (isinf(*x))
        return eddy_fail_record(err, "not_finite", "column \"%s\": %.*s is too large for a double", name, shown,
                                cell->text);
    *x += 0.0; /* there is no -0 among measurements */
    return EDDY_OK;
}

static eddy_status take_values(const struct csv_codec *c, const struct csv_columns *columns,
                               const struct eddy_schema *schema, double *x /* [n_values] */, struct eddy_error *err)
{
    for (int i = 0; i < schema->n_values; i++) x[i] = NAN; /* other files have columns that this one has not */
    for (int i = 0; i < columns->n_columns; i++) {
        double value;
        if (columns->role[i] < 0) continue;
        eddy_status rc = take_value(columns, i, &c->cells[i], &value, err);
        if (rc < 0) return rc;
        if (c->map.value[columns->role[i]] >= 0) x[c->map.value[columns->role[i]]] = value;
    }
    return EDDY_OK;
}

static void take_categories(const struct csv_codec *c, const struct csv_columns *columns,
                            const struct eddy_schema *schema, float *category /* [n_categories] or NULL */)
{
    const char *text = "";
    for (int i = 0; i < schema->n_categories && category; i++) category[i] = eddy_category(text, 0);
    for (int i = 0; i < columns->n_columns && category && columns->n_categories > 0; i++) {
        int slot = columns->role[i] <= CSV_CATEGORY ? c->map.category[CSV_CATEGORY - columns->role[i]] : -1;
        if (slot < 0) continue;
        size_t len = csv_text(&c->cells[i], &text);
        category[slot] = eddy_category(text, len);
    }
}

/* A label comes late when all cells of values are empty, or when there is none of them. */
static eddy_status take_label(const struct csv_codec *c, const struct csv_columns *columns, struct eddy_event *out,
                              struct eddy_error *err)
{
    bool empty = true;
    out->label = NULL;
    out->label_len = 0;
    for (int i = 0; i < columns->n_columns && columns->has_label; i++) {
        if (columns->role[i] == CSV_LABEL) out->label_len = csv_text(&c->cells[i], &out->label);
        if (columns->role[i] >= 0) empty = empty && csv_is_empty(&c->cells[i]);
    }
    out->label_only = out->label && empty;
    return !out->label || utf8_valid(out->label, out->label_len)
               ? EDDY_OK
               : eddy_fail_record(err, "not_utf8", "the label is not UTF-8");
}

static eddy_status csv_decode(void *codec, const struct eddy_schema *schema, const struct eddy_record *r,
                              struct eddy_arena *arena, struct eddy_event *out, struct eddy_error *err)
{
    struct csv_codec *c = codec;
    const struct csv_columns *columns;
    eddy_status rc = columns_of(c, r, &columns, err);
    if (rc >= 0) rc = csv_map(&c->map, columns, schema, err);
    if (rc >= 0) rc = read_cells(c, columns, r, arena, err);
    if (rc >= 0) rc = take_key(c, columns, r, out, err);
    if (rc >= 0) rc = take_time(c, columns, r, out, err);
    if (rc >= 0) rc = take_values(c, columns, schema, out->x, err);
    if (rc < 0) return rc;
    take_categories(c, columns, schema, out->category);
    return take_label(c, columns, out, err);
}

static eddy_status append_names(const char *const *item, int n, struct eddy_buffer *names, struct eddy_error *err)
{
    for (int i = 0; i < n; i++)
        if (eddy_buffer_append(names, item[i], strlen(item[i]) + 1) < 0)
            return eddy_fail(err, EDDY_ENOMEM, "csv: out of memory");
    return n;
}

static eddy_status csv_discover(void *codec, const struct eddy_record *r, struct eddy_buffer *names,
                                struct eddy_error *err)
{
    struct csv_codec *c = codec;
    const struct csv_columns *columns;
    eddy_status rc = columns_of(c, r, &columns, err);
    if (rc < 0) return rc;
    int n = columns->all ? columns->all->n_values : columns->n_values;
    const char *const *item = columns->all ? columns->all->names : columns->values;
    if (n == 0) return eddy_fail_record(err, "no_values", "no column is a value");
    return append_names(item, n, names, err);
}

static eddy_status csv_categories(void *codec, struct eddy_buffer *names, struct eddy_error *err)
{
    const struct eddy_strings *s = &((struct csv_codec *)codec)->settings->categories;
    return append_names(s->item, s->n, names, err);
}

/* ---- encode ---- */

static eddy_status csv_encode(void *codec, const struct eddy_result *result, struct eddy_buffer *out,
                              struct eddy_error *err)
{
    struct csv_codec *c = codec;
    const struct header_shape shape = {result->schema->n_values, result->n_horizons, result->classes.n_classes,
                                       result->smoothed.y != NULL};
    if (c->settings->header && !c->header_written) {
        eddy_status rc = csv_header(result, out, err);
        if (rc < 0) return rc;
        if (eddy_buffer_append(out, "\n", 1) < 0) return eddy_fail(err, EDDY_ENOMEM, "csv: out of memory");
        c->header_written = true;
        c->written = shape;
    }
    const struct header_shape *w = &c->written;
    if (c->settings->header && (shape.n_values != w->n_values || shape.n_horizons != w->n_horizons ||
                                shape.n_classes != w->n_classes || shape.smoothed != w->smoothed))
        return eddy_fail(err, EDDY_EUNSUPPORTED, "csv: %s has %d values, but the header was written for %d",
                         result->topic, shape.n_values, w->n_values);
    return csv_write(result, c->settings->time_format, out, err);
}

/* ---- the part ---- */

static eddy_status check_column(const struct csv_settings *s, const char *what, const char *name, const char *other,
                                struct eddy_error *err)
{
    if ((other && strcmp(name, other) == 0) || column_index(&s->columns, name) >= 0) return EDDY_OK;
    return eddy_fail(err, EDDY_ECONFIG, "%s: \"%s\" is not among the columns", what, name);
}

/* A column for `what` may be neither the key nor the time, nor (where `label` is given) the label, nor one of the first
 * n categories. */
static eddy_status check_use(const struct csv_settings *s, const char *what, const char *name, const char *label,
                             int n_categories, struct eddy_error *err)
{
    const char *taken = strcmp(name, s->key) == 0           ? "the key"
                        : strcmp(name, s->time) == 0        ? "the time"
                        : label && strcmp(name, label) == 0 ? "the label"
                                                            : NULL;
    const struct eddy_strings before = {n_categories, s->categories.item};
    if (column_index(&before, name) >= 0) taken = "a category";
    if (taken) return eddy_fail(err, EDDY_ECONFIG, "%s: \"%s\" is %s already", what, name, taken);
    return check_column(s, what, name, NULL, err);
}

static eddy_status csv_check(const void *settings, struct eddy_error *err)
{
    const struct csv_settings *s = settings;
    if (s->columns.n == 0) return EDDY_OK; /* files bring their own */
    for (int i = 0; i < s->columns.n; i++)
        if (column_index(&s->columns, s->columns.item[i]) != i)
            return eddy_fail(err, EDDY_ECONFIG, "columns: \"%s\" is given twice", s->columns.item[i]);
    if (strcmp(s->key, s->time) == 0) return eddy_fail(err, EDDY_ECONFIG, "key and time are both \"%s\"", s->key);
    eddy_status rc = check_column(s, "key", s->key, JSON_RECORD_KEY, err);
    if (rc >= 0) rc = check_column(s, "time", s->time, JSON_RECORD_TIME, err);
    if (rc >= 0 && s->label) rc = check_use(s, "label", s->label, NULL, 0, err);
    for (int i = 0; i < s->categories.n && rc >= 0; i++)
        rc = check_use(s, "categories", s->categories.item[i], s->label, i, err);
    for (int i = 0; i < s->values.n && rc >= 0; i++)
        rc = check_use(s, "values", s->values.item[i], s->label, s->categories.n, err);
    return rc;
}

/* Incidents are JSON lines: they nest. */
static eddy_status csv_encode_incident(void *codec, const struct eddy_result *result, int i, struct eddy_buffer *out,
                                       struct eddy_error *err)
{
    return json_incident_record(result, i, ((const struct csv_codec *)codec)->settings->time_format, out, err);
}

static const struct eddy_option csv_options[] = {
    {.name = "columns",
     .type = EDDY_OPT_STRINGS,
     .offset = offsetof(struct csv_settings, columns),
     .default_text = "",
     .help = "Names of the cells of a record, in order. Files with a header line bring their own."},
    {.name = "key",
     .type = EDDY_OPT_STRING,
     .offset = offsetof(struct csv_settings, key),
     .default_text = "$key",
     .help = "What tells the series apart: a column, or $key, the key of the Kafka record."},
    {.name = "time",
     .type = EDDY_OPT_STRING,
     .offset = offsetof(struct csv_settings, time),
     .default_text = "ts",
     .help = "The time of the event: a column, or $timestamp, the time of the Kafka record."},
    {.name = "time_unit",
     .type = EDDY_OPT_ENUM,
     .offset = offsetof(struct csv_settings, time_unit),
     .default_text = "iso8601",
     .unit = TIME_UNIT_WORDS,
     .help = "How the time is written: RFC 3339 or YYYY-MM-DD[ HH:MM[:SS]], or as a number of s, ms, us or ns since "
             "1970."},
    {.name = "values",
     .type = EDDY_OPT_STRINGS,
     .offset = offsetof(struct csv_settings, values),
     .default_text = "",
     .help = "The columns to score. Unset: all but key, time, label and categories."},
    {.name = "label",
     .type = EDDY_OPT_STRING,
     .offset = offsetof(struct csv_settings, label),
     .default_text = "",
     .help =
         "The column with the class of the event, for networks that classify. It may come later, in a line with key, "
         "time and label whose other cells are empty. Unset: events have none."},
    {.name = "categories",
     .type = EDDY_OPT_STRINGS,
     .offset = offsetof(struct csv_settings, categories),
     .default_text = "",
     .help = "Columns with a word or a code, such as a machine's type, which a network takes as input."},
    {.name = "time_format",
     .type = EDDY_OPT_ENUM,
     .offset = offsetof(struct csv_settings, time_format),
     .default_text = "rfc3339",
     .unit = TIME_FORMAT_WORDS,
     .help = "How results carry the time: RFC 3339 in UTC, milliseconds since 1970, or as it came in."},
    {.name = "header",
     .type = EDDY_OPT_BOOL,
     .offset = offsetof(struct csv_settings, header),
     .default_text = "false",
     .help = "Write the line of column names before the first result."},
    {0}};

const struct eddy_codec codec_csv = {
    .part = {.struct_size = sizeof(struct eddy_codec),
             .kind = EDDY_PART_CODEC,
             .name = "csv",
             .summary = "One line of cells per record; results as columns.",
             .options = csv_options,
             .settings_size = sizeof(struct csv_settings),
             .check = csv_check},
    .open = csv_open,
    .discover = csv_discover,
    .decode = csv_decode,
    .encode = csv_encode,
    .close = csv_close,
    .categories = csv_categories,
    .encode_incident = csv_encode_incident,
};
