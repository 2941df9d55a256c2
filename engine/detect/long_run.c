#include "engine/detect/long_run.h"

#include <math.h>

#include "engine/math/scalar.h"

static void long_run_block(struct long_run *r, const struct long_run_settings *s, double d)
{
    r->block[1] = scalar_most(r->block[1], fabs(d));
    r->most -= r->most / (double)s->memory;
    if (r->n % (4 * s->window)) return;
    r->most = scalar_most(r->most, r->block[0]);
    r->block[0] = r->block[1];
    r->block[1] = 0;
}

static void long_run_learn(struct long_run *r, const struct long_run_settings *s, double x, bool rises_only)
{
    const double gain = scalar_most(1 / (double)r->n, 1 / (double)s->memory), d = r->fast - r->slow;
    const bool counts = !rises_only || d > 0;
    r->slow += gain * (x - r->slow);
    r->deviation += gain * (fabs(x - r->slow) - r->deviation);
    if (counts) r->variance += gain * (d * d - r->variance);
    long_run_block(r, s, counts ? d : 0);
}

double long_run_step(struct long_run *r, const struct long_run_settings *s, double x, bool rises_only,
                     double strictness)
{
    enum { SETTLED = 32 };           /* mean deviations of fewer events clip what is usual */
    const double HUGE_VALUE = 1e100; /* squares stay finite */
    x = scalar_most(-HUGE_VALUE, scalar_least(HUGE_VALUE, x));
    if (r->n++ == 0) r->fast = r->slow = x;
    if (r->n > SETTLED && r->deviation > 0 && !r->open)
        x = scalar_most(r->slow - s->clip * r->deviation, scalar_least(r->slow + s->clip * r->deviation, x));
    r->fast += scalar_most(1 / (double)r->n, 1 / (double)s->window) * (x - r->fast);

    const double d = r->fast - r->slow;
    if (!r->open) {
        r->limit = strictness * scalar_most(s->limit * sqrt(r->variance), s->record * r->most);
        r->open = r->n > s->after && r->limit > 0 && (rises_only ? d : fabs(d)) > r->limit;
        r->age = 0;
        if (!r->open) {
            long_run_learn(r, s, x, rises_only);
            return 0;
        }
    }
    const bool over = (rises_only ? d : fabs(d)) < s->close_ratio * r->limit;
    r->age++;
    const bool accepted = r->age > s->accept;
    if (accepted) r->slow = r->fast;
    if (over || accepted) r->open = 0;
    return r->open ? scalar_most(1e-6, fabs(d) / r->limit) : 0;
}

bool long_run_accepted(const struct long_run *r, const struct long_run_settings *s)
{
    return !r->open && r->age > s->accept;
}
