#include "engine/model/loss.h"

#include <math.h>
#include <string.h>

#include "engine/math/activations.h"

/* Labels are numbers of classes only where a network tells classes. */
static bool is_known(float target)
{
    return !isnan(target);
}

static float limited_log_scale(float s)
{
    return s > LOSS_LOG_SCALE ? LOSS_LOG_SCALE : s < -LOSS_LOG_SCALE ? -LOSS_LOG_SCALE : s;
}

bool loss_is_classes(const struct loss *loss)
{
    return loss->kind == LOSS_SIGMOID || loss->kind == LOSS_SOFTMAX;
}

int loss_outputs(const struct loss *loss, int n_targets)
{
    switch (loss->kind) {
    case LOSS_GAUSSIAN:
    case LOSS_STUDENT_T: return 2 * n_targets;
    case LOSS_QUANTILES: return loss->n_levels * n_targets;
    case LOSS_SOFTMAX: return loss->n_classes * n_targets;
    default: return n_targets;
    }
}

/* ---- points ---- */

static double loss_of_point(const struct loss *loss, const float *y, float target, float *d)
{
    const float e = *y - target, size = e < 0 ? -e : e, delta = (float)loss->delta;
    if (loss->kind == LOSS_SQUARED || size <= delta) {
        *d = e;
        return (double)(e * e / 2);
    }
    *d = e < 0 ? -delta : delta;
    return (double)(delta * (size - delta / 2));
}

/* ---- location and scale: outputs of one target lie n apart ---- */

static double loss_of_scale(const struct loss *loss, int n, const float *y, float target, float *d)
{
    const float s = limited_log_scale(y[n]), e = y[0] - target, k = math_exp(-2 * s), q = e * e * k;
    double value;
    float d_location, d_scale;
    if (loss->kind == LOSS_GAUSSIAN) {
        value = (double)(q / 2 + s);
        d_location = e * k;
        d_scale = 1 - q;
    } else {
        const float v = (float)loss->freedom, share = (v + 1) / (v + q);
        value = (double)((v + 1) / 2 * math_log(1 + q / v) + s);
        d_location = share * e * k;
        d_scale = 1 - share * q;
    }
    /* Beyond the limit only a gradient that leads back counts. */
    if ((y[n] > LOSS_LOG_SCALE && d_scale < 0) || (y[n] < -LOSS_LOG_SCALE && d_scale > 0)) d_scale = 0;
    d[0] = d_location;
    d[n] = d_scale;
    return value;
}

/* ---- quantiles: level l of one target lies at y[l * n] ---- */

static int middle_level(const struct loss *loss)
{
    int middle = 0;
    while (middle + 1 < loss->n_levels && loss->levels[middle] < 0.5) middle++;
    return middle;
}

/* The quantile of one level: steps away from the middle one. */
static float quantile_of_level(const struct loss *loss, int n, const float *y, int level)
{
    const int middle = middle_level(loss);
    float q = y[middle * n];
    for (int l = middle + 1; l <= level; l++) q += math_softplus(y[l * n]);
    for (int l = middle - 1; l >= level; l--) q -= math_softplus(y[l * n]);
    return q;
}

static double loss_of_quantiles(const struct loss *loss, int n, const float *y, float target, float *d)
{
    const int middle = middle_level(loss), n_levels = loss->n_levels;
    double sum = 0;
    for (int l = 0; l < n_levels; l++) { /* d holds the gradients by the quantiles first */
        const float e = target - quantile_of_level(loss, n, y, l), tau = (float)loss->levels[l];
        sum += (double)(e > 0 ? tau * e : (tau - 1) * e);
        d[l * n] = e > 0 ? -tau : 1 - tau;
    }
    float beyond = 0; /* of all quantiles from this step on, outwards */
    for (int l = n_levels - 1; l > middle; l--) {
        beyond += d[l * n];
        d[l * n] = beyond * math_sigmoid(y[l * n]);
    }
    float below = 0;
    for (int l = 0; l < middle; l++) {
        below += d[l * n];
        d[l * n] = -below * math_sigmoid(y[l * n]);
    }
    d[middle * n] += beyond + below;
    return sum;
}

/* ---- classes: class c of one target lies at y[c * n] ---- */

static double loss_of_two(const float *y, float target, float *d)
{
    const float is = target > 0.5f ? 1 : 0;
    *d = math_sigmoid(*y) - is;
    return (double)(math_softplus(*y) - is * *y);
}

static float largest_of(int n_classes, int n, const float *y)
{
    float most = y[0];
    for (int c = 1; c < n_classes; c++)
        if (y[c * n] > most) most = y[c * n];
    return most;
}

static double loss_of_classes(const struct loss *loss, int n, const float *y, float target, float *d)
{
    const float most = largest_of(loss->n_classes, n, y);
    const int is = (int)target;
    float sum = 0;
    for (int c = 0; c < loss->n_classes; c++) sum += d[c * n] = math_exp(y[c * n] - most);
    for (int c = 0; c < loss->n_classes; c++) d[c * n] = d[c * n] / sum - (c == is ? 1.0f : 0.0f);
    return (double)(math_log(sum) + most - y[is * n]);
}

/* ---- all of them ---- */

static double loss_of_target(const struct loss *loss, int n, const float *y, float target, float *d)
{
    switch (loss->kind) {
    case LOSS_GAUSSIAN:
    case LOSS_STUDENT_T: return loss_of_scale(loss, n, y, target, d);
    case LOSS_QUANTILES: return loss_of_quantiles(loss, n, y, target, d);
    case LOSS_SIGMOID: return loss_of_two(y, target, d);
    case LOSS_SOFTMAX: return loss_of_classes(loss, n, y, target, d);
    default: return loss_of_point(loss, y, target, d);
    }
}

double loss_step(const struct loss *loss, int n_targets, const float *y, const float *target, float weight,
                 float *d_y)
{
    const int n_out = loss_outputs(loss, n_targets);
    double sum = 0;
    memset(d_y, 0, (size_t)n_out * sizeof(float));
    for (int i = 0; i < n_targets; i++) {
        const bool no_class = loss->kind == LOSS_SOFTMAX && !(target[i] >= 0 && target[i] < (float)loss->n_classes);
        if (is_known(target[i]) && !no_class) sum += loss_of_target(loss, n_targets, y + i, target[i], d_y + i);
    }
    for (int i = 0; i < n_out; i++) d_y[i] *= weight;
    return sum;
}

void loss_point(const struct loss *loss, int n_targets, const float *y, float *point)
{
    const int level = loss->kind == LOSS_QUANTILES ? middle_level(loss) : 0;
    memcpy(point, y + (size_t)level * (size_t)n_targets, (size_t)n_targets * sizeof(float));
}

void loss_probabilities(const struct loss *loss, int n_targets, const float *y, float *p)
{
    if (loss->kind == LOSS_SIGMOID) {
        p[1] = math_sigmoid(y[0]);
        p[0] = 1 - p[1];
        return;
    }
    const float most = largest_of(loss->n_classes, n_targets, y);
    float sum = 0;
    for (int c = 0; c < loss->n_classes; c++) sum += p[c] = math_exp(y[c * n_targets] - most);
    for (int c = 0; c < loss->n_classes; c++) p[c] /= sum;
}

/* Between two levels in proportion; beyond the outermost ones theirs. */
static float quantile_between(const struct loss *loss, int n, const float *y, double tau)
{
    int above = 0;
    while (above < loss->n_levels && loss->levels[above] < tau) above++;
    if (above == 0) return quantile_of_level(loss, n, y, 0);
    if (above == loss->n_levels) return quantile_of_level(loss, n, y, loss->n_levels - 1);
    const double low = loss->levels[above - 1], high = loss->levels[above];
    const float from = quantile_of_level(loss, n, y, above - 1), to = quantile_of_level(loss, n, y, above);
    return from + (float)((tau - low) / (high - low)) * (to - from);
}

bool loss_quantile(const struct loss *loss, int n_targets, const float *y, const struct loss_tail *tail,
                   float *quantile)
{
    const bool scaled = loss->kind == LOSS_GAUSSIAN || loss->kind == LOSS_STUDENT_T;
    if (!scaled && loss->kind != LOSS_QUANTILES) return false;
    for (int i = 0; i < n_targets; i++)
        quantile[i] = scaled ? y[i] + (float)tail->standard * math_exp(limited_log_scale(y[n_targets + i]))
                             : quantile_between(loss, n_targets, y + i, tail->tau);
    return true;
}
