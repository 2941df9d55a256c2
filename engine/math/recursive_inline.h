/* The loops of recursive least squares, for one kind of number: included twice by kernels_table.h, which sets REAL,
 * NAMED(name) and ROW_FMA(a, b, c) = a b + c.  Rows are `n` numbers long, a multiple of RECURSIVE_WIDTH. */
typedef REAL NAMED(row) __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(REAL)), may_alias));

typedef REAL NAMED(part) __attribute__((vector_size(16), may_alias));
enum {
    NAMED(PART) = 16 / (int)sizeof(REAL),
    NAMED(WIDE) = (int)(sizeof(NAMED(row)) / sizeof(REAL)),
    NAMED(ROWS) = RECURSIVE_WIDTH / NAMED(WIDE),
    NAMED(DEFLATED) = 8 / NAMED(ROWS) /* rows at once, whose sums stay in registers */
};

/* One number of RECURSIVE_WIDTH sums: halves are added until one is left; from whole vectors to quarters of 16 bytes, whose
 * parts need no detour through memory. */
static inline __attribute__((always_inline)) REAL NAMED(sum_up)(const NAMED(row) * sum)
{
    enum { PARTS = RECURSIVE_WIDTH / NAMED(PART), IN_ROW = NAMED(WIDE) / NAMED(PART) };
    NAMED(part) part[PARTS];
    UNROLL
    for (int v = 0; v < NAMED(ROWS); v++) {
        const union {
            NAMED(row) row;
            NAMED(part) part[IN_ROW];
        } apart = {sum[v]};
        UNROLL
        for (int i = 0; i < IN_ROW; i++) part[v * IN_ROW + i] = apart.part[i];
    }
    UNROLL
    for (int half = PARTS / 2; half > 0; half /= 2) {
        UNROLL
        for (int i = 0; i < half; i++) part[i] += part[i + half];
    }
    const NAMED(part) last = part[0];
    return NAMED(PART) == 4 ? (last[0] + last[NAMED(PART) / 2]) + (last[1] + last[NAMED(PART) - 1])
                            : last[0] + last[1];
}

/* RECURSIVE_WIDTH sums over every RECURSIVE_WIDTH-th number.  Several pairs side by side, because each one's sums wait for
 * themselves. */
static inline __attribute__((always_inline)) void NAMED(dots_block)(const int pairs, int n, const REAL *const *a,
                                                                    const REAL *const *b, REAL *y)
{
    NAMED(row) sum[DOTS_PAIRS][NAMED(ROWS)] = {{{0}}};
    for (int i = 0; i < n; i += RECURSIVE_WIDTH) {
        UNROLL
        for (int p = 0; p < pairs; p++) {
            UNROLL
            for (int v = 0; v < NAMED(ROWS); v++)
                sum[p][v] += *(const NAMED(row) *)(a[p] + i + v * NAMED(WIDE)) *
                             *(const NAMED(row) *)(b[p] + i + v * NAMED(WIDE));
        }
    }
    UNROLL
    for (int p = 0; p < pairs; p++) y[p] = NAMED(sum_up)(sum[p]);
}

static void NAMED(kernel_dots)(int n_pairs, int n, const REAL *const *a, const REAL *const *b, REAL *y)
{
    int p = 0;
    for (; p + DOTS_PAIRS <= n_pairs; p += DOTS_PAIRS) NAMED(dots_block)(DOTS_PAIRS, n, a + p, b + p, y + p);
    for (; p < n_pairs; p++) NAMED(dots_block)(1, n, a + p, b + p, y + p);
}

static void NAMED(kernel_follow)(int n, const REAL *gain, REAL by, REAL *w)
{
    for (int i = 0; i < n; i += NAMED(WIDE)) *(NAMED(row) *)(w + i) += *(const NAMED(row) *)(gain + i) * by;
}

/* What some rows of a triangle have in common along their columns. */
struct NAMED(deflated) {
    REAL *matrix; /* the first of the rows */
    size_t length;
    REAL by;
    NAMED(row) s[NAMED(DEFLATED)], x[NAMED(DEFLATED)]; /* each row's own: -s_i, x_i */
    NAMED(row) sum[NAMED(DEFLATED)][NAMED(ROWS)];
};

/* One vector of columns of those rows: deflated, and added to the rows' own sums; returns y and what it adds to the product
 * of its columns. */
static inline __attribute__((always_inline)) NAMED(row)
    NAMED(deflate_vector)(struct NAMED(deflated) * d, int v, int at, NAMED(row) s, NAMED(row) x, NAMED(row) y)
{
    UNROLL
    for (int i = 0; i < NAMED(DEFLATED); i++) {
        NAMED(row) *cells = (NAMED(row) *)(d->matrix + (size_t)i * d->length + at);
        const NAMED(row) p = ROW_FMA(d->s[i], s, *cells) * d->by;
        *cells = p;
        d->sum[i][v] = ROW_FMA(p, x, d->sum[i][v]);
        y = ROW_FMA(p, d->x[i], y);
    }
    return y;
}

/* The rows from `first` on, whose last tile begins at column `tile`. */
static inline __attribute__((always_inline)) void NAMED(deflate_rows)(int first, int tile, const REAL *s, REAL by,
                                                                      const REAL *x, REAL *triangle, REAL *y)
{
    const NAMED(row) none = {0};
    struct NAMED(deflated)
        d = {.matrix = triangle + recursive_row(first), .length = (size_t)tile + RECURSIVE_WIDTH, .by = by};
    UNROLL
    for (int i = 0; i < NAMED(DEFLATED); i++) {
        d.s[i] = none - s[first + i];
        d.x[i] = none + x[first + i];
    }
    for (int j = 0; j < tile; j += RECURSIVE_WIDTH) {
        UNROLL
        for (int v = 0; v < NAMED(ROWS); v++) {
            const int at = j + v * NAMED(WIDE);
            NAMED(row) *column = (NAMED(row) *)(y + at);
            *column = NAMED(deflate_vector)(&d, v, at, *(const NAMED(row) *)(s + at), *(const NAMED(row) *)(x + at),
                                            *column);
        }
    }
    UNROLL
    for (int v = 0; v < NAMED(ROWS); v++) { /* both halves of the last tile are there */
        const int at = tile + v * NAMED(WIDE);
        (void)NAMED(deflate_vector)(&d, v, at, *(const NAMED(row) *)(s + at), *(const NAMED(row) *)(x + at), none);
    }
    UNROLL
    for (int i = 0; i < NAMED(DEFLATED); i++) y[first + i] = NAMED(sum_up)(d.sum[i]);
}

/* Rows below add to the products of those above, so each row's own sum is there before. */
static void NAMED(kernel_deflate)(int n, const REAL *s, REAL by, const REAL *x, REAL *triangle, REAL *y)
{
    for (int i = 0; i < n; i += NAMED(DEFLATED))
        NAMED(deflate_rows)(i, i / RECURSIVE_WIDTH * RECURSIVE_WIDTH, s, by, x, triangle, y);
}

#undef REAL
#undef ROW_FMA
#undef NAMED
