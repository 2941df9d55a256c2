/* The serving product: blocks of rows x panels whose sums stay in registers.  Included by each kernels_*.c, which sets
 * LANES (floats of a vector), BLOCK_ROWS and BLOCK_PANELS so that the sums fill its registers without spilling, and
 * where it has them LANES_ALL(x) (x in every lane) and LANES_FMA(a, b, c) (a b + c, rounded once). */
#ifndef ENGINE_MATH_PRODUCT_INLINE_H
#define ENGINE_MATH_PRODUCT_INLINE_H

#include "engine/math/kernels.h"

enum { VECTORS = PANEL / LANES, SINGLE_PANELS = 2 * BLOCK_PANELS, SUM_ROWS = 8, SUM_VECTORS = 8 };

/* The loops over rows and vectors of a block must vanish, so that the sums become registers. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* May point anywhere into float arrays. */
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

#ifndef LANES_FMA
#define LANES_ALL(x)       ((x) - (lanes){0})
#define LANES_FMA(a, b, c) ((a) * (b) + (c))
#endif

struct product_block {
    const float *panel;    /* its first panel */
    size_t panel_floats;   /* distance to the next */
    const float *const *x; /* [rows] */
    const float *const *h; /* [rows] */
    float *y;
    size_t stride;
};

/* sum[r] += in[r][k] * weights[k, :] for k in ascending order.  A row of weights is `row_floats` behind the one before;
 * its vectors lie in groups of `group`, `group_floats` apart. */
static inline __attribute__((always_inline)) void product_accumulate(const int rows, const int vectors,
                                                                     const int group, int n_k, const float *const *in,
                                                                     const float *weights, size_t group_floats,
                                                                     const size_t row_floats,
                                                                     lanes sum[SUM_ROWS][SUM_VECTORS])
{
    const float *row[SUM_ROWS];
    UNROLL
    for (int r = 0; r < rows; r++) row[r] = n_k ? in[r] : NULL;
    for (int k = 0; k < n_k; k++, weights += row_floats) {
        lanes w[SUM_VECTORS];
        UNROLL
        for (int v = 0; v < vectors; v++)
            w[v] = *(const lanes *)(weights + (size_t)(v / group) * group_floats + (size_t)(v % group) * LANES);
        UNROLL
        for (int r = 0; r < rows; r++) {
            const lanes in_k = LANES_ALL(row[r][k]);
            UNROLL
            for (int v = 0; v < vectors; v++) sum[r][v] = LANES_FMA(in_k, w[v], sum[r][v]);
        }
    }
}

/* Panels are contiguous and so are their columns in y: vector v of the block is vector v of the row. */
static inline __attribute__((always_inline)) void product_block(const int rows, const int panels,
                                                                const struct product *p,
                                                                const struct product_block *b)
{
    const int vectors = panels * VECTORS;
    lanes sum[SUM_ROWS][SUM_VECTORS];
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++)
            sum[r][v] = *(const lanes *)(b->panel + (size_t)(v / VECTORS) * b->panel_floats +
                                         (size_t)(v % VECTORS) * LANES);
    }
    product_accumulate(rows, vectors, VECTORS, p->n_x, b->x, b->panel + PANEL, b->panel_floats, PANEL, sum);
    product_accumulate(rows, vectors, VECTORS, p->n_h, b->h, b->panel + PANEL + (size_t)p->n_x * PANEL,
                       b->panel_floats, PANEL, sum);
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++) *(lanes *)(b->y + (size_t)r * b->stride + (size_t)v * LANES) = sum[r][v];
    }
}

/* All panels for at most BLOCK_ROWS rows: wide blocks first, single panels for the rest. */
static inline __attribute__((always_inline)) void product_rows(const int rows, const struct product *p,
                                                               struct product_block b)
{
    const int wide = rows == 1 ? SINGLE_PANELS : BLOCK_PANELS;
    int panel = 0;
    for (; panel + wide <= p->n_panels; panel += wide) {
        product_block(rows, wide, p, &b);
        b.panel += (size_t)wide * b.panel_floats;
        b.y += wide * PANEL;
    }
    for (; panel < p->n_panels; panel++) {
        product_block(rows, 1, p, &b);
        b.panel += b.panel_floats;
        b.y += PANEL;
    }
}

static void kernel_product(const struct product *p, int n_rows, const float *const *x, const float *const *h,
                           float *y, size_t stride)
{
    struct product_block b = {p->panels, (size_t)(1 + p->n_x + p->n_h) * PANEL, x, h, y, stride};
    while (n_rows > 0) {
        int rows = n_rows < BLOCK_ROWS ? n_rows : BLOCK_ROWS;
        switch (rows) {
        case 1: product_rows(1, p, b); break;
        case 2: product_rows(2, p, b); break;
#if BLOCK_ROWS > 2
        case 3: product_rows(3, p, b); break;
        case 4: product_rows(4, p, b); break;
        case 5: product_rows(5, p, b); break;
        default: product_rows(6, p, b); break;
#endif
        }
        b.x = p->n_x ? b.x + rows : b.x;
        b.h = p->n_h ? b.h + rows : b.h;
        b.y += (size_t)rows * stride;
        n_rows -= rows;
    }
}

#endif
