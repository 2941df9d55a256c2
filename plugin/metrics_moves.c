/* Probabilities of moves against what came: see metrics.h, Moves. */
#include <math.h>
#include <string.h>

#include "engine/forecast/moves.h"
#include "engine/forecast/transform.h"
#include "plugin/metrics_private.h"

/* enum transform of a value, as the lane has it. */
static int moves_domain(const struct metrics *m, int v)
{
    const struct eddy_map *map = &m->settings->forecast.transform;
    const char *word = "none";
    for (int i = 0; i < map->n; i++)
        if (strcmp(map->item[i].name, "default") == 0) word = map->item[i].value;
    for (int i = 0; i < map->n; i++)
        if (strcmp(map->item[i].name, m->names[v]) == 0) word = map->item[i].value;
    for (int kind = 0; transform_words[kind]; kind++)
        if (strcmp(transform_words[kind], word) == 0) return kind;
    return TRANSFORM_NONE;
}

void metrics_moves_keep(const struct metrics *m, const struct eddy_result *r, int i, int v, double *said)
{
    const size_t plane = (size_t)m->n_horizons * (size_t)m->n_values;
    for (size_t k = 0; k < N_MOVES; k++) said[k] = r->moves[k * plane + (size_t)(i * m->n_values + v)];
}

void metrics_moves_judge(const struct metrics *m, struct metrics_sum *s, int v, double y, double last,
                         const double *said)
{
    const int domain = moves_domain(m, v);
    const double d = transform_forth(domain, y) - transform_forth(domain, last);
    const double flat = m->settings->forecast.moves.flat;
    const int came = d < -flat ? MOVE_DOWN : d > flat ? MOVE_UP : MOVE_FLAT;
    if (isnan(d) || isnan(said[MOVE_FLAT])) return;
    s->n_moves++;
    s->moved[came]++;
    for (int k = 0; k < N_MOVES; k++) s->brier += (said[k] - (k == came)) * (said[k] - (k == came));
}

double metrics_moves_climatology(const struct metrics_sum *s)
{
    double sum = 0;
    for (int k = 0; k < N_MOVES && s->n_moves; k++)
        sum += (double)s->moved[k] / (double)s->n_moves * (double)s->moved[k];
    return (double)s->n_moves - sum;
}

void metrics_moves_print(const struct metrics *m, FILE *out)
{
    if (!m->moves) return;
    fprintf(out, "\n%8s %10s %12s\n", "moves", "brier", "climatology");
    for (int i = 0; i < m->n_horizons; i++) {
        struct metrics_horizon h;
        metrics_horizon_of(m, NULL, i, -1, &h);
        fprintf(out, "%8d %10.5g %12.5g\n", h.h, h.brier, h.brier_climatology);
    }
}
