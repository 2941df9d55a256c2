/* SHA-256 (FIPS 180-4) of bytes in memory. */
#ifndef CONFIG_SHA256_H
#define CONFIG_SHA256_H

#include <stddef.h>

/* 64 hexadecimal digits and a NUL. */
void sha256_hex(const void *bytes, size_t len, char out[65]);

#endif
