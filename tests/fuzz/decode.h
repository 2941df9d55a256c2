/* What the fuzz targets of the codecs check of a decoded record. */
#ifndef TESTS_FUZZ_DECODE_H
#define TESTS_FUZZ_DECODE_H

#include "eddy_codec.h"

enum { DECODE_VALUES = 2, DECODE_CATEGORIES = 1 };

struct decoder {
    const struct eddy_codec *type;
    const void *settings;
    const char *values[DECODE_VALUES], *categories[DECODE_CATEGORIES];
    void *codec; /* opened by the first record, and kept */
    struct eddy_arena arena;
};

/* Decodes bytes as a record; aborts when what comes out is not as eddy_codec.h says.  True: it was taken. */
bool decode_record(struct decoder *, const uint8_t *bytes, size_t n);

#endif
