/* For processors with AVX2: vectors of 8 floats, 16 registers.  Compiled with -mavx2; empty elsewhere. */
#include "engine/math/kernels_tables.h"

#ifdef __AVX2__
#define KERNELS_NAME  "avx2"
#define KERNELS_TABLE kernels_avx2
#define LANES         8
#define BLOCK_ROWS    6
#define BLOCK_PANELS  1
#include "engine/math/kernels_table.h"
#endif
