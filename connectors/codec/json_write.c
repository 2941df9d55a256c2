#include "connectors/codec/json_write.h"

#include <string.h>

#include "connectors/codec/json_incident.h"
#include "connectors/codec/json_text.h"
#include "connectors/codec/number.h"

const char *const json_result_words[] = {[JSON_RESULT_KEY] = "key",
                                         [JSON_RESULT_TS] = "ts",
                                         [JSON_RESULT_Y] = "y",
                                         [JSON_RESULT_YHAT] = "yhat",
                                         [JSON_RESULT_YHAT_LOWER] = "yhat_lower",
                                         [JSON_RESULT_YHAT_UPPER] = "yhat_upper",
                                         [JSON_RESULT_SCORE] = "score",
                                         [JSON_RESULT_EVIDENCE] = "evidence",
                                         [JSON_RESULT_SCORE_RATIO] = "score_ratio",
                                         [JSON_RESULT_ANOMALY] = "anomaly",
                                         [JSON_RESULT_STATE] = "state",
                                         [JSON_RESULT_MODEL] = "model",
                                         [JSON_RESULT_INCIDENT] = "incident",
                                         [JSON_RESULT_ATTRIBUTION] = "attribution",
                                         [JSON_RESULT_FORECAST] = "forecast",
                                         [JSON_RESULT_SMOOTHED] = "smoothed",
                                         [JSON_RESULT_CLASSES] = "classes",
                                         [JSON_RESULT_INCIDENTS] = "incidents",
                                         [JSON_RESULT_SRC] = "src",
                                         NULL};

static const unsigned ALL_FIELDS = (1u << N_JSON_RESULT_FIELDS) - 1;

static size_t classes_bound(const struct eddy_classes *c)
{
    size_t bytes = 0;
    for (int k = 0; k < c->n_classes; k++) bytes += json_text_bound(strlen(c->names[k])) + NUMBER_TEXT_BYTES + 2;
    return bytes + (c->label ? json_text_bound(strlen(c->label)) : 0);
}

/* What few results have; apart, so that the others need not make room for it. */
__attribute__((noinline)) static size_t rare_bound(const struct eddy_result *r)
{
    return classes_bound(&r->classes) + json_incidents_bound(r);
}

/* What one result can take at most, so that the writers below need not look. */
static inline size_t result_bound(const struct eddy_result *r, const struct json_fields *fields,
                                  const struct json_origin *origin, int n)
{
    enum { FIXED_BYTES = 768, HORIZON_BYTES = 160 };
    size_t n_values = (size_t)n, n_horizons = (size_t)r->n_horizons;
    size_t value_bytes = NUMBER_TEXT_BYTES + 1 + (fields && n > 1 ? fields->quoted_max : 0);
    return FIXED_BYTES + json_text_bound(r->key_len) +
           (origin->len > 0 ? origin->len : json_text_bound(strlen(r->topic))) + json_text_bound(r->time_text_len) +
           n_horizons * HORIZON_BYTES + (r->classes.n_classes > 0 || r->n_incidents > 0 ? rare_bound(r) : 0) +
           (r->incident ? json_text_bound(strlen(r->incident)) : 0) +
           (6 + (r->moves ? 6 : 3) * n_horizons) * n_values * value_bytes;
}

/* The writers of what most results have are there twice: for the usual ones, of one value and with all fields, of which nothing
 * need be asked, and for the others.  `n` is the number of values and `bits` says which fields; usual results take a third
 * less where both are constants. */
#define USUAL_INLINE static inline __attribute__((always_inline))

/* Copies a literal. */
#define LITERAL(p, text) ((char *)memcpy((p), (text), sizeof(text) - 1) + sizeof(text) - 1)

/* The names of values, and their numbers in the order in which they are written. */
struct json_values {
    const struct json_fields *fields;
    struct number_batch *numbers;
};

static char *write_named(char *p, struct json_values *values, const double *x, int n)
{
    for (int i = 0; i < n; i++) {
        const struct json_field *field = &values->fields->item[i];
        *p++ = i ? ',' : '{';
        memcpy(p, field->quoted, field->quoted_len);
        p += field->quoted_len;
        p += number_batch_write(values->numbers, x + i, p);
    }
    *p++ = '}';
    return p;
}

/* One number, or {"name":number,..}. */
USUAL_INLINE char *write_values(char *p, struct json_values *values, const double *x, int n)
{
    return n == 1 ? p + number_batch_write(values->numbers, x, p) : write_named(p, values, x, n);
}

static char *write_attribution(char *p, const struct json_fields *fields, const float *share, int n)
{
    p = LITERAL(p, ",\"attribution\":");
    for (int i = 0; i < n; i++) {
        const struct json_field *field = &fields->item[i];
        *p++ = i ? ',' : '{';
        memcpy(p, field->quoted, field->quoted_len);
        p += field->quoted_len;
        p += number_write(share ? (double)share[i] : 0.0, p);
    }
    *p++ = '}';
    return p;
}

char *json_write_instant(char *p, int64_t time_ns, int format)
{
    if (format == TIME_FORMAT_EPOCH_MS) return p + timestamp_write_epoch_ms(time_ns, p);
    *p++ = '"';
    p += timestamp_write(time_ns, p);
    *p++ = '"';
    return p;
}

static char *write_time(char *p, const struct eddy_result *r, struct json_manner *manner)
{
    if (manner->time_format == TIME_FORMAT_AS_INPUT && r->time_text) {
        const char *end = r->time_text + r->time_text_len;
        struct number_decimal number;
        if (number_scan(r->time_text, end, &number) != end)
            return p + json_text_quote(p, r->time_text, r->time_text_len);
        memcpy(p, r->time_text, r->time_text_len);
        return p + r->time_text_len;
    }
    if (manner->time_format == TIME_FORMAT_EPOCH_MS) return p + timestamp_write_epoch_ms(r->time_ns, p);
    *p++ = '"';
    p += timestamp_write_after(&manner->time, r->time_ns, p);
    *p++ = '"';
    return p;
}

USUAL_INLINE char *write_moves(char *p, struct json_values *values, const struct eddy_result *r, size_t row, int n)
{
    const size_t plane = (size_t)r->n_horizons * (size_t)n;
    p = LITERAL(p, ",\"moves\":{\"down\":");
    p = write_values(p, values, r->moves + row, n);
    p = LITERAL(p, ",\"flat\":");
    p = write_values(p, values, r->moves + plane + row, n);
    p = LITERAL(p, ",\"up\":");
    p = write_values(p, values, r->moves + 2 * plane + row, n);
    *p++ = '}';
    return p;
}

USUAL_INLINE char *write_forecast(char *p, const struct eddy_result *r, struct json_values *values, int n)
{
    p = LITERAL(p, ",\"forecast\":[");
    for (int h = 0; h < r->n_horizons; h++) {
        size_t row = (size_t)h * (size_t)n;
        if (h) *p++ = ',';
        p = LITERAL(p, "{\"h\":");
        p += number_write_int(r->horizons[h], p);
        p = LITERAL(p, ",\"yhat\":");
        p = write_values(p, values, r->forecast + row, n);
        p = LITERAL(p, ",\"lower\":");
        p = write_values(p, values, r->lower + row, n);
        p = LITERAL(p, ",\"upper\":");
        p = write_values(p, values, r->upper + row, n);
        if (r->moves) p = write_moves(p, values, r, row, n);
        *p++ = '}';
    }
    *p++ = ']';
    return p;
}

static char *write_smoothed(char *p, const struct eddy_result *r, struct json_values *values, int time_format)
{
    const struct eddy_smoothed *s = &r->smoothed;
    if (!s->y || !s->known) return p;
    p = LITERAL(p, ",\"smoothed\":{\"ts\":");
    p = json_write_instant(p, s->time_ns, time_format);
    p = LITERAL(p, ",\"y\":");
    p = write_values(p, values, s->y, r->schema->n_values);
    p = LITERAL(p, ",\"score\":");
    p += number_write(s->score, p);
    *p++ = '}';
    return p;
}

static char *write_classes(char *p, const struct eddy_classes *c)
{
    if (c->n_classes == 0) return p;
    p = LITERAL(p, ",\"classes\":");
    for (int k = 0; k < c->n_classes; k++) {
        *p++ = k ? ',' : '{';
        p += json_text_quote(p, c->names[k], strlen(c->names[k]));
        *p++ = ':';
        p += number_write(c->p[k], p);
    }
    p = LITERAL(p, "},\"class\":");
    return c->label ? p + json_text_quote(p, c->label, strlen(c->label)) : LITERAL(p, "null");
}

static inline bool wants(unsigned bits, enum json_result_field field)
{
    return bits >> field & 1;
}

/* Of how unusual an event is; most are 0. */
static inline char *write_degree(char *p, const double *degree, struct number_batch *numbers)
{
    *p = '0';
    return p + (*degree == 0 ? 1 : number_batch_write(numbers, degree, p));
}

/* Often the score is the evidence, and so is its text. */
USUAL_INLINE char *write_score(char *p, const struct eddy_result *r, struct number_batch *numbers, unsigned bits)
{
    const char *score = NULL;
    size_t len = 0;
    if (wants(bits, JSON_RESULT_SCORE)) {
        score = p = LITERAL(p, ",\"score\":");
        p = write_degree(p, &r->score, numbers);
        len = (size_t)(p - score);
    }
    if (!wants(bits, JSON_RESULT_EVIDENCE)) return p;
    p = LITERAL(p, ",\"evidence\":");
    if (!score || r->evidence != r->score) return write_degree(p, &r->evidence, numbers);
    char text[NUMBER_TEXT_BYTES]; /* the places may overlap */
    memcpy(text, score, sizeof(text));
    memcpy(p, text, sizeof(text));
    return p + len;
}

USUAL_INLINE char *write_verdict(char *p, const struct eddy_result *r, struct json_manner *manner, unsigned bits)
{
    struct number_batch *numbers = &manner->numbers;
    p = write_score(p, r, numbers, bits);
    if (wants(bits, JSON_RESULT_SCORE_RATIO))
        p = write_degree(LITERAL(p, ",\"score_ratio\":"), &r->score_ratio, numbers);
    if (!json_standing_is(&manner->standing, r)) json_standing_see(&manner->standing, r, bits);
    p = json_kept_write(p, manner->standing.text, manner->standing.len);
    if (!r->incident || !wants(bits, JSON_RESULT_INCIDENT)) return p;
    p = LITERAL(p, ",\"incident\":");
    return p + json_text_quote(p, r->incident, strlen(r->incident));
}

static char *write_offset(char *p, const struct eddy_result *r)
{
    p += number_write_int(r->offset, p);
    *p++ = '}';
    return p;
}

char *json_write_origin(char *p, const struct eddy_result *r)
{
    return write_offset(json_origin_begin(p, r), r);
}

/* The same, from what is kept. */
static inline char *write_origin(char *p, const struct json_origin *origin, const struct eddy_result *r)
{
    if (origin->len == 0) return json_write_origin(p, r);
    return write_offset(json_kept_write(p, origin->text, origin->len), r);
}

/* The numbers of what follows up to the forecast, in that order; shares are floats and stay out. */
USUAL_INLINE void gather_numbers(struct number_batch *b, const struct eddy_result *r, unsigned bits, int n)
{
    const int n_moves = r->moves ? 3 : 0;
    b->n = 0;
    if (wants(bits, JSON_RESULT_Y)) number_batch_add(b, r->y, n);
    if (wants(bits, JSON_RESULT_YHAT)) number_batch_add(b, r->yhat, n);
    if (wants(bits, JSON_RESULT_YHAT_LOWER)) number_batch_add(b, r->yhat_lower, n);
    if (wants(bits, JSON_RESULT_YHAT_UPPER)) number_batch_add(b, r->yhat_upper, n);
    if (wants(bits, JSON_RESULT_SCORE)) number_batch_add(b, &r->score, 1);
    if (wants(bits, JSON_RESULT_EVIDENCE) && !(wants(bits, JSON_RESULT_SCORE) && r->evidence == r->score))
        number_batch_add(b, &r->evidence, 1);
    if (wants(bits, JSON_RESULT_SCORE_RATIO)) number_batch_add(b, &r->score_ratio, 1);
    for (int h = 0; h < r->n_horizons && wants(bits, JSON_RESULT_FORECAST); h++) {
        const size_t row = (size_t)h * (size_t)n, plane = (size_t)r->n_horizons * (size_t)n;
        number_batch_add(b, r->forecast + row, n);
        number_batch_add(b, r->lower + row, n);
        number_batch_add(b, r->upper + row, n);
        for (int k = 0; k < n_moves; k++) number_batch_add(b, r->moves + (size_t)k * plane + row, n);
    }
    number_batch_convert(b);
}

/* What every event tells of its values. */
USUAL_INLINE char *write_event(char *p, const struct eddy_result *r, struct json_values *values,
                               struct json_manner *manner, unsigned bits, int n)
{
    if (wants(bits, JSON_RESULT_KEY)) p = LITERAL(p, ",\"key\":"), p += json_text_quote(p, r->key, r->key_len);
    if (wants(bits, JSON_RESULT_TS)) p = write_time(LITERAL(p, ",\"ts\":"), r, manner);
    if (wants(bits, JSON_RESULT_Y)) p = write_values(LITERAL(p, ",\"y\":"), values, r->y, n);
    if (wants(bits, JSON_RESULT_YHAT)) p = write_values(LITERAL(p, ",\"yhat\":"), values, r->yhat, n);
    if (wants(bits, JSON_RESULT_YHAT_LOWER))
        p = write_values(LITERAL(p, ",\"yhat_lower\":"), values, r->yhat_lower, n);
    if (wants(bits, JSON_RESULT_YHAT_UPPER))
        p = write_values(LITERAL(p, ",\"yhat_upper\":"), values, r->yhat_upper, n);
    return p;
}

eddy_status json_result_bits(const struct eddy_strings *words, unsigned *bits, struct eddy_error *err)
{
    *bits = words->n > 0 ? 0 : ALL_FIELDS;
    for (int i = 0; i < words->n; i++) {
        int field = 0;
        while (field < N_JSON_RESULT_FIELDS && strcmp(words->item[i], json_result_words[field]) != 0) field++;
        if (field == N_JSON_RESULT_FIELDS)
            return eddy_fail(err, EDDY_ECONFIG, "fields: results have no field \"%s\"", words->item[i]);
        if (wants(*bits, (enum json_result_field)field))
            return eddy_fail(err, EDDY_ECONFIG, "fields: \"%s\" is given twice", words->item[i]);
        *bits |= 1u << field;
    }
    return EDDY_OK;
}

/* Everything between the braces, each field with a comma before it. */
USUAL_INLINE char *write_fields(char *p, const struct eddy_result *r, const struct json_fields *fields,
                                struct json_manner *manner, unsigned bits, int n)
{
    struct json_values values = {fields, &manner->numbers};
    gather_numbers(values.numbers, r, bits, n);
    p = write_event(p, r, &values, manner, bits, n);
    p = write_verdict(p, r, manner, bits);
    if (n > 1 && wants(bits, JSON_RESULT_ATTRIBUTION)) p = write_attribution(p, fields, r->attribution, n);
    if (wants(bits, JSON_RESULT_FORECAST)) p = write_forecast(p, r, &values, n);
    if (wants(bits, JSON_RESULT_SMOOTHED)) p = write_smoothed(p, r, &values, manner->time_format);
    if (wants(bits, JSON_RESULT_CLASSES)) p = write_classes(p, &r->classes);
    if (wants(bits, JSON_RESULT_INCIDENTS) && r->n_incidents > 0) p = json_incidents_write(p, r, manner->time_format);
    if (wants(bits, JSON_RESULT_SRC)) p = write_origin(p, &manner->origin, r);
    return p;
}

eddy_status json_write(const struct eddy_result *r, const struct json_fields *fields, struct json_manner *manner,
                       struct eddy_buffer *out, struct eddy_error *err)
{
    struct json_origin *origin = &manner->origin;
    if (!json_origin_is(origin, r)) json_origin_see(origin, r);
    const int n = r->schema->n_values;
    const bool usual = n == 1 && manner->bits == ALL_FIELDS;
    const size_t bound = usual ? result_bound(r, NULL, origin, 1) : result_bound(r, fields, origin, n);
    if (out->cap - out->len < bound && eddy_buffer_reserve(out, bound) < 0)
        return eddy_fail(err, EDDY_ENOMEM, "json: out of memory for a result");

    char *begin = out->data + out->len, *p;
    if (usual)
        p = write_fields(begin, r, fields, manner, ALL_FIELDS, 1);
    else
        p = write_fields(begin, r, fields, manner, manner->bits, n);
    if (p == begin) p++;
    *begin = '{'; /* instead of the first field's comma */
    *p++ = '}';
    out->len += (size_t)(p - begin);
    return EDDY_OK;
}
