/* The detectors that come with eddy.  A new one is a file beside these and a row in plugin/registry.c. */
#ifndef ENGINE_DETECT_DETECTORS_H
#define ENGINE_DETECT_DETECTORS_H

#include "eddy_detector.h"

extern const struct eddy_detector detector_exceedance;

#endif
