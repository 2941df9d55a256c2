/* The loops of recursive least squares, for one kind of number: included twice by kernels_table.h, which sets REAL and
 * NAMED(name).  Rows are `n` numbers long, a multiple of RECURSIVE_WIDTH. */
typedef REAL NAMED(row) __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(REAL)), may_alias));

enum { NAMED(WIDE) = (int)(sizeof(NAMED(row)) / sizeof(REAL)), NAMED(ROWS) = RECURSIVE_WIDTH / NAMED(WIDE) };

/* RECURSIVE_WIDTH sums over every RECURSIVE_WIDTH-th number; then halves are added until one is left.  Several pairs side
 * by side, because each one's sums wait for themselves. */
static inline __attribute__((always_inline)) void NAMED(dots_block)(const int pairs, int n, const REAL *const *a,
                                                                    const REAL *const *b, REAL *y)
{
    NAMED(row) sum[DOTS_PAIRS][NAMED(ROWS)] = {{{0}}};
    REAL sums[DOTS_PAIRS][NAMED(WIDE)];
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
    for (int p = 0; p < pairs; p++) {
        UNROLL
        for (int half = NAMED(ROWS) / 2; half > 0; half /= 2) {
            UNROLL
            for (int v = 0; v < half; v++) sum[p][v] += sum[p][v + half];
        }
        *(NAMED(row) *)sums[p] = sum[p][0];
        UNROLL
        for (int half = NAMED(WIDE) / 2; half > 0; half /= 2) {
            UNROLL
            for (int i = 0; i < half; i++) sums[p][i] += sums[p][i + half];
        }
        y[p] = sums[p][0];
    }
}

static void NAMED(kernel_dots)(int n_pairs, int n, const REAL *const *a, const REAL *const *b, REAL *y)
{
    int p = 0;
    for (; p + DOTS_PAIRS <= n_pairs; p += DOTS_PAIRS) NAMED(dots_block)(DOTS_PAIRS, n, a + p, b + p, y + p);
    for (; p < n_pairs; p++) NAMED(dots_block)(1, n, a + p, b + p, y + p);
}

/* `vectors` vectors of columns, whose sums stay in registers. */
static inline __attribute__((always_inline)) void NAMED(times_block)(const int vectors, int n, const REAL *matrix,
                                                                     const REAL *x, REAL *y)
{
    NAMED(row) sum[TIMES_VECTORS] = {{0}};
    for (int i = 0; i < n; i++) {
        UNROLL
        for (int v = 0; v < vectors; v++)
            sum[v] += *(const NAMED(row) *)(matrix + (size_t)i * (size_t)n + v * NAMED(WIDE)) * x[i];
    }
    UNROLL
    for (int v = 0; v < vectors; v++) *(NAMED(row) *)(y + v * NAMED(WIDE)) = sum[v];
}

static void NAMED(kernel_times)(int n, const REAL *matrix, const REAL *x, REAL *y)
{
    const int wide = TIMES_VECTORS * NAMED(WIDE);
    int j = 0;
    for (; j + wide <= n; j += wide) NAMED(times_block)(TIMES_VECTORS, n, matrix + j, x, y + j);
    for (; j < n; j += NAMED(WIDE)) NAMED(times_block)(1, n, matrix + j, x, y + j);
}

static void NAMED(kernel_follow)(int n, const REAL *gain, REAL by, REAL *w)
{
    for (int i = 0; i < n; i++) w[i] += gain[i] * by;
}

static void NAMED(kernel_deflate)(int n, const REAL *s, REAL by, REAL *matrix)
{
    for (int i = 0; i < n; i++) {
        REAL *row = matrix + (size_t)i * (size_t)n;
        const REAL own = s[i];
        for (int j = 0; j < n; j++) row[j] = (row[j] - own * s[j]) * by;
    }
}

#undef REAL
#undef NAMED
