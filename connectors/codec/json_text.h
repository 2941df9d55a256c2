/* Text as a JSON string.
 * Bytes that are not UTF-8 become U+FFFD, one each; everything but quotes, backslashes and control characters is copied.
 * Threads  reentrant. */
#ifndef CONNECTORS_CODEC_JSON_TEXT_H
#define CONNECTORS_CODEC_JSON_TEXT_H

#include <stddef.h>
#include <string.h>

/* The most that json_text_quote() writes. */
static inline size_t json_text_bound(size_t len)
{
    return 6 * len + 2;
}
/* Writes the string with its quotes, without a NUL; returns its length. */
size_t json_text_quote(char *out, const char *text, size_t len);
/* Copies what is JSON already, without its NUL; returns where it ends. */
static inline char *json_put(char *p, const char *text)
{
    const size_t n = strlen(text);
    return (char *)memcpy(p, text, n) + n;
}

#endif
