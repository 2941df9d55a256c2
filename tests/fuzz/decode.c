#include "tests/fuzz/decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/codec/utf8.h"

static const struct eddy_limits limits = {.record = 65536, .key = 64, .depth = 16, .fields = 64};

static bool reason_is_known(const char *reason)
{
    static const char *const reasons[] = {"empty",           "too_large",    "not_utf8",        "not_json",
                                          "not_csv",         "too_deep",     "too_many_fields", "missing_key",
                                          "bad_time",        "missing_time", "wrong_type",      "not_finite",
                                          "duplicate_field", "no_values",    "key_too_long"};
    for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
        if (reason && strcmp(reason, reasons[i]) == 0) return true;
    return false;
}

static void must(bool holds)
{
    if (!holds) abort();
}

static void check_event(const struct eddy_event *e)
{
    for (int i = 0; i < DECODE_VALUES; i++) must(isnan(e->x[i]) || isfinite(e->x[i]));
    must(e->key && e->key_len <= (size_t)limits.key && utf8_valid(e->key, e->key_len));
    must(e->time_ns != EDDY_NO_TIME);
    must(!e->label || (e->label_len > 0 && utf8_valid(e->label, e->label_len)));
    must(e->category[0] >= 0 && e->category[0] < 1048576.0f);
    must(!e->time_text || utf8_valid(e->time_text, e->time_text_len));
}

static void check_discover(const struct decoder *d, const struct eddy_record *record)
{
    struct eddy_buffer names = {0};
    struct eddy_error err = {0};
    const eddy_status n = d->type->discover(d->codec, record, &names, &err);
    must(n > 0 || (n == EDDY_EDATA && reason_is_known(err.reason)));
    if (n > 0) {
        int count = 0;
        for (size_t i = 0; i < names.len; i++) count += names.data[i] == '\0';
        must(count == n && names.data[names.len - 1] == '\0' && utf8_valid(names.data, names.len));
    }
    eddy_buffer_free(&names);
}

bool decode_record(struct decoder *d, const uint8_t *bytes, size_t n)
{
    double x[DECODE_VALUES] = {NAN, NAN};
    float category[DECODE_CATEGORIES] = {EDDY_NO_CATEGORY};
    struct eddy_error err = {0};
    if (!d->codec) must(d->type->open(d->settings, &limits, &d->codec, &err) == EDDY_OK);
    const struct eddy_schema schema = {DECODE_VALUES, d->values, DECODE_CATEGORIES, d->categories};
    const struct eddy_record record = {
        .topic = "t", .time_ns = EDDY_NO_TIME, .payload = (const char *)bytes, .payload_len = n};
    struct eddy_event e = {.x = x, .category = category};
    eddy_arena_reset(&d->arena);
    const eddy_status rc = d->type->decode(d->codec, &schema, &record, &d->arena, &e, &err);
    if (rc >= 0)
        check_event(&e);
    else
        must(rc == EDDY_EDATA && reason_is_known(err.reason) && err.message[0]);
    check_discover(d, &record);
    return rc >= 0;
}
