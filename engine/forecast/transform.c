#include "engine/forecast/transform.h"

#include <math.h>

#include "engine/math/precise.h"

double transform_forth(int kind, double x)
{
    if (kind == TRANSFORM_NONE) return x;
    return isfinite(x) && x > 0 ? precise_log(x) : NAN;
}

double transform_back(int kind, double w)
{
    if (kind == TRANSFORM_NONE || isnan(w)) return w;
    return precise_exp(w);
}
