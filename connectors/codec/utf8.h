/* Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef CONNECTORS_CODEC_UTF8_H
#define CONNECTORS_CODEC_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that begins at p (1 to 4); 0 when it is not UTF-8. */
int utf8_length(const char *p, const char *end);
bool utf8_valid(const char *text, size_t len);
/* Writes a code point below 0x110000 and returns its length. */
int utf8_write(uint32_t code, char out[4]);

#endif
