/* Matrix products of the training, c = beta c + op(a) b: blocks of rows x vectors whose sums stay in registers, over runs
 * of k so short that their rows of b stay in the first cache.  b is read as it lies; only columns that do not fill a
 * vector go through a padded copy.  Every sum runs over k in ascending order, whatever the sizes.  Takes its vectors from
 * product_inline.h; for sets with LANES_FMA. */
#ifndef ENGINE_MATH_MATMUL_INLINE_H
#define ENGINE_MATH_MATMUL_INLINE_H

#include <string.h>

#include "engine/math/kernels.h"

enum { MATMUL_ROWS = 6, MATMUL_VECTORS = BLOCK_PANELS * VECTORS, MATMUL_RUN = 128 };

struct matmul_block {
    const float *a; /* element (row, k) at a[row a_row + k a_step] */
    size_t a_row, a_step;
    const float *b; /* [n_k, ldb] */
    size_t ldb;
    float *c; /* [rows, ldc] */
    size_t ldc;
    int n_k;
    bool adds; /* to what is in c */
};

static inline __attribute__((always_inline)) void matmul_sums(const int rows, const int vectors, const size_t a_row,
                                                              const size_t a_step, const struct matmul_block *m)
{
    lanes sum[MATMUL_ROWS][MATMUL_VECTORS];
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++)
            sum[r][v] = m->adds ? *(const lanes *)(m->c + (size_t)r * m->ldc + (size_t)v * LANES) : (lanes){0};
    }
    const float *a = m->a, *b = m->b;
    for (int k = 0; k < m->n_k; k++, a += a_step, b += m->ldb) {
        lanes w[MATMUL_VECTORS];
        UNROLL
        for (int v = 0; v < vectors; v++) w[v] = *(const lanes *)(b + (size_t)v * LANES);
        UNROLL
        for (int r = 0; r < rows; r++) {
            const lanes a_k = LANES_ALL(a[(size_t)r * a_row]);
            UNROLL
            for (int v = 0; v < vectors; v++) sum[r][v] = LANES_FMA(a_k, w[v], sum[r][v]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++) *(lanes *)(m->c + (size_t)r * m->ldc + (size_t)v * LANES) = sum[r][v];
    }
}

/* The stride that is 1 is known to the compiler, so that rows or steps of `a` need no addresses of their own. */
static inline __attribute__((always_inline)) void matmul_rows(const int rows, const int vectors,
                                                              const struct matmul_block *m)
{
    if (m->a_row == 1)
        matmul_sums(rows, vectors, 1, m->a_step, m);
    else
        matmul_sums(rows, vectors, m->a_row, 1, m);
}

/* `vectors` columns of c, all n_rows of it. */
static inline __attribute__((always_inline)) void matmul_columns(const int vectors, int n_rows, struct matmul_block m)
{
    while (n_rows > 0) {
        const int rows = n_rows < MATMUL_ROWS ? n_rows : MATMUL_ROWS;
        switch (rows) {
        case 1: matmul_rows(1, vectors, &m); break;
        case 2: matmul_rows(2, vectors, &m); break;
        case 3: matmul_rows(3, vectors, &m); break;
        case 4: matmul_rows(4, vectors, &m); break;
        case 5: matmul_rows(5, vectors, &m); break;
        default: matmul_rows(6, vectors, &m); break;
        }
        m.a += (size_t)rows * m.a_row;
        m.c += (size_t)rows * m.ldc;
        n_rows -= rows;
    }
}

/* Fewer columns than a vector has: b and c of each run are copied to where there is room for all lanes. */
static void matmul_last_columns(int n_columns, int n_rows, const struct matmul_block *whole)
{
    float b[MATMUL_RUN * LANES] = {0}, c[MATMUL_ROWS * LANES] = {0};
    const size_t bytes = (size_t)n_columns * sizeof(float);
    for (int k = 0; k < whole->n_k; k++) memcpy(b + (size_t)k * LANES, whole->b + (size_t)k * whole->ldb, bytes);
    struct matmul_block m = *whole;
    m.b = b;
    m.ldb = LANES;
    m.c = c;
    m.ldc = LANES;
    for (int first = 0; first < n_rows; first += MATMUL_ROWS) {
        const int rows = n_rows - first < MATMUL_ROWS ? n_rows - first : MATMUL_ROWS;
        float *to = whole->c + (size_t)first * whole->ldc;
        m.a = whole->a + (size_t)first * whole->a_row;
        for (int r = 0; r < rows; r++) memcpy(c + (size_t)r * LANES, to + (size_t)r * whole->ldc, bytes);
        matmul_columns(1, rows, m);
        for (int r = 0; r < rows; r++) memcpy(to + (size_t)r * whole->ldc, c + (size_t)r * LANES, bytes);
    }
}

static void matmul_run(int n_rows, int n_columns, struct matmul_block m)
{
    int left = n_columns;
    while (left > 0) {
        int vectors = left / LANES;
        if (vectors >= MATMUL_VECTORS) {
            vectors = MATMUL_VECTORS;
            matmul_columns(MATMUL_VECTORS, n_rows, m);
        } else if (vectors >= 2) {
            vectors = 2;
            matmul_columns(2, n_rows, m);
        } else if (vectors == 1) {
            matmul_columns(1, n_rows, m);
        } else {
            matmul_last_columns(left, n_rows, &m);
            return;
        }
        m.b += (size_t)vectors * LANES;
        m.c += (size_t)vectors * LANES;
        left -= vectors * LANES;
    }
}

static void kernel_matmul(const struct matmul *p)
{
    struct matmul_block m = {.a = p->a,
                             .a_row = p->a_row,
                             .a_step = p->a_step,
                             .b = p->b,
                             .ldb = p->ldb,
                             .c = p->c,
                             .ldc = p->ldc,
                             .adds = p->adds};
    for (int k = 0; k < p->k; k += MATMUL_RUN) {
        m.n_k = p->k - k < MATMUL_RUN ? p->k - k : MATMUL_RUN;
        matmul_run(p->m, p->n, m);
        m.a += (size_t)m.n_k * m.a_step;
        m.b += (size_t)m.n_k * m.ldb;
        m.adds = true;
    }
}

#endif
