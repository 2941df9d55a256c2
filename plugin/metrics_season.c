/* The forecast that repeats the last season, which any forecast of a seasonal series has to beat.
 *     seasonal_{t+h} = y_{t + h - m ceil(h / m)}     m: steps of a season at the pace of the key's first events */
#include <math.h>
#include <stdlib.h>

#include "engine/forecast/season.h"
#include "plugin/metrics_private.h"

enum { LONGEST_SEASON = 20000 }; /* steps: a day of events every 5 s */

static int gap_order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Steps of a season, 0 when there is none (yet): by the median of the first gaps, which one outage does not move. */
static int season_steps(const struct metrics *m, struct metrics_season *s, int64_t time_ns, int64_t count)
{
    if (m->season.kind == SEASON_STEPS) return m->season.steps <= LONGEST_SEASON ? (int)m->season.steps : 0;
    if (count == 0) return 0;
    s->gap[s->n_gaps++] = time_ns - s->last_ns;
    if (s->n_gaps < METRICS_GAPS) return 0;
    qsort(s->gap, METRICS_GAPS, sizeof(*s->gap), gap_order);
    double usual_s = (double)s->gap[METRICS_GAPS / 2] / 1e9;
    double steps = season_at(&m->season, time_ns, count, usual_s).steps;
    return steps >= 1.5 && steps <= LONGEST_SEASON ? (int)(steps + 0.5) : 0;
}

static int season_room(const struct metrics *m, int steps)
{
    int furthest = m->n_horizons ? m->horizons[m->n_horizons - 1] : 0;
    return steps * ((furthest + steps - 1) / steps) + 1;
}

/* False: out of memory.  Beyond the limit of the metrics a key goes without. */
static bool season_begin(struct metrics *m, struct metrics_season *s, int steps)
{
    int room = season_room(m, steps);
    size_t doubles = (size_t)room * (size_t)m->n_values;
    int64_t bytes = (int64_t)(doubles * sizeof(double));
    if (m->bytes + bytes > m->max_bytes) return true;
    s->past = malloc(doubles * sizeof(double));
    if (!s->past) return false;
    for (size_t i = 0; i < doubles; i++) s->past[i] = NAN;
    s->steps = steps;
    s->room = room;
    m->bytes += bytes;
    return true;
}

bool metrics_season_add(struct metrics *m, struct metrics_key *k, const struct eddy_result *r)
{
    struct metrics_season *s = &k->season;
    if (m->season.kind == SEASON_NONE) return true;
    bool settled = m->season.kind == SEASON_STEPS ? k->count > 0 : s->n_gaps == METRICS_GAPS;
    int steps = settled ? 0 : season_steps(m, s, r->time_ns, k->count);
    if (steps && !season_begin(m, s, steps)) return false;
    s->last_ns = r->time_ns;
    for (int v = 0; v < m->n_values && s->past; v++) s->past[k->count % s->room * m->n_values + v] = r->y[v];
    return true;
}

double metrics_season_naive(const struct metrics *m, const struct metrics_key *k, int64_t row, int h, int v)
{
    const struct metrics_season *s = &k->season;
    if (!s->past) return NAN;
    int64_t back = (int64_t)s->steps * ((h + s->steps - 1) / s->steps);
    return row >= back ? s->past[(row - back) % s->room * m->n_values + v] : NAN;
}
