#include "engine/train/optimiser.h"

#include <math.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/model/tensors.h"
#include "engine/train/batch.h"
#include "engine/train/scratch.h"

static const double EPSILON = 1e-8;
static const uint64_t DRAW_SEED = 0x6472617773; /* of dropout and the like; every optimiser step draws anew */
static const double EMA_RAMP_STEPS = 5;         /* the average follows the weights closely at first */

/* What a step makes before anybody sees it, each [n_params]. */
struct next {
    float *gradient, *master, *moment, *variance, *ema;
    float *decayed,
        *clipped; /* the weights and the gradient that the step starts from, where they are not as they were */
};
enum { NEXT_ARRAYS = 7 };

static eddy_status next_open(struct train_scratch *s, size_t n_params, struct next *out, struct eddy_error *err)
{
    eddy_status rc = train_scratch_grow(&s->step, &s->step_floats, NEXT_ARRAYS * n_params, err);
    if (rc < 0) return rc;
    float *p = s->step;
    const size_t n = n_params;
    *out = (struct next){p, p + n, p + 2 * n, p + 3 * n, p + 4 * n, p + 5 * n, p + 6 * n};
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

static struct optimiser_step step_of(const struct train_settings *s, int64_t step, double rate, double grad_norm)
{
    double keep = 1 - EMA_RAMP_STEPS / ((double)step + EMA_RAMP_STEPS);
    if (keep > s->ema) keep = s->ema;
    if (keep < 0) keep = 0;
    return (struct optimiser_step){
        .gradient_scale = (float)(grad_norm > s->clip_norm ? s->clip_norm / grad_norm : 1),
        .beta1 = (float)(s->optimiser == OPTIMISER_SGD ? s->momentum : s->beta1),
        .beta2 = (float)(s->optimiser == OPTIMISER_RMSPROP ? s->alpha : s->beta2),
        .epsilon = (float)EPSILON,
        .correction1 = (float)(1 / (1 - whole_power(s->beta1, step))),
        .correction2 = (float)(1 / (1 - whole_power(s->beta2, step))),
        .learning_rate = (float)rate,
        .ema = (float)(1 - keep),
    };
}

/* The weights to start from: as they are, or a little smaller. */
static const float *next_decay(const struct network *net, const struct train_settings *settings, double rate,
                               const float *master, float *decayed)
{
    const double share = rate * settings->weight_decay;
    if (share <= 0) return master;
    const float keep = (float)(share < 1 ? 1 - share : 0);
    memcpy(decayed, master, net->n_params * sizeof(float));
    for (struct tensors t = {.net = net}; tensors_next(&t);)
        for (size_t i = 0; tensors_is_weight(&t.info) && i < tensors_floats(&t); i++)
            decayed[t.info.first + i] *= keep;
    return decayed;
}

/* The gradient to start from, and its norm; the rest of the clipping is a scale. */
static const float *next_clip(const struct train_settings *settings, size_t n_params, const struct next *next,
                              double *grad_norm)
{
    if (settings->clip_value <= 0) return next->gradient;
    kernels_best()->clip(n_params, (float)settings->clip_value, next->gradient, next->clipped);
    *grad_norm = sqrt(kernels_best()->squares(n_params, next->clipped));
    return next->clipped;
}

static void next_make(const struct network *net, const struct train_settings *settings, const struct train_state *now,
                      double grad_norm, const struct next *next)
{
    const int64_t t = *now->steps + 1;
    const double rate = settings->learning_rate * schedule_share(settings, t, now->pace);
    const struct optimiser_arrays arrays = {
        .gradient = next_clip(settings, net->n_params, next, &grad_norm),
        .weight = next_decay(net, settings, rate, now->master, next->decayed),
        .moment = now->moment,
        .variance = now->variance,
        .average = now->ema,
        .new_weight = next->master,
        .new_moment = next->moment,
        .new_variance = next->variance,
        .new_average = next->ema,
    };
    const struct optimiser_step step = step_of(settings, t, rate, grad_norm);
    const struct kernels *k = kernels_best();
    switch (settings->optimiser) {
    case OPTIMISER_RMSPROP: k->rmsprop(&step, net->n_params, &arrays); break;
    case OPTIMISER_SGD: k->sgd(&step, net->n_params, &arrays); break;
    default: k->adam(&step, net->n_params, &arrays);
    }
    if (settings->ema <= 0) memcpy(next->ema, next->master, net->n_params * sizeof(float)); /* exactly, no rounding */
}

static void health_note(const struct network *net, const struct next *next, const float *master,
                        struct train_health *health)
{
    const struct kernels *k = kernels_best();
    for (struct tensors t = {.net = net}; health && tensors_next(&t); health++) {
        const size_t n = tensors_floats(&t), first = t.info.first;
        health->grad_norm = sqrt(k->squares(n, next->gradient + first));
        health->update_norm = sqrt(k->distance(n, next->master + first, master + first));
    }
}

/* The step becomes the state. */
static void next_accept(const struct network *net, const struct train_settings *settings, const struct next *next,
                        double loss, struct train_state *state, struct train_report *report)
{
    const size_t bytes = net->n_params * sizeof(float);
    health_note(net, next, state->master, report->health);
    memcpy(state->master, next->master, bytes);
    memcpy(state->moment, next->moment, bytes);
    memcpy(state->variance, next->variance, bytes);
    memcpy(state->ema, next->ema, bytes);
    ++*state->steps;
    if (state->pace) schedule_note(settings, *state->steps, loss, state->pace);
    report->steps++;
    report->loss = loss;
}

eddy_status train_step(const struct network *net, const struct window_shape *shape,
                       const struct train_settings *settings, struct train_state *state, const float *windows, int n,
                       struct train_report *report, struct train_scratch *scratch, struct eddy_error *err)
{
    const size_t n_params = net->n_params;
    struct next next;
    double loss;
    eddy_status rc = next_open(scratch, n_params, &next, err);
    if (rc >= 0)
        rc = tbptt_gradient(net, shape, state->master, windows, n, DRAW_SEED ^ (uint64_t)*state->steps, next.gradient,
                            &loss, scratch, err);
    if (rc < 0 || scratch->n_labels == 0) return rc;

    const double grad_norm = sqrt(kernels_best()->squares(n_params, next.gradient));
    if (isfinite(loss) && isfinite(grad_norm)) next_make(net, settings, state, grad_norm, &next);
    if (!isfinite(loss) || !isfinite(grad_norm) || !kernels_best()->finite(4 * n_params, next.master)) {
        report->refused++;
        return EDDY_OK;
    }
    next_accept(net, settings, &next, loss, state, report);
    report->grad_norm = grad_norm;
    return EDDY_OK;
}

size_t train_step_bytes(const struct network *net, const struct window_shape *shape, int n)
{
    return (batch_floats(net, shape, n) + NEXT_ARRAYS * net->n_params) * sizeof(float);
}
