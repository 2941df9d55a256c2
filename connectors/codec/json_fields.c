#include "connectors/codec/json_fields.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/codec/json_text.h"

static uint32_t name_hash(const char *name, size_t len)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)name[i]) * 16777619u;
    return h ^ h >> 15;
}

int json_fields_find(const struct json_fields *f, const char *name, size_t len)
{
    uint32_t hash = name_hash(name, len);
    for (uint32_t at = hash & f->mask;; at = (at + 1) & f->mask) {
        int i = f->bucket[at];
        if (i < 0) return -1;
        const struct json_field *field = &f->item[i];
        if (field->hash == hash && field->len == len && memcmp(field->name, name, len) == 0) return i;
    }
}

static void fields_free(struct json_fields *f)
{
    if (!f) return;
    free(f->item);
    free(f->bucket);
    free(f->text);
    free(f);
}

static void fields_add(struct json_fields *f, const char *name, int role, char **text)
{
    size_t len = strlen(name);
    struct json_field *field = &f->item[f->n];
    *field = (struct json_field){.name = *text, .len = (uint32_t)len, .hash = name_hash(name, len), .role = role};
    memcpy(*text, name, len + 1);
    *text += len + 1;
    if (role >= 0) {
        field->quoted = *text;
        *text += json_text_quote(*text, name, len);
        *(*text)++ = ':';
        field->quoted_len = (size_t)(*text - field->quoted);
        if (field->quoted_len > f->quoted_max) f->quoted_max = field->quoted_len;
    }
    f->paths |= strchr(name, '.') != NULL;
    uint32_t at = field->hash & f->mask;
    while (f->bucket[at] >= 0) at = (at + 1) & f->mask;
    f->bucket[at] = f->n++;
}

static struct json_fields *fields_open(const struct json_settings *settings, const struct eddy_schema *schema)
{
    bool has_key = strcmp(settings->key, JSON_RECORD_KEY) != 0,
         has_time = strcmp(settings->time, JSON_RECORD_TIME) != 0;
    int n_values = schema ? schema->n_values : 0, n = n_values + has_key + has_time;
    size_t bytes = strlen(settings->key) + strlen(settings->time) + 2, buckets = 4;
    for (int i = 0; i < n_values; i++)
        bytes += 1 + strlen(schema->names[i]) + json_text_bound(strlen(schema->names[i])) + 1;
    while (buckets < 2 * (size_t)n) buckets *= 2;

    struct json_fields *f = calloc(1, sizeof(*f));
    if (!f) return NULL;
    f->item = calloc((size_t)n + 1, sizeof(*f->item));
    f->bucket = malloc(buckets * sizeof(*f->bucket));
    f->text = malloc(bytes);
    if (!f->item || !f->bucket || !f->text) {
        fields_free(f);
        return NULL;
    }
    f->mask = (uint32_t)buckets - 1;
    memset(f->bucket, 0xFF, buckets * sizeof(*f->bucket));
    f->n_values = n_values;
    char *text = f->text;
    for (int i = 0; i < n_values; i++) fields_add(f, schema->names[i], i, &text);
    if (has_key) fields_add(f, settings->key, JSON_ROLE_KEY, &text);
    if (has_time) fields_add(f, settings->time, JSON_ROLE_TIME, &text);
    return f;
}

static bool fields_are(const struct json_fields *f, const struct eddy_schema *schema)
{
    int n = schema ? schema->n_values : 0;
    if (f->n_values != n) return false;
    for (int i = 0; i < n; i++)
        if (strcmp(f->item[i].name, schema->names[i]) != 0) return false;
    return true;
}

const struct json_fields *json_fields_get(struct json_fields_cache *cache, const struct eddy_schema *schema)
{
    if (cache->kept[cache->last] && fields_are(cache->kept[cache->last], schema)) return cache->kept[cache->last];
    for (int i = 0; i < JSON_FIELDS_KEPT; i++)
        if (cache->kept[i] && fields_are(cache->kept[i], schema)) {
            cache->last = i;
            return cache->kept[i];
        }

    struct json_fields *f = fields_open(cache->settings, schema);
    if (!f) return NULL;
    int at = cache->oldest;
    fields_free(cache->kept[at]);
    cache->kept[at] = f;
    cache->last = at;
    cache->oldest = (at + 1) % JSON_FIELDS_KEPT;
    return f;
}

void json_fields_free(struct json_fields_cache *cache)
{
    for (int i = 0; i < JSON_FIELDS_KEPT; i++) fields_free(cache->kept[i]);
}
