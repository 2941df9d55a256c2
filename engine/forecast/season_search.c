#include "engine/forecast/season_search.h"

#include <string.h>

#include "engine/math/kernels.h"

enum { SHORTEST = 4, SEASONS_SEEN = 6, LEAST_SEEN = 128 };
static const float LEAST = .35f, LEAST_UNPROVEN = .5f, GOES_ON = .7f, AS_GOOD = .8f, HELD = .7f, CERTAIN = 6;
static const double SAME = .04;

/* The differences that wait, one after another, into r; `d` [SEASON_WAITING + SEASON_LAGS] are these, then those before
 * them, the newest first. */
static void search_correlate(float *r, int64_t n, const float *d)
{
    const float memory = 8 * SEASON_LAGS;
    float gain[SEASON_WAITING], u[SEASON_WAITING];
    for (int k = 0; k < SEASON_WAITING; k++) {
        const float seen = (float)(n + k) + 1;
        u[k] = d[SEASON_WAITING - 1 - k];
        gain[k] = 1 / (seen < memory ? seen : memory);
        r[0] += gain[k] * (u[k] * u[k] - r[0]);
    }
    kernels_best()->correlate(SEASON_WAITING, gain, u, d + SEASON_WAITING, SEASON_LAGS, r + 1);
}

/* The highest of r about L, at most `reach` steps away. */
static int search_summit(const float *r, int L, int reach)
{
    int best = L;
    for (int k = L - reach; k <= L + reach; k++)
        if (k >= SHORTEST && k <= SEASON_LAGS && r[k] > r[best]) best = k;
    return best;
}

/* The period whose first summit is L, told apart finely by its last multiple within reach; 0 = it is none. */
static double search_period(const float *r, int64_t n, int L)
{
    const float bar = r[L] * r[L] * (float)n;
    if (r[L] <= 0 || r[L] < r[L - 1] || r[L] < r[L + 1]) return 0;
    if (n < LEAST_SEEN || n < SEASONS_SEEN * (int64_t)L || bar < CERTAIN * CERTAIN * r[0] * r[0]) return 0;
    if (2 * L >= SEASON_LAGS) return r[L] > LEAST_UNPROVEN * r[0] ? L : 0;
    double period = L;
    int before = L;
    for (int k = 2; k * period < SEASON_LAGS; k++) {
        const int summit = search_summit(r, (int)(k * period + .5), 1 + L / 16);
        if (r[summit] < GOES_ON * r[L] || summit <= before) return 0; /* all lags alike: no summits to go on to */
        before = summit;
        period = (double)summit / k;
    }
    return r[L] > LEAST * r[0] ? period : 0;
}

static double search_best(const float *r, int64_t n)
{
    float highest = 0;
    for (int L = SHORTEST; L < SEASON_LAGS; L++)
        if (r[L] > highest && search_period(r, n, L) > 0) highest = r[L];
    if (!(highest > 0)) return 0; /* most often there is none */
    for (int L = SHORTEST; L < SEASON_LAGS; L++)
        if (r[L] >= AS_GOOD * highest && search_period(r, n, L) > 0) return search_period(r, n, L);
    return 0;
}

/* Whether `was` is several times `period`: then it is the same cycle, badly told. */
static bool search_is_multiple(double was, double period)
{
    const double times = was / period, whole = (double)(int)(times + .5);
    return whole >= 2 && times > whole * (1 - SAME) && times < whole * (1 + SAME);
}

bool season_search_decide(struct season_search *s, struct season_past *past)
{
    float d[SEASON_WAITING + SEASON_LAGS];
    for (int k = 0; k < SEASON_WAITING; k++) d[k] = s->waiting[SEASON_WAITING - 1 - k];
    memcpy(d + SEASON_WAITING, past->newest, sizeof(past->newest));
    search_correlate(past->r, s->n - SEASON_WAITING, d);
    memcpy(past->newest, d, sizeof(past->newest));

    const float *r = past->r;
    const double best = search_best(r, s->n), was = s->period;
    const float now = was > 0 ? r[search_summit(r, (int)(was + .5), 1)] : 0;
    if (best > 0 && best > (1 - SAME) * was && best < (1 + SAME) * was) { /* the same, known better */
        s->period = best;
        return false;
    }
    const bool better = best > 0 && search_is_multiple(was, best);
    if (was > 0 && !better && now >= (best > 0 ? HELD * r[(int)(best + .5)] : LEAST * r[0] / 2)) return false;
    s->period = best;
    s->phase = 0;
    return best != was;
}
