/* Where the pieces of a window lie: see tbptt.h. */
#include "engine/train/tbptt.h"

float *window_start(const struct window_shape *shape, float *block)
{
    (void)shape;
    return block;
}

float *window_elapsed(const struct window_shape *shape, float *block)
{
    return block + shape->n_state;
}

float *window_x(const struct window_shape *shape, float *block)
{
    return window_elapsed(shape, block) + shape->n_steps;
}

float *window_target(const struct window_shape *shape, float *block)
{
    return window_x(shape, block) + (size_t)shape->n_steps * (size_t)shape->n_in;
}

size_t window_floats(const struct window_shape *shape)
{
    return shape->n_state + (size_t)shape->n_steps * (1 + (size_t)shape->n_in + (size_t)shape->n_targets);
}
