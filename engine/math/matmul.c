#include "engine/math/matmul.h"

#include <cblas.h>
#include <pthread.h>

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

void matmul(int m, int n, int k, struct matrix a, struct matrix b, float beta, float *c, int ldc)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a.data, a.ld, b.data, b.ld, beta, c, ldc);
}

void matmul_tn(int m, int n, int k, struct matrix a, struct matrix b, float beta, float *c, int ldc)
{
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, n, k, 1, a.data, a.ld, b.data, b.ld, beta, c, ldc);
}
