/* Matrix products for training: our own loops (matmul_inline.h) with AVX2 or AVX-512, where they are the faster ones at
 * the sizes of networks and give the same bits on both; OpenBLAS on one thread for any other processor.
 * Row-major; ld* is the distance between rows.  c = beta c + op(a) op(b), beta 0 or 1; sizes of 0 do nothing but beta.
 * The same call gives the same bits on the same machine; with our own loops on every machine that has them.
 *
 * Threads  reentrant once matmul_single_thread() has returned. */
#ifndef ENGINE_MATH_MATMUL_H
#define ENGINE_MATH_MATMUL_H

struct matrix {
    const float *data;
    int ld;
};

/* Tells OpenBLAS to stay on the caller's thread: two threads were 4 to 6 times slower at these sizes.  Once is enough,
 * more does no harm. */
void matmul_single_thread(void);

void matmul(int m, int n, int k, struct matrix a, struct matrix b, float beta, float *c,
            int ldc); /* a [m,k] b [k,n] */
void matmul_tn(int m, int n, int k, struct matrix a, struct matrix b, float beta, float *c,
               int ldc); /* a [k,m] b [k,n] */

#endif
