/* Numbers as little-endian bytes, whatever the machine: for everything that is written down outside SQLite's own columns. */
#ifndef CONFIG_LITTLE_ENDIAN_H
#define CONFIG_LITTLE_ENDIAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void le_put_u32(void *to, uint32_t v)
{
    unsigned char *at = to;
    for (int i = 0; i < 4; i++) at[i] = (unsigned char)(v >> (8 * i));
}

static inline void le_put_u64(void *to, uint64_t v)
{
    unsigned char *at = to;
    for (int i = 0; i < 8; i++) at[i] = (unsigned char)(v >> (8 * i));
}

static inline uint32_t le_get_u32(const void *from)
{
    const unsigned char *at = from;
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) v |= (uint32_t)at[i] << (8 * i);
    return v;
}

static inline uint64_t le_get_u64(const void *from)
{
    const unsigned char *at = from;
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v |= (uint64_t)at[i] << (8 * i);
    return v;
}

static inline void le_put_f64(void *to, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    le_put_u64(to, bits);
}

static inline double le_get_f64(const void *from)
{
    uint64_t bits = le_get_u64(from);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* 4 * n bytes. */
static inline void le_put_floats(void *to, const float *v /* [n] */, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &v[i], sizeof(bits));
        le_put_u32((unsigned char *)to + 4 * i, bits);
    }
}

static inline void le_get_floats(float *v /* [n] */, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = le_get_u32((const unsigned char *)from + 4 * i);
        memcpy(&v[i], &bits, sizeof(bits));
    }
}

#endif
