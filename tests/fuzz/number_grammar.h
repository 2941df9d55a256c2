/* JSON numbers by the letter of RFC 8259, for what checks number_parse(). */
#ifndef TESTS_FUZZ_NUMBER_GRAMMAR_H
#define TESTS_FUZZ_NUMBER_GRAMMAR_H

#include <stddef.h>
#include <string.h>

/* Where the number at the beginning of a text ends; NULL when there is none, also where a digit follows a leading 0: 007
 * is refused as a whole. */
static inline const char *number_grammar_end(const char *p)
{
    static const char digits[] = "0123456789";
    p += *p == '-';
    size_t n = strspn(p, digits);
    if (n == 0 || (*p == '0' && n > 1)) return NULL;
    p += n;
    if (*p == '.') {
        n = strspn(p + 1, digits);
        if (n == 0) return NULL;
        p += 1 + n;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        n = strspn(p, digits);
        if (n == 0) return NULL;
        p += n;
    }
    return p;
}

#endif
