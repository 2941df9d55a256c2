/* The fields that a decode call looks for, prepared once per set of values: a hash of names, and the values' names as
 * they are written.
 *
 * Sets are told apart by their names, not by the address of the schema: schemas come and go with partitions.
 * Memory   a cache owns its sets; a set is borrowed until the cache makes another one or is freed.
 * Threads  a cache belongs to one codec. */
#ifndef CONNECTORS_CODEC_JSON_FIELDS_H
#define CONNECTORS_CODEC_JSON_FIELDS_H

#include "connectors/codec/json.h"

/* What a field is for; 0 and above: the value of that index. */
enum json_role { JSON_ROLE_KEY = -1, JSON_ROLE_TIME = -2, JSON_ROLE_LABEL = -3, JSON_ROLE_CATEGORY = -4 };

struct json_field {
    const char *name;
    uint32_t len;
    uint32_t hash;
    int role;
    const char *quoted; /* "name": with quotes, escapes and colon; values only */
    size_t quoted_len;
};

/* Item i < n_values is value i, the categories follow, then key, time and label when they are fields. */
struct json_fields {
    int n, n_values, n_categories;
    int key, time, label; /* index into item, or -1 */
    struct json_field *item;
    int *bucket; /* [mask + 1] index into item, or -1 */
    uint32_t mask;
    bool paths;                 /* a wanted name has a dot in it */
    size_t quoted_max;          /* the longest quoted_len */
    char *text;                 /* names and quoted names */
    struct json_layout *layout; /* of the last record that was read for them */
};

enum { JSON_FIELDS_KEPT = 8 };
struct json_fields_cache {
    const struct json_settings *settings;
    struct json_fields *kept[JSON_FIELDS_KEPT];
    int last, oldest;
};

/* The set for a schema (NULL: no values yet, and the settings' categories); NULL when memory is short. */
const struct json_fields *json_fields_get(struct json_fields_cache *, const struct eddy_schema *);
void json_fields_free(struct json_fields_cache *);

/* The index of a field, or -1. */
int json_fields_find(const struct json_fields *, const char *name, size_t len);

#endif
