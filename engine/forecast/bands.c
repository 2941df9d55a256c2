#include "engine/forecast/bands.h"

#include <math.h>

enum { AT_N, AT_S, AT_Q };

size_t bands_floats(int n_bands)
{
    return (size_t)(AT_Q + 2 * n_bands);
}

float bands_scale(const float *t)
{
    return t[AT_S];
}

/* Quantile of a normal error in units of its mean absolute value; Acklam-style accuracy is not needed for a start:
 * the logistic distribution of equal mean absolute value (2 ln 2) is close enough and has a closed form. */
static double bands_start(double tau)
{
    return log(tau / (1 - tau)) / (2 * 0.69314718055994530942);
}

static void bands_move(float *q, double tau, double r, double gain)
{
    *q = (float)(*q + gain * (tau - (r < *q ? 1 : 0)));
}

void bands_update(float *t, const struct eddy_reals *coverages, double error, float s0)
{
    int n_bands = coverages->n;
    double size = fabs(error);
    if (!isfinite(size) || size > 1e30) return; /* beyond a float's honest range: the detector's business */

    if (t[AT_N] == 0) {
        t[AT_S] = (float)size;
        for (int i = 0; i < n_bands; i++) {
            double tail = (1 - coverages->item[i]) / 2;
            t[AT_Q + i] = (float)bands_start(tail);
            t[AT_Q + n_bands + i] = (float)bands_start(1 - tail);
        }
    } else {
        double n = t[AT_N], s = t[AT_S];
        if (s0 > 0) {
            double gain = fmax(.03, 1 / (n + 10)), r = error / s0;
            for (int i = 0; i < n_bands; i++) {
                double tail = (1 - coverages->item[i]) / 2;
                bands_move(&t[AT_Q + i], tail, r, gain);
                bands_move(&t[AT_Q + n_bands + i], 1 - tail, r, gain);
            }
        }
        double limited = s > 0 ? fmin(size, 20 * s) : size;
        t[AT_S] = (float)(s + fmax(.01, 1 / (n + 1)) * (limited - s));
    }
    if (t[AT_N] < 1e6f) t[AT_N] += 1;
}

bool bands_edges(const float *t, int n_bands, int i, double *lower, double *upper)
{
    if (t[AT_N] == 0) return false;
    /* The trackers move independently: an inner edge may not lie outside an outer one. */
    double low = t[AT_Q + i], high = t[AT_Q + n_bands + i];
    for (int j = 0; j < i; j++) {
        low = fmin(low, t[AT_Q + j]);
        high = fmax(high, t[AT_Q + n_bands + j]);
    }
    if (low > high) low = high = (low + high) / 2;
    *lower = t[AT_S] * low;
    *upper = t[AT_S] * high;
    return true;
}
