#include "engine/detect/rank.h"

#include <math.h>
#include <string.h>

static const uint32_t RANK_MIN_KNOWN = 20;

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
    double place = (rank_log2(size, &exponent) - r->origin) * RANK_BINS_PER_OCTAVE + RANK_BINS / 2;
    return place < 0 ? 0 : place > RANK_BINS - 1e-6 ? RANK_BINS - 1e-6 : place;
}

/* Four counts at a time, each pair of them in one half of a word. */
static uint32_t rank_sum(const uint16_t *bins, int n)
{
    const uint64_t low = 0x0000ffff0000ffffu;
    uint64_t pairs = 0, four;
    uint32_t rest = 0;
    for (; n >= 4; n -= 4, bins += 4) {
        memcpy(&four, bins, sizeof(four));
        pairs += (four & low) + (four >> 16 & low);
    }
    for (; n > 0; n--) rest += *bins++;
    return (uint32_t)pairs + (uint32_t)(pairs >> 32) + rest;
}

double rank_p(const struct rank *r, double residual)
{
    if (r->n < RANK_MIN_KNOWN || !r->known) return 1;
    double place = rank_place(r, residual);
    int own = (int)place;
    const double larger = (double)rank_sum(r->bins + own + 1, RANK_BINS - 1 - own);
    return (larger + r->bins[own] * (1 - (place - own)) + .5) / ((double)r->n + 1);
}

static void rank_halve(struct rank *r)
{
    r->n = 0;
    for (int i = 0; i < RANK_BINS; i++) {
        r->bins[i] /= 2;
        r->n += r->bins[i];
    }
}

void rank_add(struct rank *r, double residual)
{
    double size = fabs(residual);
    if (!isfinite(size)) return;
    if (!r->known && size > 0) {
        int exponent;
        (void)rank_log2(size, &exponent);
        r->origin = (int16_t)exponent;
        r->known = 1;
    }
    int own = (int)rank_place(r, residual);
    if (r->bins[own] == UINT16_MAX) rank_halve(r);
    r->bins[own]++;
    r->n++;
}
