/* The season of a series: its period, and a profile of how the value moves in the course of it.
 *
 * Equations (FORECASTING, section 9, for any period; B bins, a season of S steps, m = max(1, S / B) steps per bin,
 *            d = x - last of the event at phase p, b its bin, n = differences seen)
 *     b        = floor(B p + 1/2) mod B                      a time on the full hour lies in the middle of its bin
 *     rate_b  += max(.1 / m, 1 / (floor(n / B) + 1)) (clip(d, 2 sigma) - rate_b)
 *     C_b      = sum over seen i <= b of m (rate_i - mean of the seen rates), centred
 *     mean    += max(2 / (4 S + 1), 1 / (n + 1)) (x - mean)  S = 24 while none is known
 *     raw(p)   = C_{b-1} + min(1, f + .5 / m) (C_b - C_{b-1})    f = where in its bin p lies, 0..1
 *     sxy     += rate_b clip(d, 2 sigma) - sxy / (10 S)      from the second season on, before rate_b learns d
 *     syy     += rate_b^2 - syy / (10 S)
 *     trust    = clip(1.5 sxy / syy, 0, 1) k / (k + S / 2)       k = events since the first season: a course that told
 *     level(p) = trust raw(p)                                nothing about the moves to come is not followed
 *     ahead_j  = level(p + j / S) - level(p)                 0 throughout before a whole season was seen
 * With S = B this is a table of one difference per step.
 *
 * Layout   struct season_profile in the key's row, per value, all 0 for a new key.
 * Numbers  differences are limited to +-1e30. */
#ifndef ENGINE_FORECAST_SEASON_H
#define ENGINE_FORECAST_SEASON_H

#include <stddef.h>
#include <stdint.h>

#include "config/season.h"
#include "eddy_season.h"

enum { SEASON_MAX_BINS = 48 };

struct season_profile {
    int64_t n;     /* differences seen */
    uint64_t seen; /* bit b: a value with one has come in bin b */
    double mean;   /* of about the last four seasons */
    double sxy, syy;
    float rate[]; /* [n_bins] mean difference per step */
};

/* How many bins the profile of such a season has; 0 = no season. */
int season_bins(const struct season_rule *);

static inline size_t season_profile_bytes(int n_bins) /* a multiple of 8 */
{
    return (offsetof(struct season_profile, rate) + (size_t)n_bins * sizeof(float) + 7) & ~(size_t)7;
}

/* Where the event at time_ns, the count-th of its key, lies by the calendar; usual_s = seconds between the key's events.  auto takes a day
 * for events up to 4 hours apart, a week up to 2 days, a year up to 45 days. */
struct eddy_season season_at(const struct season_rule *, int64_t time_ns, int64_t count, double usual_s);

int64_t season_period(const struct season_rule *, double usual_s); /* ns; 0 = none */
struct eddy_season season_within(int64_t period_ns, int64_t time_ns,
                                 double usual_s); /* the same by the clock alone */

/* A value; difference: to the last one, NaN when there is none.  Behind n_missing events without a value it is spread evenly
 * over those in whose bins values come, and this one; over half a season or more of them, or a season, nothing is known of
 * the moves. */
void season_learn(struct season_profile *, int n_bins, const struct eddy_season *, double x, double difference,
                  int64_t n_missing, double sigma);

void season_forget(struct season_profile *, int n_bins); /* all but the mean: another season */

/* The profile as a curve, for many looks at it. */
struct season_course {
    int n_bins; /* 0: nothing is known, the level is 0 throughout */
    double steps, half_step, trust;
    double level[SEASON_MAX_BINS + 1]; /* C_{b-1} at b: the last bin's stands first too */
};
/* Of a profile that has seen a whole season. */
void season_course_learnt(const struct season_profile *, int n_bins, double steps, struct season_course *);

static inline void season_course_of(const struct season_profile *p, int n_bins, double steps, struct season_course *c)
{
    if (steps > 0 && (double)p->n >= steps && p->seen) {
        season_course_learnt(p, n_bins, steps, c);
    } else {
        c->n_bins = 0;
        c->steps = steps;
    }
}

/* 0 <= phase; truncation instead of floor(), which is a call where the baseline has no instruction for it. */
static inline double season_place(int n_bins, double phase)
{
    const double u = (phase - (double)(int64_t)phase) * n_bins + .5;
    return u < n_bins ? u : u - n_bins;
}
static inline int season_bin(int n_bins, double place)
{
    return place < n_bins ? (int)place : 0;
}

/* phase >= 0: 1.25 is .25 of the next season.  Here because windows ask for some hundred of them. */
static inline double season_level(const struct season_course *c, double phase)
{
    if (c->n_bins == 0) return 0;
    const double place = season_place(c->n_bins, phase);
    const int b = season_bin(c->n_bins, place);
    const double before = c->level[b], within = place - b + c->half_step;
    return c->trust * (before + (within < 1 ? within : 1) * (c->level[b + 1] - before));
}

/* How the level changes from the event on: ahead [n_ahead + 1], ahead[0] = 0. */
void season_look_ahead(const struct season_course *, double phase, double *ahead, int n_ahead);

#endif
