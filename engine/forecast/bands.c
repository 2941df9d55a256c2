#include "engine/forecast/bands.h"

#include <math.h>

#include "engine/math/quantiles.h"
#include "engine/math/scalar.h"

/* Of what keeps the scale within reason, and no options: with rates a user says all there is to say. */
static const double SCALE_LIMIT = 20, COUNT_LIMIT = 1e6, STILL = 1e-3, STILL_GAIN = 1e-4;
/* An expected size is that of other keys: it is forgotten when the key's own errors, 1 / (n + 1) each, are a score; the first
 * of them alone says too little to replace it. */
static const float EXPECTED_COUNT = 8;

size_t bands_floats(int n_bands)
{
    return (size_t)(BANDS_Q + 2 * n_bands);
}

/* Quantile of a normal error in units of its mean absolute value. */
static float bands_start(double tau)
{
    const double mean_size = 0.79788456080286535588; /* sqrt(2 / pi) */
    return (float)(normal_quantile(tau) / mean_size);
}

static double bands_tail(const struct eddy_reals *coverages, int i)
{
    return (1 - coverages->item[i]) / 2;
}

static void bands_begin(float *t, const struct eddy_reals *coverages, double size)
{
    t[BANDS_N] = 1;
    t[BANDS_S] = (float)size;
    for (int i = 0; i < coverages->n; i++) {
        t[BANDS_Q + i] = bands_start(bands_tail(coverages, i));
        t[BANDS_Q + coverages->n + i] = bands_start(1 - bands_tail(coverages, i));
    }
}

/* s after an error of a size.  Quantiles alone keep the bands right while nothing moves; a scale that went to 0 with the
 * errors would take hundreds of events to come back, for it grows by a fifth at an event. */
static double bands_scale_after(double s, double size, double gain)
{
    if (s == 0) return size;
    return s + (size < STILL * s ? STILL_GAIN : gain) * (scalar_least(size, SCALE_LIMIT * s) - s);
}

void bands_update(float *t, const struct eddy_reals *coverages, struct bands_rates rates, double error, float s0,
                  const bands_edge *edges)
{
    const int n_bands = coverages->n;
    const double size = fabs(error);
    if (!isfinite(size) || size > 1e30) return; /* beyond a float's honest range: the detector's business */
    if (t[BANDS_N] == 0) {
        if (!(t[BANDS_S] > 0)) {
            bands_begin(t, coverages, size);
            return;
        }
        t[BANDS_N] = EXPECTED_COUNT;
    }
    for (int i = 0; i < n_bands && s0 > 0; i++) {
        const double tail = bands_tail(coverages, i);
        float *low = &t[BANDS_Q + i], *high = low + n_bands;
        *low += (float)(rates.quantile * (tail - (error < bands_offset(s0, edges[i]) ? 1 : 0)));
        *high += (float)(rates.quantile * (1 - tail - (error < bands_offset(s0, edges[n_bands + i]) ? 1 : 0)));
    }
    t[BANDS_S] = (float)bands_scale_after((double)t[BANDS_S], size,
                                          scalar_most(rates.scale, 1 / ((double)t[BANDS_N] + 1)));
    if ((double)t[BANDS_N] < COUNT_LIMIT) t[BANDS_N] += 1;
}

/* To the nearest step; trackers of hopeless series stop at the widest edge there is. */
static bands_edge bands_round(float q)
{
    /* Above zero truncation is floor(), which is a call where the baseline has no instruction for it.  What is added is
     * exact, for q is a float. */
    enum { ABOVE_ZERO = 1 << 16 };
    double steps = (double)q / BANDS_STEP + .5;
    steps = steps > -INT16_MAX ? steps : -INT16_MAX; /* also NaN */
    steps = steps < INT16_MAX ? steps : INT16_MAX;
    return (bands_edge)((int)(steps + ABOVE_ZERO) - ABOVE_ZERO);
}

void bands_expect(float *t, const struct eddy_reals *coverages, double size)
{
    if (t[BANDS_N] > 0 || !(size > 0) || size > 1e30) return;
    bands_begin(t, coverages, size);
    t[BANDS_N] = 0;
}

bool bands_write(const float *t, int n_bands, bands_edge *edges)
{
    bands_edge *lower = edges, *upper = edges + n_bands;
    for (int i = 0; i < n_bands; i++) {
        lower[i] = bands_round(t[BANDS_Q + i]);
        upper[i] = bands_round(t[BANDS_Q + n_bands + i]);
        /* The trackers move independently: an inner edge may not lie outside an outer one. */
        if (lower[i] > upper[i]) lower[i] = upper[i] = (bands_edge)((lower[i] + upper[i]) / 2);
        if (i > 0 && lower[i] > lower[i - 1]) lower[i] = lower[i - 1];
        if (i > 0 && upper[i] < upper[i - 1]) upper[i] = upper[i - 1];
    }
    return t[BANDS_N] > 0 || t[BANDS_S] > 0;
}
