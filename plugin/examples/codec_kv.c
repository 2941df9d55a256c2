/* A codec from outside: lines such as
 *
 *     key=press-1 ts=2026-11-21T06:00:00Z temp=21.5 load=0.7
 *
 * `ts` is a time in whole seconds (`...Z`), or seconds since 1970; every other word is a value.  Results are written as
 * `key=.. ts=.. score=..`.  Build and use:
 *
 *     cc -shared -fPIC $(pkg-config --cflags eddy) -o codec_kv.so codec_kv.c
 *     plugins: [./codec_kv.so]        codec: {kv: {key: key}} */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strptime, timegm */
#endif
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "eddy_plugin.h"

struct kv_settings {
    const char *key; /* the word that holds the key */
};
static const struct eddy_option options[] = {
    {"key", EDDY_OPT_STRING, offsetof(struct kv_settings, key), "key", 0, 0, "", "Word that holds the key.", NULL, 0,
     0},
    {0},
};

struct kv {
    const struct kv_settings *settings;
    struct eddy_limits limits;
};

struct word { /* borrowed from the record */
    const char *name, *value;
    size_t name_len, value_len;
};

static bool is(const char *text, size_t len, const char *name)
{
    return len == strlen(name) && memcmp(text, name, len) == 0;
}

/* Takes the next name=value; false at the end, *rc < 0 for a word without '='. */
static bool next_word(const char **at, const char *end, struct word *w, eddy_status *rc, struct eddy_error *err)
{
    while (*at < end && **at == ' ') ++*at;
    if (*at == end) return false;
    const char *stop = memchr(*at, ' ', (size_t)(end - *at));
    if (!stop) stop = end;
    const char *equals = memchr(*at, '=', (size_t)(stop - *at));
    if (!equals || equals == *at) {
        *rc = eddy_fail_record(err, "not_kv", "\"%.*s\" is no name=value", (int)(stop - *at < 80 ? stop - *at : 80),
                               *at);
        return false;
    }
    *w = (struct word){*at, equals + 1, (size_t)(equals - *at), (size_t)(stop - equals - 1)};
    *at = stop;
    return true;
}

static bool read_number(const struct word *w, double *out)
{
    char text[64], *end;
    if (w->value_len == 0 || w->value_len >= sizeof(text)) return false;
    memcpy(text, w->value, w->value_len);
    text[w->value_len] = '\0';
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

static bool read_time(const struct word *w, int64_t *ns)
{
    struct tm tm = {0};
    char text[32];
    double seconds;
    if (w->value_len < sizeof(text)) {
        memcpy(text, w->value, w->value_len);
        text[w->value_len] = '\0';
        const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
        if (end && *end == '\0') {
            *ns = (int64_t)timegm(&tm) * 1000000000;
            return true;
        }
    }
    if (!read_number(w, &seconds) || fabs(seconds) > 9e9) return false;
    *ns = (int64_t)(seconds * 1e9);
    return true;
}

static eddy_status kv_open(const void *settings, const struct eddy_limits *limits, void **out, struct eddy_error *err)
{
    struct kv *c = calloc(1, sizeof(*c));
    if (!c) return eddy_fail(err, EDDY_ENOMEM, "kv: out of memory");
    *c = (struct kv){settings, *limits};
    *out = c;
    return EDDY_OK;
}

static void kv_close(void *codec)
{
    free(codec);
}

static eddy_status kv_discover(void *codec, const struct eddy_record *r, struct eddy_buffer *names,
                               struct eddy_error *err)
{
    const struct kv *c = codec;
    const char *at = r->payload, *end = r->payload + r->payload_len;
    struct word w;
    eddy_status rc = EDDY_OK;
    int n = 0;
    while (rc >= 0 && next_word(&at, end, &w, &rc, err)) {
        if (is(w.name, w.name_len, c->settings->key) || is(w.name, w.name_len, "ts")) continue;
        rc = eddy_buffer_append(names, w.name, w.name_len);
        if (rc >= 0) rc = eddy_buffer_append(names, "", 1);
        if (rc < 0) return eddy_fail(err, rc, "kv: out of memory");
        n++;
    }
    if (rc < 0) return rc;
    return n ? n : eddy_fail_record(err, "no_values", "the record holds no value");
}

static eddy_status kv_take(const struct kv *c, const struct eddy_schema *schema, const struct word *w,
                           struct eddy_event *out, bool *has_time, struct eddy_error *err)
{
    if (is(w->name, w->name_len, c->settings->key)) {
        out->key = w->value;
        out->key_len = w->value_len;
        return EDDY_OK;
    }
    if (is(w->name, w->name_len, "ts")) {
        if (!read_time(w, &out->time_ns)) return eddy_fail_record(err, "bad_time", "ts is no time");
        *has_time = true;
        out->time_text = w->value;
        out->time_text_len = w->value_len;
        return EDDY_OK;
    }
    for (int v = 0; v < schema->n_values; v++) {
        if (!is(w->name, w->name_len, schema->names[v]) || w->value_len == 0) continue;
        if (!read_number(w, &out->x[v]))
            return eddy_fail_record(err, "wrong_type", "%s is no finite number", schema->names[v]);
    }
    return EDDY_OK;
}

static eddy_status kv_decode(void *codec, const struct eddy_schema *schema, const struct eddy_record *r,
                             struct eddy_arena *arena, struct eddy_event *out, struct eddy_error *err)
{
    const struct kv *c = codec;
    const char *at = r->payload, *end = r->payload + r->payload_len;
    struct word w;
    bool has_time = false;
    eddy_status rc = EDDY_OK;
    (void)arena;
    if (r->payload_len > (size_t)c->limits.record)
        return eddy_fail_record(err, "too_large", "the record is too long");
    *out = (struct eddy_event){.x = out->x, .category = out->category};
    for (int v = 0; v < schema->n_values; v++) out->x[v] = (double)NAN;
    while (rc >= 0 && next_word(&at, end, &w, &rc, err)) rc = kv_take(c, schema, &w, out, &has_time, err);
    if (rc < 0) return rc;
    if (!out->key_len) return eddy_fail_record(err, "missing_key", "there is no %s=", c->settings->key);
    if (out->key_len > (size_t)c->limits.key) return eddy_fail_record(err, "key_too_long", "the key is too long");
    return has_time ? EDDY_OK : eddy_fail_record(err, "missing_time", "there is no ts=");
}

static eddy_status kv_encode(void *codec, const struct eddy_result *r, struct eddy_buffer *out,
                             struct eddy_error *err)
{
    const struct kv *c = codec;
    char text[96];
    int n = snprintf(text, sizeof(text), " ts=%lld score=%.6g anomaly=%d", (long long)(r->time_ns / 1000000000),
                     r->score, r->anomaly);
    eddy_status rc = eddy_buffer_append(out, c->settings->key, strlen(c->settings->key));
    if (rc >= 0) rc = eddy_buffer_append(out, "=", 1);
    if (rc >= 0) rc = eddy_buffer_append(out, r->key, r->key_len);
    if (rc >= 0) rc = eddy_buffer_append(out, text, (size_t)n);
    return rc < 0 ? eddy_fail(err, rc, "kv: out of memory") : EDDY_OK;
}

static const struct eddy_codec codec_kv = {
    .part = {sizeof(codec_kv), EDDY_PART_CODEC, "kv", "name=value words.", options, sizeof(struct kv_settings), NULL},
    .open = kv_open,
    .discover = kv_discover,
    .decode = kv_decode,
    .encode = kv_encode,
    .close = kv_close,
};
static const struct eddy_part *const parts[] = {&codec_kv.part, NULL};
static const struct eddy_module module = {EDDY_PART_ABI, sizeof(module), "codec_kv", "1.0", "Apache-2.0", parts};

EDDY_MODULE const struct eddy_module *eddy_module(void);
const struct eddy_module *eddy_module(void)
{
    return &module;
}
