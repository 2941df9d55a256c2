/* One whole step of an LSTM or a GRU for many keys: sums of the gates in registers, activations, states in place.
 * Included by each kernels_*.c (through kernels_table.h), behind product_inline.h and gates_inline.h.
 *
 *   lstm   i f g o = sums of [1 | x | h];             then as kernel_lstm
 *   gru    r z nx  = sums of [1 | x],  r z += U h,  nh = sums of [1 | h];  then as kernel_gru
 *
 * Panels     one for 16 units, its gates side by side, so that one pass over k ends with all that the units need:
 *              lstm  [1 + n_in + units, i16 f16 g16 o16]        gru  [1 + n_in, r16 z16 nx16] [1 + units, r16 z16 nh16]
 * Registers  avx512: 6 keys x 4 gates (lstm) or 8 keys x 3 (gru) sums of 16 units, 24 of the 32 registers, then weights
 *            and the number that meets them.  avx2: 6 keys x 16 units (12 of 16), gate after gate.  portable: 2 keys.
 *            One key alone: two panels at once, or else each sum would wait for itself.
 * Order      every sum runs over k from the bias on, whatever the tile, so that a key's bits do not depend on the others.
 * Then       the sums of a tile go through a small buffer into the activations, all keys' gates before all tanh(c'), so
 *            that divisions of one key overlap with those of the next.  h' waits in y until all panels have read h. */
#ifndef ENGINE_MATH_STEPS_INLINE_H
#define ENGINE_MATH_STEPS_INLINE_H

#include "engine/math/gates_inline.h"
#include "engine/math/product_inline.h"

enum {
    LSTM_ROW = 4 * PANEL,
    GRU_ROW = 3 * PANEL,
#if LANES == 16
    LSTM_COLUMNS = LSTM_ROW, /* of one pass over k */
    GRU_COLUMNS = GRU_ROW,
    GRU_ROWS = 8,
#else
    LSTM_COLUMNS = PANEL,
    GRU_COLUMNS = PANEL,
    GRU_ROWS = BLOCK_ROWS,
#endif
};

/* The keys of one tile. */
struct step_tile {
    const struct cell_step *step;
    const float *const *x, *const *h;
    struct gates_rows rows;
};

static size_t lstm_panel_floats(const struct cell_step *s)
{
    return (size_t)(1 + s->n_in + s->units) * LSTM_ROW;
}

static size_t gru_panel_floats(const struct cell_step *s)
{
    return (size_t)(2 + s->n_in + s->units) * GRU_ROW;
}

/* sum[r] = the row of biases at `bias`: `panels` groups of `vectors` vectors, `panel_floats` apart. */
static inline __attribute__((always_inline)) void step_biases(const int rows, const int panels, const int vectors,
                                                              const float *bias, size_t panel_floats,
                                                              lanes sum[SUM_ROWS][SUM_VECTORS])
{
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < panels * vectors; v++)
            sum[r][v] = *(const lanes *)(bias + (size_t)(v / vectors) * panel_floats + (size_t)(v % vectors) * LANES);
    }
}

/* Vectors of one panel's sums go to a [rows, LSTM_ROW]. */
static inline __attribute__((always_inline)) void step_store(const int rows, const int vectors, const int first,
                                                             lanes sum[SUM_ROWS][SUM_VECTORS], float *a)
{
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++) *(lanes *)(a + r * LSTM_ROW + v * LANES) = sum[r][first + v];
    }
}

/* a [panels][rows, LSTM_ROW] of neighbouring panels; `columns` of a panel in one pass. */
static inline __attribute__((always_inline)) void lstm_sums(const int rows, const int panels, const int columns,
                                                            const struct step_tile *t, const float *panel, float *a)
{
    const int vectors = columns / LANES;
    const size_t distance = lstm_panel_floats(t->step);
    for (int c = 0; c < LSTM_ROW; c += columns, panel += columns) {
        lanes sum[SUM_ROWS][SUM_VECTORS];
        const float *of_x = panel + LSTM_ROW, *of_h = of_x + (size_t)t->step->n_in * LSTM_ROW;
        step_biases(rows, panels, vectors, panel, distance, sum);
        product_accumulate(rows, panels * vectors, vectors, t->step->n_in, t->x, of_x, distance, LSTM_ROW, sum);
        product_accumulate(rows, panels * vectors, vectors, t->step->units, t->h, of_h, distance, LSTM_ROW, sum);
        UNROLL
        for (int p = 0; p < panels; p++)
            step_store(rows, vectors, p * vectors, sum, a + (size_t)p * SUM_ROWS * LSTM_ROW + c);
    }
}

/* The same with the sums r, z, nx, nh; the last gate's begin anew where h begins. */
static inline __attribute__((always_inline)) void gru_sums(const int rows, const int panels, const int columns,
                                                           const struct step_tile *t, const float *panel, float *a)
{
    const int vectors = columns / LANES;
    const size_t distance = gru_panel_floats(t->step), of_panel = (size_t)SUM_ROWS * LSTM_ROW;
    for (int c = 0; c < GRU_ROW; c += columns, panel += columns) {
        lanes sum[SUM_ROWS][SUM_VECTORS];
        const bool last = c + columns == GRU_ROW;
        const float *of_h = panel + (size_t)(1 + t->step->n_in) * GRU_ROW;
        step_biases(rows, panels, vectors, panel, distance, sum);
        product_accumulate(rows, panels * vectors, vectors, t->step->n_in, t->x, panel + GRU_ROW, distance, GRU_ROW,
                           sum);
        if (last) {
            UNROLL
            for (int p = 0; p < panels; p++) {
                const int n = p * vectors + vectors - VECTORS; /* the last gate's first vector */
                step_store(rows, VECTORS, n, sum, a + (size_t)p * of_panel + 2 * PANEL);
                UNROLL
                for (int r = 0; r < rows; r++) {
                    UNROLL
                    for (int v = 0; v < VECTORS; v++)
                        sum[r][n + v] = *(const lanes *)(of_h + (size_t)p * distance + (columns - PANEL) + v * LANES);
                }
            }
        }
        product_accumulate(rows, panels * vectors, vectors, t->step->units, t->h, of_h + GRU_ROW, distance, GRU_ROW,
                           sum);
        UNROLL
        for (int p = 0; p < panels; p++) {
            float *to = a + (size_t)p * of_panel;
            if (!last) {
                step_store(rows, vectors, p * vectors, sum, to + c);
            } else {
                step_store(rows, vectors - VECTORS, p * vectors, sum, to + c);
                step_store(rows, VECTORS, p * vectors + vectors - VECTORS, sum, to + 3 * PANEL);
            }
        }
    }
}

static inline __attribute__((always_inline)) void lstm_tile(const int rows, struct step_tile *t)
{
    float a[2 * SUM_ROWS * LSTM_ROW] __attribute__((aligned(64)));
    const size_t distance = lstm_panel_floats(t->step);
    const float *panel = t->step->panels;
    t->rows.n = rows;
    int first = 0;
    for (; rows == 1 && first + PANEL < t->step->units; first += 2 * PANEL, panel += 2 * distance) {
        lstm_sums(1, 2, LANES < 16 ? 2 * PANEL : LSTM_ROW, t, panel, a);
        lstm_units(&t->rows, first, a, LSTM_ROW, PANEL);
        lstm_units(&t->rows, first + PANEL, a + SUM_ROWS * LSTM_ROW, LSTM_ROW, PANEL);
    }
    for (; first < t->step->units; first += PANEL, panel += distance) {
        lstm_sums(rows, 1, LSTM_COLUMNS, t, panel, a);
        lstm_units(&t->rows, first, a, LSTM_ROW, PANEL);
    }
    gates_end(&t->rows, LSTM_TAPE - 1);
}

static inline __attribute__((always_inline)) void gru_tile(const int rows, struct step_tile *t)
{
    float a[2 * SUM_ROWS * LSTM_ROW] __attribute__((aligned(64)));
    const size_t distance = gru_panel_floats(t->step);
    const float *panel = t->step->panels;
    t->rows.n = rows;
    int first = 0;
    for (; rows == 1 && first + PANEL < t->step->units; first += 2 * PANEL, panel += 2 * distance) {
        gru_sums(1, 2, LANES < 16 ? PANEL : GRU_ROW, t, panel, a);
        gru_units(&t->rows, first, a, LSTM_ROW, PANEL);
        gru_units(&t->rows, first + PANEL, a + SUM_ROWS * LSTM_ROW, LSTM_ROW, PANEL);
    }
    for (; first < t->step->units; first += PANEL, panel += distance) {
        gru_sums(rows, 1, GRU_COLUMNS, t, panel, a);
        gru_units(&t->rows, first, a, LSTM_ROW, PANEL);
    }
    gates_end(&t->rows, GRU_TAPE - 1);
}

static struct step_tile step_tile_of(const struct cell_step *s, const struct cell_rows *rows)
{
    return (struct step_tile){
        s, rows->x, rows->h, {0, s->units, rows->state, rows->y, rows->tape, rows->tape_stride}};
}

static void step_next(struct step_tile *t, int n)
{
    t->x += n;
    t->h += n;
    t->rows.state += n;
    t->rows.y += n;
    if (t->rows.tape) t->rows.tape += (size_t)n * t->rows.tape_stride;
}

static void kernel_lstm_step(const struct cell_step *s, const struct cell_rows *rows)
{
    struct step_tile t = step_tile_of(s, rows);
    for (int left = rows->n; left > 0;) {
        const int n = left < BLOCK_ROWS ? left : BLOCK_ROWS;
        switch (n) {
        case 1: lstm_tile(1, &t); break;
        case 2: lstm_tile(2, &t); break;
#if BLOCK_ROWS > 2
        case 3: lstm_tile(3, &t); break;
        case 4: lstm_tile(4, &t); break;
        case 5: lstm_tile(5, &t); break;
        default: lstm_tile(6, &t); break;
#endif
        }
        step_next(&t, n);
        left -= n;
    }
}

static void kernel_gru_step(const struct cell_step *s, const struct cell_rows *rows)
{
    struct step_tile t = step_tile_of(s, rows);
    for (int left = rows->n; left > 0;) {
        const int n = left < GRU_ROWS ? left : GRU_ROWS;
        switch (n) {
        case 1: gru_tile(1, &t); break;
        case 2: gru_tile(2, &t); break;
#if BLOCK_ROWS > 2
        case 3: gru_tile(3, &t); break;
        case 4: gru_tile(4, &t); break;
        case 5: gru_tile(5, &t); break;
        case 6: gru_tile(6, &t); break;
#endif
#if LANES == 16
        case 7: gru_tile(7, &t); break;
        default: gru_tile(8, &t); break;
#endif
        }
        step_next(&t, n);
        left -= n;
    }
}

#endif
