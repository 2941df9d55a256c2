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

enum { BLOCK = sizeof(json_bytes) };

static inline bool all_plain(const char block[BLOCK])
{
    const json_halves odd = json_odd_halves(block);
    return (odd[0] | odd[1]) == 0;
}

/* 8 .. 16 characters as two words, of which the last one may lie over the first. */
static inline bool copy_words(char *out, const char *text, size_t len)
{
    uint64_t word[2];
    memcpy(&word[0], text, sizeof(word[0]));
    memcpy(&word[1], text + len - sizeof(word[1]), sizeof(word[1]));
    memcpy(out, &word[0], sizeof(word[0]));
    memcpy(out + len - sizeof(word[1]), &word[1], sizeof(word[1]));
    return all_plain((const char *)word);
}

/* Copies a text without characters that need a look, by blocks of which the last one may lie over the one before; false:
 * there is such a character, and what was copied means nothing. */
static bool copy_plain(char *out, const char *text, size_t len)
{
    uint32_t first, last;
    if (len >= BLOCK) {
        for (size_t i = 0; i < len; i += BLOCK) {
            if (len - i < BLOCK) i = len - BLOCK;
            if (!all_plain(text + i)) return false;
            memcpy(out + i, text + i, BLOCK);
        }
        return true;
    }
    if (len >= sizeof(uint64_t)) return copy_words(out, text, len);
    if (len >= sizeof(first)) {
        memcpy(&first, text, sizeof(first));
        memcpy(&last, text + len - sizeof(last), sizeof(last));
        if (json_odd_bytes(first | (uint64_t)last << 32)) return false;
        memcpy(out, &first, sizeof(first));
        memcpy(out + len - sizeof(last), &last, sizeof(last));
        return true;
    }
    for (size_t i = 0; i < len; i++) {
        if (!json_is_plain(text[i])) return false;
        out[i] = text[i];
    }
    return true;
}

/* Character by character. */
static char *copy_escaped(char *o, const char *p, const char *end)
{
    while (p < end) {
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
    return o;
}

size_t json_text_quote(char *out, const char *text, size_t len)
{
    char *o = out + 1;
    *out = '"';
    o = copy_plain(o, text, len) ? o + len : copy_escaped(o, text, text + len);
    *o++ = '"';
    return (size_t)(o - out);
}
