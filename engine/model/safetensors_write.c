/* Writing: see safetensors.h. */
#include <jansson.h>
#include <string.h>

#include "config/little_endian.h"
#include "engine/model/safetensors.h"

enum { LENGTH_BYTES = 8, ALIGN = 8 /* bytes; the numbers begin at a multiple */ };

static size_t part_numbers(const struct safetensors_part *p)
{
    size_t n = 1;
    for (int i = 0; i < p->shape.n; i++) n *= (size_t)p->shape.of[i];
    return n;
}

static json_t *write_metadata(const struct safetensors_text *texts, int n)
{
    json_t *object = json_object();
    for (int i = 0; object && i < n; i++) {
        if (json_object_set_new(object, texts[i].name, json_string(texts[i].text)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* The entry of a tensor whose bytes are [from, to). */
static json_t *write_entry(const struct safetensors_part *p, size_t from, size_t to)
{
    json_t *shape = json_array();
    int failed = shape ? 0 : -1;
    for (int i = 0; i < p->shape.n && failed == 0; i++)
        failed = json_array_append_new(shape, json_integer((json_int_t)p->shape.of[i]));
    if (failed) {
        json_decref(shape);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets", (json_int_t)from,
                     (json_int_t)to);
}

static json_t *write_header(const struct safetensors_text *metadata, int n_metadata,
                            const struct safetensors_part *parts, int n)
{
    json_t *root = json_object();
    size_t from = 0;
    int failed = !root;
    if (n_metadata > 0) failed |= json_object_set_new(root, "__metadata__", write_metadata(metadata, n_metadata));
    for (int i = 0; i < n && !failed; i++) {
        const size_t to = from + 4 * part_numbers(&parts[i]);
        failed = json_object_set_new(root, parts[i].name, write_entry(&parts[i], from, to));
        from = to;
    }
    if (!failed) return root;
    json_decref(root);
    return NULL;
}

static eddy_status write_parts(const struct safetensors_part *parts, int n, struct eddy_buffer *out)
{
    for (int i = 0; i < n; i++) {
        const size_t numbers = part_numbers(&parts[i]);
        if (eddy_buffer_reserve(out, 4 * numbers) < 0) return EDDY_ENOMEM;
        char *to = out->data + out->len;
        if (parts[i].data)
            le_put_floats(to, parts[i].data, numbers);
        else
            memset(to, 0, 4 * numbers);
        out->len += 4 * numbers;
    }
    return EDDY_OK;
}

/* jansson refuses texts that are not UTF-8 as it does when memory is short. */
eddy_status safetensors_write(const struct safetensors_text *metadata, int n_metadata,
                              const struct safetensors_part *parts, int n, struct eddy_buffer *out,
                              struct eddy_error *err)
{
    json_t *root = write_header(metadata, n_metadata, parts, n);
    if (!root) return eddy_fail(err, EDDY_EINVAL, "model file: a name in it is not UTF-8, or out of memory");
    const size_t used = json_dumpb(root, NULL, 0, JSON_COMPACT);
    const size_t header = (used + ALIGN - 1) / ALIGN * ALIGN;
    eddy_status rc = eddy_buffer_reserve(out, LENGTH_BYTES + header);
    if (rc >= 0) {
        char *to = out->data + out->len;
        le_put_u64(to, header);
        memset(to + LENGTH_BYTES, ' ', header);
        (void)json_dumpb(root, to + LENGTH_BYTES, header, JSON_COMPACT);
        out->len += LENGTH_BYTES + header;
        rc = write_parts(parts, n, out);
    }
    json_decref(root);
    return rc < 0 ? eddy_fail(err, EDDY_ENOMEM, "model file: out of memory") : EDDY_OK;
}
