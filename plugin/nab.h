/* The score of the Numenta Anomaly Benchmark (v1): early detections inside label windows earn, others cost.
 *
 * Equations (Lavin and Ahmad, "Evaluating real-time anomaly detection algorithms", 2015)
 *     S(y) = 2 / (1 + e^{5 y}) - 1,  -1 for y > 3
 *     row i counts from min(floor(0.15 n), 750) on
 *     inside a window of w rows that ends at row r   the earliest detection earns S(-(r - i + 1) / w) / S(-1)
 *     a window without one                           -fn
 *     outside                                        fp S((i - r) / (w - 1)), r and w of the newest window before it;
 *                                                    -fp when there is none
 *     score = 100 (raw - null) / (perfect - null)    null: no detection; perfect: 1 for every window
 * A detection is a row whose score is at or above the threshold.
 *
 * Memory   nab_best() sorts a copy of all scores.
 * Errors   EDDY_ENOMEM. */
#ifndef PLUGIN_NAB_H
#define PLUGIN_NAB_H

#include <stdint.h>

#include "eddy_error.h"

struct nab_window {
    int64_t first, last; /* rows */
};

struct nab_series {
    int64_t n;
    const double *score; /* [n] */
    int n_windows;
    const struct nab_window *window; /* [n_windows] in order, none within another */
};

struct nab_profile {
    const char *name;
    double fp, fn;
};
enum { NAB_PROFILES = 3 };
extern const struct nab_profile nab_profiles[NAB_PROFILES]; /* standard first */

/* NaN when there is no window at all. */
double nab_score(const struct nab_series *, int n_series, double threshold, const struct nab_profile *);
/* What one series adds above what it gets for no detection. */
double nab_gain(const struct nab_series *, double threshold, const struct nab_profile *);

struct nab_best {
    double score, threshold; /* threshold NaN: no detection at all is best */
};
/* The one threshold that is best over all series. */
eddy_status nab_best(const struct nab_series *, int n_series, const struct nab_profile *, struct nab_best *,
                     struct eddy_error *);

#endif
