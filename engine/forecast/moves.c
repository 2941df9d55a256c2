#include "engine/forecast/moves.h"

#include <math.h>

#include "engine/math/quantiles.h"

struct knot {
    double x, z;
};

/* Knot i of 2 n_bands + 1, from the lowest edge to the highest. */
static struct knot moves_knot(const struct moves_law *law, int i)
{
    if (i == law->n_bands) return (struct knot){law->middle, 0};
    if (i < law->n_bands) {
        const int band = law->n_bands - 1 - i;
        return (struct knot){law->lower[(size_t)band * law->stride], -law->z[band]};
    }
    const int band = i - law->n_bands - 1;
    return (struct knot){law->upper[(size_t)band * law->stride], law->z[band]};
}

double moves_below(const struct moves_law *law, double x)
{
    static const double CERTAIN = 40; /* normal deviations */
    struct knot from = moves_knot(law, 0), to = moves_knot(law, 1);
    for (int i = 2; i <= 2 * law->n_bands && x > to.x; i++) {
        from = to;
        to = moves_knot(law, i);
    }
    if (isnan(from.x) || isnan(to.x)) return NAN;
    const double width = to.x - from.x;
    if (width > 0)
        return normal_probability(fmin(fmax(from.z + (x - from.x) / width * (to.z - from.z), -CERTAIN), CERTAIN));
    return x < from.x ? 0 : x > to.x ? 1 : normal_probability((from.z + to.z) / 2);
}

void moves_shares(const struct moves_law *law, double last, double flat, double out[N_MOVES])
{
    const double down = moves_below(law, last - flat), up = 1 - moves_below(law, last + flat);
    out[MOVE_DOWN] = down;
    out[MOVE_UP] = fmax(up, 0);
    out[MOVE_FLAT] = fmax(1 - down - out[MOVE_UP], 0);
    if (isnan(down) || isnan(up)) out[MOVE_DOWN] = out[MOVE_FLAT] = out[MOVE_UP] = NAN;
}
