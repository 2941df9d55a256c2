/* The tables that kernels.c chooses from, one per kernels_*.c.  Private to engine/math. */
#ifndef ENGINE_MATH_KERNELS_TABLES_H
#define ENGINE_MATH_KERNELS_TABLES_H

#include "engine/math/kernels.h"

extern const struct kernels kernels_portable;
extern const struct kernels kernels_avx2;   /* x86-64 only */
extern const struct kernels kernels_avx512; /* x86-64 only */

#endif
