#include "engine/detect/calibration.h"

#include <math.h>

#include "engine/math/scalar.h"

/* No options: with `limits` they would say the same thing twice. */
static const double LEAST_DEVIATION = .1, OUTLIER = 4, SLOWEST = .01;
enum { MOST_BLOCKS = 60000 };

/* A block has ended: its maximum joins the key's usual ones. */
static void calibration_close(struct calibration *q)
{
    double c = (double)q->highest;
    const double room = OUTLIER * scalar_most((double)q->deviation, LEAST_DEVIATION);
    const double gain = scalar_most(1. / (q->n_blocks + 1), SLOWEST);
    if (q->n_blocks >= CALIBRATION_BLOCKS)
        c = scalar_least(scalar_most(c, (double)q->mean - room), (double)q->mean + room);
    if (q->n_blocks == 0) {
        q->mean = (float)c;
    } else {
        const double off = fabs(c - (double)q->mean);
        q->mean += (float)(gain * (c - (double)q->mean));
        q->deviation += (float)((q->n_blocks == 1 ? 1 : gain) * (off - (double)q->deviation));
    }
    if (q->n_blocks < MOST_BLOCKS) q->n_blocks++;
    q->n_in_block = 0;
    q->record = fmaxf(q->record, q->pending);
    q->pending = 0;
}

double calibration_judge(struct calibration *q, double y, int64_t block, double memory)
{
    double r = CALIBRATION_UNKNOWN;
    if (q->n_blocks >= CALIBRATION_BLOCKS) {
        const double beyond = (y - (double)q->mean) / scalar_most((double)q->deviation, LEAST_DEVIATION);
        q->record -= (float)((double)q->record / memory);
        r = beyond < (double)q->record ? -1 : beyond;
        q->pending = fmaxf(q->pending, (float)beyond);
    }
    if (q->n_in_block == 0 || y > (double)q->highest) q->highest = (float)y;
    if (++q->n_in_block >= block) calibration_close(q);
    return r;
}
