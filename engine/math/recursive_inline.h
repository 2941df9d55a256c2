/* The loops of recursive least squares, for one kind of number: included twice by kernels_table.h, which sets REAL and
 * NAMED(name).  Rows are `n` numbers long, a multiple of RECURSIVE_WIDTH. */
typedef REAL NAMED(row) __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(REAL)), may_alias));

enum { NAMED(WIDE) = (int)(sizeof(NAMED(row)) / sizeof(REAL)), NAMED(ROWS) = RECURSIVE_WIDTH / NAMED(WIDE) };

/* RECURSIVE_WIDTH sums over every RECURSIVE_WIDTH-th number; then halves are added until one is left. */
static inline REAL NAMED(kernel_dot)(int n, const REAL *a, const REAL *b)
{
    REAL sums[RECURSIVE_WIDTH];
    NAMED(row) sum[NAMED(ROWS)] = {{0}};
    for (int i = 0; i < n; i += RECURSIVE_WIDTH) {
        UNROLL
        for (int v = 0; v < NAMED(ROWS); v++)
            sum[v] += *(const NAMED(row) *)(a + i + v * NAMED(WIDE)) * *(const NAMED(row) *)(b + i + v * NAMED(WIDE));
    }
    UNROLL
    for (int v = 0; v < NAMED(ROWS); v++) *(NAMED(row) *)(sums + v * NAMED(WIDE)) = sum[v];
    for (int half = RECURSIVE_WIDTH / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) sums[i] += sums[i + half];
    return sums[0];
}

static void NAMED(kernel_dots)(int n_rows, int n, const REAL *rows, const REAL *x, REAL *y)
{
    for (int r = 0; r < n_rows; r++) y[r] = NAMED(kernel_dot)(n, rows + (size_t)r * (size_t)n, x);
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
