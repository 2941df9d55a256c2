/* Numbers as little-endian bytes, for everything that state files hold beside SQLite's own columns. */
#ifndef ENGINE_STATE_LITTLE_ENDIAN_H
#define ENGINE_STATE_LITTLE_ENDIAN_H

#include <stdint.h>

static inline void le_put_u32(unsigned char to[4], uint32_t v)
{
    for (int i = 0; i < 4; i++) to[i] = (unsigned char)(v >> (8 * i));
}

static inline void le_put_u64(unsigned char to[8], uint64_t v)
{
    for (int i = 0; i < 8; i++) to[i] = (unsigned char)(v >> (8 * i));
}

static inline uint32_t le_get_u32(const unsigned char from[4])
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) v |= (uint32_t)from[i] << (8 * i);
    return v;
}

static inline uint64_t le_get_u64(const unsigned char from[8])
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v |= (uint64_t)from[i] << (8 * i);
    return v;
}

#endif
