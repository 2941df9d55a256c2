#include "engine/detect/moments.h"

#include <math.h>
#include <stdbool.h>

#include "engine/math/scalar.h"

enum { FULL = MOMENTS_MAX * (MOMENTS_MAX + 1) / 2, RECORDS_TO_CLIP = 32, RECORDS_TO_SCALE = 8 };
/* Guards, and no options; CLIP_SD keeps one outlier from being a correlation. */
static const double LARGEST = 1e18, LARGEST_Z = 1e6, CLIP_SD = 5, SMALLEST_PIVOT = 1e-9;

static size_t triangle(int row, int column) /* row >= column */
{
    return (size_t)row * ((size_t)row + 1) / 2 + (size_t)column;
}

size_t moments_bytes(int n_values)
{
    const size_t d = (size_t)n_values, bytes = d * sizeof(double) + d * sizeof(int32_t) + 2 * d * sizeof(float);
    return (bytes + 2 * triangle(n_values, 0) * sizeof(float) + 7) & ~(size_t)7;
}

struct moments moments_at(void *bytes, int n_values)
{
    struct moments m = {.n_values = n_values, .first = bytes};
    m.count = (int32_t *)(void *)(m.first + n_values);
    m.weight = (float *)(void *)(m.count + n_values);
    m.mean = m.weight + n_values;
    m.covariance = m.mean + n_values;
    m.inverse = m.covariance + triangle(n_values, 0);
    return m;
}

void moments_centre(const struct moments *m, const double *x, double *centred)
{
    for (int i = 0; i < m->n_values; i++) {
        centred[i] = NAN;
        if (!isfinite(x[i])) continue;
        if (m->count[i] == 0) {
            m->first[i] = scalar_least(scalar_most(x[i], -1e300), 1e300);
            m->count[i] = -1;
        }
        centred[i] = scalar_least(scalar_most(x[i] - m->first[i], -LARGEST), LARGEST);
    }
}

/* 0 while unknown. */
static double moments_sd(const struct moments *m, int i)
{
    return m->count[i] > 0 ? sqrt((double)m->covariance[triangle(i, i)] / (double)m->weight[i]) : 0;
}

void moments_standardise(const struct moments *m, const double *centred, double *z)
{
    for (int i = 0; i < m->n_values; i++) {
        const double sd = moments_sd(m, i);
        z[i] = 0;
        if (m->count[i] < RECORDS_TO_SCALE || sd <= 0 || isnan(centred[i])) continue;
        z[i] = (centred[i] - (double)m->mean[i]) / sd;
        z[i] = scalar_least(scalar_most(z[i], -LARGEST_Z), LARGEST_Z);
    }
}

/* Row i of P times e. */
static double moments_row(const struct moments *m, int i, const double *e)
{
    double sum = 0;
    for (int k = 0; k <= i; k++) sum += (double)m->inverse[triangle(i, k)] * e[k];
    for (int k = i + 1; k < m->n_values; k++) sum += (double)m->inverse[triangle(k, i)] * e[k];
    return sum;
}

void moments_residuals(const struct moments *m, const double *z, double *r)
{
    for (int i = 0; i < m->n_values; i++) {
        const double own = (double)m->inverse[triangle(i, i)];
        r[i] = own > 0 ? moments_row(m, i, z) / own : NAN;
    }
}

double moments_distance(const struct moments *m, const double *e)
{
    double sum = 0;
    for (int i = 0; i < m->n_values; i++) sum += e[i] * moments_row(m, i, e);
    return scalar_most(sum, 0);
}

/* Counts a record of value i; false while it stands still. */
static bool moments_moves(const struct moments *m, int i, double centred, double g)
{
    if (m->count[i] < 0 && !(fabs(centred) > 0)) return false;
    const bool first = m->count[i] <= 0, at_once = first && g >= .5;
    if (first) m->count[i] = at_once;
    m->weight[i] = at_once ? 1 : m->weight[i] + (float)(g * (1 - (double)m->weight[i]));
    if (m->count[i] < INT32_MAX) m->count[i]++;
    return true;
}

/* Moves the mean of value i; b_i. */
static double moments_learn_mean(const struct moments *m, int i, double centred, double g)
{
    if (isnan(centred) || !moments_moves(m, i, centred, g)) return 0;
    const double own = g / (double)m->weight[i], limit = CLIP_SD * moments_sd(m, i);
    double d = centred - (double)m->mean[i];
    if (m->count[i] > RECORDS_TO_CLIP && limit > 0) d = scalar_least(scalar_most(d, -limit), limit);
    m->mean[i] += (float)(own * d);
    return d * sqrt(scalar_most(1 - own, 0));
}

void moments_learn(const struct moments *m, const double *centred, int64_t n, double memory)
{
    const double g = scalar_most(1 / (double)n, 1 / memory);
    double b[MOMENTS_MAX];
    for (int i = 0; i < m->n_values; i++) b[i] = moments_learn_mean(m, i, centred[i], g);
    for (int i = 0; i < m->n_values; i++) {
        if (isnan(centred[i])) continue;
        float *row = m->covariance + triangle(i, 0);
        for (int k = 0; k <= i; k++)
            if (!isnan(centred[k])) row[k] += (float)(g * (b[i] * b[k] - (double)row[k]));
    }
}

static double moments_correlation(const struct moments *m, int i, int k)
{
    const double a = (double)m->covariance[triangle(i, i)], b = (double)m->covariance[triangle(k, k)];
    return a > 0 && b > 0 ? (double)m->covariance[triangle(i, k)] / sqrt(a * b) : 0;
}

/* L of R + ridge I.  A pivot that rounding has eaten stays positive: such a value says nothing of its own. */
static void moments_factor(const struct moments *m, double ridge, double *l)
{
    for (int i = 0; i < m->n_values; i++)
        for (int k = 0; k <= i; k++) {
            double sum = i == k ? 1 + ridge : moments_correlation(m, i, k);
            for (int j = 0; j < k; j++) sum -= l[triangle(i, j)] * l[triangle(k, j)];
            l[triangle(i, k)] = i == k ? sqrt(scalar_most(sum, SMALLEST_PIVOT)) : sum / l[triangle(k, k)];
        }
}

/* L^-1, by forward substitution. */
static void moments_invert_factor(int n, const double *l, double *back)
{
    for (int k = 0; k < n; k++)
        for (int i = k; i < n; i++) {
            double sum = i == k;
            for (int j = k; j < i; j++) sum -= l[triangle(i, j)] * back[triangle(j, k)];
            back[triangle(i, k)] = sum / l[triangle(i, i)];
        }
}

void moments_invert(const struct moments *m, double ridge)
{
    double l[FULL], back[FULL];
    moments_factor(m, ridge, l);
    moments_invert_factor(m->n_values, l, back);
    for (int i = 0; i < m->n_values; i++)
        for (int k = 0; k <= i; k++) {
            double sum = 0;
            for (int j = i; j < m->n_values; j++) sum += back[triangle(j, i)] * back[triangle(j, k)];
            m->inverse[triangle(i, k)] = (float)sum;
        }
}
