/* Which instruction set runs.  Chosen by asking the processor at each call (a load and a test), so that there is no
 * state to set up and nothing that a loader or a sanitizer must do before the first call. */
#include "engine/math/kernels.h"

#include <string.h>

#include "engine/math/kernels_tables.h"

#if defined(__x86_64__) && !defined(MATH_DOUBLE)
static bool kernels_runs(const struct kernels *k)
{
    if (k == &kernels_avx512) return __builtin_cpu_supports("avx512f") != 0;
    if (k == &kernels_avx2) return __builtin_cpu_supports("avx2") != 0;
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

const struct kernels *kernels_best(void)
{
    int i = 0;
    while (i < N_BUILT - 1 && !kernels_runs(kernels_built[i])) i++;
    return kernels_built[i];
}

const struct kernels *kernels_named(const char *name)
{
    for (int i = 0; i < N_BUILT; i++)
        if (strcmp(kernels_built[i]->name, name) == 0 && kernels_runs(kernels_built[i])) return kernels_built[i];
    return NULL;
}
