#include "engine/forecast/regressors.h"

#include "engine/forecast/ring.h"

static const double MEAN_STEPS[REGRESSORS_MEANS] = {12, 25, 97, 673};
static const double LIMIT = 4, FAR_LIMIT = 40, RAW_LIMIT = 1e6, UNIT_SPREADS = 1.25;
enum { UNIT_STEPS = 200, READY_AFTER = 4, FAST_MEAN = 1, SLOW_MEAN = 2 };

int regressors_span(const struct regressors_shape *s)
{
    return s->lags[s->n_lags - 1] + 1;
}

int regressors_count(const struct regressors_shape *s)
{
    return 1 + s->n_lags + REGRESSORS_MEANS + 1 + REGRESSORS_AHEAD + 1 + s->n_features;
}

size_t regressors_bytes(const struct regressors_shape *s)
{
    return sizeof(struct regressors_state) + (size_t)regressors_span(s) * sizeof(double);
}

static double regressors_gain(double steps, int64_t n)
{
    const double exact = 1 / ((double)n + 1);
    return 2 / steps > exact ? 2 / steps : exact;
}

void regressors_learn(const struct regressors_shape *s, struct regressors_state *r, double x)
{
    const double off = r->n > 0 ? fabs(x - r->mean[REGRESSORS_MEANS - 1]) : 0;
    r->spread += (off - r->spread) * regressors_gain(MEAN_STEPS[REGRESSORS_MEANS - 1], r->n);
    for (int i = 0; i < REGRESSORS_MEANS; i++)
        r->mean[i] = r->n > 0 ? r->mean[i] + (x - r->mean[i]) * regressors_gain(MEAN_STEPS[i], r->n) : x;
    if (r->n > 0 && !(r->spread > 0)) r->still++;
    if (r->n - r->still < UNIT_STEPS) r->unit = UNIT_SPREADS * r->spread + 1e-6 * fabs(x) + 1e-12;
    r->last[ring_place(r->n, regressors_span(s))] = x;
    r->n++;
}

double regressors_unit(const struct regressors_shape *s, const struct regressors_state *r, double sigma)
{
    return s->raw ? r->unit : sigma;
}

bool regressors_ready(const struct regressors_shape *s, const struct regressors_state *r)
{
    return r->n >= regressors_span(s) + READY_AFTER;
}

void regressors_write(const struct regressors_shape *s, const struct regressors_state *r,
                      const struct eddy_expert_event *in, double *row)
{
    const int span = regressors_span(s);
    const double per_unit = 1 / regressors_unit(s, r, in->sigma), limit = s->raw ? RAW_LIMIT : LIMIT;
    const size_t now = ring_place(r->n - 1, span);
    const double x = r->last[now];
    double *at = row;
    *at++ = 1;
    for (int i = 0; i < s->n_lags; i++) *at++ = (x - r->last[ring_back(now, s->lags[i], span)]) * per_unit;
    for (int i = 0; i < REGRESSORS_MEANS; i++) *at++ = (x - r->mean[i]) * per_unit;
    *at++ = (x - r->mean[SLOW_MEAN] - in->level) * per_unit;
    for (int j = 1; j <= REGRESSORS_AHEAD; j++) *at++ = in->ahead[j] * per_unit;
    for (double *k = row + 1; k < at; k++) *k = expert_limit(*k, limit);
    const double far = (x - r->mean[FAST_MEAN]) * per_unit;
    *at++ = expert_limit(far, FAR_LIMIT) - expert_limit(far, LIMIT);
    for (int i = 0; i < s->n_features; i++) *at++ = expert_limit((double)in->features[i], RAW_LIMIT);
}

void regressors_range(const struct regressors_shape *s, const struct regressors_state *r, double *low, double *high)
{
    const int span = regressors_span(s), n = r->n < span ? (int)r->n : span;
    *low = *high = r->last[0];
    for (int i = 1; i < n; i++) {
        *low = r->last[i] < *low ? r->last[i] : *low;
        *high = r->last[i] > *high ? r->last[i] : *high;
    }
}
