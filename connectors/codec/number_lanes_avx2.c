/* Numbers side by side in AVX2; its loads from a table are no faster than single ones. */
#ifdef __AVX2__
#include <immintrin.h>

#define LANES 4
#define NAME  number_lanes_avx2
#include "connectors/codec/number_lanes_inline.h"

static inline reals lanes_floor(reals t)
{
    return (reals)_mm256_floor_pd((__m256d)t);
}

static inline reals lanes_load(const double *const *x)
{
    return (reals){*x[0], *x[1], *x[2], *x[3]};
}

static inline bool lanes_any(longs which)
{
    return _mm256_movemask_pd((__m256d)which) != 0;
}

static inline reals lanes_look(const double *table, ulongs i)
{
    return (reals){table[i[0]], table[i[1]], table[i[2]], table[i[3]]};
}
#endif
