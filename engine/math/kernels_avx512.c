/* For processors with AVX-512: vectors of 16 floats, 32 registers.  Compiled with -mavx512f; empty elsewhere. */
#include "engine/math/kernels_tables.h"

#ifdef __AVX512F__
#define KERNELS_NAME  "avx512"
#define KERNELS_TABLE kernels_avx512
#define LANES         16
#define BLOCK_ROWS    6
#define BLOCK_PANELS  4
#include "engine/math/kernels_table.h"
#endif
