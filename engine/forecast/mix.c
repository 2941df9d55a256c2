#include "engine/forecast/mix.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

#include "engine/math/activations.h"

enum { AT_N, AT_LOSS };
static const double LOSS_LIMIT = 50, HARD_GAIN = .005, HARD_LIMIT = 20, COUNT_LIMIT = 1e6, LARGEST_ROOT = 1e38;

size_t mix_bytes(int n_experts, int n_horizons)
{
    size_t floats = (size_t)(AT_LOSS + n_experts + n_horizons);
    return (floats * sizeof(float) + 7) & ~(size_t)7;
}

/* The mean square of the errors relative to r, over those that are known; NaN when none is. */
static double mix_mean_square(int n_experts, const double *errors, double r)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < n_experts; i++) {
        if (!isfinite(errors[i])) continue;
        const double e = errors[i] / r;
        sum += fmin(e * e, 1e30);
        n++;
    }
    return n ? sum / n : NAN;
}

/* Moves r_j on; false when nobody had spoken.  Counted in units of r_j (or of the largest error while there is none),
 * whose square may be out of range. */
static bool mix_harden(int n_experts, const double *errors, double n, float *r)
{
    const bool first = *r == 0;
    double unit = (double)*r;
    for (int i = 0; first && i < n_experts; i++)
        if (isfinite(errors[i])) unit = fmax(unit, fabs(errors[i]));
    if (unit == 0) unit = 1;
    const double m = mix_mean_square(n_experts, errors, unit);
    if (isnan(m)) return false;
    const double square = first ? m : 1 + fmax(HARD_GAIN, 1 / (n + 1)) * (fmin(m, HARD_LIMIT) - 1);
    *r = (float)fmin(unit * sqrt(square), LARGEST_ROOT);
    return true;
}

static double mix_loss(double error, double r)
{
    if (r == 0) return 0;
    const double e = error / r;
    return fmin(e * e, LOSS_LIMIT);
}

/* What those who spoke have lost, by their weights: the charge of the silent. */
static double mix_charge(const struct mix_settings *s, int n_experts, const void *state, const double *errors,
                         double r)
{
    double weights[MIX_MAX_EXPERTS], sum = 0, whole = 0;
    mix_weights(s, n_experts, state, weights);
    for (int i = 0; i < n_experts; i++) {
        if (!isfinite(errors[i])) continue;
        sum += weights[i] * mix_loss(errors[i], r);
        whole += weights[i];
    }
    return whole > 0 ? sum / whole : 0;
}

void mix_learn(const struct mix_settings *s, int n_experts, int n_horizons, void *state, int j, const double *errors)
{
    float *loss = (float *)state + AT_LOSS, *n = (float *)state + AT_N, *r = loss + n_experts + j;
    if (!mix_harden(n_experts, errors, (double)*n, r)) return;

    double charge = -1;
    for (int i = 0; i < n_experts && charge < 0; i++)
        if (!isfinite(errors[i])) charge = mix_charge(s, n_experts, state, errors, (double)*r);
    for (int i = 0; i < n_experts; i++) {
        const double now = isfinite(errors[i]) ? mix_loss(errors[i], (double)*r) : charge;
        loss[i] += (float)((now - (1 - s->discount) * (double)loss[i]) / n_horizons);
    }
    if (j == 0 && (double)*n < COUNT_LIMIT) *n += 1;
}

void mix_weights(const struct mix_settings *s, int n_experts, const void *state, double *weights)
{
    const float *loss = (const float *)state + AT_LOSS, n = ((const float *)state)[AT_N];
    const double rate = (double)n < (double)s->start ? 0 : s->rate;
    float lowest = loss[0];
    double sum = 0;
    for (int i = 1; i < n_experts; i++) lowest = loss[i] < lowest ? loss[i] : lowest;
    for (int i = 0; i < n_experts; i++) {
        weights[i] = (double)math_exp((float)-rate * (loss[i] - lowest));
        sum += weights[i];
    }
    for (int i = 0; i < n_experts; i++) weights[i] = (1 - s->floor) * weights[i] / sum + s->floor / n_experts;
}

void mix_combine(const struct mix_settings *s, int n_experts, int n_horizons, const void *state,
                 const double *forecasts, double *mixed)
{
    double weights[MIX_MAX_EXPERTS];
    mix_weights(s, n_experts, state, weights);
    for (int j = 0; j < n_horizons; j++) {
        double whole = 0, sum = 0;
        for (int i = 0; i < n_experts; i++)
            if (isfinite(forecasts[i * n_horizons + j])) whole += weights[i];
        for (int i = 0; i < n_experts; i++)
            if (isfinite(forecasts[i * n_horizons + j])) sum += weights[i] / whole * forecasts[i * n_horizons + j];
        mixed[j] = whole > 0 ? fmin(fmax(sum, -DBL_MAX), DBL_MAX) : NAN; /* a rounding may pass the largest number */
    }
}
