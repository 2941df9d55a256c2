/* A mean of late against its own long run, for detectors of lasting change.
 *
 * x clipped to the long run +- `clip` mean deviations:
 *     fast   mean with gain max(1/n, 1/window)           d = fast - slow
 *     slow   mean with gain max(1/n, 1/memory), dev the mean |x - slow|, V the mean d^2: all of them stand still while
 *            the change is open
 *     most   largest |d| in the past, but for the latest 4 to 8 windows; decays by 1/memory a row
 *     open   |d| > strictness max(limit sqrt V, record most), from the event `after` on, on the side that counts
 *     closed |d| < close_ratio of what it took, or open for more than `accept` events: then slow = fast is the new long run
 * Where only rises count, V and most are those of rises (d > 0): a series that falls for good has not shown by that how far
 * it usually rises.
 * Memory  plain data; all 0 when new. */
#ifndef ENGINE_DETECT_LONG_RUN_H
#define ENGINE_DETECT_LONG_RUN_H

#include <stdbool.h>
#include <stdint.h>

struct long_run_settings {
    int64_t window, memory, after, accept; /* events */
    double limit, record, clip, close_ratio;
};

struct long_run {
    int64_t n;
    double fast, slow, deviation, variance, limit;
    double most, block[2]; /* maxima of the last block, and of the one that runs */
    uint32_t age, open;
};

/* Takes x in; |d| over its limit while the change is open, else 0.  strictness: detectors.h. */
double long_run_step(struct long_run *, const struct long_run_settings *, double x, bool rises_only,
                     double strictness);
/* Whether that step has closed it because the change is the new normal. */
bool long_run_accepted(const struct long_run *, const struct long_run_settings *);

#endif
