/* Slots of one size at fixed places, 64-byte aligned, found by number; taken from slabs of about 256 KiB.
 *
 * Memory   a slab is kept until slab_release() or slab_free(); a free slot is used again first.  From 2 MiB on slabs lie in
 *          blocks of huge pages, where the kernel gives them: of the last one up to 2 MiB are taken ahead of use.
 * Threads  one thread. */
#ifndef ENGINE_STATE_SLAB_H
#define ENGINE_STATE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "eddy_error.h"

#define SLAB_NONE UINT32_MAX

struct slab_pool {
    size_t slot_bytes; /* a multiple of 64 */
    int shift;         /* 2^shift slots in a slab */
    uint32_t n_slabs, cap;
    unsigned char **slabs;
    unsigned char **blocks; /* what slabs are cut from */
    uint32_t n_blocks, cap_blocks;
    unsigned char *next; /* the next slab of the last block, .. */
    uint32_t n_left;     /* .. of which so many are not in use */
    uint32_t free_slot;  /* head of the free slots' list; each begins with the number of the next */
    uint32_t n_fresh;    /* slots below were handed out at least once */
    uint32_t n_used;
};

void slab_open(struct slab_pool *, size_t slot_bytes);
uint32_t slab_take(struct slab_pool *); /* contents undefined; SLAB_NONE = out of memory */
void slab_give(struct slab_pool *, uint32_t slot);
void slab_release(struct slab_pool *); /* gives all memory back; only when no slot is in use */
void slab_free(struct slab_pool *);
size_t slab_bytes(const struct slab_pool *);

static inline void *slab_at(const struct slab_pool *p, uint32_t slot)
{
    return p->slabs[slot >> p->shift] + (slot & ((1u << p->shift) - 1)) * p->slot_bytes;
}

#endif
