#include "engine/train/schedule.h"

#include <math.h>

#include "engine/math/precise.h"

static const double QUICKER = 8; /* the fast average, and how much faster the rate rises than it falls */
static const double RISING = 0.5, STANDING = -0.1; /* in spreads */

static double at_least(double floor, double share)
{
    return share > floor ? share : floor;
}

/* Periods of n, 2n, 4n, .. */
static double schedule_cosine(int64_t t, int64_t n, double floor)
{
    int64_t at = t - 1;
    while (at >= n) {
        at -= n;
        n *= 2;
    }
    return floor + (1 - floor) * (1 + precise_cos((double)at / (double)n)) / 2;
}

double schedule_share(const struct train_settings *s, int64_t t, const struct train_pace *pace)
{
    const double warmup = (double)t / (double)s->schedule_steps;
    switch (s->schedule) {
    case SCHEDULE_WARMUP: return warmup < 1 ? warmup : 1;
    case SCHEDULE_INVERSE_SQRT: return warmup < 1 ? warmup : at_least(s->schedule_floor, sqrt(1 / warmup));
    case SCHEDULE_COSINE: return schedule_cosine(t, s->schedule_steps, s->schedule_floor);
    case SCHEDULE_PLATEAU: return pace && pace->share > 0 ? at_least(s->schedule_floor, pace->share) : 1;
    default: return 1;
    }
}

void schedule_note(const struct train_settings *s, int64_t t, double loss, struct train_pace *p)
{
    if (s->schedule != SCHEDULE_PLATEAU) return;
    const double n = (double)s->schedule_steps, first = 1 / (double)t; /* a plain mean at first */
    const double k = at_least(first, 1 / n), k_fast = at_least(first, n > QUICKER ? QUICKER / n : 1);
    if (p->share == 0) *p = (struct train_pace){loss, loss, 0, 1};
    p->slow += k * (loss - p->slow);
    p->fast += k_fast * (loss - p->fast);
    p->spread += k * (fabs(loss - p->slow) - p->spread);
    const double drift = p->fast - p->slow;
    if (first > 1 / n) return; /* too early to tell */
    if (drift > RISING * p->spread) {
        p->share *= 1 + QUICKER / n;
        if (p->share > 1) p->share = 1;
    } else if (drift > STANDING * p->spread) {
        p->share = at_least(s->schedule_floor, p->share * (n / (n + 1)));
    }
}
