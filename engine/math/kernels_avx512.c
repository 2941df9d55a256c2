/* For processors with AVX-512: vectors of 16 floats, 32 registers.  Compiled with -mavx512f; empty elsewhere. */
#include "engine/math/kernels_tables.h"

#ifdef __AVX512F__
#include <immintrin.h>

#define KERNELS_NAME  "avx512"
#define KERNELS_TABLE kernels_avx512
#define KERNELS_MATMUL
#define LANES                  16
#define BLOCK_ROWS             6
#define BLOCK_PANELS           4
#define LANES_ALL(x)           ((lanes)_mm512_set1_ps(x))
#define LANES_FMA(a, b, c)     ((lanes)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define LANES_FMA_F64(a, b, c) ((row_f64)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#define LANES_MIN(a, b)        ((lanes)_mm512_min_ps((__m512)(a), (__m512)(b)))
#define LANES_MAX(a, b)        ((lanes)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define ACT_FMA(a, b, c)       __builtin_fmaf(a, b, c)
#include "engine/math/kernels_table.h"
#endif
