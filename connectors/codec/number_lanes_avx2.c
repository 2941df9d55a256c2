/* Numbers side by side in AVX2; its loads from a table are no faster than single ones. */
#ifdef __AVX2__
#include <immintrin.h>

#define LANES 4
#define NAME  number_lanes_avx2
typedef __m256i which; /* all bits of a lane, or none */
#include "connectors/codec/number_lanes_inline.h"

static inline reals lanes_floor(reals t)
{
    return (reals)_mm256_floor_pd((__m256d)t);
}

static inline reals lanes_load(const double *const *x)
{
    return (reals){*x[0], *x[1], *x[2], *x[3]};
}

static inline which lanes_less(reals a, reals b)
{
    return (which)(a < b);
}

static inline which lanes_equal(reals a, reals b)
{
    return (which)(a == b);
}

static inline which lanes_zero(longs a)
{
    return (which)(a == 0);
}

static inline bool lanes_any(which w)
{
    return _mm256_movemask_pd((__m256d)w) != 0;
}

static inline reals lanes_pick(which w, reals yes, reals no)
{
    return (reals)_mm256_blendv_pd((__m256d)no, (__m256d)yes, (__m256d)w);
}

static inline longs lanes_count_bytes(ulongs a)
{
    return (longs)_mm256_sad_epu8(_mm256_min_epu8((__m256i)a, _mm256_set1_epi8(1)), _mm256_setzero_si256());
}

static inline reals lanes_look(const double *table, ulongs i)
{
    return (reals){table[i[0]], table[i[1]], table[i[2]], table[i[3]]};
}
#endif
