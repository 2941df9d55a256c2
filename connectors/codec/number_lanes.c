#include "connectors/codec/number_lanes.h"

#include <stddef.h>

#if defined(__x86_64__)
number_lanes_write *number_lanes_named(const char *name)
{
    if (strcmp(name, "avx512") == 0) return __builtin_cpu_supports("avx512bw") ? number_lanes_avx512 : NULL;
    if (strcmp(name, "avx2") == 0) return __builtin_cpu_supports("avx2") ? number_lanes_avx2 : NULL;
    return NULL;
}
#else
number_lanes_write *number_lanes_named(const char *name)
{
    (void)name;
    return NULL;
}
#endif

number_lanes_write *number_lanes_best(void)
{
    number_lanes_write *widest = number_lanes_named("avx512");
    return widest ? widest : number_lanes_named("avx2");
}

void number_batch_convert(struct number_batch *b)
{
    enum { WORTH_IT = 3 }; /* fewer numbers are sooner written one by one than in a row of lanes of their own */
    number_lanes_write *write = number_lanes_best();
    const int left = b->n % NUMBER_LANES;
    if (write) {
        /* The first ones are what came in, with the fewest digits, which is where number_write() is at its best. */
        b->at = left < WORTH_IT ? left : 0;
        for (int i = b->n; (i - b->at) % NUMBER_LANES > 0; i++) b->x[i] = b->x[0];
        write(b->x + b->at, b->n - b->at, b->text + b->at, b->len + b->at);
    } else {
        b->at = b->n;
    }
    b->x[b->n] = NULL;
}

size_t number_batch_write_odd(struct number_batch *b, const double *x, char *out)
{
    b->at += b->x[b->at] == x;
    return number_write(*x, out);
}
