/* Places in a ring that steps go round in. */
#ifndef ENGINE_FORECAST_RING_H
#define ENGINE_FORECAST_RING_H

#include <stddef.h>
#include <stdint.h>

/* step mod n, step >= 0: the narrow division takes a fraction of the wide one's time. */
static inline size_t ring_place(int64_t step, int n)
{
    return step <= UINT32_MAX ? (uint32_t)step % (uint32_t)n : (size_t)(step % n);
}

/* How often it has gone round by then. */
static inline int64_t ring_rounds(int64_t step, int n)
{
    return step <= UINT32_MAX ? (uint32_t)step / (uint32_t)n : step / n;
}

/* The place `back` steps before the place `now`, 0 <= back <= n. */
static inline size_t ring_back(size_t now, int back, int n)
{
    return now >= (size_t)back ? now - (size_t)back : now + (size_t)n - (size_t)back;
}

#endif
