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

typedef int8_t json_bytes __attribute__((vector_size(16)));
typedef uint64_t json_halves __attribute__((vector_size(16)));

/* All bits of those of the 16 bytes at p that are not plain; as signed numbers what is not ASCII lies below the blank. */
static inline json_halves json_odd_halves(const char *p)
{
    json_bytes c;
    memcpy(&c, p, sizeof(c));
    return (json_halves)((c < 0x20) | (c == '"') | (c == '\\'));
}

/* Where the run of plain characters that begins at p ends. */
static inline const char *json_plain_end(const char *p, const char *end)
{
    for (; end - p >= 16; p += 16) {
        const json_halves odd = json_odd_halves(p);
        if (odd[0]) return p + __builtin_ctzll(le64toh(odd[0])) / 8;
        if (odd[1]) return p + 8 + __builtin_ctzll(le64toh(odd[1])) / 8;
    }
    if (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        const uint64_t odd = json_odd_bytes(le64toh(word));
        if (odd) return p + __builtin_ctzll(odd) / 8;
        p += 8;
    }
    while (p < end && json_is_plain(*p)) p++;
    return p;
}

#endif
