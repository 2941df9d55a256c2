/* How unusual is a statistic for this key?  Measured against the maxima of the statistic over blocks of events: what its
 * largest value in a block usually is, and by how much that varies.
 *
 * Equations (DETECTION, section 11; y the statistic, c the maximum of a finished block, k blocks before it)
 *     r    = (y - m) / max(D, .1)                   -1 where r < top: only what beats the record counts
 *     top -= top / memory;  top = max(top, the block's largest r)   when the block ends
 *     c    = clip(c, m -+ 4 max(D, .1))             from the 9th block on: an outlier moves the scale by little
 *     m   += g (c - m);  D += g (|c - m| - D)       g = max(1 / (k + 1), 1 / 100); the first D is |c - m| itself
 * The record moves on by blocks, not by rows as in DETECTION: a fault that goes on must not be hidden by its own first row.
 * Nothing is known, and r is CALIBRATION_UNKNOWN, during the first 8 blocks.
 *
 * Memory   plain data; all 0 when new. */
#ifndef ENGINE_DETECT_CALIBRATION_H
#define ENGINE_DETECT_CALIBRATION_H

#include <stdint.h>

enum { CALIBRATION_BLOCKS = 8, CALIBRATION_UNKNOWN = -9 };

struct calibration {
    float mean, deviation; /* of the blocks' maxima */
    float highest;         /* y of the block so far */
    float record, pending; /* largest r of earlier blocks, fading; and of this one */
    uint16_t n_blocks, n_in_block;
};

/* r for y, then takes y in.  block: events of a block; memory: events in which the record fades by a factor e. */
double calibration_judge(struct calibration *, double y, int64_t block, double memory);

#endif
