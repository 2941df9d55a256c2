/* Losses and the heads that go with them: what a network's outputs mean.
 *
 * A step has n_targets labels.  The head has loss_outputs() outputs, kind by kind: output k of target i is
 * y[k * n_targets + i].
 *
 *   huber, squared   1 output: the point forecast.  huber: e^2/2 up to |e| = delta, then delta (|e| - delta/2)
 *   gaussian         2 outputs: mean m and log scale s.  e^2 e^-2s / 2 + s                       (up to a constant)
 *   student_t        2 outputs: location m and log scale s.  (v+1)/2 log(1 + e^2 e^-2s / v) + s  (v = freedom)
 *   quantiles        n_levels outputs, levels ascending: that of level 0.5 as it is, the others by steps away from it
 *                    of log(1 + e^raw), so that no two cross.  Pinball loss, summed over the levels
 *   sigmoid          1 output per target: log odds of class 1.  Cross-entropy; a label is 0 or 1
 *   softmax          n_classes outputs per target: log odds.  Cross-entropy; a label is 0 .. n_classes - 1
 *
 * A label of NaN, or of no class, adds nothing.  Log scales are limited to +-LOSS_LOG_SCALE; beyond, their gradient is
 * that at the limit where a step leads back, else 0.  An error counts as LOSS_MOST_SCALES scales at most.
 * Memory   the caller's.   Threads  reentrant. */
#ifndef ENGINE_MODEL_LOSS_H
#define ENGINE_MODEL_LOSS_H

#include <stdbool.h>

/* The order is that of the option `loss`. */
enum loss_kind {
    LOSS_HUBER,
    LOSS_SQUARED,
    LOSS_GAUSSIAN,
    LOSS_STUDENT_T,
    LOSS_QUANTILES,
    LOSS_SIGMOID,
    LOSS_SOFTMAX
};
enum { LOSS_LOG_SCALE = 12, LOSS_MOST_SCALES = 1000000000 };

struct loss {
    int kind;             /* enum loss_kind */
    double delta;         /* huber */
    double freedom;       /* student_t: degrees of freedom */
    int n_levels;         /* quantiles */
    const double *levels; /* [n_levels] in (0, 1), ascending, 0.5 among them */
    int n_classes;        /* softmax; 2 for sigmoid */
};

bool loss_is_classes(const struct loss *);            /* sigmoid or softmax */
int loss_outputs(const struct loss *, int n_targets); /* width of the head */
/* The sum over the known labels of one step; d_y [loss_outputs()] = weight times its gradient. */
double loss_step(const struct loss *, int n_targets, const float *y, const float *target, float weight, float *d_y);
/* The point forecast [n_targets]: mean, location or median; it is a part of y. */
const float *loss_point(const struct loss *, int n_targets, const float *y);
/* What a level tau, 0 < tau < 1, means under this loss, found once: loss_quantile() is called for every event.  Between
 * and beyond the levels of a head of quantiles it goes straight on over the normal distribution's quantiles. */
struct loss_tail {
    float standard; /* gaussian, student_t: the quantile at location 0 and scale 1 */
    int level;      /* quantiles: `share` of the way from the quantile of this level to that of the next */
    float share;
};
struct loss_tail loss_tail(const struct loss *, double tau);
/* The quantile of every target [n_targets]; false for heads that say nothing about it (huber, squared, classes). */
bool loss_quantile(const struct loss *, int n_targets, const float *y, const struct loss_tail *, float *quantile);
/* Probabilities of the classes for target 0: p [n_classes]. */
void loss_probabilities(const struct loss *, int n_targets, const float *y, float *p);

#endif
