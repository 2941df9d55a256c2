#include "engine/state/keytable.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { KEYTABLE_FIRST_SIZE = 64 };

static void place(struct keytable *t, struct keytable_entry e)
{
    uint32_t at = e.tag & t->mask;
    while (t->entries[at].slot != KEYTABLE_NONE) at = (at + 1) & t->mask;
    t->entries[at] = e;
}

eddy_status keytable_reserve(struct keytable *t)
{
    uint64_t size = t->entries ? (uint64_t)t->mask + 1 : 0;
    if (t->n + 1 <= size / 4 * 3) return EDDY_OK;
    if (size > UINT32_MAX / 2) return EDDY_ELIMIT;

    uint64_t grown = size ? size * 2 : KEYTABLE_FIRST_SIZE;
    struct keytable old = *t;
    struct keytable_entry *entries = malloc(grown * sizeof(*entries));
    if (!entries) return EDDY_ENOMEM;
    memset(entries, 0xff, grown * sizeof(*entries)); /* KEYTABLE_NONE everywhere */
    t->entries = entries;
    t->mask = (uint32_t)(grown - 1);
    for (uint64_t i = 0; i < size; i++)
        if (old.entries[i].slot != KEYTABLE_NONE) place(t, old.entries[i]);
    free(old.entries);
    return EDDY_OK;
}

void keytable_add(struct keytable *t, uint64_t hash, uint32_t slot)
{
    place(t, (struct keytable_entry){.tag = (uint32_t)hash, .slot = slot});
    t->n++;
}

void keytable_remove(struct keytable *t, uint64_t hash, uint32_t slot)
{
    uint32_t hole = (uint32_t)hash & t->mask;
    while (t->entries[hole].slot != slot) {
        if (t->entries[hole].slot == KEYTABLE_NONE) return;
        hole = (hole + 1) & t->mask;
    }
    /* Whoever was pushed beyond the hole moves into it, unless that would put it before its own place. */
    for (uint32_t at = (hole + 1) & t->mask; t->entries[at].slot != KEYTABLE_NONE; at = (at + 1) & t->mask) {
        uint32_t from_home = (at - t->entries[at].tag) & t->mask;
        uint32_t from_hole = (at - hole) & t->mask;
        if (from_home >= from_hole) {
            t->entries[hole] = t->entries[at];
            hole = at;
        }
    }
    t->entries[hole].slot = KEYTABLE_NONE;
    t->n--;
}

void keytable_free(struct keytable *t)
{
    free(t->entries);
    *t = (struct keytable){0};
}

size_t keytable_bytes(const struct keytable *t)
{
    return t->entries ? ((size_t)t->mask + 1) * sizeof(*t->entries) : 0;
}
