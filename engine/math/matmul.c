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
    /* The setting is OpenBLAS's own and belongs to the process; setting it twice at once would be a race.  Where it is not
     * needed it is left alone: in a process that was forked it would start its threads, to spin for a while. */
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!kernels_best()->matmul) (void)pthread_once(&once, matmul_set_threads);
}

/* Element (row, k) of op(a) at a[row a_row + k a_step].  False: OpenBLAS is to do it. */
static bool matmul_own(int m, int n, int k, const float *a, size_t a_row, size_t a_step, struct matrix b, float beta,
                       float *c, int ldc)
{
    void (*own)(const struct matmul *) = kernels_best()->matmul;
    if (!own || k < 1) return false;
    own(&(struct matmul){.m = m,
                         .n = n,
                         .k = k,
                         .a = a,
                         .b = b.data,
                         .a_row = a_row,
                         .a_step = a_step,
                         .ldb = (size_t)b.ld,
                         .ldc = (size_t)ldc,
                         .c = c,
                         .adds = beta != 0});
    return true;
}

void matmul(int m, int n, int k, struct matrix a, struct matrix b, float beta, float *c, int ldc)
{
    if (matmul_own(m, n, k, a.data, (size_t)a.ld, 1, b, beta, c, ldc)) return;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a.data, a.ld, b.data, b.ld, beta, c, ldc);
}

void matmul_tn(int m, int n, int k, struct matrix a, struct matrix b, float beta, float *c, int ldc)
{
    if (matmul_own(m, n, k, a.data, 1, (size_t)a.ld, b, beta, c, ldc)) return;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, n, k, 1, a.data, a.ld, b.data, b.ld, beta, c, ldc);
}
