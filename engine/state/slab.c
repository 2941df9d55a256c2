#include "engine/state/slab.h"

#include <stdlib.h>
#include <string.h>

enum { SLAB_BYTES = 256 << 10, SLAB_MAX_SHIFT = 11, SLAB_ALIGN = 64 };

void slab_open(struct slab_pool *p, size_t slot_bytes)
{
    *p = (struct slab_pool){.slot_bytes = slot_bytes, .free_slot = SLAB_NONE};
    while (p->shift < SLAB_MAX_SHIFT && (slot_bytes << (p->shift + 1)) <= SLAB_BYTES) p->shift++;
}

static eddy_status add_slab(struct slab_pool *p)
{
    if (p->n_slabs == p->cap) {
        uint32_t cap = p->cap ? p->cap * 2 : 16;
        unsigned char **slabs = realloc(p->slabs, cap * sizeof(*slabs));
        if (!slabs) return EDDY_ENOMEM;
        p->slabs = slabs;
        p->cap = cap;
    }
    unsigned char *slab = aligned_alloc(SLAB_ALIGN, p->slot_bytes << p->shift);
    if (!slab) return EDDY_ENOMEM;
    p->slabs[p->n_slabs++] = slab;
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
    for (uint32_t i = 0; i < p->n_slabs; i++) free(p->slabs[i]);
    free(p->slabs);
    *p = (struct slab_pool){.free_slot = SLAB_NONE};
}

size_t slab_bytes(const struct slab_pool *p)
{
    return p->n_slabs * (p->slot_bytes << p->shift) + p->cap * sizeof(*p->slabs);
}
