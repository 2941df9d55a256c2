#include "engine/forecast/mix.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

#include "engine/math/activations.h"
#include "engine/math/scalar.h"

enum { AT_N, AT_LOSS };
/* How hard a horizon is, only divides: no options. */
static const double HARD_GAIN = .005, HARD_LIMIT = 20, COUNT_LIMIT = 1e6, LARGEST_ROOT = 1e38;

/* How often a distance has doubled from 1 on, the last time perhaps in part. */
static int mix_doublings(int horizon)
{
    return horizon > 1 ? 32 - __builtin_clz((unsigned)horizon - 1) : 0;
}

void mix_group(const struct mix_settings *s, const int *horizons, int n_horizons, struct mix_groups *out)
{
    *out = (struct mix_groups){.n_horizons = n_horizons};
    for (int j = 0; j < n_horizons; j++) {
        const bool apart = s->horizons == MIX_GROUPED && j > 0 &&
                           mix_doublings(horizons[j]) != mix_doublings(horizons[j - 1]);
        if (j == 0 || apart) out->n++;
        out->of[j] = (uint8_t)(out->n - 1);
        out->members[out->n - 1]++;
    }
}

size_t mix_bytes(int n_experts, const struct mix_groups *groups)
{
    size_t floats = (size_t)(AT_LOSS + groups->n * n_experts + groups->n_horizons);
    return (floats * sizeof(float) + 7) & ~(size_t)7;
}

/* One label: what is known about it and about the experts at its horizon. */
struct mix_label {
    int n_experts;
    const double *errors; /* [n_experts] */
    const float *loss;    /* [n_experts] of the horizon's group */
    double rate, n;       /* n: labels so far */
};

static float mix_lowest(int n_experts, const float *loss)
{
    float lowest = loss[0];
    for (int i = 1; i < n_experts; i++) lowest = loss[i] < lowest ? loss[i] : lowest;
    return lowest;
}

/* fmin() and fmax() are calls, and these loops run for every label; neither number may be NaN. */
static inline double mix_least(double a, double b)
{
    return a < b ? a : b;
}
static inline double mix_most(double a, double b)
{
    return a > b ? a : b;
}

/* m_j in squares of `unit`; NaN when nobody had spoken. */
static double mix_mean_square(const struct mix_label *l, double unit)
{
    const float lowest = mix_lowest(l->n_experts, l->loss);
    const double per_unit = 1 / unit;
    double share[MIX_MAX_EXPERTS], square[MIX_MAX_EXPERTS], sum = 0, whole = 0;
    for (int i = 0; i < l->n_experts; i++) { /* two experts at once */
        const double e = l->errors[i] * per_unit, behind = l->rate * (double)(l->loss[i] - lowest);
        share[i] = 1 / (1 + behind * behind);
        square[i] = mix_least(e * e, 1e30);
    }
    for (int i = 0; i < l->n_experts; i++) {
        if (!isfinite(l->errors[i])) continue;
        sum += share[i] * square[i];
        whole += share[i];
    }
    return whole > 0 ? sum / whole : NAN;
}

/* Moves r_j on; false when nobody had spoken.  Counted in units of r_j (or of the largest error while there is none),
 * whose square may be out of range. */
static bool mix_harden(const struct mix_label *l, float *r)
{
    const bool first = *r == 0;
    double unit = (double)*r;
    for (int i = 0; first && i < l->n_experts; i++)
        if (isfinite(l->errors[i])) unit = mix_most(unit, fabs(l->errors[i]));
    if (unit < 1e-300) unit = 1e-300; /* so that 1 / unit is finite */
    const double m = mix_mean_square(l, unit);
    if (isnan(m)) return false;
    const double square = first ? m : 1 + mix_most(HARD_GAIN, 1 / (l->n + 1)) * (mix_least(m, HARD_LIMIT) - 1);
    *r = (float)mix_least(unit * sqrt(square), LARGEST_ROOT);
    return true;
}

/* per_r = 1 / r_j, or 0 while nobody has erred. */
static double mix_loss(const struct mix_settings *s, double error, double per_r)
{
    const double e = error * per_r;
    return mix_least(e * e, s->loss_limit);
}

/* What those who spoke have lost, by their weights: the charge of the silent. */
static double mix_charge(const struct mix_settings *s, int n_experts, const void *state, int group,
                         const double *errors, double per_r)
{
    double weights[MIX_MAX_EXPERTS], sum = 0, whole = 0;
    mix_weights(s, n_experts, state, group, weights);
    for (int i = 0; i < n_experts; i++) {
        if (!isfinite(errors[i])) continue;
        sum += weights[i] * mix_loss(s, errors[i], per_r);
        whole += weights[i];
    }
    return whole > 0 ? sum / whole : 0;
}

void mix_learn(const struct mix_settings *s, int n_experts, const struct mix_groups *groups, void *state, int j,
               const double *errors)
{
    const int group = groups->of[j];
    float *n = (float *)state + AT_N, *losses = (float *)state + AT_LOSS, *loss = losses + group * n_experts;
    float *r = losses + groups->n * n_experts + j;
    const struct mix_label label = {n_experts, errors, loss, s->rate, (double)*n};
    if (!mix_harden(&label, r)) return;

    const double per_r = *r > 0 ? 1 / (double)*r : 0, per_member = 1. / groups->members[group];
    double charge = -1;
    for (int i = 0; i < n_experts && charge < 0; i++)
        if (!isfinite(errors[i])) charge = mix_charge(s, n_experts, state, group, errors, per_r);
    for (int i = 0; i < n_experts; i++) {
        const double now = isfinite(errors[i]) ? mix_loss(s, errors[i], per_r) : charge;
        loss[i] += (float)((now - (1 - s->discount) * (double)loss[i]) * per_member);
    }
    if (j == 0 && (double)*n < COUNT_LIMIT) *n += 1;
}

void mix_weights(const struct mix_settings *s, int n_experts, const void *state, int group, double *weights)
{
    const float *loss = (const float *)state + AT_LOSS + group * n_experts;
    const float n = ((const float *)state)[AT_N];
    const double rate = (double)n < (double)s->start ? 0 : s->rate;
    const float lowest = mix_lowest(n_experts, loss);
    double sum = 0;
    for (int i = 0; i < n_experts; i++) {
        weights[i] = (double)math_exp((float)-rate * (loss[i] - lowest));
        sum += weights[i];
    }
    for (int i = 0; i < n_experts; i++) weights[i] = (1 - s->floor) * weights[i] / sum + s->floor / n_experts;
}

void mix_combine(const struct mix_settings *s, int n_experts, const struct mix_groups *groups, const void *state,
                 const double *forecasts, double *mixed)
{
    const int n_horizons = groups->n_horizons;
    double weights[MIX_MAX_EXPERTS];
    for (int j = 0; j < n_horizons; j++) {
        if (j == 0 || groups->of[j] != groups->of[j - 1]) mix_weights(s, n_experts, state, groups->of[j], weights);
        double whole = 0, sum = 0;
        for (int i = 0; i < n_experts; i++)
            if (isfinite(forecasts[i * n_horizons + j])) whole += weights[i];
        for (int i = 0; i < n_experts; i++)
            if (isfinite(forecasts[i * n_horizons + j])) sum += weights[i] / whole * forecasts[i * n_horizons + j];
        mixed[j] = whole > 0 ? scalar_least(scalar_most(sum, -DBL_MAX), DBL_MAX)
                             : NAN; /* a rounding may pass the largest number */
    }
}
