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
 * Then       the sums of a tile go through a small buffer into the activations, four tiles or panels together and
 *            all gates before all tanh(c'), so that one key's divisions overlap with those of the next.  h' waits in y until all panels have read h. */
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

/* ---- tiles together ---- */

/* Tiles and panels whose sums are made before the activations of any: one's waiting is hidden behind the others, and the
 * weights of a panel are still near for the next tile. */
enum { STEP_TOGETHER = 4, STEP_FLOATS = SUM_ROWS * LSTM_ROW };

struct step_group {
    int n_tiles;
    struct step_tile tile[STEP_TOGETHER];
};

typedef void step_sums(const struct step_tile *, int panels, const float *panel, float *a);

/* `panels` is 2 for a single key only. */
static void lstm_tile_sums(const struct step_tile *t, int panels, const float *panel, float *a)
{
    switch (t->rows.n) {
    case 1:
        if (panels == 2)
            lstm_sums(1, 2, SUM_VECTORS / 2 * LANES, t, panel, a);
        else
            lstm_sums(1, 1, LSTM_COLUMNS, t, panel, a);
        break;
    case 2: lstm_sums(2, 1, LSTM_COLUMNS, t, panel, a); break;
#if BLOCK_ROWS > 2
    case 3: lstm_sums(3, 1, LSTM_COLUMNS, t, panel, a); break;
    case 4: lstm_sums(4, 1, LSTM_COLUMNS, t, panel, a); break;
    case 5: lstm_sums(5, 1, LSTM_COLUMNS, t, panel, a); break;
    default: lstm_sums(6, 1, LSTM_COLUMNS, t, panel, a); break;
#endif
    }
}

static void gru_tile_sums(const struct step_tile *t, int panels, const float *panel, float *a)
{
    switch (t->rows.n) {
    case 1:
        if (panels == 2)
            gru_sums(1, 2, LANES < 16 ? PANEL : GRU_ROW, t, panel, a);
        else
            gru_sums(1, 1, GRU_COLUMNS, t, panel, a);
        break;
    case 2: gru_sums(2, 1, GRU_COLUMNS, t, panel, a); break;
#if BLOCK_ROWS > 2
    case 3: gru_sums(3, 1, GRU_COLUMNS, t, panel, a); break;
    case 4: gru_sums(4, 1, GRU_COLUMNS, t, panel, a); break;
    case 5: gru_sums(5, 1, GRU_COLUMNS, t, panel, a); break;
    case 6: gru_sums(6, 1, GRU_COLUMNS, t, panel, a); break;
#endif
#if LANES == 16
    case 7: gru_sums(7, 1, GRU_COLUMNS, t, panel, a); break;
    default: gru_sums(8, 1, GRU_COLUMNS, t, panel, a); break;
#endif
    }
}

/* Panels first .. first + n - 1 of all tiles: the sums of tile i and panel p at a + (p n_tiles + i) STEP_FLOATS. */
static void step_group_sums(const struct step_group *g, step_sums *sums, int n, const float *panel, size_t distance,
                            float *a)
{
    const bool single = g->n_tiles == 1 && g->tile[0].rows.n == 1;
    for (int p = 0; p < n;) {
        const int panels = single && p + 2 <= n ? 2 : 1;
        for (int i = 0; i < g->n_tiles; i++)
            sums(&g->tile[i], panels, panel + (size_t)p * distance, a + (p * g->n_tiles + i) * STEP_FLOATS);
        p += panels;
    }
}

/* The next keys from `first` on as tiles of at most `most`; returns how many keys. */
static int step_group_of(const struct cell_step *s, const struct cell_rows *rows, int first, int most,
                         struct step_group *g)
{
    int at = first;
    for (g->n_tiles = 0; g->n_tiles < STEP_TOGETHER && at < rows->n; g->n_tiles++) {
        const int n = rows->n - at < most ? rows->n - at : most;
        float *tape = rows->tape ? rows->tape + (size_t)at * rows->tape_stride : NULL;
        g->tile[g->n_tiles] = (struct step_tile){
            s, rows->x + at, rows->h + at, {n, s->units, rows->state + at, rows->y + at, tape, rows->tape_stride}};
        at += n;
    }
    return at - first;
}

static void kernel_lstm_step(const struct cell_step *s, const struct cell_rows *rows)
{
    float a[STEP_TOGETHER * STEP_FLOATS] __attribute__((aligned(64)));
    struct lstm_ready ready[STEP_TOGETHER];
    struct step_group g;
    const size_t distance = lstm_panel_floats(s);
    const int n_panels = panels_count(s->units);
    for (int first = 0; first < rows->n;) {
        first += step_group_of(s, rows, first, BLOCK_ROWS, &g);
        const int together = STEP_TOGETHER / g.n_tiles;
        for (int done = 0; done < n_panels; done += together) {
            const int n = n_panels - done < together ? n_panels - done : together;
            step_group_sums(&g, lstm_tile_sums, n, s->panels + (size_t)done * distance, distance, a);
            for (int i = 0; i < n * g.n_tiles; i++)
                lstm_cells(&g.tile[i % g.n_tiles].rows, (done + i / g.n_tiles) * PANEL, a + i * STEP_FLOATS, LSTM_ROW,
                           PANEL, &ready[i]);
            for (int i = 0; i < n * g.n_tiles; i++)
                lstm_outputs(&g.tile[i % g.n_tiles].rows, (done + i / g.n_tiles) * PANEL, &ready[i]);
        }
        for (int i = 0; i < g.n_tiles; i++) gates_end(&g.tile[i].rows, LSTM_TAPE - 1);
    }
}

static void kernel_gru_step(const struct cell_step *s, const struct cell_rows *rows)
{
    float a[STEP_TOGETHER * STEP_FLOATS] __attribute__((aligned(64)));
    struct step_group g;
    const size_t distance = gru_panel_floats(s);
    const int n_panels = panels_count(s->units);
    for (int first = 0; first < rows->n;) {
        first += step_group_of(s, rows, first, GRU_ROWS, &g);
        const int together = STEP_TOGETHER / g.n_tiles;
        for (int done = 0; done < n_panels; done += together) {
            const int n = n_panels - done < together ? n_panels - done : together;
            step_group_sums(&g, gru_tile_sums, n, s->panels + (size_t)done * distance, distance, a);
            for (int i = 0; i < n * g.n_tiles; i++)
                gru_units(&g.tile[i % g.n_tiles].rows, (done + i / g.n_tiles) * PANEL, a + i * STEP_FLOATS, LSTM_ROW,
                          PANEL);
        }
        for (int i = 0; i < g.n_tiles; i++) gates_end(&g.tile[i].rows, GRU_TAPE - 1);
    }
}

#endif
