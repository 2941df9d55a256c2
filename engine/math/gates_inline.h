/* The gates of the recurrent cells, forward and back, and the other element-wise loops.  Included by each kernels_*.c
 * (through kernels_table.h); the loops run over blocks of PANEL units of fixed length, which the compiler turns into
 * vectors of whatever width it has.
 *
 * The quotients of a cell's gates share one division: with products of all denominators but one (lanes_gate) each gate is
 * such a product divided by the product of all.  Absolute error of a gate: 5e-7 at most (tested). */
#ifndef ENGINE_MATH_GATES_INLINE_H
#define ENGINE_MATH_GATES_INLINE_H

#include <string.h>

#include "engine/math/activations_lanes.h"
#include "engine/math/kernels.h"

/* Copies n floats, n <= PANEL; whole blocks at once. */
static inline __attribute__((always_inline)) void units_copy(float *to, const float *from, int n)
{
    if (n == PANEL)
        memcpy(to, from, PANEL * sizeof(float));
    else
        memcpy(to, from, (size_t)n * sizeof(float));
}

static inline int units_left(int units, int first)
{
    return units - first < PANEL ? units - first : PANEL;
}

/* Rows whose sums are ready, and where their results go. */
struct gates_rows {
    int n, units;        /* n <= GATES_ROWS */
    float *const *state; /* [n] -> h | c or h */
    float *const *y;     /* [n] -> [units] */
    float *tape;         /* [n, tape_stride] or NULL */
    size_t tape_stride;
};

enum { GATES_ROWS = 8 };

/* The lanes at p + j, and the panel at p from n < PANEL floats that are there. */
#define LANES_AT(p, j) (*(lanes *)((p) + (j)))
#define LANES_OF(p, j) (*(const lanes *)((p) + (j)))
LANES_INLINE const float *units_whole(const float *p, int n, float panel[PANEL])
{
    if (n == PANEL) return p;
    memset(panel, 0, PANEL * sizeof(float));
    memcpy(panel, p, (size_t)n * sizeof(float));
    return panel;
}

/* i = s(a_i)  f = s(a_f)  g = tanh(a_g)  o = s(a_o);  c' = f c + i g;  h' = o tanh(c')
 * Units first .. first + PANEL - 1 from sums a [n, stride], gates `width` apart: c' into the state and what h' needs into
 * `ready`; then, best for several panels together, h' into y alone. */
struct lstm_ready {
    float c[GATES_ROWS][PANEL], o[GATES_ROWS][PANEL];
};
static void lstm_cells(const struct gates_rows *rows, int first, const float *a, size_t stride, size_t width,
                       struct lstm_ready *ready)
{
    const int units = rows->units, n = units_left(units, first);
    for (int row = 0; row < rows->n; row++) {
        const float *sums = a + (size_t)row * stride;
        float i[PANEL], f[PANEL], g[PANEL], panel[PANEL];
        const float *before = units_whole(rows->state[row] + units + first, n, panel);
        UNROLL
        for (int j = 0; j < PANEL; j += LANES) {
            const lanes over_i = lanes_gate(LANES_OF(sums, j)), over_f = lanes_gate(LANES_OF(sums + width, j));
            const lanes d = lanes_gate_d(LANES_OF(sums + 2 * width, j)), over_g = d + LANES_ALL(2);
            const lanes over_o = lanes_gate(LANES_OF(sums + 3 * width, j));
            const lanes over_if = over_i * over_f, over_go = over_g * over_o;
            const lanes one = LANES_ALL(1) / (over_if * over_go), one_if = one * over_go, one_go = one * over_if;
            LANES_AT(i, j) = one_if * over_f;
            LANES_AT(f, j) = one_if * over_i;
            LANES_AT(g, j) = -d * (one_go * over_o);
            LANES_AT(ready->o[row], j) = one_go * over_g;
            LANES_AT(ready->c[row], j) = LANES_FMA(LANES_OF(f, j), LANES_OF(before, j),
                                                   LANES_OF(i, j) * LANES_OF(g, j));
        }
        if (rows->tape) {
            float *tape = rows->tape + (size_t)row * rows->tape_stride + first;
            units_copy(tape, i, n);
            units_copy(tape + units, f, n);
            units_copy(tape + 2 * units, g, n);
            units_copy(tape + 3 * units, ready->o[row], n);
            units_copy(tape + 4 * units, before, n);
        }
        units_copy(rows->state[row] + units + first, ready->c[row], n);
    }
}

static void lstm_outputs(const struct gates_rows *rows, int first, const struct lstm_ready *ready)
{
    const int units = rows->units, n = units_left(units, first);
    for (int row = 0; row < rows->n; row++) {
        float tanh_c[PANEL], h[PANEL];
        UNROLL
        for (int j = 0; j < PANEL; j += LANES) {
            const lanes d = lanes_gate_d(LANES_OF(ready->c[row], j));
            LANES_AT(tanh_c, j) = -d / (d + LANES_ALL(2));
            LANES_AT(h, j) = LANES_OF(ready->o[row], j) * LANES_OF(tanh_c, j);
        }
        units_copy(rows->y[row] + first, h, n);
        if (rows->tape) units_copy(rows->tape + (size_t)row * rows->tape_stride + 5 * units + first, tanh_c, n);
    }
}

/* h' moves from y into the state, the h before it into block `block` of the tape. */
static void gates_end(const struct gates_rows *rows, int block)
{
    const size_t bytes = (size_t)rows->units * sizeof(float);
    for (int r = 0; r < rows->n; r++) {
        if (rows->tape)
            memcpy(rows->tape + (size_t)r * rows->tape_stride + (size_t)(block * rows->units), rows->state[r], bytes);
        memcpy(rows->state[r], rows->y[r], bytes);
    }
}

static void kernel_lstm(int n_rows, int units, const float *a, size_t stride, float *const *state, float *const *y,
                        float *tape)
{
    struct lstm_ready ready;
    for (int row = 0; row < n_rows; row++, a += stride) {
        const struct gates_rows one = {1, units, state + row, y + row, tape ? tape + row * LSTM_TAPE * units : NULL,
                                       0};
        for (int first = 0; first < units; first += PANEL) {
            lstm_cells(&one, first, a + first, stride, stride / 4, &ready);
            lstm_outputs(&one, first, &ready);
        }
        gates_end(&one, LSTM_TAPE - 1);
    }
}

static void kernel_lstm_back(int n_rows, int units, const float *tape, const float *dh, float *dc, float *d_a)
{
    const int n = units;
    for (int row = 0; row < n_rows; row++, tape += LSTM_TAPE * n, dh += n, dc += n, d_a += 4 * n) {
        const float *restrict i = tape, *restrict f = tape + n, *restrict g = tape + 2 * n,
                              *restrict o = tape + 3 * n;
        const float *restrict c_prev = tape + 4 * n, *restrict tanh_c = tape + 5 * n, *restrict d_h = dh;
        float *restrict d_c = dc, *restrict d = d_a;
        for (int j = 0; j < n; j++) {
            float d_cell = d_c[j] + d_h[j] * o[j] * (1 - tanh_c[j] * tanh_c[j]);
            d[j] = d_cell * g[j] * i[j] * (1 - i[j]);
            d[n + j] = d_cell * c_prev[j] * f[j] * (1 - f[j]);
            d[2 * n + j] = d_cell * i[j] * (1 - g[j] * g[j]);
            d[3 * n + j] = d_h[j] * tanh_c[j] * o[j] * (1 - o[j]);
            d_c[j] = d_cell * f[j];
        }
    }
}

/* r = s(a_r)  z = s(a_z)  n = tanh(a_nx + r a_nh);  h' = (1 - z) n + z h
 * Units first .. first + PANEL - 1; h' into y alone. */
static void gru_units(const struct gates_rows *rows, int first, const float *a, size_t stride, size_t width)
{
    const int units = rows->units, n = units_left(units, first);
    for (int row = 0; row < rows->n; row++) {
        const float *sums = a + (size_t)row * stride, *nh = sums + 3 * width;
        float r[PANEL], z[PANEL], n_[PANEL], h[PANEL], panel[PANEL];
        const float *before = units_whole(rows->state[row] + first, n, panel);
        UNROLL
        for (int j = 0; j < PANEL; j += LANES) {
            const lanes over_r = lanes_gate(LANES_OF(sums, j)), over_z = lanes_gate(LANES_OF(sums + width, j));
            const lanes one = LANES_ALL(1) / (over_r * over_z), z_j = one * over_r, r_j = one * over_z;
            const lanes d = lanes_gate_d(LANES_FMA(r_j, LANES_OF(nh, j), LANES_OF(sums + 2 * width, j)));
            const lanes n_j = -d / (d + LANES_ALL(2));
            LANES_AT(r, j) = r_j;
            LANES_AT(z, j) = z_j;
            LANES_AT(n_, j) = n_j;
            LANES_AT(h, j) = LANES_FMA(z_j, LANES_OF(before, j), (LANES_ALL(1) - z_j) * n_j);
        }
        units_copy(rows->y[row] + first, h, n);
        if (!rows->tape) continue;
        float *tape = rows->tape + (size_t)row * rows->tape_stride + first;
        units_copy(tape, r, n);
        units_copy(tape + units, z, n);
        units_copy(tape + 2 * units, n_, n);
        units_copy(tape + 3 * units, nh, n);
    }
}

static void kernel_gru(int n_rows, int units, const float *a, size_t stride, float *const *state, float *const *y,
                       float *tape)
{
    for (int row = 0; row < n_rows; row++, a += stride) {
        const struct gates_rows one = {1, units, state + row, y + row, tape ? tape + row * GRU_TAPE * units : NULL,
                                       0};
        for (int first = 0; first < units; first += PANEL) gru_units(&one, first, a + first, stride, stride / 4);
        gates_end(&one, GRU_TAPE - 1);
    }
}

static void kernel_gru_back(int n_rows, int units, const float *tape, float *dh, float *d_a)
{
    const int n = units;
    for (int row = 0; row < n_rows; row++, tape += GRU_TAPE * n, dh += n, d_a += 4 * n) {
        const float *restrict r = tape, *restrict z = tape + n, *restrict n_ = tape + 2 * n;
        const float *restrict nh = tape + 3 * n, *restrict h_prev = tape + 4 * n;
        float *restrict d_h = dh, *restrict d = d_a;
        for (int j = 0; j < n; j++) {
            float d_n = d_h[j] * (1 - z[j]) * (1 - n_[j] * n_[j]);
            d[j] = d_n;
            d[n + j] = d_n * nh[j] * r[j] * (1 - r[j]);
            d[2 * n + j] = d_h[j] * (h_prev[j] - n_[j]) * z[j] * (1 - z[j]);
            d[3 * n + j] = d_n * r[j];
            d_h[j] = d_h[j] * z[j];
        }
    }
}

static void kernel_decay(int n, float d, const float *restrict w, const float *restrict b, float *restrict s)
{
    for (int j = 0; j < n; j++) s[j] *= act_sigmoid(-(w[j] * d + b[j]));
}

/* With g(a) = 1 / (1 + e^a):  g' = -g (1 - g),  1 - g(a) = s(a) */
static void kernel_decay_back(int n, float d, const float *restrict w, const float *restrict b,
                              const float *restrict s, float *restrict d_s, float *restrict d_w, float *restrict d_b)
{
    for (int j = 0; j < n; j++) {
        float a = w[j] * d + b[j], d_a = -act_sigmoid(a) * d_s[j] * s[j];
        d_w[j] += d_a * d;
        d_b[j] += d_a;
        d_s[j] *= act_sigmoid(-a);
    }
}

static void kernel_activate(enum activation g, int n, const float *restrict a, float *restrict y)
{
    switch (g) {
    case ACTIVATION_IDENTITY: memcpy(y, a, (size_t)n * sizeof(float)); break;
    case ACTIVATION_TANH:
        for (int j = 0; j < n; j++) y[j] = act_tanh(a[j]);
        break;
    case ACTIVATION_RELU:
        for (int j = 0; j < n; j++) y[j] = a[j] > 0 ? a[j] : 0;
        break;
    case ACTIVATION_SIGMOID:
        for (int j = 0; j < n; j++) y[j] = act_sigmoid(a[j]);
        break;
    }
}

static void kernel_activate_back(enum activation g, int n, const float *restrict y, const float *restrict d_y,
                                 float *restrict d_a)
{
    switch (g) {
    case ACTIVATION_IDENTITY: memcpy(d_a, d_y, (size_t)n * sizeof(float)); break;
    case ACTIVATION_TANH:
        for (int j = 0; j < n; j++) d_a[j] = d_y[j] * (1 - y[j] * y[j]);
        break;
    case ACTIVATION_RELU:
        for (int j = 0; j < n; j++) d_a[j] = y[j] > 0 ? d_y[j] : 0;
        break;
    case ACTIVATION_SIGMOID:
        for (int j = 0; j < n; j++) d_a[j] = d_y[j] * y[j] * (1 - y[j]);
        break;
    }
}

static void kernel_add(size_t n, const float *restrict a, float *restrict sum)
{
    for (size_t j = 0; j < n; j++) sum[j] += a[j];
}

static void kernel_add_rows(size_t n_rows, int n, const float *a, size_t stride, float *sum)
{
    for (size_t row = 0; row < n_rows; row++) kernel_add((size_t)n, a + row * stride, sum);
}

static bool kernel_finite(size_t n, const float *a)
{
    int bad = 0;
    for (size_t j = 0; j < n; j++) bad |= a[j] - a[j] != 0; /* infinity - infinity is not a number */
    return !bad;
}

static double kernel_squares(size_t n, const float *a)
{
    double part[PANEL] = {0}, sum = 0;
    size_t first = 0;
    for (; first + PANEL <= n; first += PANEL)
        for (size_t j = 0; j < PANEL; j++) part[j] += (double)a[first + j] * (double)a[first + j];
    for (size_t j = 0; first + j < n; j++) part[j] += (double)a[first + j] * (double)a[first + j];
    for (size_t j = 0; j < PANEL; j++) sum += part[j];
    return sum;
}

#endif
