#include "connectors/codec/json_general.h"

#include <jansson.h>
#include <string.h>

#include "connectors/codec/number.h"

static eddy_status refuse(const json_error_t *error, struct eddy_error *err)
{
    const char *reason = "not_json";
    switch (json_error_code(error)) {
    case json_error_out_of_memory: return eddy_fail(err, EDDY_ENOMEM, "json: out of memory");
    case json_error_stack_overflow: reason = "too_deep"; break;
    case json_error_invalid_utf8: reason = "not_utf8"; break;
    case json_error_duplicate_key: reason = "duplicate_field"; break;
    case json_error_numeric_overflow: reason = "not_finite"; break;
    default: break;
    }
    return eddy_fail_record(err, reason, "byte %d: %s", error->position, error->text);
}

static eddy_status load(const char *text, size_t len, json_t **root, struct eddy_error *err)
{
    json_error_t error;
    size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
    *root = json_loadb(text, len, flags, &error);
    if (!*root && json_error_code(&error) == json_error_numeric_overflow) /* perhaps an integer beyond 64 bits */
        *root = json_loadb(text, len, flags | JSON_DECODE_INT_AS_REAL, &error);
    return *root ? EDDY_OK : refuse(&error, err);
}

/* The item of a list, or of an object, that the first n bytes of `name` mean. */
static json_t *child(const json_t *parent, const char *name, size_t n)
{
    if (json_is_object(parent)) return json_object_getn(parent, name, n);
    if (!json_is_array(parent) || n == 0 || n > 9) return NULL;
    size_t index = 0;
    for (size_t i = 0; i < n; i++) {
        if (name[i] < '0' || name[i] > '9') return NULL;
        index = index * 10 + (size_t)(name[i] - '0');
    }
    return json_array_get(parent, index);
}

static const json_t *find(const json_t *root, const char *path)
{
    const json_t *at = json_object_get(root, path); /* a name with dots in it */
    if (at) return at;
    at = root;
    for (const char *name = path; at; name += strcspn(name, ".") + 1) {
        size_t n = strcspn(name, ".");
        at = child(at, name, n);
        if (name[n] == '\0') break;
    }
    return at;
}

static eddy_status keep_text(struct json_value *value, const char *text, size_t len, struct eddy_arena *arena,
                             struct eddy_error *err)
{
    char *copy = eddy_arena_take(arena, len + 1);
    if (!copy) return eddy_fail(err, EDDY_ENOMEM, "json: out of memory");
    memcpy(copy, text, len);
    value->text = copy;
    value->len = len;
    return EDDY_OK;
}

static eddy_status keep_number(struct json_value *value, const json_t *node, struct eddy_arena *arena,
                               struct eddy_error *err)
{
    char text[64];
    size_t len = 0;
    if (json_is_integer(node)) {
        len = number_write_int(json_integer_value(node), text);
    } else {
        for (size_t digits = 15; digits <= 17; digits++) {
            double back = 0;
            len = json_dumpb(node, text, sizeof(text), JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
            if (len <= sizeof(text) && number_parse(text, text + len, &back) && back == json_real_value(node)) break;
        }
    }
    return keep_text(value, text, len, arena, err);
}

static eddy_status keep(struct json_value *value, const struct json_field *field, const json_t *node,
                        struct eddy_arena *arena, struct eddy_error *err)
{
    switch (node ? (int)json_typeof(node) : -1) {
    case -1: value->type = JSON_TYPE_ABSENT; return EDDY_OK;
    case JSON_NULL: value->type = JSON_TYPE_NULL; return EDDY_OK;
    case JSON_OBJECT: value->type = JSON_TYPE_OBJECT; return EDDY_OK;
    case JSON_ARRAY: value->type = JSON_TYPE_ARRAY; return EDDY_OK;
    case JSON_STRING:
        value->type = JSON_TYPE_STRING;
        return keep_text(value, json_string_value(node), json_string_length(node), arena, err);
    case JSON_INTEGER:
    case JSON_REAL:
        value->type = JSON_TYPE_NUMBER;
        value->number = json_number_value(node) + 0.0; /* there is no -0 among measurements */
        return field->role >= 0 ? EDDY_OK : keep_number(value, node, arena, err);
    default:
        value->type = JSON_TYPE_BOOL;
        value->text = json_is_true(node) ? "true" : "false";
        value->len = strlen(value->text);
        return EDDY_OK;
    }
}

static int type_of(const json_t *node)
{
    switch (json_typeof(node)) {
    case JSON_NULL: return JSON_TYPE_NULL;
    case JSON_ARRAY: return JSON_TYPE_ARRAY;
    case JSON_STRING: return JSON_TYPE_STRING;
    case JSON_TRUE:
    case JSON_FALSE: return JSON_TYPE_BOOL;
    default: return JSON_TYPE_NUMBER;
    }
}

eddy_status json_general(const struct json_fields *fields, const char *text, size_t len, struct eddy_arena *arena,
                         struct json_value *values, struct eddy_error *err)
{
    json_t *root = NULL;
    eddy_status rc = load(text, len, &root, err);
    if (rc < 0) return rc;
    if (!json_is_object(root))
        rc = eddy_fail_record(err, "wrong_type", "the record is %s, not an object", json_type_text(type_of(root)));
    for (int i = 0; rc >= 0 && i < fields->n; i++)
        rc = keep(&values[i], &fields->item[i], find(root, fields->item[i].name), arena, err);
    json_decref(root);
    return rc;
}
