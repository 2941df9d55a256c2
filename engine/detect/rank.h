/* Conformal rank of a residual against all earlier ones of the same kind, in a logarithmic histogram.
 *
 *     p = (number of larger ones + share of its own bin + 1/2) / (n + 1)
 * The bins are a third of an octave wide over 42 octaves around the first non-zero residual; a residual's place inside
 * its bin counts, so that p is smooth.  Counts are halved when one reaches 65535: old residuals fade slowly.
 * The first one may be rounding alone, of a series that stood still: when residuals go on beyond the top until more than
 * a sixteenth of all lie in its bin, the bins move up by 21 octaves.  A few huge ones do not move them.
 *
 * Memory   plain data; all 0 when new.  No libm: the logarithm is the float's exponent plus its mantissa. */
#ifndef ENGINE_DETECT_RANK_H
#define ENGINE_DETECT_RANK_H

#include <stdbool.h>
#include <stdint.h>

enum { RANK_BINS = 126, RANK_BINS_PER_OCTAVE = 3 };

struct rank {
    uint16_t bins[RANK_BINS];
    int16_t origin; /* exponent of the residuals in the middle */
    uint16_t known; /* 0 until then */
    uint32_t n;
};

/* p in (0, 1); 1 while fewer than 20 are known. */
double rank_p(const struct rank *, double residual);
void rank_add(struct rank *, double residual);
/* p < level, before it is added: most often told by the bins right above its own. */
bool rank_take_below(struct rank *, double residual, double level);

#endif
