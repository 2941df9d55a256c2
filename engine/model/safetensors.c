/* Reading: see safetensors.h. */
#include "engine/model/safetensors.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/little_endian.h"

enum { LENGTH_BYTES = 8 };
#define METADATA "__metadata__"

/* A file while it is opened. */
struct reading {
    const char *path;
    const unsigned char *data; /* behind the header */
    size_t data_bytes;
    struct safetensors *file;
};

static eddy_status tensor_fail(const struct reading *r, const char *name, const char *what, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ECORRUPT, "%s: tensor \"%.100s\": %s", r->path, name, what);
}

/* Names end up in messages on terminals. */
static bool name_is_plain(const char *name)
{
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) return false;
    return *name != '\0';
}

/* A whole number that is not negative. */
static bool size_of(const json_t *node, int64_t *out)
{
    if (!json_is_integer(node) || json_integer_value(node) < 0) return false;
    *out = json_integer_value(node);
    return true;
}

static bool read_shape(const json_t *node, struct safetensors_shape *out, size_t *n)
{
    if (!json_is_array(node) || json_array_size(node) > SAFETENSORS_DIMS) return false;
    out->n = (int)json_array_size(node);
    *n = 1;
    for (int i = 0; i < out->n; i++)
        if (!size_of(json_array_get(node, (size_t)i), &out->of[i]) || __builtin_mul_overflow(*n, out->of[i], n))
            return false;
    return true;
}

static eddy_status read_dtype(const struct reading *r, const char *name, const json_t *node, int *bytes_each,
                              struct eddy_error *err)
{
    const char *dtype = json_string_value(node);
    if (!dtype) return tensor_fail(r, name, "it has no dtype", err);
    if (strcmp(dtype, "F32") == 0 || strcmp(dtype, "F64") == 0) {
        *bytes_each = dtype[1] == '3' ? 4 : 8;
        return EDDY_OK;
    }
    return eddy_fail(err, EDDY_EUNSUPPORTED, "%s: tensor \"%.100s\" holds %.20s; only F32 and F64 can be read",
                     r->path, name, name_is_plain(dtype) ? dtype : "something else");
}

static eddy_status read_tensor(struct reading *r, const char *name, const json_t *node, struct eddy_error *err)
{
    struct safetensor t = {.name = name};
    const json_t *offsets = json_object_get(node, "data_offsets");
    int64_t from, to;
    size_t bytes;
    if (!name_is_plain(name))
        return eddy_fail(err, EDDY_ECORRUPT, "%s: the name of a tensor is empty or has control characters", r->path);
    if (!json_is_object(node)) return tensor_fail(r, name, "its entry is no object", err);
    eddy_status rc = read_dtype(r, name, json_object_get(node, "dtype"), &t.bytes_each, err);
    if (rc < 0) return rc;
    if (!read_shape(json_object_get(node, "shape"), &t.shape, &t.n))
        return tensor_fail(r, name, "its shape is no list of at most 4 sizes", err);
    if (json_array_size(offsets) != 2 || !size_of(json_array_get(offsets, 0), &from) ||
        !size_of(json_array_get(offsets, 1), &to) || from > to || (uint64_t)to > r->data_bytes)
        return tensor_fail(r, name, "its data_offsets do not lie within the file", err);
    if (__builtin_mul_overflow(t.n, (size_t)t.bytes_each, &bytes) || bytes != (size_t)(to - from))
        return tensor_fail(r, name, "its data_offsets do not fit its shape", err);
    t.data = r->data + from;
    r->file->tensors[r->file->n++] = t;
    return EDDY_OK;
}

static eddy_status read_metadata(const struct reading *r, json_t *node, struct eddy_error *err)
{
    const char *name;
    json_t *text;
    bool good = json_is_object(node);
    json_object_foreach(node, name, text) good &= json_is_string(text);
    return good ? EDDY_OK : eddy_fail(err, EDDY_ECORRUPT, "%s: " METADATA " is no object of texts", r->path);
}

/* Tensors without numbers come before the one whose first byte they name. */
static int by_place(const void *a, const void *b)
{
    const struct safetensor *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return (x->n > y->n) - (x->n < y->n);
}

static eddy_status check_places(const struct reading *r, struct eddy_error *err)
{
    const struct safetensors *f = r->file;
    const unsigned char *at = r->data;
    if (f->n > 0) qsort(f->tensors, (size_t)f->n, sizeof(*f->tensors), by_place);
    for (int i = 0; i < f->n; i++) {
        const struct safetensor *t = &f->tensors[i];
        if (t->data != at)
            return tensor_fail(r, t->name,
                               t->data < at ? "its data overlap another tensor's" : "there is a hole before its data",
                               err);
        at += t->n * (size_t)t->bytes_each;
    }
    const size_t left = r->data_bytes - (size_t)(at - r->data);
    return left == 0 ? EDDY_OK
                     : eddy_fail(err, EDDY_ECORRUPT, "%s: %zu bytes at its end belong to no tensor", r->path, left);
}

static eddy_status read_header(struct reading *r, const char *text, size_t n, struct eddy_error *err)
{
    json_error_t why;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why), *node;
    const char *name;
    r->file->header = root;
    if (!root && json_error_code(&why) == json_error_out_of_memory)
        return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", r->path);
    if (!root) return eddy_fail(err, EDDY_ECORRUPT, "%s: the header is no JSON: %.200s", r->path, why.text);
    if (!json_is_object(root)) return eddy_fail(err, EDDY_ECORRUPT, "%s: the header is no JSON object", r->path);
    r->file->tensors = calloc(json_object_size(root) + 1, sizeof(*r->file->tensors));
    if (!r->file->tensors) return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", r->path);

    eddy_status rc = EDDY_OK;
    json_object_foreach(root, name, node)
    {
        if (rc < 0) break;
        rc = strcmp(name, METADATA) == 0 ? read_metadata(r, node, err) : read_tensor(r, name, node, err);
    }
    return rc < 0 ? rc : check_places(r, err);
}

eddy_status safetensors_open(const char *path, const void *bytes, size_t n, struct safetensors **out,
                             struct eddy_error *err)
{
    *out = NULL;
    if (n < LENGTH_BYTES) return eddy_fail(err, EDDY_ECORRUPT, "%s: %zu bytes are no safetensors file", path, n);
    const uint64_t header = le_get_u64(bytes);
    if (header > SAFETENSORS_MAX_HEADER)
        return eddy_fail(err, EDDY_ECORRUPT,
                         "%s: a header of %llu bytes; no safetensors file, or more than %d tensors", path,
                         (unsigned long long)header, SAFETENSORS_MAX_HEADER / 128);
    if (header > n - LENGTH_BYTES) return eddy_fail(err, EDDY_ECORRUPT, "%s: it ends within its header", path);
    struct safetensors *f = calloc(1, sizeof(*f));
    if (!f) return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", path);
    const char *text = (const char *)bytes + LENGTH_BYTES;
    struct reading r = {path, (const unsigned char *)text + header, n - LENGTH_BYTES - (size_t)header, f};
    eddy_status rc = read_header(&r, text, (size_t)header, err);
    if (rc < 0) {
        safetensors_close(f);
        return rc;
    }
    *out = f;
    return EDDY_OK;
}

void safetensors_close(struct safetensors *f)
{
    if (!f) return;
    json_decref(f->header);
    free(f->tensors);
    free(f);
}

const struct safetensor *safetensors_find(const struct safetensors *f, const char *name)
{
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->tensors[i].name, name) == 0) return &f->tensors[i];
    return NULL;
}

const char *safetensors_metadata(const struct safetensors *f, const char *name)
{
    return json_string_value(json_object_get(json_object_get(f->header, METADATA), name));
}

double safetensors_number(const struct safetensor *t, size_t i)
{
    if (t->bytes_each == 8) return le_get_f64(t->data + 8 * i);
    float v;
    const uint32_t bits = le_get_u32(t->data + 4 * i);
    memcpy(&v, &bits, sizeof(bits));
    return (double)v;
}

void safetensors_shape_text(const struct safetensors_shape *shape, char *text, size_t room)
{
    size_t at = (size_t)snprintf(text, room, "[");
    for (int i = 0; i < shape->n && at < room; i++)
        at += (size_t)snprintf(text + at, room - at, "%s%lld", i > 0 ? ", " : "", (long long)shape->of[i]);
    if (at < room) (void)snprintf(text + at, room - at, "]");
}
