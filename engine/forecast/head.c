#include "engine/forecast/head.h"

#include <math.h>
#include <string.h>

#include "engine/forecast/ring.h"
#include "engine/math/kernels.h"

static const double FIRST_COVARIANCE = .1, MOST_COVARIANCE = 1e6, MOST_LEVERAGE = 1e12, LARGEST_TARGET = 1e6;
static const double SCALE_GAIN = .005, LEAST_SCALE = 1e-3, LEVERAGE_GAIN = .005, FIRST_LEVERAGE_GAIN = .02;
enum { LEVERAGE_AFTER = 400, HEAD_AT_ONCE = 8 };

/* ---- where things lie ---- */

static int head_width(const struct head_rule *rule)
{
    return (rule->n + RECURSIVE_WIDTH - 1) / RECURSIVE_WIDTH * RECURSIVE_WIDTH;
}

/* Steps whose rows are kept: from the origin of the furthest horizon on. */
static int head_ring(const struct head_rule *rule)
{
    return rule->horizons[rule->n_horizons - 1] + 1;
}

static double *head_origins(void *state)
{
    return (double *)(void *)((struct head_state *)state + 1);
}

static double *head_units(const struct head_rule *rule, void *state)
{
    return head_origins(state) + head_ring(rule);
}

static double *head_scales(const struct head_rule *rule, void *state)
{
    return head_units(rule, state) + head_ring(rule);
}

/* Where what has the chosen precision begins, on a cache line of its own if the state does. */
static size_t head_at_numbers(const struct head_rule *rule)
{
    const size_t doubles = 2 * (size_t)head_ring(rule) + (size_t)rule->n_horizons;
    return head_on_line(sizeof(struct head_state) + doubles * sizeof(double));
}

static size_t head_real_bytes(const struct head_rule *rule)
{
    return rule->single ? sizeof(float) : sizeof(double);
}

size_t head_bytes(const struct head_rule *rule)
{
    const int width = head_width(rule);
    const size_t numbers = recursive_row(width) + (size_t)width * (1 + (size_t)rule->n_horizons);
    return head_at_numbers(rule) + numbers * head_real_bytes(rule);
}

size_t head_kept_bytes(const struct head_rule *rule, int *n_steps)
{
    *n_steps = head_ring(rule);
    return 2 * (size_t)head_width(rule) * head_real_bytes(rule);
}

/* ---- what does not depend on the precision ---- */

/* The error that is learnt from, and the scale of errors moved on. */
static double head_error(const struct head_rule *rule, double target, double known, double *scale)
{
    const double limited = target > LARGEST_TARGET    ? LARGEST_TARGET
                           : target < -LARGEST_TARGET ? -LARGEST_TARGET
                                                      : target;
    double e = limited - known;
    if (*scale == 0) {
        *scale = fabs(e) + LEAST_SCALE;
        return e;
    }
    const double most = rule->huber * *scale;
    if (most > 0) e = e > most ? most : e < -most ? -most : e;
    *scale += SCALE_GAIN * (fabs(e) - *scale);
    if (*scale < LEAST_SCALE) *scale = LEAST_SCALE;
    return e;
}

/* lambda / o of a row whose l is `far`, and the usual one moved on. */
static double head_weighed(const struct head_rule *rule, struct head_state *s, double far)
{
    if (rule->leverage <= 0) return rule->forgetting;
    if (s->n < LEVERAGE_AFTER || s->leverage <= 0) {
        s->leverage = s->leverage > 0 ? s->leverage + FIRST_LEVERAGE_GAIN * (far - s->leverage) : far;
        return rule->forgetting;
    }
    const double most = rule->leverage * s->leverage;
    s->leverage += LEVERAGE_GAIN * ((far < most ? far : most) - s->leverage);
    return far > most ? rule->forgetting * far / most : rule->forgetting;
}

/* ---- both precisions ---- */

#define REAL        float
#define NAMED(name) name##_f32
#include "engine/forecast/head_inline.h"
#define REAL        double
#define NAMED(name) name##_f64
#include "engine/forecast/head_inline.h"

void head_init(const struct head *head)
{
    memset(head->state, 0, head_bytes(head->rule));
    if (head->rule->single)
        head_begin_f32(head);
    else
        head_begin_f64(head);
}

static void head_pass(const struct head *head, int64_t t, const double *label, const double *row, double *y)
{
    if (head->rule->single)
        head_pass_f32(head, t, label, row, y);
    else
        head_pass_f64(head, t, label, row, y);
}

void head_skip(const struct head *head, int64_t t, const double *label)
{
    if (label) head_pass(head, t, label, NULL, NULL);
    head_units(head->rule, head->state)[ring_place(t, head_ring(head->rule))] = 0;
}

void head_forecast(const struct head *head, int64_t t, const double *label, const double *row, double x, double unit,
                   double *y)
{
    const size_t s = ring_place(t, head_ring(head->rule));
    head_origins(head->state)[s] = x;
    head_units(head->rule, head->state)[s] = label ? unit : 0;
    head_pass(head, t, label, row, y);
    ((struct head_state *)head->state)->n++;
}
