#include "engine/forecast/smoothing.h"

#include <string.h>

#include "engine/forecast/experts.h"
#include "engine/math/sound.h"

static const double LEARN_LIMIT = 10, LOSS_LIMIT = 9, LOSS_MEMORY = .995, CARRY_MEMORY = .998, LARGEST_CARRY = .99;
static const double LARGEST_SEASON = 1e37;

struct smoothing_head {
    int64_t n;    /* steps since the first known value */
    double first; /* that value; what is kept of the first season is counted from it */
    double last;  /* the last known value */
};
struct smoothing_candidate {
    double level, trend;
    double error;           /* e of the last step, 0 if it had no value */
    float loss;             /* discounted, in squares of sigma */
    float together, before; /* discounted sums of u_t u_{t-1} and u_{t-1}^2, in squares of sigma */
    float unused;
};

/* One combination. */
struct smoothing_rates {
    double alpha, beta, gamma, phi;
};

static int smoothing_or_one(int n)
{
    return n ? n : 1;
}

static int smoothing_candidates(const struct smoothing *m)
{
    return smoothing_or_one(m->alpha.n) * smoothing_or_one(m->beta.n) * smoothing_or_one(m->gamma.n) *
           smoothing_or_one(m->phi.n);
}

eddy_status smoothing_check(const struct smoothing *m, struct eddy_error *err)
{
    const double n = (double)smoothing_or_one(m->alpha.n) * smoothing_or_one(m->beta.n) *
                     smoothing_or_one(m->gamma.n) * smoothing_or_one(m->phi.n);
    if (n <= SMOOTHING_MAX_CANDIDATES) return EDDY_OK;
    return eddy_fail(err, EDDY_ECONFIG,
                     "%.0f combinations of alpha, beta, gamma and phi would run along; at most %d can", n,
                     SMOOTHING_MAX_CANDIDATES);
}

/* Takes the next digit of the number c. */
static double smoothing_pick(const struct eddy_reals *list, int *c, double none)
{
    if (!list->n) return none;
    const double picked = list->item[*c % list->n];
    *c /= list->n;
    return picked;
}

static struct smoothing_rates smoothing_rates(const struct smoothing *m, int c)
{
    struct smoothing_rates r;
    r.phi = smoothing_pick(&m->phi, &c, 1);
    r.gamma = smoothing_pick(&m->gamma, &c, 0);
    r.beta = smoothing_pick(&m->beta, &c, 0);
    r.alpha = smoothing_pick(&m->alpha, &c, 1);
    return r;
}

size_t smoothing_bytes(const struct smoothing *m)
{
    const size_t n = (size_t)smoothing_candidates(m);
    const size_t seasons = (n * (size_t)m->season * sizeof(float) + 7) & ~(size_t)7;
    return sizeof(struct smoothing_head) + n * sizeof(struct smoothing_candidate) + seasons;
}

static struct smoothing_candidate *smoothing_list(void *state)
{
    return (struct smoothing_candidate *)(void *)((struct smoothing_head *)state + 1);
}

/* [m] of candidate c. */
static float *smoothing_season(const struct smoothing *m, void *state, int c)
{
    float *seasons = (float *)(void *)(smoothing_list(state) + smoothing_candidates(m));
    return seasons + (size_t)c * (size_t)m->season;
}

/* r of the equations. */
static double smoothing_carry(const struct smoothing *m, const struct smoothing_candidate *k)
{
    if (!m->carry || !(k->before > 0)) return 0;
    return fmin(fmax((double)k->together / (double)k->before, 0), LARGEST_CARRY);
}

/* What the candidate has to answer for: its loss, and how its errors follow one another. */
static void smoothing_judge(const struct smoothing *m, struct smoothing_candidate *k, double e, double sigma)
{
    const double now = expert_limit(e / sigma, LEARN_LIMIT), last = expert_limit(k->error / sigma, LEARN_LIMIT);
    const double missed = (e - smoothing_carry(m, k) * k->error) / sigma;
    k->loss = (float)(LOSS_MEMORY * (double)k->loss + fmin(missed * missed, LOSS_LIMIT));
    k->together = (float)(CARRY_MEMORY * (double)k->together + now * last);
    k->before = (float)(CARRY_MEMORY * (double)k->before + last * last);
    k->error = e;
}

/* One step of one candidate; s is its season at this phase, NULL while there is none. */
static void smoothing_step(const struct smoothing *m, const struct smoothing_rates *r, struct smoothing_candidate *k,
                           float *s, const struct eddy_expert_event *in)
{
    const double ahead = k->level + r->phi * k->trend;
    k->trend *= r->phi;
    if (isnan(in->x)) {
        k->level = expert_limit(ahead, EXPERT_LARGEST);
        k->error = 0;
        return;
    }
    const double e = expert_limit(in->x, EXPERT_LARGEST) - ahead - (s ? (double)*s : 0);
    const double u = expert_limit(e, LEARN_LIMIT * in->sigma);
    smoothing_judge(m, k, e, in->sigma);
    k->level = expert_limit(ahead + r->alpha * e, EXPERT_LARGEST);
    if (s || !m->season) k->trend = expert_limit(k->trend + r->alpha * r->beta * u, EXPERT_LARGEST);
    if (s) *s = (float)expert_limit((double)*s + (1 - r->alpha) * r->gamma * u, LARGEST_SEASON);
}

/* The first season is over: its mean is the level, its deviations are the season, for all candidates. */
static void smoothing_begin_season(const struct smoothing *m, void *state)
{
    const struct smoothing_head *h = state;
    float *first = smoothing_season(m, state, 0);
    double mean = 0;
    for (int i = 0; i < m->season; i++) mean += (double)first[i] / m->season;
    for (int i = 0; i < m->season; i++) first[i] = (float)((double)first[i] - mean);
    for (int c = 0; c < smoothing_candidates(m); c++) {
        struct smoothing_candidate *k = &smoothing_list(state)[c];
        *k = (struct smoothing_candidate){.level = expert_limit(h->first + mean, EXPERT_LARGEST)};
        if (c > 0) memcpy(smoothing_season(m, state, c), first, (size_t)m->season * sizeof(float));
    }
}

static void smoothing_take(const struct smoothing *m, void *state, const struct eddy_expert_event *in)
{
    struct smoothing_head *h = state;
    const bool young = h->n < m->season;
    const int phase = m->season ? (int)(h->n % m->season) : 0;
    const double average = m->warm && m->season && !young ? 1 / (double)(h->n / m->season + 1) : 0;
    if (!isnan(in->x)) h->last = expert_limit(in->x, EXPERT_LARGEST);
    if (h->n == 0) h->first = h->last;
    for (int c = 0; c < smoothing_candidates(m); c++) {
        struct smoothing_candidate *k = &smoothing_list(state)[c];
        struct smoothing_rates rates = smoothing_rates(m, c);
        rates.gamma = fmax(rates.gamma, average);
        if (h->n == 0) k->level = h->first;
        smoothing_step(m, &rates, k, m->season && !young ? smoothing_season(m, state, c) + phase : NULL, in);
    }
    if (young) smoothing_season(m, state, 0)[phase] = (float)expert_limit(h->last - h->first, LARGEST_SEASON);
    h->n++;
    if (young && h->n == m->season) smoothing_begin_season(m, state);
}

static int smoothing_best(const struct smoothing *m, void *state)
{
    const struct smoothing_candidate *list = smoothing_list(state);
    int best = 0;
    for (int c = 1; c < smoothing_candidates(m); c++)
        if (list[c].loss < list[best].loss) best = c;
    return best;
}

void smoothing_fold(const struct smoothing *m, const struct eddy_expert_shape *shape, void *state,
                    const struct eddy_expert_event *in, double *forecast)
{
    struct smoothing_head *h = state;
    if (h->n == 0 && isnan(in->x)) {
        for (int j = 0; j < shape->n_horizons; j++) forecast[j] = NAN;
        return;
    }
    smoothing_take(m, state, in);

    const int best = smoothing_best(m, state);
    const struct smoothing_candidate *k = &smoothing_list(state)[best];
    const float *season = m->season && h->n >= m->season ? smoothing_season(m, state, best) : NULL;
    const double phi = smoothing_rates(m, best).phi, carry = smoothing_carry(m, k);
    double power = 1, powers = 0, carried = k->error;
    for (int j = 0, ahead = 0; j < shape->n_horizons; j++) {
        for (; ahead < shape->horizons[j]; ahead++) power *= phi, powers += power, carried *= carry;
        const double trend = expert_limit(powers * k->trend, ahead * in->sigma / 3);
        const double s = season ? (double)season[(h->n - 1 + ahead) % m->season] : 0;
        forecast[j] = expert_limit(k->level + trend + s + carried, EXPERT_LARGEST);
    }
}

bool smoothing_sound(const void *state)
{
    return sound_count(((const struct smoothing_head *)state)->n);
}
