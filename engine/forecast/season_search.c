#include "engine/forecast/season_search.h"

enum { SHORTEST = 4, DECIDE_EVERY = 32, SEASONS_SEEN = 6, LEAST_SEEN = 128 };
static const float LEAST = .35f, LEAST_UNPROVEN = .5f, GOES_ON = .7f, AS_GOOD = .8f, HELD = .7f, CERTAIN = 6;
static const double SAME = .04;

/* r[i] += a (u ring[i] - r[i]) */
static void search_blend(int n, float a, float u, const float *restrict ring, float *restrict r)
{
    for (int i = 0; i < n; i++) r[i] += a * (u * ring[i] - r[i]);
}

static void search_correlate(struct season_search *s, float u)
{
    const float memory = 8 * SEASON_LAGS, n = (float)s->n + 1, a = 1 / (n < memory ? n : memory);
    const int here = SEASON_LAGS - 1 - (int)(s->n % SEASON_LAGS); /* lag L lies in place here + L, or before it */
    s->r[0] += a * (u * u - s->r[0]);
    search_blend(SEASON_LAGS - 1 - here, a, u, s->ring + here + 1, s->r + 1);
    search_blend(here + 1, a, u, s->ring, s->r + SEASON_LAGS - here);
    s->ring[here] = u;
}

/* The highest of r about L, at most `reach` steps away. */
static int search_summit(const struct season_search *s, int L, int reach)
{
    int best = L;
    for (int k = L - reach; k <= L + reach; k++)
        if (k >= SHORTEST && k <= SEASON_LAGS && s->r[k] > s->r[best]) best = k;
    return best;
}

/* The period whose first summit is L, told apart finely by its last multiple within reach; 0 = it is none. */
static double search_period(const struct season_search *s, int L)
{
    const float *r = s->r, bar = r[L] * r[L] * (float)s->n;
    if (r[L] <= 0 || r[L] < r[L - 1] || r[L] < r[L + 1]) return 0;
    if (s->n < LEAST_SEEN || s->n < SEASONS_SEEN * (int64_t)L || bar < CERTAIN * CERTAIN * r[0] * r[0]) return 0;
    if (2 * L >= SEASON_LAGS) return r[L] > LEAST_UNPROVEN * r[0] ? L : 0;
    double period = L;
    for (int k = 2; k * period < SEASON_LAGS; k++) {
        const int summit = search_summit(s, (int)(k * period + .5), 1 + L / 16);
        if (r[summit] < GOES_ON * r[L]) return 0;
        period = (double)summit / k;
    }
    return r[L] > LEAST * r[0] ? period : 0;
}

static double search_best(const struct season_search *s)
{
    float highest = 0;
    for (int L = SHORTEST; L < SEASON_LAGS; L++)
        if (s->r[L] > highest && search_period(s, L) > 0) highest = s->r[L];
    for (int L = SHORTEST; L < SEASON_LAGS; L++)
        if (s->r[L] >= AS_GOOD * highest && search_period(s, L) > 0) return search_period(s, L);
    return 0;
}

/* Whether `was` is several times `period`: then it is the same cycle, badly told. */
static bool search_is_multiple(double was, double period)
{
    const double times = was / period, whole = (double)(int)(times + .5);
    return whole >= 2 && times > whole * (1 - SAME) && times < whole * (1 + SAME);
}

bool season_search_add(struct season_search *s, float u)
{
    search_correlate(s, u);
    s->n++;
    if (s->period > 0) s->phase += 1 / s->period;
    if (s->phase >= 1) s->phase -= 1;
    if (s->n % DECIDE_EVERY != 0) return false;
    const double best = search_best(s), was = s->period;
    const float now = was > 0 ? s->r[search_summit(s, (int)(was + .5), 1)] : 0;
    if (best > 0 && best > (1 - SAME) * was && best < (1 + SAME) * was) { /* the same, known better */
        s->period = best;
        return false;
    }
    const bool better = best > 0 && search_is_multiple(was, best);
    if (was > 0 && !better && now >= (best > 0 ? HELD * s->r[(int)(best + .5)] : LEAST * s->r[0] / 2)) return false;
    s->period = best;
    s->phase = 0;
    return best != was;
}
