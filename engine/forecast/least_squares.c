#include "engine/forecast/least_squares.h"

#include <math.h>
#include <string.h>

static size_t triangle(int i)
{
    return (size_t)i * ((size_t)i + 1) / 2;
}

size_t least_squares_doubles(int n)
{
    return (size_t)n + triangle(n);
}

static void least_squares_begin(int n, double ridge, double *p)
{
    memset(p, 0, triangle(n) * sizeof(*p));
    for (int i = 0; i < n; i++) p[triangle(i) + (size_t)i] = 1 / ridge;
}

void least_squares_init(int n, double ridge, double *state)
{
    memset(state, 0, (size_t)n * sizeof(*state));
    least_squares_begin(n, ridge, state + n);
}

/* a = P x, and x . a. */
static double least_squares_product(int n, const double *p, const double *x, double *a)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        a[i] = 0;
        for (int k = 0; k < n; k++) a[i] += x[k] * (k <= i ? p[triangle(i) + (size_t)k] : p[triangle(k) + (size_t)i]);
        sum += x[i] * a[i];
    }
    return sum;
}

void least_squares_learn(int n, double *state, const struct least_squares_step *in)
{
    double *w = state, *p = state + n, a[LEAST_SQUARES_MAX], largest = 0;
    double spread = least_squares_product(n, p, in->x, a);
    if (!(spread >= 0 && spread < 1e300)) { /* rounding has left P no covariance */
        least_squares_begin(n, in->ridge, p);
        spread = least_squares_product(n, p, in->x, a);
    }
    const double whole = in->lambda / in->weight + spread;
    for (int i = 0; i < n; i++) w[i] += a[i] / whole * in->error;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k <= i; k++) p[triangle(i) + (size_t)k] -= a[i] / whole * a[k];
        largest = fmax(largest, p[triangle(i) + (size_t)i]);
    }
    const double growth = fmin(1 / in->lambda, LEAST_SQUARES_WIND_UP / largest);
    for (size_t i = 0; i < triangle(n) && largest > 0; i++) p[i] *= growth;
}
