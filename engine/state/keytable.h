/* Hash table from a key's hash to the number of its slot: open addressing, linear probing, 8 bytes per entry.
 *
 * The table knows 32 bits of the hash, not the keys: keytable_next() gives the slots that may be meant, and the caller
 * compares.  Removing shifts the followers back, so there are no tombstones and a table never grows slow.
 *
 * Memory   grows by doubling, at most 3/4 full; a new key allocates only then.
 * Threads  one thread. */
#ifndef ENGINE_STATE_KEYTABLE_H
#define ENGINE_STATE_KEYTABLE_H

#include <stddef.h>
#include <stdint.h>

#include "eddy_error.h"

#define KEYTABLE_NONE UINT32_MAX

struct keytable_entry {
    uint32_t tag;  /* the low half of the hash: also tells where the entry would like to be */
    uint32_t slot; /* KEYTABLE_NONE = free */
};

struct keytable {
    struct keytable_entry *entries; /* [mask + 1] */
    uint32_t mask, n;
};

eddy_status keytable_reserve(struct keytable *);                    /* room for one more entry */
void keytable_add(struct keytable *, uint64_t hash, uint32_t slot); /* after keytable_reserve() */
void keytable_remove(struct keytable *, uint64_t hash, uint32_t slot);
void keytable_free(struct keytable *);
size_t keytable_bytes(const struct keytable *);

/* for (at = keytable_first(t, hash); (slot = keytable_next(t, hash, &at)) != KEYTABLE_NONE;) .. */
static inline uint32_t keytable_first(const struct keytable *t, uint64_t hash)
{
    return (uint32_t)hash & t->mask;
}

static inline uint32_t keytable_next(const struct keytable *t, uint64_t hash, uint32_t *at)
{
    if (!t->entries) return KEYTABLE_NONE;
    for (;;) {
        const struct keytable_entry *e = &t->entries[*at];
        *at = (*at + 1) & t->mask;
        if (e->slot == KEYTABLE_NONE || e->tag == (uint32_t)hash) return e->slot;
    }
}

#endif
