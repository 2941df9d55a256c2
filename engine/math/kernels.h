/* The hot loops of the layers and of the optimiser, compiled once for each instruction set.
 *
 * Every lane of a vector does what one scalar would do: sums run over k in ascending order from the bias on, and no sum
 * is split.  So a set gives the same bits at every batch size and place in the batch.  avx2 and avx512 fuse multiply and
 * add in the products of networks, in their activations and in deflate_*, and agree with each other bit for bit; portable
 * rounds twice and differs from them in the last digits.  The optimisers and what is left are the same bits everywhere.
 *
 * Panels   weights of n_out columns are kept as ceil(n_out / 16) panels [1 + n_x + n_h, 16]: the bias row, the rows that
 *          meet x, the rows that meet h.  Missing columns are 0.  A layer of several gates gives each gate panels of its
 *          own, so that a gate's columns start at a multiple of 16 (`width`).
 * Memory   the caller's, unaligned is fine; nothing is kept.
 * Threads  reentrant. */
#ifndef ENGINE_MATH_KERNELS_H
#define ENGINE_MATH_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/math/activations.h"
#include "engine/math/tail.h"

enum {
    PANEL = 16, /* columns of a panel */
    TILE_ROWS =
        24 /* rows that a layer takes through product and gates together, so that they stay in the first cache */
};

struct product {
    int n_x, n_h, n_panels;
    const float *panels; /* [n_panels, 1 + n_x + n_h, PANEL] */
};

/* What one LSTM step leaves for the way back, per row: i | f | g | o | c_prev | tanh c | h_prev, each [units]. */
/* What one GRU step leaves: r | z | n | U_n h + b_hn | h_prev, each [units]. */
enum { LSTM_TAPE = 7, GRU_TAPE = 5 };

/* A recurrent cell as its step wants it: panels of 16 units, gates side by side (steps_inline.h). */
struct cell_step {
    int n_in, units;
    const float *panels; /* lstm_panels_floats() or gru_panels_floats() */
};
struct cell_rows {
    int n;                 /* any, 0 too */
    const float *const *x; /* [n] -> [n_in] */
    const float *const *h; /* [n] -> [units] what meets U: the states themselves, or masked copies */
    float *const *state;   /* [n] -> h | c [2 units], or h */
    float *const *y;       /* [n] -> [units] the new h once more; never in a state */
    float *tape;           /* [n, tape_stride], LSTM_TAPE or GRU_TAPE blocks at the head of each; NULL = none */
    size_t tape_stride;
};

/* One step of an optimiser; the equations stand in optimiser_inline.h. */
struct optimiser_step {
    float gradient_scale;           /* of the norm clip; 1 = not clipped */
    float beta1;                    /* adam: decay of the first moment; sgd: momentum */
    float beta2;                    /* adam, rmsprop: decay of the mean of squared gradients */
    float epsilon;                  /* adam, rmsprop */
    float correction1, correction2; /* adam: 1 / (1 - beta^t) */
    float learning_rate, ema;       /* ema: the b of (1 - b) */
};
struct optimiser_arrays { /* all [n] */
    const float *gradient, *weight, *moment, *variance, *average;
    float *new_weight, *new_moment, *new_variance, *new_average;
};

/* Attention of one query over n keys, in heads that have d columns each. */
struct attention {
    int n, heads, d;                  /* n >= 1 */
    float scale;                      /* scores are scale q . k - slope age */
    const float *slope;               /* [heads] */
    const float *const *k, *const *v; /* [n] -> [heads d] */
    const float *age;                 /* [n]; NULL = 0 */
};

/* Rows of recursive least squares are padded with zeros to a multiple of this. */
enum { RECURSIVE_WIDTH = 16 };
/* Of a symmetric matrix only the triangle below the diagonal is kept, in tiles of RECURSIVE_WIDTH squared, those on the
 * diagonal whole: where row i begins, whose columns are 0 .. RECURSIVE_WIDTH (i / RECURSIVE_WIDTH + 1) - 1. */
static inline size_t recursive_row(int i)
{
    const size_t tile = (size_t)(i / RECURSIVE_WIDTH), within = (size_t)(i % RECURSIVE_WIDTH);
    return (tile + 1) * RECURSIVE_WIDTH * (tile * RECURSIVE_WIDTH / 2 + within);
}

/* As many lags stay in registers. */
enum { CORRELATE_LAGS = 32 };

/* c = op(a) b, or added to c: element (row, k) of op(a) stands at a[row a_row + k a_step], one of the two strides is 1. */
struct matmul {
    int m, n, k; /* c [m, n], op(a) [m, k], b [k, n]; k >= 1 */
    const float *a, *b;
    size_t a_row, a_step, ldb, ldc; /* ld: between rows */
    float *c;
    bool adds;
};

/* Windows over the latest events of several lists, judged by their shares of hits (tail.h). */
struct tail_windows {
    int n;               /* windows */
    const int *length;   /* [n] events, 1 .. 64 */
    int n_lists;         /* whose shares are averaged */
    const uint64_t *hit; /* the last 64 events of the first list, newest in bit 0; those of the others ... */
    size_t stride;       /* ... as many words apart */
    int64_t n_events;
    double gain, decades;
};

struct kernels {
    const char *name; /* "avx512", "avx2" or "portable" */

    /* y[b, j] = bias[j] + sum_k x[b][k] W[k, j] + sum_k h[b][k] U[k, j] for j < 16 n_panels and any n_rows;
     * row b of y starts at y + b * stride. */
    void (*product)(const struct product *, int n_rows, const float *const *x, const float *const *h, float *y,
                    size_t stride);

    /* One step of every row, its state moved on in place: products and gates together, bit for bit what `product` and
     * then `lstm` or `gru` give. */
    void (*lstm_step)(const struct cell_step *, const struct cell_rows *);
    void (*gru_step)(const struct cell_step *, const struct cell_rows *);

    /* Gate sums `a` [n_rows, stride], gates i, f, g, o `width` apart: state h | c moves on in place, y = h. */
    void (*lstm)(int n_rows, int units, const float *a, size_t stride, float *const *state, float *const *y,
                 float *tape);
    /* From dh [n_rows, units] and dc (both by the step's outputs) to the gate sums' gradients
     * d_a [n_rows, 4 units] = i | f | g | o; dc becomes that of c_prev. */
    void (*lstm_back)(int n_rows, int units, const float *tape, const float *dh, float *dc, float *d_a);

    /* Gate sums `a`: r, z, W_n x + b_n, U_n h + b_hn, `width` apart; state h moves on in place, y = h. */
    void (*gru)(int n_rows, int units, const float *a, size_t stride, float *const *state, float *const *y,
                float *tape);
    /* d_a [n_rows, 4 units] = W_n x + b_n | r | z | U_n h + b_hn; dh becomes the direct part of h_prev's gradient. */
    void (*gru_back)(int n_rows, int units, const float *tape, float *dh, float *d_a);

    /* A state s [n] that fades with time: s[j] = s[j] / (1 + e^a), a = w[j] d + b[j]. */
    void (*decay)(int n, float d, const float *w, const float *b, float *s);
    /* s: after it; d_s by it becomes that by the state before it; adds to d_w and d_b. */
    void (*decay_back)(int n, float d, const float *w, const float *b, const float *s, float *d_s, float *d_w,
                       float *d_b);

    /* p [heads, stride]: the first n of each row become the softmax of the scores;  o [heads d] = sum_a p[a] v[a]. */
    void (*attend)(const struct attention *, const float *q, float *o, float *p, size_t stride);
    /* From d_o: adds to d_q and, where the pointer is not NULL, to d_k[a] and d_v[a]; d_s [n] is scratch. */
    void (*attend_back)(const struct attention *, const float *q, const float *p, size_t stride, const float *d_o,
                        float *d_q, float *const *d_k, float *const *d_v, float *d_s);

    void (*activate)(enum activation, int n, const float *a, float *y);
    /* d_a = d_y * g'(a), found from y = g(a). */
    void (*activate_back)(enum activation, int n, const float *y, const float *d_y, float *d_a);

    void (*matmul)(const struct matmul *); /* NULL where OpenBLAS does it better */

    void (*add)(size_t n, const float *a, float *sum); /* sum[j] += a[j] */
    /* sum[j] += a[0, j] + a[1, j] + .., row after row; rows of `a` are `stride` apart. */
    void (*add_rows)(size_t n_rows, int n, const float *a, size_t stride, float *sum);

    bool (*finite)(size_t n, const float *a); /* none is infinite or not a number */
    /* The sum of squares in double: 16 sums over every 16th number, added up in order. */
    double (*squares)(size_t n, const float *a);

    /* sum (a - b)^2 in double, as `squares` */
    double (*distance)(size_t n, const float *a, const float *b);
    size_t (*known)(size_t n, const float *a); /* how many are numbers */
    /* Huber's loss of y against labels (NaN: none), e^2/2 up to |e| = delta, then delta (|e| - delta/2): d = weight times
     * its gradient, 0 without a label; the sum in double, as `squares`. */
    double (*huber)(size_t n, float delta, float weight, const float *y, const float *label, float *d);
    /* To -most .. most; not a number stays so. */
    void (*clip)(size_t n, float most, const float *a, float *clipped);

    /* One step and the running average after it; new_* may not alias the old ones. */
    void (*adam)(const struct optimiser_step *, size_t n, const struct optimiser_arrays *);
    void (*rmsprop)(const struct optimiser_step *, size_t n, const struct optimiser_arrays *);
    void (*sgd)(const struct optimiser_step *, size_t n, const struct optimiser_arrays *);

    /* Recursive least squares; n is a multiple of RECURSIVE_WIDTH.
     * y[p] = a[p] . b[p]: RECURSIVE_WIDTH sums over every RECURSIVE_WIDTH-th number, halved by adding to one. */
    void (*dots_f32)(int n_pairs, int n, const float *const *a, const float *const *b, float *y);
    void (*dots_f64)(int n_pairs, int n, const double *const *a, const double *const *b, double *y);
    void (*follow_f32)(int n, const float *gain, float by, float *w); /* w += by gain */
    void (*follow_f64)(int n, const double *gain, double by, double *w);
    /* A symmetric matrix as its triangle (recursive_row): P becomes (P - s s^T) by, and y [n] = P x.  Both in one go,
     * because what it costs is that the matrix passes through the caches. */
    void (*deflate_f32)(int n, const float *s, float by, const float *x, float *triangle, float *y);
    void (*deflate_f64)(int n, const double *s, double by, const double *x, double *triangle, double *y);

    /* Takes the windows' shares in and writes their evidence, both [n]: tail_judge() of each. */
    void (*tails)(const struct tail_windows *, struct tail *, double *evidence);
    /* Running products of a series with its own past, numbers k = 0 .. n - 1 one after another:
     * r[i] += gain[k] (x[k] past[i - k] - r[i]); past[1 - n] .. past[n_lags - 1], the newest first; n_lags is a multiple of
     * CORRELATE_LAGS. */
    void (*correlate)(int n, const float *gain, const float *x, const float *past, int n_lags, float *r);
};

/* The set in use: the fastest that this processor runs, unless the environment's EDDY_KERNEL or kernels_force() says
 * another.  Reads the environment at the first call. */
const struct kernels *kernels_best(void);
/* From now on this one, in the whole process; false when it was not built or the processor lacks it.  Before anything
 * else computes: what follows may differ in the last digits.  "auto" changes nothing. */
bool kernels_force(const char *name);
/* For tests and benchmarks: NULL when it was not built or the processor lacks it. */
const struct kernels *kernels_named(const char *name);

/* Panels for n_out columns that meet n_rows rows (bias not counted). */
int panels_count(int n_out);
size_t panels_floats(int n_out, int n_rows);
/* Where weights live that are to be packed: row-major [n_out, n_x] and [n_out, n_h] as in the params. */
struct panels_source {
    int n_out, n_x, n_h;
    const float *bias, *bias_h; /* [n_out]; bias_h is added to bias; NULL = 0 */
    const float *w, *u;         /* [n_out, n_x], [n_out, n_h] */
};
/* Writes panels_floats(n_out, n_x + n_h) floats. */
void panels_pack(const struct panels_source *, float *panels);
/* Writes only the columns that there are: rows of a panel `row_floats` apart, panels `panel_floats`. */
void panels_pack_apart(const struct panels_source *, size_t row_floats, size_t panel_floats, float *panels);

/* The panels of a cell's step, all gates of `source` (n_out = units of one gate; w and u [gates n_out, ..], bias and bias_h
 * [gates n_out]); a gru's bias_h of the last gate stays with U h, the others are added up. */
size_t lstm_panels_floats(int units, int n_in);
size_t gru_panels_floats(int units, int n_in);
void lstm_panels_pack(const struct panels_source *, float *panels);
void gru_panels_pack(const struct panels_source *, float *panels);

#endif
