/* The records of an export, as export.c writes and import.c reads them; the format is told in export.h. */
#ifndef ENGINE_STATE_EXPORT_RECORD_H
#define ENGINE_STATE_EXPORT_RECORD_H

#include <stddef.h>

#include <xxhash.h>

#include "config/little_endian.h"

#define EXPORT_MAGIC "eddy-state"

enum {
    EXPORT_FORMAT = 1,
    EXPORT_LINE_BYTES = 16384, /* a topic may be a path, each byte of which may take three */
    EXPORT_HEAD_BYTES = 9
};

enum export_record { EXPORT_META = 'M', EXPORT_MODEL = 'W', EXPORT_ROW = 'R', EXPORT_END = 'E' };

enum { /* the fixed part of each payload */
       EXPORT_META_BYTES = 4,
       EXPORT_MODEL_BYTES = 16,
       EXPORT_ROW_BYTES = 32,
       EXPORT_END_BYTES = 8
};

/* Of a record, given the sum of the one before (0 for the first). */
static inline uint64_t export_sum(const unsigned char head[EXPORT_HEAD_BYTES], const void *payload, size_t n,
                                  uint64_t before)
{
    return XXH3_64bits_withSeed(payload, n, XXH3_64bits_withSeed(head, EXPORT_HEAD_BYTES, before));
}

#endif
