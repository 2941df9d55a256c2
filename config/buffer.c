#include "eddy_buffer.h"

#include <stdlib.h>
#include <string.h>

eddy_status eddy_buffer_reserve(struct eddy_buffer *b, size_t more)
{
    if (more > (size_t)-1 / 4 - b->len) return EDDY_ENOMEM;
    size_t need = b->len + more;
    if (need <= b->cap) return EDDY_OK;

    size_t cap = b->cap ? b->cap : 256;
    while (cap < need) cap *= 2;
    char *data = realloc(b->data, cap);
    if (!data) return EDDY_ENOMEM;
    b->data = data;
    b->cap = cap;
    return EDDY_OK;
}

eddy_status eddy_buffer_append(struct eddy_buffer *b, const void *bytes, size_t n)
{
    eddy_status rc = eddy_buffer_reserve(b, n);
    if (rc < 0) return rc;
    if (n) memcpy(b->data + b->len, bytes, n);
    b->len += n;
    return EDDY_OK;
}

void eddy_buffer_free(struct eddy_buffer *b)
{
    free(b->data);
    *b = (struct eddy_buffer){0};
}

enum { ARENA_BLOCK_BYTES = 64 * 1024 };

struct eddy_arena_block {
    struct eddy_arena_block *next;
    size_t used, cap;
    _Alignas(16) char bytes[];
};

static struct eddy_arena_block *arena_block(size_t cap)
{
    struct eddy_arena_block *block = malloc(sizeof(*block) + cap);
    if (block) *block = (struct eddy_arena_block){.cap = cap};
    return block;
}

void *eddy_arena_take(struct eddy_arena *a, size_t bytes)
{
    if (bytes > (size_t)-1 / 4) return NULL;
    bytes = (bytes + 7) & ~(size_t)7;
    while (a->current && a->current->cap - a->current->used < bytes && a->current->next) {
        a->current = a->current->next;
        a->current->used = 0;
    }
    if (!a->current || a->current->cap - a->current->used < bytes) {
        struct eddy_arena_block *block = arena_block(bytes > ARENA_BLOCK_BYTES ? bytes : ARENA_BLOCK_BYTES);
        if (!block) return NULL;
        if (a->current)
            a->current->next = block;
        else
            a->first = block;
        a->current = block;
    }
    void *taken = a->current->bytes + a->current->used;
    a->current->used += bytes;
    return taken;
}

void eddy_arena_reset(struct eddy_arena *a)
{
    a->current = a->first;
    if (a->current) a->current->used = 0;
}

void eddy_arena_free(struct eddy_arena *a)
{
    for (struct eddy_arena_block *b = a->first, *next; b; b = next) {
        next = b->next;
        explicit_bzero(b->bytes, b->cap); /* a configuration holds passwords */
        free(b);
    }
    *a = (struct eddy_arena){0};
}
