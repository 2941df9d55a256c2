/* The step of a cell whose options are off.  It is compiled into each cell, where its numbers are known and nothing is
 * left of the options: what they cost would be a quarter of a single row's step. */
#ifndef ENGINE_MODEL_CELL_INLINE_H
#define ENGINE_MODEL_CELL_INLINE_H

#include "engine/model/cell.h"

#define CELL_INLINE static inline __attribute__((always_inline))

/* The sums a [n, width] of n rows of a cell of one gate without layer_norm. */
CELL_INLINE void cell_plain_sums(const struct kernels *k, const struct eddy_layer_plan *plan, const float *packed,
                                 int n, const float *const *x, const float *const *h, float *a)
{
    const int panels = panels_count(plan->n_out);
    const struct product together = {plan->n_in, plan->n_out, panels, packed};
    k->product(&together, n, x, h, a, (size_t)panels * PANEL);
}

CELL_INLINE bool cell_is_plain(const struct eddy_layer_plan *plan)
{
    const struct cell_settings *s = plan->settings;
    return s->initial == 0 && !s->layer_norm && !s->time_decay && s->dropout == 0;
}

/* As the kernels for gates in kernels.h. */
typedef void cell_kernel(int n_rows, int units, const float *a, size_t stride, float *const *state, float *const *y,
                         float *tape);

CELL_INLINE void cell_plain_step(const struct eddy_layer_plan *plan, cell_kernel *gates, const float *packed,
                                 const struct eddy_rows *rows, float *work)
{
    const struct kernels *k = kernels_best();
    const size_t stride = (size_t)panels_count(plan->n_out) * PANEL;
    float *tape = rows->tape;
    for (int first = 0; first < rows->n; first += TILE_ROWS) {
        const int n = rows->n - first < TILE_ROWS ? rows->n - first : TILE_ROWS;
        float *const *state = rows->state + first;
        cell_plain_sums(k, plan, packed, n, rows->x + first, (const float *const *)state, work);
        gates(n, plan->n_out, work, stride, state, rows->y + first, tape);
        if (tape) tape += (size_t)n * plan->n_tape;
    }
}

/* The same for a cell that has a kernel for its whole step. */
CELL_INLINE void cell_fused_step(const struct eddy_layer_plan *plan,
                                 void (*step)(const struct cell_step *, const struct cell_rows *),
                                 const float *packed, const struct eddy_rows *rows)
{
    const struct cell_step weights = {plan->n_in, plan->n_out, packed};
    const struct cell_rows all = {rows->n,    rows->x,     (const float *const *)rows->state, rows->state, rows->y,
                                  rows->tape, plan->n_tape};
    step(&weights, &all);
}

#endif
