/* Two kinds of memory that grow and are kept: a byte buffer, and bump memory for one chunk of records.
 * Threads  each belongs to one thread. */
#ifndef EDDY_BUFFER_H
#define EDDY_BUFFER_H

#include <stddef.h>

#include "eddy_error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A growing byte buffer; {0} is empty and ready. */
struct eddy_buffer {
    char *data;
    size_t len, cap;
};
EDDY_API eddy_status eddy_buffer_reserve(struct eddy_buffer *, size_t more); /* room for `more` bytes after len */
EDDY_API eddy_status eddy_buffer_append(struct eddy_buffer *, const void *bytes, size_t n);
EDDY_API void eddy_buffer_free(struct eddy_buffer *);

/* Bump memory for one chunk of records; {0} is empty and ready.  Pointers stay good until eddy_arena_reset(). */
struct eddy_arena {
    struct eddy_arena_block *first, *current;
};
EDDY_API void *eddy_arena_take(struct eddy_arena *, size_t bytes); /* aligned to 8; NULL = out of memory */
EDDY_API void eddy_arena_reset(struct eddy_arena *);               /* keeps the blocks */
EDDY_API void eddy_arena_free(struct eddy_arena *);

#ifdef __cplusplus
}
#endif
#endif
