/* Which instruction set runs: the process's, chosen at the first call. */
#include "engine/math/kernels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels_tables.h"

#if defined(__x86_64__) && !defined(MATH_DOUBLE)
static bool kernels_runs(const struct kernels *k)
{
    if (k == &kernels_avx512) return __builtin_cpu_supports("avx512f") != 0;
    if (k == &kernels_avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return true;
}
static const struct kernels *const kernels_built[] = {&kernels_avx512, &kernels_avx2, &kernels_portable};
#else
static bool kernels_runs(const struct kernels *k)
{
    (void)k;
    return true;
}
static const struct kernels *const kernels_built[] = {&kernels_portable};
#endif

enum { N_BUILT = sizeof(kernels_built) / sizeof(kernels_built[0]) };

/* NULL until the first call; every thread that finds it so writes the same. */
static _Atomic(const struct kernels *) kernels_in_use;

/* Once in a process: apart, so that kernels_best() is a few instructions. */
static __attribute__((noinline)) const struct kernels *kernels_choose(void)
{
    const char *name = getenv("EDDY_KERNEL");
    const struct kernels *asked = name ? kernels_named(name) : NULL;
    int i = 0;
    while (i < N_BUILT - 1 && !kernels_runs(kernels_built[i])) i++;
    return asked ? asked : kernels_built[i];
}

const struct kernels *kernels_best(void)
{
    const struct kernels *k = atomic_load_explicit(&kernels_in_use, memory_order_relaxed);
    if (k) return k;
    k = kernels_choose();
    atomic_store_explicit(&kernels_in_use, k, memory_order_relaxed);
    return k;
}

bool kernels_force(const char *name)
{
    const struct kernels *k = strcmp(name, "auto") == 0 ? kernels_best() : kernels_named(name);
    if (k) atomic_store_explicit(&kernels_in_use, k, memory_order_relaxed);
    return k;
}

const struct kernels *kernels_named(const char *name)
{
    for (int i = 0; i < N_BUILT; i++)
        if (strcmp(kernels_built[i]->name, name) == 0 && kernels_runs(kernels_built[i])) return kernels_built[i];
    return NULL;
}
