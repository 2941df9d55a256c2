/* Adam with a global-norm clip, a running average of the weights, and the guard against steps that are not finite. */
#include "engine/train/tbptt.h"

#include <math.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/train/scratch.h"

static const double BETA1 = 0.9, BETA2 = 0.999, EPSILON = 1e-8;
static const uint64_t DRAW_SEED = 0x6472617773; /* of dropout and the like; every optimiser step draws anew */
static const double EMA_RAMP_STEPS = 5;         /* the average follows the weights closely at first */

/* What a step makes before anybody sees it, each [n_params]. */
struct next {
    float *gradient, *master, *moment, *variance, *ema;
};
enum { NEXT_ARRAYS = 5 };

static eddy_status next_open(struct train_scratch *s, size_t n_params, struct next *out, struct eddy_error *err)
{
    eddy_status rc = train_scratch_grow(&s->step, &s->step_floats, NEXT_ARRAYS * n_params, err);
    if (rc < 0) return rc;
    float *p = s->step;
    *out = (struct next){p, p + n_params, p + 2 * n_params, p + 3 * n_params, p + 4 * n_params};
    return EDDY_OK;
}

/* base^n by squaring: the C library's pow differs between versions. */
static double whole_power(double base, int64_t n)
{
    double result = 1;
    for (; n > 0; n >>= 1, base *= base)
        if (n & 1) result *= base;
    return result;
}

static struct optimiser_step adam_of(const struct train_settings *settings, int64_t step, double grad_norm)
{
    double keep = 1 - EMA_RAMP_STEPS / ((double)step + EMA_RAMP_STEPS);
    if (keep > settings->ema) keep = settings->ema;
    if (keep < 0) keep = 0;
    return (struct optimiser_step){
        .gradient_scale = (float)(grad_norm > settings->clip_norm ? settings->clip_norm / grad_norm : 1),
        .beta1 = (float)BETA1,
        .beta2 = (float)BETA2,
        .epsilon = (float)EPSILON,
        .correction1 = (float)(1 / (1 - whole_power(BETA1, step))),
        .correction2 = (float)(1 / (1 - whole_power(BETA2, step))),
        .learning_rate = (float)settings->learning_rate,
        .ema = (float)(1 - keep),
    };
}

static void next_make(const struct train_settings *settings, const struct train_state *now, size_t n_params,
                      double grad_norm, const struct next *next)
{
    const struct optimiser_step adam = adam_of(settings, *now->steps + 1, grad_norm);
    const struct optimiser_arrays arrays = {
        .gradient = next->gradient,
        .weight = now->master,
        .moment = now->moment,
        .variance = now->variance,
        .average = now->ema,
        .new_weight = next->master,
        .new_moment = next->moment,
        .new_variance = next->variance,
        .new_average = next->ema,
    };
    kernels_best()->adam(&adam, n_params, &arrays);
    if (settings->ema <= 0) memcpy(next->ema, next->master, n_params * sizeof(float)); /* exactly, no rounding */
}

eddy_status train_step(const struct network *net, const struct window_shape *shape,
                       const struct train_settings *settings, struct train_state *state, const float *windows, int n,
                       struct train_report *report, struct train_scratch *scratch, struct eddy_error *err)
{
    const size_t n_params = net->n_params, bytes = n_params * sizeof(float);
    struct next next;
    double loss;
    eddy_status rc = next_open(scratch, n_params, &next, err);
    if (rc >= 0)
        rc = tbptt_gradient(net, shape, state->master, windows, n, DRAW_SEED ^ (uint64_t)*state->steps, next.gradient,
                            &loss, scratch, err);
    if (rc < 0 || scratch->n_labels == 0) return rc;

    const double grad_norm = sqrt(kernels_best()->squares(n_params, next.gradient));
    if (isfinite(loss) && isfinite(grad_norm)) next_make(settings, state, n_params, grad_norm, &next);
    if (!isfinite(loss) || !isfinite(grad_norm) || !kernels_best()->finite(4 * n_params, next.master)) {
        report->refused++;
        return EDDY_OK;
    }
    memcpy(state->master, next.master, bytes);
    memcpy(state->moment, next.moment, bytes);
    memcpy(state->variance, next.variance, bytes);
    memcpy(state->ema, next.ema, bytes);
    ++*state->steps;
    report->steps++;
    report->loss = loss;
    report->grad_norm = grad_norm;
    return EDDY_OK;
}
