/* Finds the period of a series in its own past, up to SEASON_LAGS steps: `forecast.season: auto`.
 *
 * Equations (u = the differences of all values in their scales, limited and added up; a = max(1/(n+1), 1/(8 N)))
 *     r_L    += a (u_t u_{t-L} - r_L)      L = 0 .. N
 *     a period is a lag L >= 4 with r_L a local maximum, r_L > .35 r_0 and 6 r_0 / sqrt(n), n >= 128 and 6 L, after
 *     which summits of at least .7 r_L follow at all multiples within N: a cycle goes on, while that of a mere resonance
 *     dies away.  Where 2L is out of reach r_L > .5 r_0 must do.  The last summit tells the period to a fraction of a step.
 *     The shortest of those within 80 % of the highest counts; one that was found stays until it is below 70 % of it.
 *     phase  += 1 / period, so that it does not jump when the period becomes known better
 *
 * The lags learn and a period is looked for at every SEASON_WAITING-th difference; those since the last time wait.
 *
 * Layout   struct season_search and struct season_past in the key's row, all 0 for a new key; the former is all that most
 *          events touch. */
#ifndef ENGINE_FORECAST_SEASON_SEARCH_H
#define ENGINE_FORECAST_SEASON_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

enum { SEASON_LAGS = 128, SEASON_WAITING = 32 };

struct season_search {
    int64_t n;
    double period, phase; /* steps, 0 = none; 0 <= phase < 1 of the last event */
    float waiting[SEASON_WAITING];
};
struct season_past {
    float r[SEASON_LAGS + 1];
    float newest[SEASON_LAGS]; /* first */
};

/* Takes the next difference in; true when as many wait as decide. */
static inline bool season_search_add(struct season_search *s, float u)
{
    s->waiting[s->n % SEASON_WAITING] = u;
    s->n++;
    if (s->period > 0) s->phase += 1 / s->period;
    if (s->phase >= 1) s->phase -= 1;
    return s->n % SEASON_WAITING == 0;
}
/* Then: true when the period has changed. */
bool season_search_decide(struct season_search *, struct season_past *);

#endif
