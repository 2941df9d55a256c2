#include "connectors/files/dead_letter_line.h"

#include <string.h>

#include "connectors/codec/json_text.h"
#include "connectors/codec/number.h"
#include "connectors/codec/utf8.h"

static const char prefix[] = "__eddy.errors.";
enum { PREFIX_BYTES = sizeof(prefix) - 1 };

static bool is_ours(const struct sink_header *h)
{
    return strncmp(h->name, prefix, PREFIX_BYTES) == 0;
}

bool is_dead_letter(const struct sink_message *m)
{
    for (int i = 0; i < m->n_headers; i++)
        if (is_ours(&m->headers[i])) return true;
    return false;
}

static eddy_status add_quoted(struct eddy_buffer *out, const char *text, size_t len)
{
    eddy_status rc = eddy_buffer_reserve(out, json_text_bound(len));
    if (rc >= 0) out->len += json_text_quote(out->data + out->len, text, len);
    return rc;
}

/* ,"name": */
static eddy_status add_name(struct eddy_buffer *out, const char *name, const char *ending, bool first)
{
    eddy_status rc = first ? EDDY_OK : eddy_buffer_append(out, ",", 1);
    if (rc >= 0) rc = add_quoted(out, name, strlen(name));
    if (rc >= 0 && *ending) {
        out->len--; /* the closing quote */
        rc = eddy_buffer_append(out, ending, strlen(ending));
        if (rc >= 0) rc = eddy_buffer_append(out, "\"", 1);
    }
    return rc < 0 ? rc : eddy_buffer_append(out, ":", 1);
}

static eddy_status add_base64(struct eddy_buffer *out, const unsigned char *bytes, size_t len)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    eddy_status rc = eddy_buffer_reserve(out, (len + 2) / 3 * 4 + 2);
    if (rc < 0) return rc;
    char *p = out->data + out->len;
    *p++ = '"';
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        unsigned group = (unsigned)bytes[i] << 16;
        if (left > 1) group |= (unsigned)bytes[i + 1] << 8;
        if (left > 2) group |= bytes[i + 2];
        *p++ = digit[group >> 18];
        *p++ = digit[group >> 12 & 63];
        *p++ = left > 1 ? digit[group >> 6 & 63] : '=';
        *p++ = left > 2 ? digit[group & 63] : '=';
    }
    *p++ = '"';
    out->len = (size_t)(p - out->data);
    return EDDY_OK;
}

static eddy_status add_bytes(struct eddy_buffer *out, const char *name, const void *bytes, size_t len)
{
    bool text = !bytes || utf8_valid(bytes, len);
    eddy_status rc = add_name(out, name, text ? "" : "_base64", false);
    if (rc < 0) return rc;
    if (!bytes) return eddy_buffer_append(out, "null", 4);
    return text ? add_quoted(out, bytes, len) : add_base64(out, bytes, len);
}

static eddy_status add_header(struct eddy_buffer *out, const struct sink_header *h, bool first)
{
    const char *value = h->value, *end = value + h->len;
    struct number_decimal number;
    eddy_status rc = add_name(out, h->name + PREFIX_BYTES, "", first);
    if (rc < 0) return rc;
    if (number_scan(value, end, &number) == end) return eddy_buffer_append(out, value, h->len);
    return add_quoted(out, value, h->len);
}

eddy_status dead_letter_line(const struct sink_message *m, struct eddy_buffer *out)
{
    bool first = true;
    eddy_status rc = eddy_buffer_append(out, "{", 1);
    for (int i = 0; i < m->n_headers && rc >= 0; i++) {
        if (!is_ours(&m->headers[i])) continue;
        rc = add_header(out, &m->headers[i], first);
        first = false;
    }
    if (rc >= 0) rc = add_bytes(out, "key", m->key, m->key_len);
    if (rc >= 0) rc = add_bytes(out, "payload", m->payload, m->len);
    return rc < 0 ? rc : eddy_buffer_append(out, "}", 1);
}
