#include "engine/detect/rank.h"

#include <math.h>
#include <string.h>

static const uint32_t RANK_MIN_KNOWN = 20;
enum {
    RANK_UPPER = RANK_BINS / 2, /* bins on either side of the origin */
    RANK_OCTAVES = RANK_UPPER / RANK_BINS_PER_OCTAVE,
    RANK_CROWD = 16 /* the top bin is crowded with more than this part of all */
};

/* Base-2 logarithm, linear between powers of two: monotonic, continuous, the same on every machine. */
static double rank_log2(double x, int *exponent)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    *exponent = (int)((bits >> 52) & 0x7ff) - 1023;
    return *exponent + (double)(bits & 0xfffffffffffff) / 4503599627370496.0;
}

/* Place on the axis of bins, limited to its ends. */
static double rank_place(const struct rank *r, double residual)
{
    int exponent;
    double size = fabs(residual);
    if (!(size > 0)) return 0;
    double place = (rank_log2(size, &exponent) - r->origin) * RANK_BINS_PER_OCTAVE + RANK_UPPER;
    return place < 0 ? 0 : place > RANK_BINS - 1e-6 ? RANK_BINS - 1e-6 : place;
}

static uint32_t rank_sum(const uint16_t *bins, int n)
{
    uint32_t sum = 0;
    for (int i = 0; i < n; i++) sum += bins[i];
    return sum;
}

static double rank_p_at(const struct rank *r, double place)
{
    if (r->n < RANK_MIN_KNOWN || !r->known) return 1;
    int own = (int)place;
    const double larger = (double)rank_sum(r->bins + own + 1, RANK_BINS - 1 - own);
    return (larger + r->bins[own] * (1 - (place - own)) + .5) / ((double)r->n + 1);
}

double rank_p(const struct rank *r, double residual)
{
    return rank_p_at(r, rank_place(r, residual));
}

static void rank_halve(struct rank *r)
{
    r->n = 0;
    for (int i = 0; i < RANK_BINS; i++) {
        r->bins[i] /= 2;
        r->n += r->bins[i];
    }
}

/* The axis of bins moves up by half its length: what falls off it is counted in the lowest bin. */
static void rank_raise(struct rank *r)
{
    uint32_t lowest = rank_sum(r->bins, RANK_UPPER + 1);
    if (lowest > UINT16_MAX) lowest = UINT16_MAX;
    memmove(r->bins, r->bins + RANK_UPPER, RANK_UPPER * sizeof(*r->bins));
    memset(r->bins + RANK_UPPER, 0, RANK_UPPER * sizeof(*r->bins));
    r->bins[0] = (uint16_t)lowest;
    r->n = rank_sum(r->bins, RANK_BINS);
    r->origin = (int16_t)(r->origin + RANK_OCTAVES);
}

static void rank_count(struct rank *r, int own)
{
    if (r->bins[own] == UINT16_MAX) rank_halve(r);
    r->bins[own]++;
    r->n++;
}

void rank_add(struct rank *r, double residual)
{
    double size = fabs(residual);
    if (!isfinite(size)) return;
    if (size > 0) {
        int exponent;
        (void)rank_log2(size, &exponent);
        if (!r->known) r->origin = (int16_t)exponent;
        r->known = 1;
        if (exponent - r->origin >= RANK_OCTAVES && r->bins[RANK_BINS - 1] > r->n / RANK_CROWD) rank_raise(r);
    }
    rank_count(r, (int)rank_place(r, residual));
}

/* rank_p_at() < level. */
static bool rank_below(const struct rank *r, double place, double level)
{
    enum { NEAR = 16 };
    if (r->n < RANK_MIN_KNOWN || !r->known) return 1 < level;
    const int above = (int)place + 1;
    if (above + NEAR <= RANK_BINS && rank_sum(r->bins + above, NEAR) > level * ((double)r->n + 1)) return false;
    return rank_p_at(r, place) < level;
}

bool rank_take_below(struct rank *r, double residual, double level)
{
    const double place = rank_place(r, residual);
    const bool below = rank_below(r, place, level);
    if (isfinite(residual) && r->known && place < RANK_BINS - 1) /* the axis stays where it is */
        rank_count(r, (int)place);
    else
        rank_add(r, residual);
    return below;
}
