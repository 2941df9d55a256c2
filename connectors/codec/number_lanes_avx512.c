/* Numbers side by side in AVX-512, the tables in registers. */
#ifdef __AVX512BW__
#include <immintrin.h>

#define LANES 8
#define NAME  number_lanes_avx512
typedef __mmask8 which;
#include "connectors/codec/number_lanes_inline.h"

static inline reals lanes_floor(reals t)
{
    return (reals)_mm512_floor_pd((__m512d)t);
}

static inline reals lanes_load(const double *const *x)
{
    return (reals){*x[0], *x[1], *x[2], *x[3], *x[4], *x[5], *x[6], *x[7]};
}

static inline which lanes_less(reals a, reals b)
{
    return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LT_OQ);
}

static inline which lanes_equal(reals a, reals b)
{
    return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_EQ_OQ);
}

static inline which lanes_zero(longs a)
{
    return _mm512_testn_epi64_mask((__m512i)a, (__m512i)a);
}

static inline bool lanes_any(which w)
{
    return w != 0;
}

static inline reals lanes_pick(which w, reals yes, reals no)
{
    return (reals)_mm512_mask_mov_pd((__m512d)no, w, (__m512d)yes);
}

static inline longs lanes_count_bytes(ulongs a)
{
    return (longs)_mm512_sad_epu8(_mm512_min_epu8((__m512i)a, _mm512_set1_epi8(1)), _mm512_setzero_si512());
}

static inline reals lanes_look(const double *table, ulongs i)
{
    const __m512d low = _mm512_permutex2var_pd(_mm512_loadu_pd(table), (__m512i)i, _mm512_loadu_pd(table + 8));
    const __mmask8 high = _mm512_cmpgt_epu64_mask((__m512i)i, _mm512_set1_epi64(15));
    return (reals)_mm512_mask_permutexvar_pd(low, high, (__m512i)i, _mm512_loadu_pd(table + 16));
}
#endif
