/* In symbols: e = y - target, z = e e^-s, w = (v + 1) / (v + z^2).
 *
 *   huber       d/dy = e, at most delta either way
 *   gaussian    d/dm = z e^-s,    d/ds = 1 - z^2
 *   student_t   d/dm = w z e^-s,  d/ds = 1 - w z^2
 *   quantiles   of q by level tau: -tau below the label, 1 - tau above it; a step's raw output moves all quantiles from
 *               its own outwards, by the derivative of log(1 + e^raw), which is sigmoid(raw)
 *   sigmoid     d/dl = p - label,  p = sigmoid(l)
 *   softmax     d/dl_k = p_k - [k = label],  p_k = e^l_k / sum e^l
 * A target's loss is added up in double. */
#include "engine/model/loss.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "engine/math/activations.h"
#include "engine/math/kernels.h"
#include "engine/math/precise.h"
#include "engine/math/quantiles.h"

bool loss_is_classes(const struct loss *l)
{
    return l->kind == LOSS_SIGMOID || l->kind == LOSS_SOFTMAX;
}

static int loss_outputs_each(const struct loss *l)
{
    switch (l->kind) {
    case LOSS_GAUSSIAN:
    case LOSS_STUDENT_T: return 2;
    case LOSS_QUANTILES: return l->n_levels;
    case LOSS_SOFTMAX: return l->n_classes;
    default: return 1;
    }
}

int loss_outputs(const struct loss *l, int n_targets)
{
    return n_targets * loss_outputs_each(l);
}

static float limited(float x, float most)
{
    return x > most ? most : x < -most ? -most : x;
}

/* One target's outputs: output k at y[k * n], the gradient likewise; each step_* writes all of d_y. */

static double step_squared(const struct loss *l, const float *y, size_t n, float label, float *d_y)
{
    (void)l, (void)n;
    const float e = *y - label;
    *d_y = e;
    return (double)e * (double)e / 2;
}

/* A log scale's gradient: one that would lead further beyond the limit is 0. */
static float scale_gradient(float raw, float d_s)
{
    return (raw > LOSS_LOG_SCALE && d_s < 0) || (raw < -LOSS_LOG_SCALE && d_s > 0) ? 0 : d_s;
}

static double step_scaled(const struct loss *l, const float *y, size_t n, float label, float *d_y)
{
    const float s = limited(y[n], LOSS_LOG_SCALE), shrink = math_exp(-s);
    const float z = limited((y[0] - label) * shrink, (float)LOSS_MOST_SCALES), v = (float)l->freedom;
    const float w = l->kind == LOSS_GAUSSIAN ? 1 : (v + 1) / (v + z * z);
    d_y[0] = w * z * shrink;
    d_y[n] = scale_gradient(y[n], 1 - w * z * z);
    const double square = (double)z * (double)z;
    if (l->kind == LOSS_GAUSSIAN) return square / 2 + (double)s;
    return (l->freedom + 1) / 2 * precise_log(1 + square / l->freedom) + (double)s;
}

static int median_level(const struct loss *l)
{
    int k = 0;
    while (k < l->n_levels - 1 && l->levels[k] < 0.5) k++;
    return k;
}

/* The pinball loss of one quantile. */
static double pinball(double tau, float q, float label, float *d_q)
{
    const double e = (double)label - (double)q;
    *d_q = (float)(e > 0 ? -tau : e < 0 ? 1 - tau : 0);
    return e > 0 ? tau * e : (tau - 1) * e;
}

/* The levels from the median to one end: `step` is 1 or -1, `end` lies behind the last.  *d_median gets what they add. */
static double step_side(const struct loss *l, const float *y, size_t n, float label, int step, int end, float *d_y,
                        float *d_median)
{
    const int median = median_level(l);
    float q = y[(size_t)median * n], outer = 0;
    double sum = 0;
    for (int k = median + step; k != end; k += step) {
        q += (float)step * math_softplus(y[(size_t)k * n]);
        sum += pinball(l->levels[k], q, label, &d_y[(size_t)k * n]);
    }
    for (int k = end - step; k != median; k -= step) {
        outer += d_y[(size_t)k * n];
        d_y[(size_t)k * n] = (float)step * outer * math_sigmoid(y[(size_t)k * n]);
    }
    *d_median += outer;
    return sum;
}

static double step_quantiles(const struct loss *l, const float *y, size_t n, float label, float *d_y)
{
    const size_t median = (size_t)median_level(l);
    float d_median;
    double sum = pinball(l->levels[median], y[median * n], label, &d_median);
    sum += step_side(l, y, n, label, 1, l->n_levels, d_y, &d_median);
    sum += step_side(l, y, n, label, -1, -1, d_y, &d_median);
    d_y[median * n] = d_median;
    return sum;
}

static double step_sigmoid(const struct loss *l, const float *y, size_t n, float label, float *d_y)
{
    (void)l, (void)n;
    const bool is = label > 0.5f;
    *d_y = math_sigmoid(*y) - (is ? 1 : 0);
    return (double)math_softplus(is ? -*y : *y);
}

static float largest(const struct loss *l, const float *y, size_t n)
{
    float top = *y;
    for (size_t k = 1; k < (size_t)l->n_classes; k++)
        if (y[k * n] > top) top = y[k * n];
    return top;
}

/* p[k * n_p] = e^(l_k - top) / sum, top the largest; returns the sum. */
static float softmax(const struct loss *l, const float *y, size_t n, float *p, size_t n_p)
{
    const float top = largest(l, y, n);
    float sum = 0;
    for (size_t k = 0; k < (size_t)l->n_classes; k++) {
        p[k * n_p] = math_exp(y[k * n] - top);
        sum += p[k * n_p];
    }
    for (size_t k = 0; k < (size_t)l->n_classes; k++) p[k * n_p] /= sum;
    return sum;
}

static double step_softmax(const struct loss *l, const float *y, size_t n, float label, float *d_y)
{
    const size_t right = (size_t)label;
    const float top = largest(l, y, n), sum = softmax(l, y, n, d_y, n);
    d_y[right * n] -= 1;
    return (double)top - (double)y[right * n] + (double)math_log(sum);
}

static double step_target(const struct loss *l, const float *y, size_t n, float label, float *d_y)
{
    switch (l->kind) {
    case LOSS_SQUARED: return step_squared(l, y, n, label, d_y);
    case LOSS_QUANTILES: return step_quantiles(l, y, n, label, d_y);
    case LOSS_SIGMOID: return step_sigmoid(l, y, n, label, d_y);
    case LOSS_SOFTMAX: return step_softmax(l, y, n, label, d_y);
    default: return step_scaled(l, y, n, label, d_y);
    }
}

static bool is_label(const struct loss *l, float target)
{
    return l->kind == LOSS_SOFTMAX ? target >= 0 && target < (float)l->n_classes : !isnan(target);
}

double loss_step(const struct loss *l, int n_targets, const float *y, const float *target, float weight, float *d_y)
{
    const size_t n = (size_t)n_targets, n_y = (size_t)loss_outputs(l, n_targets);
    double sum = 0;
    if (l->kind == LOSS_HUBER) return kernels_best()->huber(n, (float)l->delta, weight, y, target, d_y);
    memset(d_y, 0, n_y * sizeof(float));
    for (size_t i = 0; i < n; i++)
        if (is_label(l, target[i])) sum += step_target(l, y + i, n, target[i], d_y + i);
    for (size_t i = 0; i < n_y; i++) d_y[i] *= weight;
    return sum;
}

const float *loss_point(const struct loss *l, int n_targets, const float *y)
{
    return l->kind == LOSS_QUANTILES ? y + (size_t)median_level(l) * (size_t)n_targets : y;
}

/* The quantile of level number k. */
static float level_quantile(const struct loss *l, const float *y, size_t n, int k)
{
    const int median = median_level(l), step = k < median ? -1 : 1;
    float q = y[(size_t)median * n];
    for (int at = median; at != k; at += step) q += (float)step * math_softplus(y[(size_t)(at + step) * n]);
    return q;
}

/* The two levels around tau, or the two nearest, and how far from the first to the second it lies. */
static void tail_between(const struct loss *l, double tau, struct loss_tail *tail)
{
    int k = 0;
    while (k < l->n_levels - 2 && l->levels[k + 1] < tau) k++;
    const double low = normal_quantile(l->levels[k]), high = normal_quantile(l->levels[k + 1]);
    tail->level = k;
    tail->share = (float)((normal_quantile(tau) - low) / (high - low));
}

struct loss_tail loss_tail(const struct loss *l, double tau)
{
    struct loss_tail tail = {0};
    if (l->kind == LOSS_GAUSSIAN) tail.standard = (float)normal_quantile(tau);
    if (l->kind == LOSS_STUDENT_T) tail.standard = (float)student_t_quantile(tau, l->freedom);
    if (l->kind == LOSS_QUANTILES && l->n_levels > 1) tail_between(l, tau, &tail);
    return tail;
}

bool loss_quantile(const struct loss *l, int n_targets, const float *y, const struct loss_tail *tail, float *quantile)
{
    const size_t n = (size_t)n_targets;
    const bool scaled = l->kind == LOSS_GAUSSIAN || l->kind == LOSS_STUDENT_T;
    if (!scaled && l->kind != LOSS_QUANTILES) return false;
    for (size_t i = 0; i < n; i++)
        if (scaled) {
            quantile[i] = y[i] + tail->standard * math_exp(limited(y[n + i], LOSS_LOG_SCALE));
        } else {
            const float from = level_quantile(l, y + i, n, tail->level), share = tail->share;
            const float to = l->n_levels > 1 ? level_quantile(l, y + i, n, tail->level + 1) : from;
            quantile[i] = share < 0.5f ? from + share * (to - from) : to + (share - 1) * (to - from); /* ends exact */
        }
    return true;
}

void loss_probabilities(const struct loss *l, int n_targets, const float *y, float *p)
{
    if (l->kind == LOSS_SOFTMAX) {
        (void)softmax(l, y, (size_t)n_targets, p, 1);
        return;
    }
    p[1] = math_sigmoid(*y);
    p[0] = math_sigmoid(-*y);
}
