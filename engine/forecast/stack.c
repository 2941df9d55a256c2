#include "engine/forecast/stack.h"

#include <stddef.h>

enum { SWEEPS = 2 };

/* b_i - sum_j M_ij a_j: half the slope, downwards; b NULL: 0. */
static double stack_slope(int n, const double *M, const double *b, const double *a, int i)
{
    double slope = b ? b[i] : 0;
    for (int j = 0; j < n; j++) slope -= M[i * n + j] * a[j];
    return slope;
}

static void stack_sweep(int n, const double *M, const double *b, double *a)
{
    for (int i = 0; i < n; i++) {
        double others = 0;
        for (int j = 0; j < n; j++) others += j == i ? 0 : a[j];
        double best = a[i] + stack_slope(n, M, b, a, i) / M[i * n + i];
        if (best > 1 - others) best = 1 - others;
        a[i] = best > 0 ? best : 0;
    }
}

/* Moves weight from one to another along their common slope. */
static void stack_exchange(int n, const double *M, const double *b, double *a, int i, int j)
{
    const double bend = M[i * n + i] + M[j * n + j] - 2 * M[i * n + j];
    if (!(bend > 0)) return;
    double by = (stack_slope(n, M, b, a, i) - stack_slope(n, M, b, a, j)) / bend;
    if (by > a[j]) by = a[j];
    if (by < -a[i]) by = -a[i];
    a[i] += by;
    a[j] -= by;
}

static void stack_exchange_all(int n, const double *M, const double *b, double *a)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) stack_exchange(n, M, b, a, i, j);
}

void stack_descend(int n, const double *M, const double *b, double *a)
{
    for (int sweep = 0; sweep < SWEEPS; sweep++) stack_sweep(n, M, b, a);
    stack_exchange_all(n, M, b, a);
}

void stack_divide(int n, const double *M, double *a)
{
    for (int sweep = 0; sweep < SWEEPS; sweep++) stack_exchange_all(n, M, NULL, a);
}
