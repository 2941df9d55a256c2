#include "connectors/codec/json_fields.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/codec/json_layout.h"
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
    free(f->layout);
    free(f);
}

static int fields_add(struct json_fields *f, const char *name, int role, char **text)
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
    f->bucket[at] = f->n;
    return f->n++;
}

/* The fields that are wanted; a name that is NULL is not. */
struct wanted {
    int n_values, n_categories;
    const char *const *values, *const *categories;
    const char *key, *time, *label;
};

static struct wanted fields_wanted(const struct json_settings *s, const struct eddy_schema *schema)
{
    struct wanted w = {.n_categories = s->categories.n, .categories = s->categories.item, .label = s->label};
    if (schema) {
        w.n_values = schema->n_values;
        w.values = schema->names;
        w.n_categories = schema->n_categories;
        w.categories = schema->categories;
    }
    if (strcmp(s->key, JSON_RECORD_KEY) != 0) w.key = s->key;
    if (strcmp(s->time, JSON_RECORD_TIME) != 0) w.time = s->time;
    return w;
}

/* Room for all names and for the values' quoted ones. */
static size_t fields_bytes(const struct wanted *w)
{
    size_t bytes = 0;
    for (int i = 0; i < w->n_values; i++)
        bytes += 1 + strlen(w->values[i]) + json_text_bound(strlen(w->values[i])) + 1;
    for (int i = 0; i < w->n_categories; i++) bytes += 1 + strlen(w->categories[i]);
    const char *const others[] = {w->key, w->time, w->label};
    for (int i = 0; i < 3; i++) bytes += others[i] ? 1 + strlen(others[i]) : 0;
    return bytes;
}

static struct json_fields *fields_open(const struct json_settings *settings, const struct eddy_schema *schema)
{
    const struct wanted w = fields_wanted(settings, schema);
    size_t n = (size_t)w.n_values + (size_t)w.n_categories + 3, buckets = 4;
    while (buckets < 2 * n) buckets *= 2;

    struct json_fields *f = calloc(1, sizeof(*f));
    if (!f) return NULL;
    f->item = calloc(n, sizeof(*f->item));
    f->bucket = malloc(buckets * sizeof(*f->bucket));
    f->text = malloc(fields_bytes(&w) + 1);
    f->layout = calloc(1, sizeof(*f->layout));
    if (!f->item || !f->bucket || !f->text || !f->layout) {
        fields_free(f);
        return NULL;
    }
    f->layout->n = -1;
    f->mask = (uint32_t)buckets - 1;
    memset(f->bucket, 0xFF, buckets * sizeof(*f->bucket));
    f->n_values = w.n_values;
    f->n_categories = w.n_categories;
    char *text = f->text;
    for (int i = 0; i < w.n_values; i++) (void)fields_add(f, w.values[i], i, &text);
    for (int i = 0; i < w.n_categories; i++) (void)fields_add(f, w.categories[i], JSON_ROLE_CATEGORY, &text);
    f->key = w.key ? fields_add(f, w.key, JSON_ROLE_KEY, &text) : -1;
    f->time = w.time ? fields_add(f, w.time, JSON_ROLE_TIME, &text) : -1;
    f->label = w.label ? fields_add(f, w.label, JSON_ROLE_LABEL, &text) : -1;
    return f;
}

static bool names_are(const struct json_field *field, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(field[i].name, names[i]) != 0) return false;
    return true;
}

/* Key, time and label are the settings', as are the categories without a schema. */
static inline bool fields_are(const struct json_fields *f, const struct eddy_schema *schema)
{
    if (!schema) return f->n_values == 0;
    return f->n_values == schema->n_values && f->n_categories == schema->n_categories &&
           names_are(f->item, schema->names, f->n_values) &&
           names_are(f->item + f->n_values, schema->categories, f->n_categories);
}

/* They are not the last ones: out of the way of those, which then save few registers. */
__attribute__((noinline)) static const struct json_fields *fields_of(struct json_fields_cache *cache,
                                                                     const struct eddy_schema *schema)
{
    for (int i = 0; i < JSON_FIELDS_KEPT; i++) {
        if (!cache->kept[i] || !fields_are(cache->kept[i], schema)) continue;
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

const struct json_fields *json_fields_get(struct json_fields_cache *cache, const struct eddy_schema *schema)
{
    const struct json_fields *last = cache->kept[cache->last];
    return last && fields_are(last, schema) ? last : fields_of(cache, schema);
}

void json_fields_free(struct json_fields_cache *cache)
{
    for (int i = 0; i < JSON_FIELDS_KEPT; i++) fields_free(cache->kept[i]);
}
