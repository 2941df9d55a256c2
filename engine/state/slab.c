#include "engine/state/slab.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    SLAB_BYTES = 256 << 10,
    SLAB_MAX_SHIFT = 11,
    SLAB_ALIGN = 64,
    HUGE_PAGE_BYTES = 2 << 20,
    BLOCK_BYTES = 8 << 20
};

void slab_open(struct slab_pool *p, size_t slot_bytes)
{
    *p = (struct slab_pool){.slot_bytes = slot_bytes, .free_slot = SLAB_NONE};
    while (p->shift < SLAB_MAX_SHIFT && (slot_bytes << (p->shift + 1)) <= SLAB_BYTES) p->shift++;
}

static size_t bytes_of_slab(const struct slab_pool *p)
{
    return p->slot_bytes << p->shift;
}

/* Room in a list for one more. */
static eddy_status list_reserve(unsigned char ***list, uint32_t n, uint32_t *cap)
{
    if (n < *cap) return EDDY_OK;
    const uint32_t grown = *cap ? *cap * 2 : 16;
    unsigned char **items = realloc(*list, grown * sizeof(*items));
    if (!items) return EDDY_ENOMEM;
    *list = items;
    *cap = grown;
    return EDDY_OK;
}

/* Many slabs in one block of huge pages, once there are enough to fill one: rows are met in any order, and each of them lies in
 * a page of its own that the processor would have to look up in memory.  What is not used of a block takes no memory. */
static unsigned char *block_of_huge_pages(const struct slab_pool *p, uint32_t n)
{
    const size_t bytes = (n * bytes_of_slab(p) + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    unsigned char *block = aligned_alloc(HUGE_PAGE_BYTES, bytes);
    if (block) (void)madvise(block, bytes, MADV_HUGEPAGE); /* a hint: some kernels know none */
    return block;
}

static eddy_status add_block(struct slab_pool *p)
{
    if (list_reserve(&p->blocks, p->n_blocks, &p->cap_blocks) < 0) return EDDY_ENOMEM;
    const uint32_t many = (uint32_t)(BLOCK_BYTES / bytes_of_slab(p));
    const bool huge = many > 1 && p->n_slabs * bytes_of_slab(p) >= HUGE_PAGE_BYTES;
    unsigned char *block = huge ? block_of_huge_pages(p, many) : NULL;
    const uint32_t n = block ? many : 1;
    if (!block) block = aligned_alloc(SLAB_ALIGN, bytes_of_slab(p));
    if (!block) return EDDY_ENOMEM;
    p->n_left = n;
    p->blocks[p->n_blocks++] = p->next = block;
    return EDDY_OK;
}

static eddy_status add_slab(struct slab_pool *p)
{
    if (list_reserve(&p->slabs, p->n_slabs, &p->cap) < 0) return EDDY_ENOMEM;
    if (p->n_left == 0 && add_block(p) < 0) return EDDY_ENOMEM;
    p->slabs[p->n_slabs++] = p->next;
    p->next += bytes_of_slab(p);
    p->n_left--;
    return EDDY_OK;
}

uint32_t slab_take(struct slab_pool *p)
{
    uint32_t slot = p->free_slot;
    if (slot != SLAB_NONE) {
        memcpy(&p->free_slot, slab_at(p, slot), sizeof(p->free_slot));
    } else {
        if (p->n_fresh == SLAB_NONE) return SLAB_NONE;
        if (p->n_fresh >> p->shift == p->n_slabs && add_slab(p) < 0) return SLAB_NONE;
        slot = p->n_fresh++;
    }
    p->n_used++;
    return slot;
}

void slab_give(struct slab_pool *p, uint32_t slot)
{
    memcpy(slab_at(p, slot), &p->free_slot, sizeof(p->free_slot));
    p->free_slot = slot;
    p->n_used--;
}

void slab_release(struct slab_pool *p)
{
    size_t slot_bytes = p->slot_bytes;
    slab_free(p);
    slab_open(p, slot_bytes);
}

void slab_free(struct slab_pool *p)
{
    for (uint32_t i = 0; i < p->n_blocks; i++) free(p->blocks[i]);
    free(p->blocks);
    free(p->slabs);
    *p = (struct slab_pool){.free_slot = SLAB_NONE};
}

size_t slab_bytes(const struct slab_pool *p)
{
    return p->n_slabs * bytes_of_slab(p) + p->cap * sizeof(*p->slabs) + p->cap_blocks * sizeof(*p->blocks);
}
