#include "engine/state/row_layout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/little_endian.h"

enum {
    ROW_ALIGN = 64,
    MAX_SECTIONS = 4096,
    ENCODED_HEAD_BYTES = 8,     /* mark, count */
    ENCODED_SECTION_BYTES = 28, /* length of the name, type, version, bytes, offset; the name follows */
};
static const uint32_t ENCODED_MARK = 0x314c5745;         /* "EWL1" */
static const uint64_t MAX_ROW_BYTES = (uint64_t)1 << 28; /* 256 MiB: what one SQLite blob may hold comfortably */

void row_layout_free(struct row_layout *l)
{
    if (!l) return;
    free(l->sections);
    *l = (struct row_layout){0};
}

static uint64_t align_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

const struct section *row_layout_find(const struct row_layout *l, const char *name)
{
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->sections[i].name, name)) return &l->sections[i];
    return NULL;
}

void row_layout_remove(struct row_layout *l, const char *name)
{
    int at = 0;
    while (at < l->n && strcmp(l->sections[at].name, name) != 0) at++;
    if (at == l->n) return;
    l->n--;
    memmove(&l->sections[at], &l->sections[at + 1], (size_t)(l->n - at) * sizeof(*l->sections));
}

/* The first byte after all sections; row_bytes is this, rounded up. */
static uint64_t layout_end(const struct row_layout *l)
{
    return l->n ? l->sections[l->n - 1].offset + l->sections[l->n - 1].bytes : 0;
}

static size_t element_bytes(uint32_t type)
{
    return type == SECTION_BYTES ? 1 : type == SECTION_F32 ? 4 : 8;
}

static eddy_status section_check(const struct row_layout *l, const char *name, int type, size_t bytes,
                                 struct eddy_error *err)
{
    if (!name[0] || strlen(name) >= sizeof(l->sections->name))
        return eddy_fail(err, EDDY_EINVAL, "row section \"%.80s\": a name has 1 to %zu bytes", name,
                         sizeof(l->sections->name) - 1);
    if (type < SECTION_BYTES || type > SECTION_I64)
        return eddy_fail(err, EDDY_EINVAL, "row section %s: unknown type %d", name, type);
    if (bytes % element_bytes((uint32_t)type))
        return eddy_fail(err, EDDY_EINVAL, "row section %s: %zu bytes are no whole number of elements", name, bytes);
    if (l->n == MAX_SECTIONS)
        return eddy_fail(err, EDDY_ELIMIT, "row section %s: a row has at most %d sections", name, MAX_SECTIONS);
    if (bytes > MAX_ROW_BYTES || layout_end(l) + bytes > MAX_ROW_BYTES - ROW_ALIGN)
        return eddy_fail(err, EDDY_ELIMIT, "row section %s: the row would be larger than %" PRIu64 " bytes", name,
                         MAX_ROW_BYTES);
    if (row_layout_find(l, name)) return eddy_fail(err, EDDY_EINVAL, "row section %s is there already", name);
    return EDDY_OK;
}

int64_t row_layout_add(struct row_layout *l, const char *name, int type, uint32_t version, size_t bytes,
                       struct eddy_error *err)
{
    eddy_status rc = section_check(l, name, type, bytes, err);
    if (rc < 0) return rc;

    struct section *grown = realloc(l->sections, (size_t)(l->n + 1) * sizeof(*grown));
    if (!grown) return eddy_fail(err, EDDY_ENOMEM, "row section %s: out of memory", name);
    l->sections = grown;

    struct section *s = &l->sections[l->n];
    *s = (struct section){.type = (uint32_t)type, .version = version, .bytes = bytes};
    memcpy(s->name, name, strlen(name));
    s->offset = align_up(layout_end(l), type == SECTION_F32 ? ROW_ALIGN : 8);
    l->n++;
    l->row_bytes = (size_t)align_up(layout_end(l), ROW_ALIGN);
    if (!l->in_pieces) l->copied_bytes = l->row_bytes;
    return (int64_t)s->offset;
}

void row_layout_go_on_in_pieces(struct row_layout *l)
{
    l->copied_bytes = (size_t)layout_end(l);
    l->in_pieces = true;
}

eddy_status row_layout_encode(const struct row_layout *l, struct eddy_buffer *out, struct eddy_error *err)
{
    size_t need = ENCODED_HEAD_BYTES;
    for (int i = 0; i < l->n; i++) need += ENCODED_SECTION_BYTES + strlen(l->sections[i].name);
    if (eddy_buffer_reserve(out, need) < 0) return eddy_fail(err, EDDY_ENOMEM, "row directory: out of memory");

    unsigned char *to = (unsigned char *)out->data + out->len;
    le_put_u32(to, ENCODED_MARK);
    le_put_u32(to + 4, (uint32_t)l->n);
    to += ENCODED_HEAD_BYTES;
    for (int i = 0; i < l->n; i++) {
        const struct section *s = &l->sections[i];
        size_t name_len = strlen(s->name);
        le_put_u32(to, (uint32_t)name_len);
        le_put_u32(to + 4, s->type);
        le_put_u32(to + 8, s->version);
        le_put_u64(to + 12, s->bytes);
        le_put_u64(to + 20, s->offset);
        memcpy(to + ENCODED_SECTION_BYTES, s->name, name_len);
        to += ENCODED_SECTION_BYTES + name_len;
    }
    out->len += need;
    return EDDY_OK;
}

/* Reads one section from `at` and returns how many bytes it took, or a negative status. */
static int64_t decode_section(const unsigned char *at, size_t left, struct row_layout *out)
{
    char name[sizeof(out->sections->name)] = {0};
    if (left < ENCODED_SECTION_BYTES) return EDDY_ECORRUPT;
    uint32_t name_len = le_get_u32(at), type = le_get_u32(at + 4);
    uint64_t bytes = le_get_u64(at + 12);
    if (name_len >= sizeof(name) || left - ENCODED_SECTION_BYTES < name_len) return EDDY_ECORRUPT;
    if (type > SECTION_I64 || bytes > MAX_ROW_BYTES) return EDDY_ECORRUPT;
    memcpy(name, at + ENCODED_SECTION_BYTES, name_len);
    if (strlen(name) != name_len) return EDDY_ECORRUPT;

    int64_t offset = row_layout_add(out, name, (int)type, le_get_u32(at + 8), (size_t)bytes, NULL);
    if (offset < 0) return offset == EDDY_ENOMEM ? EDDY_ENOMEM : EDDY_ECORRUPT;
    if ((uint64_t)offset != le_get_u64(at + 20)) return EDDY_ECORRUPT;
    return ENCODED_SECTION_BYTES + (int64_t)name_len;
}

eddy_status row_layout_decode(const void *bytes, size_t n, struct row_layout *out, struct eddy_error *err)
{
    const unsigned char *from = bytes;
    size_t at = ENCODED_HEAD_BYTES;
    eddy_status rc = EDDY_ECORRUPT;

    *out = (struct row_layout){0};
    if (n < ENCODED_HEAD_BYTES || le_get_u32(from) != ENCODED_MARK || le_get_u32(from + 4) > MAX_SECTIONS)
        return eddy_fail(err, EDDY_ECORRUPT, "row directory: %zu bytes do not begin as one", n);
    for (uint32_t i = 0; i < le_get_u32(from + 4); i++) {
        int64_t took = decode_section(from + at, n - at, out);
        if (took < 0) {
            rc = eddy_fail(err, (eddy_status)took, "row directory: section %u of %u is damaged", i + 1,
                           le_get_u32(from + 4));
            goto fail;
        }
        at += (size_t)took;
    }
    if (at == n) return EDDY_OK;
    rc = eddy_fail(err, EDDY_ECORRUPT, "row directory: %zu bytes too many at its end", n - at);
fail:
    row_layout_free(out);
    return rc;
}

static bool section_same(const struct section *a, const struct section *b)
{
    return a->type == b->type && a->version == b->version && a->bytes == b->bytes;
}

static eddy_status section_differs(const struct section *was, const struct section *is, struct eddy_error *err)
{
    static const char *const type_names[] = {"bytes", "f32", "f64", "i64"};
    if (was->bytes != is->bytes)
        return eddy_fail(err, EDDY_EMISMATCH, "section %s: %" PRIu64 " bytes were stored, %" PRIu64 " are configured",
                         is->name, was->bytes, is->bytes);
    if (was->version != is->version)
        return eddy_fail(err, EDDY_EMISMATCH, "section %s: version %u was stored, this eddy writes %u", is->name,
                         was->version, is->version);
    if (was->type != is->type)
        return eddy_fail(err, EDDY_EMISMATCH, "section %s: type %s was stored, %s is configured", is->name,
                         type_names[was->type], type_names[is->type]);
    return eddy_fail(err, EDDY_EMISMATCH, "section %s: was stored at byte %" PRIu64 ", is configured at %" PRIu64,
                     is->name, was->offset, is->offset);
}

eddy_status row_layout_compare(const struct row_layout *stored, const struct row_layout *configured,
                               struct eddy_error *err)
{
    for (int i = 0; i < configured->n; i++) {
        const struct section *is = &configured->sections[i];
        const struct section *was = row_layout_find(stored, is->name);
        if (!was) return eddy_fail(err, EDDY_EMISMATCH, "section %s: is configured, but was not stored", is->name);
        if (!section_same(was, is) || was->offset != is->offset) return section_differs(was, is, err);
    }
    for (int i = 0; i < stored->n; i++)
        if (!row_layout_find(configured, stored->sections[i].name))
            return eddy_fail(err, EDDY_EMISMATCH, "section %s: was stored, but is not configured",
                             stored->sections[i].name);
    return EDDY_OK;
}

void row_layout_copy(const struct row_layout *from_layout, const unsigned char *from,
                     const struct row_layout *to_layout, unsigned char *to)
{
    for (int i = 0; i < to_layout->n; i++) {
        const struct section *s = &to_layout->sections[i];
        const struct section *was = row_layout_find(from_layout, s->name);
        if (was && s->bytes && section_same(was, s)) memcpy(to + s->offset, from + was->offset, s->bytes);
    }
}
