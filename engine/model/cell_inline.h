/* The step of a cell whose options are off.  It is compiled into each cell, where its numbers are known and nothing is
 * left of the options: what they cost would be a quarter of a single row's step. */
#ifndef ENGINE_MODEL_CELL_INLINE_H
#define ENGINE_MODEL_CELL_INLINE_H

#include "engine/model/cell.h"

#define CELL_INLINE static inline __attribute__((always_inline))

/* The sums a [n, stride] of n rows without layer_norm: those of `joint` gates; then, for one whose sums are kept apart,
 * that of x and that of h. */
CELL_INLINE void cell_plain_sums(const struct kernels *k, const struct eddy_layer_plan *plan, int joint, bool apart,
                                 const float *packed, int n, const float *const *x, const float *const *h, float *a)
{
    const int n_in = plan->n_in, units = plan->n_out, panels = panels_count(units);
    const size_t width = (size_t)panels * PANEL, stride = (size_t)(apart ? joint + 2 : joint) * width;
    const struct product together = {n_in, units, joint * panels, packed};
    k->product(&together, n, x, h, a, stride);
    if (!apart) return;
    const float *at_x = packed + (size_t)joint * width * (size_t)(1 + n_in + units);
    const struct product of_x = {n_in, 0, panels, at_x};
    const struct product of_h = {0, units, panels, at_x + width * (size_t)(1 + n_in)};
    k->product(&of_x, n, x, NULL, a + (size_t)joint * width, stride);
    k->product(&of_h, n, NULL, h, a + (size_t)(joint + 1) * width, stride);
}

CELL_INLINE bool cell_is_plain(const struct eddy_layer_plan *plan)
{
    const struct cell_settings *s = plan->settings;
    return s->initial == 0 && !s->layer_norm && !s->time_decay && s->dropout == 0;
}

/* As the kernels for gates in kernels.h. */
typedef void cell_kernel(int n_rows, int units, const float *a, size_t stride, float *const *state, float *const *y,
                         float *tape);

CELL_INLINE void cell_plain_step(const struct eddy_layer_plan *plan, int joint, bool apart, cell_kernel *gates,
                                 const float *packed, const struct eddy_rows *rows, float *work)
{
    const struct kernels *k = kernels_best();
    const size_t stride = (size_t)(apart ? joint + 2 : joint) * (size_t)panels_count(plan->n_out) * PANEL;
    float *tape = rows->tape;
    for (int first = 0; first < rows->n; first += TILE_ROWS) {
        const int n = rows->n - first < TILE_ROWS ? rows->n - first : TILE_ROWS;
        float *const *state = rows->state + first;
        cell_plain_sums(k, plan, joint, apart, packed, n, rows->x + first, (const float *const *)state, work);
        gates(n, plan->n_out, work, stride, state, rows->y + first, tape);
        if (tape) tape += (size_t)n * plan->n_tape;
    }
}

#endif
