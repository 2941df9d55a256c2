#include "engine/math/matmul.h"

#include <stdbool.h>

#include <cblas.h>
#include <pthread.h>

#include "engine/math/kernels.h"

#ifdef MATH_DOUBLE
#define cblas_sgemm cblas_dgemm
#endif

static void matmul_set_threads(void)
{
    openblas_set_num_threads(1);
}

void matmul_single_thread(void)
{
    /* The setting is OpenBLAS's own and belongs to the process; setting it twice at once would be a race. */
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, matmul_set_threads);
}

/* False: OpenBLAS is to do it. */
static bool matmul_own(struct matmul p, float beta)
{
    void (*own)(const struct matmul *) = kernels_best()->matmul;
    if (!own || p.k < 1) return false;
    p.adds = beta != 0;
    own(&p);
    return true;
}

void matmul(int m, int n, int k, struct matrix a, struct matrix b, float beta, float *c, int ldc)
{
    const struct matmul p = {.m = m,
                             .n = n,
                             .k = k,
                             .a = a.data,
                             .a_row = (size_t)a.ld,
                             .a_step = 1,
                             .b = b.data,
                             .ldb = (size_t)b.ld,
                             .c = c,
                             .ldc = (size_t)ldc};
    if (matmul_own(p, beta)) return;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a.data, a.ld, b.data, b.ld, beta, c, ldc);
}

void matmul_tn(int m, int n, int k, struct matrix a, struct matrix b, float beta, float *c, int ldc)
{
    const struct matmul p = {.m = m,
                             .n = n,
                             .k = k,
                             .a = a.data,
                             .a_row = 1,
                             .a_step = (size_t)a.ld,
                             .b = b.data,
                             .ldb = (size_t)b.ld,
                             .c = c,
                             .ldc = (size_t)ldc};
    if (matmul_own(p, beta)) return;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, n, k, 1, a.data, a.ld, b.data, b.ld, beta, c, ldc);
}
