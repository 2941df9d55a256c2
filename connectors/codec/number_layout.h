/* From digits to text: what number_write() and number_lanes.h share. */
#ifndef CONNECTORS_CODEC_NUMBER_LAYOUT_H
#define CONNECTORS_CODEC_NUMBER_LAYOUT_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { NUMBER_PLAIN_LOWEST = -5, NUMBER_PLAIN_HIGHEST = 15 }; /* exponents that are written without an e */
enum { NUMBER_SHORT_HIGHEST = 8 };                            /* the first digits alone make the whole part */

/* 10^i, exactly but the last one, which fills up the lanes. */
enum { NUMBER_EXACT = 22 };
extern const double number_power[NUMBER_EXACT + 2];
/* number_from[NUMBER_LOWEST + e]: the double from where on floor(log10 v) is e for write_quickly(), which is where v / 10^e,
 * rounded, becomes 1. */
enum { NUMBER_LOWEST = 14 };
extern const double number_from[NUMBER_LOWEST + NUMBER_EXACT + 1];

/* Eight characters, the first one in the lowest byte. */
static inline void number_put_eight(char *p, uint64_t characters)
{
    characters = htole64(characters);
    memcpy(p, &characters, sizeof(characters));
}

/* The 8 digits of n < 10^8 as numbers 0..9, the first one in the lowest byte: halves, quarters and eighths are split off
 * side by side in one word, by a multiplication that divides by 100 (below 10,000) and by 10 (below 100). */
static inline uint64_t number_eight_digits(uint32_t n)
{
    uint64_t x = n / 10000 | (uint64_t)(n % 10000) << 32;
    uint64_t hundreds = (x * 10486 >> 20) & 0x0000007F0000007Fu;
    x = hundreds | (x - 100 * hundreds) << 16;
    uint64_t tens = (x * 103 >> 10) & 0x000F000F000F000Fu;
    return tens | (x - 10 * tens) << 8;
}

/* How many digits remain of 1 + eight without the zeros at the end. */
static inline unsigned number_count_digits(uint64_t eight)
{
    return eight ? 9 - (unsigned)__builtin_clzll(eight) / 8 : 1;
}

/* d.dddddddd * 10^e10 for an e10 of NUMBER_PLAIN_LOWEST .. NUMBER_SHORT_HIGHEST, by stores of whole words whose places alone depend
 * on e10: whether a number is below 1 cannot be foreseen, and is not branched on.  A number below 1 gets its zeros first
 * and its digits over them, another one its digits and then the point with the later digits over them.  What is written
 * too much lies within NUMBER_TEXT_BYTES. */
static inline size_t number_lay_out(uint64_t first, uint64_t eight, int64_t e10, char *out)
{
    static const struct {
        uint8_t digits, point, rest,
            shift;    /* where the first digit, the point and the digits after it go; bits of these */
        uint8_t more; /* characters beside the digits */
    } place[] = {{6, 1, 7, 0, 6},  {5, 1, 6, 0, 5},  {4, 1, 5, 0, 4},  {3, 1, 4, 0, 3},  {2, 1, 3, 0, 2},
                 {0, 1, 2, 0, 1},  {0, 2, 3, 8, 1},  {0, 3, 4, 16, 1}, {0, 4, 5, 24, 1}, {0, 5, 6, 32, 1},
                 {0, 6, 7, 40, 1}, {0, 7, 8, 48, 1}, {0, 8, 9, 56, 1}, {0, 9, 10, 63, 1}};
    const uint64_t zeros = 0x3030303030303030u, characters = eight | zeros;
    const size_t i = (size_t)(e10 - NUMBER_PLAIN_LOWEST), digits = place[i].digits;
    const int64_t n = number_count_digits(eight), whole = e10 + 1;
    memcpy(out, "0.000000", 8);
    out[digits] = (char)('0' + first);
    number_put_eight(out + digits + 1, characters);
    out[place[i].point] = '.';
    number_put_eight(out + place[i].rest, characters >> place[i].shift);
    return (size_t)(whole >= n ? whole : n + place[i].more);
}

#endif
