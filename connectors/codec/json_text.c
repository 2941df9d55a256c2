#include "connectors/codec/json_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "connectors/codec/json_plain.h"
#include "connectors/codec/utf8.h"

static size_t write_escape(char *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char letter[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    out[0] = '\\';
    if (letter[c]) {
        out[1] = letter[c];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

size_t json_text_quote(char *out, const char *text, size_t len)
{
    const char *p = text, *end = text + len;
    char *o = out;
    *o++ = '"';
    while (p < end) {
        if (end - p >= 8 && json_odd_bytes(p) == 0) {
            memcpy(o, p, 8);
            o += 8;
            p += 8;
            continue;
        }
        unsigned char c = (unsigned char)*p;
        if (json_is_plain((char)c)) {
            *o++ = *p++;
        } else if (c < 0x80) {
            o += write_escape(o, c);
            p++;
        } else {
            int n = utf8_length(p, end);
            memcpy(o, n ? p : "\xEF\xBF\xBD", n ? (size_t)n : 3);
            o += n ? n : 3;
            p += n ? n : 1;
        }
    }
    *o++ = '"';
    return (size_t)(o - out);
}
