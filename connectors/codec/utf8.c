#include "connectors/codec/utf8.h"

#include <string.h>

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

int utf8_length(const char *p, const char *end)
{
    unsigned char first = (unsigned char)*p;
    ptrdiff_t left = end - p;
    if (first < 0x80) return 1;
    if (first < 0xC2 || left < 2 || !is_continuation(p[1])) return 0; /* C0, C1: overlong */
    if (first < 0xE0) return 2;

    unsigned char second = (unsigned char)p[1];
    if (left < 3 || !is_continuation(p[2])) return 0;
    if (first < 0xF0) {
        bool overlong = first == 0xE0 && second < 0xA0, surrogate = first == 0xED && second >= 0xA0;
        return overlong || surrogate ? 0 : 3;
    }
    if (left < 4 || !is_continuation(p[3]) || first > 0xF4) return 0;
    bool overlong = first == 0xF0 && second < 0x90, too_high = first == 0xF4 && second >= 0x90;
    return overlong || too_high ? 0 : 4;
}

bool utf8_valid(const char *text, size_t len)
{
    const char *p = text, *end = text + len;
    while (p < end) {
        uint64_t word;
        if (end - p >= 8 && (memcpy(&word, p, 8), (word & 0x8080808080808080u) == 0)) {
            p += 8;
            continue;
        }
        int n = utf8_length(p, end);
        if (n == 0) return false;
        p += n;
    }
    return true;
}

int utf8_write(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}
