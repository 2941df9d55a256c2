/* Characters that stand in a JSON string as they are: ASCII but control characters, quotes and backslashes. */
#ifndef CONNECTORS_CODEC_JSON_PLAIN_H
#define CONNECTORS_CODEC_JSON_PLAIN_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline bool json_is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

/* The top bit of the lowest of 8 bytes that is not plain, of it and perhaps of higher ones: the borrows of a subtraction
 * show up there. */
static inline uint64_t json_odd_bytes(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    const uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    return (word | (word - ones * 0x20) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & tops;
}

/* Where the run of plain characters that begins at p ends. */
static inline const char *json_plain_end(const char *p, const char *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        const uint64_t odd = json_odd_bytes(le64toh(word));
        if (odd) return p + __builtin_ctzll(odd) / 8;
    }
    while (p < end && json_is_plain(*p)) p++;
    return p;
}

#endif
