/* How likely each value moves down, stays or moves up, at every horizon: out of the bands of a finished forecast, still in
 * the domain in which it was made. */
#include "engine/flow/lane_private.h"
#include "engine/forecast/moves.h"
#include "engine/forecast/scale.h"

void lane_moves(const struct lane *l, const struct key_row *r, const struct eddy_result *out)
{
    const struct plan *p = l->plan;
    const size_t values = (size_t)p->n_values, plane = (size_t)p->outlook.n_horizons * values;
    double *moves = (double *)(uintptr_t)out->moves, share[N_MOVES];
    for (size_t at = 0; at < plane; at++) {
        const struct scale *s = lane_scale(l, r, (int)(at % values));
        const struct moves_law law = {.n_bands = p->n_bands,
                                      .z = p->band_z,
                                      .lower = out->band_lower + at,
                                      .upper = out->band_upper + at,
                                      .stride = plane,
                                      .middle = out->forecast[at]};
        if (s->n == 0) continue;
        moves_shares(&law, s->last, p->settings->forecast.moves.flat, share);
        for (int m = 0; m < N_MOVES; m++) moves[(size_t)m * plane + at] = share[m];
    }
}
