/* The last rows that a key has seen, as a ring inside its state: [position | n slots of `width` floats].  The newest row
 * lies in the slot at `position` and older ones behind it, around the end; a state of all zeros is a ring of zeros.
 * A ring of 0 slots takes no floats.
 *
 * Memory   the state's.  A position that no ring of n slots can have counts as 0, so nothing outside is ever touched. */
#ifndef ENGINE_MODEL_RING_H
#define ENGINE_MODEL_RING_H

#include <stddef.h>
#include <string.h>

static inline size_t ring_floats(int n, int width)
{
    return n > 0 ? 1 + (size_t)n * (size_t)width : 0;
}

/* A counter 0 .. n-1 that a state holds. */
static inline int ring_counter(float value, int n)
{
    return value >= 0 && value < (float)n ? (int)value : 0;
}

/* The row [width] of `age` steps before the next one, 1 .. n. */
static inline const float *ring_row(const float *ring, int n, int width, int age)
{
    const int slot = ring_counter(ring[0], n) + age - 1;
    return ring + 1 + (size_t)(slot < n ? slot : slot - n) * (size_t)width;
}

/* All rows into to [n, width], the newest first. */
static inline void ring_copy(const float *ring, int n, int width, float *to)
{
    if (n == 0) return;
    const size_t at = (size_t)ring_counter(ring[0], n) * (size_t)width, end = (size_t)n * (size_t)width;
    memcpy(to, ring + 1 + at, (end - at) * sizeof(float));
    memcpy(to + (end - at), ring + 1, at * sizeof(float));
}

/* The row x [width] takes the place of the oldest. */
static inline void ring_push(float *ring, int n, int width, const float *x)
{
    if (n == 0) return;
    const int at = ring_counter(ring[0], n), newest = (at > 0 ? at : n) - 1;
    memcpy(ring + 1 + (size_t)newest * (size_t)width, x, (size_t)width * sizeof(float));
    ring[0] = (float)newest;
}

#endif
