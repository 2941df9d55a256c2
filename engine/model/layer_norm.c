#include "engine/model/layer_norm.h"

#include "engine/math/activations_inline.h"

static const float EPSILON = 1e-5f;

void layer_norm(int n, const float *x, const float *gain, const float *bias, float *y, float *saved)
{
    float sum = 0, squares = 0;
    for (int j = 0; j < n; j++) sum += x[j];
    const float mean = sum / (float)n;
    for (int j = 0; j < n; j++) squares += (x[j] - mean) * (x[j] - mean);
    const float scale = 1 / act_sqrt(squares / (float)n + EPSILON);
    for (int j = 0; j < n; j++) y[j] = gain[j] * ((x[j] - mean) * scale) + bias[j];
    if (!saved) return;
    saved[0] = mean;
    saved[1] = scale;
}

/* With u = (x - mean) / sd and d_u = d_y gain:  d_x = (d_u - mean(d_u) - u mean(d_u u)) / sd */
void layer_norm_back(int n, const float *x, const float *gain, const float *saved, const float *d_y, float *d_x,
                     float *d_gain, float *d_bias)
{
    const float mean = saved[0], scale = saved[1];
    float sum = 0, along = 0;
    for (int j = 0; j < n; j++) {
        const float u = (x[j] - mean) * scale, d_u = d_y[j] * gain[j];
        d_gain[j] += d_y[j] * u;
        d_bias[j] += d_y[j];
        sum += d_u;
        along += d_u * u;
    }
    sum /= (float)n;
    along /= (float)n;
    for (int j = 0; j < n; j++) {
        const float u = (x[j] - mean) * scale, d_u = d_y[j] * gain[j];
        d_x[j] = (d_u - sum - u * along) * scale;
    }
}
