#include "engine/state/keytable.h"
#include "engine/state/slab.h"
#include "tests/unit/state/fixture.h"

static bool holds(const struct keytable *t, uint64_t hash, uint32_t slot)
{
    uint32_t found, at = keytable_first(t, hash);
    while ((found = keytable_next(t, hash, &at)) != KEYTABLE_NONE)
        if (found == slot) return true;
    return false;
}

Test(keytable, an_empty_table_holds_nothing)
{
    struct keytable t = {0};
    cr_assert_not(holds(&t, 42, 0));
    keytable_free(&t);
}

/* Few distinct hashes near the end of the table: long runs that wrap around. */
Test(keytable, random_adding_and_removing_agrees_with_a_plain_array)
{
    enum { N = 400 };
    struct keytable t = {0};
    bool in[N] = {0};
    uint64_t x = 88172645463325252u;
    uint32_t count = 0;
    for (int step = 0; step < 40000; step++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint32_t i = (uint32_t)(x % N);
        uint64_t hash = (uint64_t)(i % 37) * 3 + 500;
        if (in[i]) {
            keytable_remove(&t, hash, i);
            count--;
        } else {
            cr_assert_eq(keytable_reserve(&t), EDDY_OK);
            keytable_add(&t, hash, i);
            count++;
        }
        in[i] = !in[i];
        cr_assert_eq(t.n, count);
        if (step % 50 == 0)
            for (uint32_t k = 0; k < N; k++)
                cr_assert_eq(holds(&t, (uint64_t)(k % 37) * 3 + 500, k), in[k], "step %d key %u", step, k);
    }
    keytable_free(&t);
}

Test(keytable, removing_what_is_not_there_changes_nothing)
{
    struct keytable t = {0};
    cr_assert_eq(keytable_reserve(&t), EDDY_OK);
    keytable_add(&t, 5, 1);
    keytable_remove(&t, 6, 1);
    keytable_remove(&t, 5, 2);
    cr_assert_eq(t.n, 1);
    cr_assert(holds(&t, 5, 1));
    keytable_free(&t);
}

Test(slab, slots_are_aligned_distinct_and_used_again)
{
    struct slab_pool p;
    slab_open(&p, 192);
    for (uint32_t i = 0; i < 5000; i++) {
        cr_assert_eq(slab_take(&p), i);
        cr_assert_eq((uintptr_t)slab_at(&p, i) % 64, 0);
        memset(slab_at(&p, i), (int)i, 192);
    }
    for (uint32_t i = 0; i < 5000; i++) cr_assert_eq(*(unsigned char *)slab_at(&p, i), (unsigned char)i);
    slab_give(&p, 17);
    slab_give(&p, 4000);
    cr_assert_eq(slab_take(&p), 4000);
    cr_assert_eq(slab_take(&p), 17);
    cr_assert_eq(slab_take(&p), 5000);
    slab_free(&p);
}

/* What the kernel was told of the pages at an address: the flags of its mapping. */
static bool is_told_of_huge_pages(const void *at)
{
    const uintptr_t address = (uintptr_t)at;
    char line[512];
    bool within = false, told = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof(line), f)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) within = address >= from && address < to;
        if (within && strncmp(line, "VmFlags:", 8) == 0) told = strstr(line, " hg") != NULL;
    }
    (void)fclose(f);
    return told;
}

Test(slab, many_slots_lie_in_huge_pages_and_few_do_not)
{
    enum { SLOT = 3008, MANY = 20000 };
    struct slab_pool p;
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0) cr_skip_test("this kernel has no huge pages");
    slab_open(&p, SLOT);
    for (uint32_t i = 0; i < MANY; i++) {
        cr_assert_eq(slab_take(&p), i);
        memset(slab_at(&p, i), (int)i, SLOT);
    }
    for (uint32_t i = 0; i < MANY; i++) cr_assert_eq(*((unsigned char *)slab_at(&p, i) + SLOT - 1), (unsigned char)i);
    cr_assert_not(is_told_of_huge_pages(slab_at(&p, 0)));
    cr_assert(is_told_of_huge_pages(slab_at(&p, (4 << 20) / SLOT)));
    cr_assert(is_told_of_huge_pages(slab_at(&p, MANY - 1)));
    cr_assert_lt(slab_bytes(&p), (size_t)MANY * SLOT + (512 << 10), "what is not in use yet was counted");
    slab_free(&p);
}

Test(slab, a_slot_larger_than_a_slab_gets_one_of_its_own)
{
    struct slab_pool p;
    slab_open(&p, 1 << 20);
    cr_assert_eq(slab_take(&p), 0);
    cr_assert_eq(slab_take(&p), 1);
    memset(slab_at(&p, 1), 1, 1 << 20);
    cr_assert_geq(slab_bytes(&p), 2 << 20);
    slab_give(&p, 0);
    slab_give(&p, 1);
    slab_release(&p);
    cr_assert_lt(slab_bytes(&p), 4096);
    cr_assert_eq(slab_take(&p), 0);
    slab_free(&p);
}
