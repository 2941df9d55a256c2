#include "connectors/codec/csv_write.h"

#include <math.h>
#include <string.h>

#include "connectors/codec/csv.h"
#include "connectors/codec/json_write.h"
#include "connectors/codec/number.h"

/* Text as a cell, in quotes where it needs them: at most 2 * len + 2 bytes. */
static char *write_text(char *p, const char *text, size_t len)
{
    bool plain = true;
    for (size_t i = 0; i < len && plain; i++)
        plain = text[i] != ',' && text[i] != '"' && text[i] != '\n' && text[i] != '\r';
    if (plain) {
        memcpy(p, text, len);
        return p + len;
    }
    *p++ = '"';
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"') *p++ = '"';
        *p++ = text[i];
    }
    *p++ = '"';
    return p;
}

static char *write_word(char *p, const char *word)
{
    size_t len = strlen(word);
    memcpy(p, word, len);
    return p + len;
}

static char *write_number(char *p, double x)
{
    *p++ = ',';
    return isnan(x) ? p : p + number_write(x, p);
}

static char *write_numbers(char *p, const double *x, int n)
{
    for (int i = 0; i < n; i++) p = write_number(p, x[i]);
    return p;
}

static char *write_instant(char *p, int64_t time_ns, int format)
{
    if (format == TIME_FORMAT_EPOCH_MS) return p + timestamp_write_epoch_ms(time_ns, p);
    return p + timestamp_write(time_ns, p);
}

static char *write_time(char *p, const struct eddy_result *r, int format)
{
    if (format == TIME_FORMAT_AS_INPUT && r->time_text) return write_text(p, r->time_text, r->time_text_len);
    return write_instant(p, r->time_ns, format);
}

/* Cells stay empty until there is a smoothed event. */
static char *write_smoothed(char *p, const struct eddy_result *r, int format)
{
    const struct eddy_smoothed *s = &r->smoothed;
    if (!s->y) return p;
    *p++ = ',';
    if (s->known) p = write_instant(p, s->time_ns, format);
    for (int i = 0; i < r->schema->n_values; i++) p = write_number(p, s->known ? s->y[i] : (double)NAN);
    return write_number(p, s->known ? s->score : (double)NAN);
}

static char *write_classes(char *p, const struct eddy_classes *c)
{
    if (c->n_classes == 0) return p;
    *p++ = ',';
    if (c->label) p = write_text(p, c->label, strlen(c->label));
    return write_numbers(p, c->p, c->n_classes);
}

static size_t row_bound(const struct eddy_result *r)
{
    enum { FIXED_BYTES = 512 };
    size_t n_numbers = (6 + (r->moves ? 6 : 3) * (size_t)r->n_horizons) * (size_t)r->schema->n_values +
                       (size_t)r->classes.n_classes;
    size_t n_letters = r->key_len + r->time_text_len + strlen(r->topic) + (r->incident ? strlen(r->incident) : 0);
    if (r->classes.label) n_letters += strlen(r->classes.label);
    return FIXED_BYTES + 2 * n_letters + n_numbers * (NUMBER_TEXT_BYTES + 1);
}

eddy_status csv_write(const struct eddy_result *r, int time_format, struct eddy_buffer *out, struct eddy_error *err)
{
    int n = r->schema->n_values;
    if (eddy_buffer_reserve(out, row_bound(r)) < 0)
        return eddy_fail(err, EDDY_ENOMEM, "csv: out of memory for a result");

    char *begin = out->data + out->len, *p = write_text(begin, r->key, r->key_len);
    *p++ = ',';
    p = write_time(p, r, time_format);
    p = write_numbers(p, r->y, n);
    p = write_numbers(p, r->yhat, n);
    p = write_numbers(p, r->yhat_lower, n);
    p = write_numbers(p, r->yhat_upper, n);
    p = write_number(write_number(write_number(p, r->score), r->evidence), r->score_ratio);
    p = write_word(p, r->anomaly ? ",true," : ",false,");
    p = write_word(write_word(p, json_state_text(r->state)), ",v");
    p += number_write_int((int64_t)r->model, p);
    *p++ = ',';
    if (r->incident) p = write_word(p, r->incident);
    for (int i = 0; i < n && n > 1; i++) p = write_number(p, r->attribution ? (double)r->attribution[i] : 0.0);
    for (int h = 0; h < r->n_horizons; h++) {
        size_t row = (size_t)h * (size_t)n;
        p = write_numbers(p, r->forecast + row, n);
        p = write_numbers(p, r->lower + row, n);
        p = write_numbers(p, r->upper + row, n);
        for (size_t k = 0; k < 3 && r->moves; k++)
            p = write_numbers(p, r->moves + k * (size_t)r->n_horizons * (size_t)n + row, n);
    }
    p = write_smoothed(p, r, time_format);
    p = write_classes(p, &r->classes);
    *p++ = ',';
    p = write_text(p, r->topic, strlen(r->topic));
    *p++ = ',';
    p += number_write_int(r->partition, p);
    *p++ = ',';
    p += number_write_int(r->offset, p);
    out->len += (size_t)(p - begin);
    return EDDY_OK;
}

/* ---- the header ---- */

/* ",stem_NAME_hH": the name when there are several values, the horizon when it is not 0. */
static eddy_status add_name(struct eddy_buffer *out, const char *stem, const char *name, int horizon)
{
    struct eddy_buffer text = {0};
    char number[NUMBER_TEXT_BYTES];
    eddy_status rc = eddy_buffer_append(&text, stem, strlen(stem));
    if (rc >= 0 && name) rc = eddy_buffer_append(&text, "_", 1);
    if (rc >= 0 && name) rc = eddy_buffer_append(&text, name, strlen(name));
    if (rc >= 0 && horizon) rc = eddy_buffer_append(&text, "_h", 2);
    if (rc >= 0 && horizon) rc = eddy_buffer_append(&text, number, number_write_int(horizon, number));
    if (rc >= 0) rc = eddy_buffer_reserve(out, 2 * text.len + 3);
    if (rc >= 0) {
        char *p = out->data + out->len;
        if (out->len) *p++ = ',';
        out->len = (size_t)(write_text(p, text.data, text.len) - out->data);
    }
    eddy_buffer_free(&text);
    return rc;
}

static eddy_status add_names(struct eddy_buffer *out, const char *stem, const struct eddy_schema *s, int horizon)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < s->n_values && rc >= 0; i++)
        rc = add_name(out, stem, s->n_values > 1 ? s->names[i] : NULL, horizon);
    return rc;
}

static eddy_status add_forecasts(struct eddy_buffer *line, const struct eddy_result *r)
{
    static const char *const series[] = {"yhat", "yhat_lower", "yhat_upper", "down", "flat", "up"};
    const size_t n_series = r->moves ? 6 : 3;
    eddy_status rc = EDDY_OK;
    for (int h = 0; h < r->n_horizons; h++)
        for (size_t i = 0; i < n_series && rc >= 0; i++) rc = add_names(line, series[i], r->schema, r->horizons[h]);
    return rc;
}

static eddy_status add_smoothed(struct eddy_buffer *line, const struct eddy_result *r)
{
    if (!r->smoothed.y) return EDDY_OK;
    eddy_status rc = add_name(line, "smoothed_ts", NULL, 0);
    if (rc >= 0) rc = add_names(line, "smoothed", r->schema, 0);
    return rc < 0 ? rc : add_name(line, "smoothed_score", NULL, 0);
}

static eddy_status add_classes(struct eddy_buffer *line, const struct eddy_classes *c)
{
    eddy_status rc = c->n_classes ? add_name(line, "class", NULL, 0) : EDDY_OK;
    for (int k = 0; k < c->n_classes && rc >= 0; k++) rc = add_name(line, "p", c->names[k], 0);
    return rc;
}

eddy_status csv_header(const struct eddy_result *r, struct eddy_buffer *out, struct eddy_error *err)
{
    static const char *const series[] = {"y", "yhat", "yhat_lower", "yhat_upper"};
    static const char *const verdict[] = {"score", "evidence", "score_ratio", "anomaly",
                                          "state", "model",    "incident"};
    static const char *const origin[] = {"topic", "partition", "offset"};
    const struct eddy_schema *s = r->schema;
    struct eddy_buffer line = {0};

    eddy_status rc = add_name(&line, "key", NULL, 0);
    if (rc >= 0) rc = add_name(&line, "ts", NULL, 0);
    for (size_t i = 0; i < sizeof(series) / sizeof(*series) && rc >= 0; i++) rc = add_names(&line, series[i], s, 0);
    for (size_t i = 0; i < sizeof(verdict) / sizeof(*verdict) && rc >= 0; i++)
        rc = add_name(&line, verdict[i], NULL, 0);
    if (rc >= 0 && s->n_values > 1) rc = add_names(&line, "attribution", s, 0);
    if (rc >= 0) rc = add_forecasts(&line, r);
    if (rc >= 0) rc = add_smoothed(&line, r);
    if (rc >= 0) rc = add_classes(&line, &r->classes);
    for (size_t i = 0; i < sizeof(origin) / sizeof(*origin) && rc >= 0; i++) rc = add_name(&line, origin[i], NULL, 0);
    if (rc >= 0) rc = eddy_buffer_append(out, line.data, line.len);
    eddy_buffer_free(&line);
    return rc < 0 ? eddy_fail(err, EDDY_ENOMEM, "csv: out of memory") : EDDY_OK;
}
