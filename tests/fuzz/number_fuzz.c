/* Fuzzes decimals against strtod_l() in the C locale: what number_parse() takes has the same value, bit for bit, and the
 * same end; what is written reads back as it was. */
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/codec/number.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/number_grammar.h"

static void written_reads_back(double x)
{
    char out[NUMBER_TEXT_BYTES];
    double once, twice;
    size_t n = number_write(x, out);
    if (n > sizeof(out) || number_parse(out, out + n, &once) != out + n) abort();
    if ((float)once != (float)x && fabs(once - x) > 1e-8 * fabs(x)) abort();
    n = number_write(once, out); /* what was written is written the same again */
    if (number_parse(out, out + n, &twice) != out + n || memcmp(&once, &twice, sizeof(once)) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static locale_t c;
    if (!c) c = newlocale(LC_ALL_MASK, "C", NULL);
    char *text = strndup((const char *)bytes, n); /* ends at a NUL, as number_grammar_end() does */
    if (!c || !text) abort();
    const size_t len = strlen(text);
    double x = 0, y = 0;
    const char *end = number_parse(text, text + len, &x), *by_grammar = number_grammar_end(text);
    if (end != by_grammar) abort();
    if (end) {
        char *exact = strndup(text, (size_t)(end - text));
        if (!exact) abort();
        const double want = strtod_l(exact, NULL, c);
        if (memcmp(&want, &x, sizeof(x)) != 0) abort();
        free(exact);
        if (isfinite(x)) written_reads_back(x);
    }
    if (number_parse_text(text, len, &y) && end == text + len && memcmp(&x, &y, sizeof(x)) != 0) abort();
    double any;
    if (n >= sizeof(any)) {
        memcpy(&any, bytes, sizeof(any));
        if (isfinite(any)) written_reads_back(any);
    }
    free(text);
    return 0;
}
