/* The detectors that come with eddy.
 * A new one is a file beside exceedance.c, which holds its options and the calls of eddy_detector.h; a line here; a row
 * in plugin/registry.c; and `make options`, which writes its options into config/OPTIONS.md.  Tests of the lane list
 * the parts that they use in tests/unit/flow/fixture.c. */
#ifndef ENGINE_DETECT_DETECTORS_H
#define ENGINE_DETECT_DETECTORS_H

#include "eddy_detector.h"

/* What a detector with limits of its own multiplies them with, so that detect.sensitivity moves all of them together: 1 at
 * the usual detect.threshold. */
static inline double detectors_strictness(double threshold)
{
    return threshold / .4;
}

extern const struct eddy_detector detector_exceedance;
extern const struct eddy_detector detector_machine;
extern const struct eddy_detector detector_chart;
extern const struct eddy_detector detector_stuck;
extern const struct eddy_detector detector_missing;
extern const struct eddy_detector detector_drift;
extern const struct eddy_detector detector_level_shift;
extern const struct eddy_detector detector_committee;

#endif
