/* What the built-in layers share when they are planned and made: initial weights and the list of tensors. */
#ifndef ENGINE_MODEL_INITIAL_H
#define ENGINE_MODEL_INITIAL_H

#include "eddy_layer.h"

/* N(0, (0.7 / sqrt(fan_in))^2) into weights [n]; the i-th is draw number first + i. */
void initial_weights(uint64_t seed, size_t first, size_t n, int fan_in, float *weights);
void initial_constant(size_t n, float value, float *weights);

/* The i-th of a layer's n tensors, whose `first` is filled in from the sizes of those before it. */
bool tensor_of(const struct eddy_tensor_info *tensors, int n, int i, struct eddy_tensor_info *out);

#endif
