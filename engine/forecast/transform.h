/* The domain in which a value is forecast and judged, when that is not the value's own: `forecast.transform`.
 *
 *     log          w = ln x.  Changes are relative ones: 1 % of a price of 10 and 1 % of one of 1000 are the same
 *     log_return   the same, and networks and detectors see the changes of w alone, not its level
 * A value that is not above 0 has no logarithm: it counts as missing.  Back in the value's own domain forecasts and
 * bands are e^w, so a point forecast is a median, and bands are as wide as the level asks.
 *
 * Numbers  e^w is limited to what a double holds. */
#ifndef ENGINE_FORECAST_TRANSFORM_H
#define ENGINE_FORECAST_TRANSFORM_H

#include "config/settings.h"

double transform_forth(int kind /* enum transform */, double x); /* NaN when x has no place there */
double transform_back(int kind, double w);

#endif
