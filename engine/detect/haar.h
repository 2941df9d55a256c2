/* How far a short mean of a channel may wander by itself: Haar variances of its blocks, octave by octave.
 *
 * Equations (DETECTION, section 10; block means of 2^j records, half-overlapping, j = 1 .. 10)
 *     V_j  += g (v - V_j),   v = (difference of two adjacent means)^2 / 2, at most clip V_j > 0 once 16 are known
 *                            g = 1 / min(count_j, max(8, 2 memory / 2^j))
 *     step += g (d^2 - step), d = x_t - x_{t-1}, d^2 at most clip step > 0 after 32 records, g = max(1/n, 1/memory)
 *     line of log2 V_j over j = 2 .. 7, weights w_j = count_j / 2: slope b, fit_j
 *     tolerance^2 = sum over j = 4 .. 10 of 2^(t log2 V_j + (1 - t) fit_j) + .125 rate^2 step,  t = w_j / (w_j + trust)
 * Many short blocks say what few long ones cannot yet: the fit fills in where the evidence is thin.  The slope tells a
 * level that only wobbles (V falls with j) from one that drifts (V grows).
 *
 * Memory   plain data; all 0 when new. */
#ifndef ENGINE_DETECT_HAAR_H
#define ENGINE_DETECT_HAAR_H

#include <stdbool.h>
#include <stdint.h>

enum { HAAR_OCTAVES = 10, HAAR_FIT_FIRST = 2, HAAR_FIT_LAST = 7, HAAR_SUM_FIRST = 4 };

struct haar_octave {
    float half[4]; /* sums of the last four half blocks, a ring */
    float variance, count;
    uint8_t at, filled, odd, spare;
};

struct haar {
    struct haar_octave octaves[HAAR_OCTAVES]; /* [j - 1] */
    float step;                               /* mean square of single steps */
};

struct haar_settings {
    double memory, clip, trust, rate; /* rate: of the mean whose wandering is asked for */
    double slope_level, slope_drift;  /* slope of log2 V where drifting begins, and where it is complete */
};

/* n = records of the channel with this one, >= 1; |x| <= 1e18. */
void haar_add(struct haar *, double x, uint32_t n, const struct haar_settings *);
bool haar_sound(const struct haar *); /* false: its places lie outside its arrays (stored bytes) */
void haar_restart(struct haar *);     /* records are missing: no block reaches over the gap */
/* A shift that has become normal: one more squared difference for the long blocks, and old counts count little. */
void haar_admit(struct haar *, double shift);
/* 0 while nothing is known.  *drift: 0 = a level, 1 = drifts. */
double haar_tolerance(const struct haar *, const struct haar_settings *, double *drift);

#endif
