#include "tests/unit/train/fixture.h"

#include <math.h>

struct train_settings test_train_settings(void)
{
    return (struct train_settings){.learning_rate = 2e-3,
                                   .schedule_steps = 1000,
                                   .schedule_floor = 0.1,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .alpha = 0.99,
                                   .momentum = 0.9,
                                   .clip_norm = 1,
                                   .batch = 4};
}

float *test_windows(const struct window_shape *shape, int n, uint64_t seed)
{
    const size_t floats = window_floats(shape), targets = (size_t)shape->n_steps * (size_t)shape->n_targets;
    float *windows = test_floats((size_t)n * floats);
    test_fill(windows, (size_t)n * floats, seed, 1);
    for (int b = 0; b < n; b++) {
        float *window = windows + (size_t)b * floats, *target = window_target(shape, window);
        for (size_t i = 0; i < shape->n_state; i++) window_start(shape, window)[i] *= 0.3f;
        for (int t = 0; t < shape->n_steps; t++) window_elapsed(shape, window)[t] = 1;
        for (size_t i = 0; i < targets; i++)
            if (eddy_random_uniform(seed + 1, (uint64_t)b * targets + i) < 0.3f) target[i] = NAN;
    }
    return windows;
}
