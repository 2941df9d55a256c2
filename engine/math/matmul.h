/* Matrix products for training, by OpenBLAS on one thread; serving uses kernels.h, whose sums do not depend on sizes.
 * Row-major; ld* is the distance between rows.  c = beta c + op(a) op(b), beta 0 or 1; sizes of 0 do nothing but beta.
 * The same call gives the same bits on the same machine.
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
