#include "engine/model/initial.h"

#include <math.h>

static const double INITIAL_GAIN = 0.7; /* FORECASTING, section 4: measured with the other constants there */

void initial_weights(uint64_t seed, size_t first, size_t n, int fan_in, float *weights)
{
    const float scale = (float)(INITIAL_GAIN / sqrt((double)fan_in));
    for (size_t i = 0; i < n; i++) weights[i] = scale * eddy_random_normal(seed, first + i);
}

void initial_constant(size_t n, float value, float *weights)
{
    for (size_t i = 0; i < n; i++) weights[i] = value;
}

bool tensor_of(const struct eddy_tensor_info *tensors, int n, int i, struct eddy_tensor_info *out)
{
    if (i < 0 || i >= n) return false;
    *out = tensors[i];
    out->first = 0;
    for (int before = 0; before < i; before++)
        out->first += (size_t)tensors[before].rows * (size_t)tensors[before].cols;
    return true;
}
