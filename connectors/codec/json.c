#include "connectors/codec/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/codec/codecs.h"
#include "connectors/codec/json_general.h"
#include "connectors/codec/json_incident.h"
#include "connectors/codec/json_scan.h"
#include "connectors/codec/json_write.h"
#include "connectors/codec/utf8.h"

struct json_codec {
    const struct json_settings *settings;
    struct eddy_limits limits;
    struct json_fields_cache fields;
    struct json_scanner scanner;
    struct json_value *values; /* [cap_values] */
    int cap_values;
    struct timestamp_minute near; /* of the time that was read last */
    struct json_manner manner;
};

static void json_close(void *codec)
{
    struct json_codec *j = codec;
    if (!j) return;
    json_fields_free(&j->fields);
    json_scanner_close(&j->scanner);
    free(j->values);
    free(j);
}

static eddy_status json_open(const void *settings, const struct eddy_limits *limits, void **out,
                             struct eddy_error *err)
{
    *out = NULL;
    struct json_codec *j = calloc(1, sizeof(*j));
    if (!j) return eddy_fail(err, EDDY_ENOMEM, "json: out of memory");
    j->settings = settings;
    j->limits = *limits;
    j->fields.settings = settings;
    j->manner.time_format = j->settings->time_format;
    eddy_status rc = json_result_bits(&j->settings->fields, &j->manner.bits, err);
    if (rc >= 0) rc = json_scanner_open(&j->scanner, &j->limits, err);
    if (rc < 0) {
        json_close(j);
        return rc;
    }
    *out = j;
    return EDDY_OK;
}

/* ---- decode ---- */

static eddy_status check_size(const struct json_codec *j, const struct eddy_record *r, struct eddy_error *err)
{
    if (!r->payload || r->payload_len == 0) return eddy_fail_record(err, "empty", "the record is empty");
    if (r->payload_len > (size_t)j->limits.record)
        return eddy_fail_record(err, "too_large", "the record has more than limits.record = %lld bytes",
                                (long long)j->limits.record);
    return EDDY_OK;
}

__attribute__((noinline)) static eddy_status more_values(struct json_codec *j, int n, struct eddy_error *err)
{
    struct json_value *more = realloc(j->values, (size_t)n * sizeof(*more));
    if (!more) return eddy_fail(err, EDDY_ENOMEM, "json: out of memory");
    j->values = more;
    j->cap_values = n;
    return EDDY_OK;
}

/* Reads all wanted fields into j->values. */
static inline eddy_status read_fields(struct json_codec *j, const struct json_fields *fields,
                                      const struct eddy_record *r, struct eddy_arena *arena, struct eddy_error *err)
{
    eddy_status rc = fields->n > j->cap_values ? more_values(j, fields->n, err) : EDDY_OK;
    if (rc >= 0) rc = json_scan(&j->scanner, fields, r->payload, r->payload_len, arena, j->values, err);
    if (rc >= 0 && fields->paths) rc = json_general(fields, r->payload, r->payload_len, arena, j->values, err);
    return rc;
}

static eddy_status take_key(const struct json_codec *j, const struct json_value *value, const struct eddy_record *r,
                            struct eddy_event *out, struct eddy_error *err)
{
    const char *name = j->settings->key;
    if (!value) {
        if (!r->key || r->key_len == 0) return eddy_fail_record(err, "missing_key", "the record has no key");
        out->key = r->key;
        out->key_len = r->key_len;
    } else if (value->type == JSON_TYPE_STRING || value->type == JSON_TYPE_NUMBER) {
        if (value->len == 0) return eddy_fail_record(err, "missing_key", "field \"%s\", the key, is empty", name);
        out->key = value->text;
        out->key_len = value->len;
    } else if (value->type == JSON_TYPE_ABSENT || value->type == JSON_TYPE_NULL) {
        return eddy_fail_record(err, "missing_key", "field \"%s\", the key, is missing", name);
    } else {
        return eddy_fail_record(err, "wrong_type", "field \"%s\", the key, is %s", name, json_type_text(value->type));
    }
    if (out->key_len > (size_t)j->limits.key)
        return eddy_fail_record(err, "key_too_long", "the key has %zu bytes, more than limits.key = %lld",
                                out->key_len, (long long)j->limits.key);
    if (!value && !utf8_valid(out->key, out->key_len)) /* what is JSON has been looked at */
        return eddy_fail_record(err, "not_utf8", "the key is not UTF-8");
    return EDDY_OK;
}

static eddy_status take_time(struct json_codec *j, const struct json_value *value, const struct eddy_record *r,
                             struct eddy_event *out, struct eddy_error *err)
{
    static const char *const units[] = {"iso8601", "s", "ms", "us", "ns"};
    const char *name = j->settings->time, *unit = units[j->settings->time_unit];
    if (!value) {
        if (r->time_ns == EDDY_NO_TIME) return eddy_fail_record(err, "missing_time", "the record has no timestamp");
        out->time_ns = r->time_ns;
        out->time_text = NULL;
        out->time_text_len = 0;
        return EDDY_OK;
    }
    if (value->type == JSON_TYPE_ABSENT || value->type == JSON_TYPE_NULL)
        return eddy_fail_record(err, "missing_time", "field \"%s\", the time, is missing", name);
    if (value->type != JSON_TYPE_STRING && value->type != JSON_TYPE_NUMBER)
        return eddy_fail_record(err, "wrong_type", "field \"%s\", the time, is %s", name,
                                json_type_text(value->type));
    if (value->type == JSON_TYPE_NUMBER && j->settings->time_unit == TIME_ISO8601)
        return eddy_fail_record(err, "bad_time", "field \"%s\", the time, is a number, but time_unit is iso8601",
                                name);
    if (!timestamp_parse_as(&j->near, value->text, value->len, (enum time_unit)j->settings->time_unit, &out->time_ns))
        return eddy_fail_record(err, "bad_time", "field \"%s\": \"%.*s\" is no time (time_unit: %s)", name,
                                value->len > 60 ? 60 : (int)value->len, value->text, unit);
    out->time_text = value->text;
    out->time_text_len = value->len;
    return EDDY_OK;
}

/* Key and time. */
static eddy_status take_head(struct json_codec *j, const struct json_fields *fields, const struct eddy_record *r,
                             struct eddy_event *out, struct eddy_error *err)
{
    const struct json_value *key = fields->key >= 0 ? &j->values[fields->key] : NULL;
    const struct json_value *time = fields->time >= 0 ? &j->values[fields->time] : NULL;
    eddy_status rc = take_key(j, key, r, out, err);
    return rc < 0 ? rc : take_time(j, time, r, out, err);
}

/* What a field says as text; the empty text when it is missing. */
static eddy_status take_text(const struct json_field *field, const struct json_value *value, const char **text,
                             size_t *len, struct eddy_error *err)
{
    *text = "";
    *len = 0;
    if (value->type == JSON_TYPE_ABSENT || value->type == JSON_TYPE_NULL) return EDDY_OK;
    if (value->type == JSON_TYPE_OBJECT || value->type == JSON_TYPE_ARRAY)
        return eddy_fail_record(err, "wrong_type", "field \"%s\", a %s, is %s", field->name,
                                field->role == JSON_ROLE_LABEL ? "label" : "category", json_type_text(value->type));
    *text = value->text;
    *len = value->len;
    return EDDY_OK;
}

static eddy_status take_categories(const struct json_fields *fields, const struct json_value *values,
                                   float *category /* [n_categories] or NULL */, struct eddy_error *err)
{
    for (int i = 0; i < fields->n_categories && category; i++) {
        const char *text;
        size_t len;
        int at = fields->n_values + i;
        eddy_status rc = take_text(&fields->item[at], &values[at], &text, &len, err);
        if (rc < 0) return rc;
        category[i] = eddy_category(text, len);
    }
    return EDDY_OK;
}

static eddy_status take_label(const struct json_fields *fields, const struct json_value *values,
                              struct eddy_event *out, struct eddy_error *err)
{
    out->label = NULL;
    out->label_len = 0;
    out->label_only = false;
    if (fields->label < 0) return EDDY_OK;
    eddy_status rc = take_text(&fields->item[fields->label], &values[fields->label], &out->label, &out->label_len,
                               err);
    if (out->label_len == 0) out->label = NULL;
    out->label_only = out->label && fields->n_values > 0;
    for (int i = 0; i < fields->n_values && out->label_only; i++)
        out->label_only = values[i].type == JSON_TYPE_ABSENT;
    return rc;
}

static eddy_status take_values(const struct json_fields *fields, const struct json_value *values, double *x,
                               struct eddy_error *err)
{
    for (int i = 0; i < fields->n_values; i++) {
        int type = values[i].type;
        if (type == JSON_TYPE_NUMBER)
            x[i] = values[i].number;
        else if (type == JSON_TYPE_ABSENT || type == JSON_TYPE_NULL)
            x[i] = NAN;
        else
            return eddy_fail_record(err, "wrong_type", "field \"%s\" is %s, not a number", fields->item[i].name,
                                    json_type_text(type));
    }
    return EDDY_OK;
}

static eddy_status json_decode(void *codec, const struct eddy_schema *schema, const struct eddy_record *r,
                               struct eddy_arena *arena, struct eddy_event *out, struct eddy_error *err)
{
    struct json_codec *j = codec;
    eddy_status rc = check_size(j, r, err);
    if (rc < 0) return rc;
    const struct json_fields *fields = json_fields_get(&j->fields, schema);
    if (!fields) return eddy_fail(err, EDDY_ENOMEM, "json: out of memory");
    rc = read_fields(j, fields, r, arena, err);
    if (rc >= 0) rc = take_head(j, fields, r, out, err);
    if (rc >= 0) rc = take_values(fields, j->values, out->x, err);
    if (rc >= 0) rc = take_categories(fields, j->values, out->category, err);
    if (rc >= 0) rc = take_label(fields, j->values, out, err);
    return rc;
}

/* ---- discover ---- */

static eddy_status append_names(const struct eddy_strings *values, struct eddy_buffer *names, struct eddy_error *err)
{
    for (int i = 0; i < values->n; i++)
        if (eddy_buffer_append(names, values->item[i], strlen(values->item[i]) + 1) < 0)
            return eddy_fail(err, EDDY_ENOMEM, "json: out of memory");
    return values->n;
}

static eddy_status json_discover(void *codec, const struct eddy_record *r, struct eddy_buffer *names,
                                 struct eddy_error *err)
{
    struct json_codec *j = codec;
    if (j->settings->values.n > 0) return append_names(&j->settings->values, names, err);

    eddy_status rc = check_size(j, r, err);
    if (rc < 0) return rc;
    const struct json_fields *fields = json_fields_get(&j->fields, NULL);
    if (!fields) return eddy_fail(err, EDDY_ENOMEM, "json: out of memory");

    int n = 0;
    struct eddy_event event;
    struct eddy_arena arena = {0};
    struct eddy_buffer found = {0};
    rc = read_fields(j, fields, r, &arena, err);
    if (rc >= 0) rc = take_head(j, fields, r, &event, err); /* a bad record must not settle what the values are */
    if (rc >= 0)
        rc = json_scan_numbers(&j->scanner, fields, r->payload, r->payload_len, &arena, j->values, &found, &n, err);
    if (rc >= 0 && n == 0)
        rc = eddy_fail_record(err, "no_values",
                              "no field is a number and nothing else already; name the values in codec.json.values");
    if (rc >= 0 && eddy_buffer_append(names, found.data, found.len) < 0)
        rc = eddy_fail(err, EDDY_ENOMEM, "json: out of memory");
    eddy_buffer_free(&found);
    eddy_arena_free(&arena);
    return rc < 0 ? rc : n;
}

static eddy_status json_categories(void *codec, struct eddy_buffer *names, struct eddy_error *err)
{
    return append_names(&((struct json_codec *)codec)->settings->categories, names, err);
}

/* ---- encode ---- */

static eddy_status json_encode(void *codec, const struct eddy_result *result, struct eddy_buffer *out,
                               struct eddy_error *err)
{
    struct json_codec *j = codec;
    const struct json_fields *fields = NULL;
    if (result->schema->n_values > 1) {
        fields = json_fields_get(&j->fields, result->schema);
        if (!fields) return eddy_fail(err, EDDY_ENOMEM, "json: out of memory");
    }
    return json_write(result, fields, &j->manner, out, err);
}

/* ---- the part ---- */

/* A name for `what` may be neither the key nor the time, nor (where `label` is given) the label, nor one of the first n
 * categories. */
static eddy_status check_name(const struct json_settings *s, const char *what, const char *name, const char *label,
                              int n_categories, struct eddy_error *err)
{
    const char *taken = strcmp(name, s->key) == 0           ? "the key"
                        : strcmp(name, s->time) == 0        ? "the time"
                        : label && strcmp(name, label) == 0 ? "the label"
                                                            : NULL;
    for (int i = 0; i < n_categories && !taken; i++)
        if (strcmp(name, s->categories.item[i]) == 0) taken = "a category";
    if (!*name) return eddy_fail(err, EDDY_ECONFIG, "%s: a name is empty", what);
    if (taken) return eddy_fail(err, EDDY_ECONFIG, "%s: \"%s\" is %s already", what, name, taken);
    return EDDY_OK;
}

static eddy_status json_check(const void *settings, struct eddy_error *err)
{
    const struct json_settings *s = settings;
    unsigned bits;
    if (!*s->key || !*s->time) return eddy_fail(err, EDDY_ECONFIG, "key and time must not be empty");
    if (strcmp(s->key, s->time) == 0) return eddy_fail(err, EDDY_ECONFIG, "key and time are both \"%s\"", s->key);
    eddy_status rc = s->label ? check_name(s, "label", s->label, NULL, 0, err) : EDDY_OK;
    for (int i = 0; i < s->categories.n && rc >= 0; i++)
        rc = check_name(s, "categories", s->categories.item[i], s->label, i, err);
    if (rc >= 0) rc = json_result_bits(&s->fields, &bits, err);
    for (int i = 0; i < s->values.n && rc >= 0; i++) {
        const char *name = s->values.item[i];
        rc = check_name(s, "values", name, s->label, s->categories.n, err);
        for (int k = 0; k < i && rc >= 0; k++)
            if (strcmp(name, s->values.item[k]) == 0)
                rc = eddy_fail(err, EDDY_ECONFIG, "values: \"%s\" is given twice", name);
    }
    return rc;
}

static eddy_status json_encode_incident(void *codec, const struct eddy_result *result, int i, struct eddy_buffer *out,
                                        struct eddy_error *err)
{
    return json_incident_record(result, i, ((const struct json_codec *)codec)->settings->time_format, out, err);
}

static const struct eddy_option json_options[] = {
    {.name = "key",
     .type = EDDY_OPT_STRING,
     .offset = offsetof(struct json_settings, key),
     .default_text = "$key",
     .help = "What tells the series apart: a field (payload.id and list.0 reach into objects and lists), or $key, "
             "the key "
             "of the Kafka record."},
    {.name = "time",
     .type = EDDY_OPT_STRING,
     .offset = offsetof(struct json_settings, time),
     .default_text = "ts",
     .help = "The time of the event: a field, or $timestamp, the time of the Kafka record."},
    {.name = "time_unit",
     .type = EDDY_OPT_ENUM,
     .offset = offsetof(struct json_settings, time_unit),
     .default_text = "iso8601",
     .unit = TIME_UNIT_WORDS,
     .help = "How the time is written: RFC 3339 or YYYY-MM-DD[ HH:MM[:SS]], or as a number of s, ms, us or ns since "
             "1970."},
    {.name = "values",
     .type = EDDY_OPT_STRINGS,
     .offset = offsetof(struct json_settings, values),
     .default_text = "",
     .help =
         "The fields to score. Unset: every numeric field of the first good record that is not key, time, label or "
         "category."},
    {.name = "label",
     .type = EDDY_OPT_STRING,
     .offset = offsetof(struct json_settings, label),
     .default_text = "",
     .help = "The field with the class of the event, for networks that classify. It may come later, in a record with "
             "key, "
             "time and label alone. Unset: events have none."},
    {.name = "categories",
     .type = EDDY_OPT_STRINGS,
     .offset = offsetof(struct json_settings, categories),
     .default_text = "",
     .help = "Fields with a word or a code, such as a machine's type, which a network takes as input."},
    {.name = "time_format",
     .type = EDDY_OPT_ENUM,
     .offset = offsetof(struct json_settings, time_format),
     .default_text = "rfc3339",
     .unit = TIME_FORMAT_WORDS,
     .help = "How results carry the time: RFC 3339 in UTC, milliseconds since 1970, or as it came in."},
    {.name = "fields",
     .type = EDDY_OPT_STRINGS,
     .offset = offsetof(struct json_settings, fields),
     .default_text = "",
     .help =
         "The fields of results that are written, for lean output: some of key, ts, y, yhat, yhat_lower, yhat_upper, "
         "score, evidence, score_ratio, anomaly, state, model, incident, attribution, forecast, smoothed, classes "
         "(with class), incidents, src; their order stays. Unset: all that there are."},
    {0}};

const struct eddy_codec codec_json = {
    .part = {.struct_size = sizeof(struct eddy_codec),
             .kind = EDDY_PART_CODEC,
             .name = "json",
             .summary = "One JSON object per record; results as JSON.",
             .options = json_options,
             .settings_size = sizeof(struct json_settings),
             .check = json_check},
    .open = json_open,
    .discover = json_discover,
    .decode = json_decode,
    .encode = json_encode,
    .close = json_close,
    .categories = json_categories,
    .encode_incident = json_encode_incident,
};
