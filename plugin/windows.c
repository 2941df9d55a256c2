#include "plugin/windows.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/codec/timestamp.h"

void windows_close(struct windows *w)
{
    if (!w) return;
    for (int i = 0; i < w->n; i++) {
        free(w->series[i].name);
        free(w->series[i].span);
    }
    free(w->series);
    free(w);
}

static bool windows_time(const json_t *value, int64_t *out)
{
    if (json_is_string(value)) return timestamp_parse(json_string_value(value), json_string_length(value), out);
    double seconds = json_number_value(value);
    if (!json_is_number(value) || !(fabs(seconds) < 9e9)) return false;
    *out = (int64_t)llround(seconds * 1e9);
    return true;
}

static bool windows_read_span(const json_t *pair, struct windows_span *out)
{
    return json_array_size(pair) == 2 && windows_time(json_array_get(pair, 0), &out->start_ns) &&
           windows_time(json_array_get(pair, 1), &out->end_ns) && out->start_ns <= out->end_ns;
}

static int span_order(const void *a, const void *b)
{
    const struct windows_span *x = a, *y = b;
    return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

/* What a file of this name has as its key: without .gz and one more extension. */
static size_t windows_key_len(const char *name, size_t base_at)
{
    size_t len = strlen(name);
    if (len > 3 && strcmp(name + len - 3, ".gz") == 0) len -= 3;
    for (size_t at = len; at-- > base_at + 1;)
        if (name[at] == '.') return at;
    return len;
}

static eddy_status windows_read_series(struct windows_series *s, const char *path, const char *name,
                                       const json_t *list, struct eddy_error *err)
{
    s->name = strdup(name);
    s->span = calloc(json_array_size(list) + 1, sizeof(*s->span));
    if (!s->name || !s->span) return eddy_fail(err, EDDY_ENOMEM, "labels %s: out of memory", path);
    const char *slash = strrchr(name, '/');
    s->base_at = slash ? (size_t)(slash - name) + 1 : 0;
    s->key_len = windows_key_len(name, s->base_at);
    if (!json_is_array(list))
        return eddy_fail(err, EDDY_EINVAL, "labels %s: %s: a list of [start, end] is needed", path, name);
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!windows_read_span(json_array_get(list, i), &s->span[i]))
            return eddy_fail(err, EDDY_EINVAL,
                             "labels %s: %s: window %zu is not [start, end], two times in their order", path, name,
                             i + 1);
        s->n++;
    }
    qsort(s->span, (size_t)s->n, sizeof(*s->span), span_order);
    return EDDY_OK;
}

static eddy_status windows_read(struct windows *w, const char *path, json_t *root, struct eddy_error *err)
{
    const char *name;
    json_t *list;
    w->series = calloc(json_object_size(root) + 1, sizeof(*w->series));
    if (!w->series) return eddy_fail(err, EDDY_ENOMEM, "labels %s: out of memory", path);
    if (!json_is_object(root)) return eddy_fail(err, EDDY_EINVAL, "labels %s: an object of series is needed", path);
    json_object_foreach(root, name, list)
    {
        eddy_status rc = windows_read_series(&w->series[w->n++], path, name, list, err);
        if (rc < 0) return rc;
    }
    return EDDY_OK;
}

eddy_status windows_open(const char *path, struct windows **out, struct eddy_error *err)
{
    json_error_t why;
    errno = 0;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (!root && json_error_code(&why) == json_error_cannot_open_file)
        return eddy_fail(err, EDDY_EIO, "labels %s: %s", path, strerror(errno));
    if (!root) return eddy_fail(err, EDDY_EINVAL, "labels %s:%d: %s", path, why.line, why.text);
    struct windows *w = calloc(1, sizeof(*w));
    eddy_status rc = w ? windows_read(w, path, root, err) : eddy_fail(err, EDDY_ENOMEM, "labels: out of memory");
    json_decref(root);
    if (rc >= 0) {
        *out = w;
        return EDDY_OK;
    }
    windows_close(w);
    return rc;
}

static bool same(const char *a, size_t len, const char *key, size_t key_len)
{
    return len == key_len && memcmp(a, key, len) == 0;
}

const struct windows_series *windows_find(const struct windows *w, const char *key, size_t key_len)
{
    const struct windows_series *found = NULL;
    int n_found = 0;
    for (int i = 0; i < w->n; i++) {
        const struct windows_series *s = &w->series[i];
        if (same(s->name, strlen(s->name), key, key_len) || same(s->name, s->key_len, key, key_len)) return s;
        const char *base = s->name + s->base_at;
        if (!same(base, s->key_len - s->base_at, key, key_len) && !same(base, strlen(base), key, key_len)) continue;
        found = s;
        n_found++;
    }
    return n_found == 1 ? found : NULL;
}
