/* For processors with AVX2 and FMA: vectors of 8 floats, 16 registers.  Compiled with -mavx2 -mfma; empty elsewhere. */
#include "engine/math/kernels_tables.h"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

#define KERNELS_NAME  "avx2"
#define KERNELS_TABLE kernels_avx2
#define KERNELS_MATMUL
#define LANES                  8
#define BLOCK_ROWS             6
#define BLOCK_PANELS           1
#define LANES_ALL(x)           ((lanes)_mm256_set1_ps(x))
#define LANES_FMA(a, b, c)     ((lanes)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define LANES_FMA_F64(a, b, c) ((row_f64)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define LANES_MIN(a, b)        ((lanes)_mm256_min_ps((__m256)(a), (__m256)(b)))
#define LANES_MAX(a, b)        ((lanes)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define ACT_FMA(a, b, c)       __builtin_fmaf(a, b, c)
#include "engine/math/kernels_table.h"
#endif
