#include "connectors/codec/number_lanes.h"

#include <stddef.h>

#include "connectors/codec/number_layout.h"

#if defined(__x86_64__)
number_lanes_convert *number_lanes_named(const char *name)
{
    if (strcmp(name, "avx512") == 0) return __builtin_cpu_supports("avx512f") ? number_lanes_avx512 : NULL;
    if (strcmp(name, "avx2") == 0) return __builtin_cpu_supports("avx2") ? number_lanes_avx2 : NULL;
    return NULL;
}
#else
number_lanes_convert *number_lanes_named(const char *name)
{
    (void)name;
    return NULL;
}
#endif

number_lanes_convert *number_lanes_best(void)
{
    number_lanes_convert *widest = number_lanes_named("avx512");
    return widest ? widest : number_lanes_named("avx2");
}

void number_batch_convert(struct number_batch *b)
{
    enum { WORTH_IT = 3 }; /* fewer numbers are sooner converted one by one than in a row of lanes of their own */
    number_lanes_convert *convert = number_lanes_best();
    const int left = b->n % NUMBER_LANES;
    b->at = 0;
    /* The first ones are what came in, with the fewest digits, which is where number_write() is at its best. */
    b->n_single = convert ? (left < WORTH_IT ? left : 0) : b->n;
    for (int i = b->n_single; i < b->n; i += NUMBER_LANES) {
        for (int k = b->n; k < i + NUMBER_LANES; k++) b->x[k] = b->x[0];
        convert(b->x + i, b->first + i, b->eight + i, b->e10 + i);
    }
}

size_t number_batch_write(struct number_batch *b, const double *x, char *out)
{
    const int i = b->at;
    if (i >= b->n || b->x[i] != x) return number_write(*x, out);
    b->at++;
    if (i < b->n_single || b->e10[i] < NUMBER_PLAIN_LOWEST || b->e10[i] > NUMBER_SHORT_HIGHEST)
        return number_write(*x, out);
    const size_t sign = *x < 0;
    *out = '-';
    return sign + number_lay_out(b->first[i], b->eight[i], b->e10[i], out + sign);
}
