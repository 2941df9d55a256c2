/* For any processor: vectors of 4 floats, which every 64-bit machine has. */
#include "engine/math/kernels_tables.h"

#define KERNELS_NAME  "portable"
#define KERNELS_TABLE kernels_portable
#define LANES         4
#define BLOCK_ROWS    2
#define BLOCK_PANELS  1
#include "engine/math/kernels_table.h"
