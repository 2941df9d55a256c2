/* The gates of the recurrent cells, forward and back, and the other element-wise loops.  Included by each kernels_*.c
 * (through kernels_table.h); the loops run over blocks of PANEL units of fixed length, which the compiler turns into
 * vectors of whatever width it has. */
#ifndef ENGINE_MATH_GATES_INLINE_H
#define ENGINE_MATH_GATES_INLINE_H

#include <string.h>

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

/* i = s(a_i)  f = s(a_f)  g = tanh(a_g)  o = s(a_o);  c' = f c + i g;  h' = o tanh(c') */
static void kernel_lstm(int n_rows, int units, const float *a, size_t stride, float *const *state, float *const *y,
                        float *tape)
{
    const size_t width = stride / 4;
    float i[PANEL], f[PANEL], g[PANEL], o[PANEL], c[PANEL] = {0}, tanh_c[PANEL], h[PANEL];
    for (int row = 0; row < n_rows; row++, a += stride) {
        float *h_row = state[row], *c_row = state[row] + units;
        for (int first = 0; first < units; first += PANEL) {
            const int n = units_left(units, first);
            const float *sums = a + first;
            units_copy(c, c_row + first, n);
            if (tape) {
                units_copy(tape + 4 * units + first, c, n);
                units_copy(tape + 6 * units + first, h_row + first, n);
            }
            for (int j = 0; j < PANEL; j++) {
                i[j] = act_sigmoid(sums[j]);
                f[j] = act_sigmoid(sums[width + (size_t)j]);
                g[j] = act_tanh(sums[2 * width + (size_t)j]);
                o[j] = act_sigmoid(sums[3 * width + (size_t)j]);
                c[j] = f[j] * c[j] + i[j] * g[j];
            }
            for (int j = 0; j < PANEL; j++) {
                tanh_c[j] = act_tanh(c[j]);
                h[j] = o[j] * tanh_c[j];
            }
            units_copy(c_row + first, c, n);
            units_copy(h_row + first, h, n);
            units_copy(y[row] + first, h, n);
            if (!tape) continue;
            units_copy(tape + first, i, n);
            units_copy(tape + units + first, f, n);
            units_copy(tape + 2 * units + first, g, n);
            units_copy(tape + 3 * units + first, o, n);
            units_copy(tape + 5 * units + first, tanh_c, n);
        }
        if (tape) tape += LSTM_TAPE * units;
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

/* r = s(a_r)  z = s(a_z)  n = tanh(a_nx + r a_nh);  h' = (1 - z) n + z h */
static void kernel_gru(int n_rows, int units, const float *a, size_t stride, float *const *state, float *const *y,
                       float *tape)
{
    const size_t width = stride / 4;
    float r[PANEL], z[PANEL], n_[PANEL], nh[PANEL], h[PANEL] = {0};
    for (int row = 0; row < n_rows; row++, a += stride) {
        float *h_row = state[row];
        for (int first = 0; first < units; first += PANEL) {
            const int n = units_left(units, first);
            const float *sums = a + first;
            units_copy(h, h_row + first, n);
            if (tape) units_copy(tape + 4 * units + first, h, n);
            for (int j = 0; j < PANEL; j++) {
                r[j] = act_sigmoid(sums[j]);
                z[j] = act_sigmoid(sums[width + (size_t)j]);
                nh[j] = sums[3 * width + (size_t)j];
                n_[j] = act_tanh(sums[2 * width + (size_t)j] + r[j] * nh[j]);
                h[j] = (1 - z[j]) * n_[j] + z[j] * h[j];
            }
            units_copy(h_row + first, h, n);
            units_copy(y[row] + first, h, n);
            if (!tape) continue;
            units_copy(tape + first, r, n);
            units_copy(tape + units + first, z, n);
            units_copy(tape + 2 * units + first, n_, n);
            units_copy(tape + 3 * units + first, nh, n);
        }
        if (tape) tape += GRU_TAPE * units;
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
