/* How likely a value moves down, stays, or moves up, from its bands: `forecast.moves`.
 *
 * Equations (F the distribution that the bands say; x the last known value; m = moves.flat)
 *     down = F(x - m)      up = 1 - F(x + m)      flat = 1 - down - up
 *     F    goes through the edges of all bands, and .5 at the forecast; between two of them, and beyond the outermost,
 *          the normal quantile of F is a straight line
 * Numbers  the three are >= 0 and sum to 1; all NaN while there are no bands. */
#ifndef ENGINE_FORECAST_MOVES_H
#define ENGINE_FORECAST_MOVES_H

#include <stddef.h>

enum { MOVE_DOWN, MOVE_FLAT, MOVE_UP, N_MOVES };

struct moves_law {
    int n_bands;
    const double *z;             /* [n_bands] normal quantile of the upper edge of each, ascending */
    const double *lower, *upper; /* [n_bands] edges, `stride` doubles apart */
    size_t stride;
    double middle; /* the forecast */
};

double moves_below(const struct moves_law *, double x); /* F(x) */
void moves_shares(const struct moves_law *, double last, double flat, double out[N_MOVES]);

#endif
