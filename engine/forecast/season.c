#include "engine/forecast/season.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "engine/forecast/ring.h"
#include "engine/math/scalar.h"

static const double LARGEST = 1e30, LEAST_GAIN = .1, SIGMAS = 2;
static const int64_t HOUR_NS = 3600 * (int64_t)1000000000;

int season_bins(const struct season_rule *r)
{
    if (r->kind == SEASON_NONE) return 0;
    if (r->kind == SEASON_STEPS && r->steps <= SEASON_MAX_BINS) return (int)r->steps;
    /* A week of days has seven steps: three bins for each. */
    return r->kind == SEASON_DURATION && r->period_ns % (7 * 24 * HOUR_NS) == 0 ? 21 : 24;
}

int64_t season_period(const struct season_rule *r, double usual_s)
{
    if (r->kind == SEASON_DURATION) return r->period_ns;
    if (usual_s <= 4 * 3600) return 24 * HOUR_NS;
    if (usual_s <= 2 * 86400) return 7 * 24 * HOUR_NS;
    return usual_s <= 45 * 86400 ? (int64_t)(365.25 * 24 * (double)HOUR_NS) : 0;
}

struct eddy_season season_at(const struct season_rule *r, int64_t time_ns, int64_t count, double usual_s)
{
    if (r->kind == SEASON_STEPS)
        return (struct eddy_season){(double)r->steps, (double)(count % r->steps) / (double)r->steps};
    if (r->kind == SEASON_NONE) return (struct eddy_season){0};
    return season_within(season_period(r, usual_s), time_ns, usual_s);
}

struct eddy_season season_within(int64_t period, int64_t time_ns, double usual_s)
{
    if (!(usual_s > 0)) return (struct eddy_season){0};
    const double steps = (double)period / (usual_s * 1e9);
    if (steps < 2) return (struct eddy_season){0};
    const int64_t into = time_ns % period;
    return (struct eddy_season){steps, (double)(into < 0 ? into + period : into) / (double)period};
}

static double season_steps_per_bin(int n_bins, double steps)
{
    return steps > n_bins ? steps / n_bins : 1;
}

static double season_limit(double v, double limit)
{
    return v > limit ? limit : v < -limit ? -limit : v;
}

static int season_bin_at(int n_bins, double phase)
{
    return season_bin(n_bins, season_place(n_bins, phase));
}

/* A step's difference d of an event in bin b. */
static void season_move(struct season_profile *p, int n_bins, double steps, int b, double difference, double sigma)
{
    const double d = season_limit(difference, scalar_least(SIGMAS * sigma, LARGEST));
    const double gain = scalar_most(LEAST_GAIN / season_steps_per_bin(n_bins, steps),
                                    1 / ((double)ring_rounds(p->n - 1, n_bins) + 1));
    if ((double)p->n > steps) {
        const double rate = (double)p->rate[b];
        p->sxy += rate * d - p->sxy / (10 * steps);
        p->syy += rate * rate - p->syy / (10 * steps);
    }
    p->rate[b] += (float)(gain * (d - (double)p->rate[b]));
}

/* The step that many before the one at `phase`, less than a season. */
static double season_phase_back(double phase, double steps, int64_t back)
{
    const double before = phase - (double)back / steps;
    return before < 0 ? before + 1 : before;
}

static bool season_seen(const struct season_profile *p, int n_bins, double phase)
{
    return p->seen >> season_bin_at(n_bins, phase) & 1;
}

/* A difference behind n_missing > 0 events without a value, less than a season. */
static void season_move_over(struct season_profile *p, int n_bins, const struct eddy_season *s, double difference,
                             int64_t n_missing, double sigma)
{
    double n_shares = 0;
    for (int64_t back = 0; back <= n_missing; back++)
        n_shares += season_seen(p, n_bins, season_phase_back(s->phase, s->steps, back));
    if (2 * n_shares >= s->steps) return;
    for (int64_t back = n_missing; back >= 0; back--) {
        const double phase = season_phase_back(s->phase, s->steps, back);
        if (season_seen(p, n_bins, phase))
            season_move(p, n_bins, s->steps, season_bin_at(n_bins, phase), difference / n_shares, sigma);
    }
}

void season_learn(struct season_profile *p, int n_bins, const struct eddy_season *s, double x, double difference,
                  int64_t n_missing, double sigma)
{
    const double steps = s->steps > 0 ? s->steps : 24, level = season_limit(x, LARGEST);
    p->mean += scalar_most(2 / (4 * steps + 1), 1 / ((double)p->n + 1)) * (level - p->mean);
    p->n++;
    if (!(s->steps > 0) || !isfinite(difference)) return;
    const int b = season_bin_at(n_bins, s->phase);
    p->seen |= 1ull << b;
    if (n_missing == 0)
        season_move(p, n_bins, steps, b, difference, sigma);
    else if ((double)n_missing < steps)
        season_move_over(p, n_bins, s, difference, n_missing, sigma);
}

void season_forget(struct season_profile *p, int n_bins)
{
    const double mean = p->mean;
    memset(p, 0, season_profile_bytes(n_bins));
    p->mean = mean;
}

void season_course_learnt(const struct season_profile *p, int n_bins, double steps, struct season_course *c)
{
    double mean = 0, sum = 0, average = 0;
    c->n_bins = n_bins;
    c->steps = steps;
    const double per_bin = season_steps_per_bin(n_bins, steps);
    c->half_step = .5 / per_bin;
    for (int b = 0; b < n_bins; b++) mean += (double)p->rate[b]; /* a bin never seen has rate 0 */
    mean /= scalar_bits(p->seen);
    for (int b = 0; b < n_bins; b++) {
        if (p->seen >> b & 1) sum += per_bin * ((double)p->rate[b] - mean);
        c->level[b + 1] = sum;
        average += sum;
    }
    average /= n_bins;
    for (int b = 1; b <= n_bins; b++) c->level[b] -= average;
    c->level[0] = c->level[n_bins];
    const double known = (double)p->n - steps;
    c->trust = p->syy > 0 ? scalar_least(1, scalar_most(0, 1.5 * p->sxy / p->syy)) * known / (known + steps / 2) : 0;
}

void season_look_ahead(const struct season_course *c, double phase, double *ahead, int n_ahead)
{
    memset(ahead, 0, (size_t)(n_ahead + 1) * sizeof(*ahead));
    if (c->n_bins == 0) return;
    const double now = season_level(c, phase);
    for (int j = 1; j <= n_ahead; j++) ahead[j] = season_level(c, phase + j / c->steps) - now;
}
