/* The recurrent cells' fused steps: the same as product and gates, in every set, at every size. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "tests/unit/model/fixture.h"

static const char *const names[] = {"portable", "avx2", "avx512"};
enum { N_NAMES = 3, ODD = 3 /* floats between rows, so that hardly one is aligned */ };

/* A cell, its weights and its keys; two copies of the states to move on. */
struct step_test {
    bool gru;
    int units, n_in, rows, states, blocks; /* floats of a state, blocks of tape */
    struct panels_source source;
    float *w, *u, *b, *c, *panels;
    float *x, *start, *state, *y, *tape; /* [rows, .. + ODD] */
    float **x_rows, **state_rows, **y_rows;
};

static void step_test_open(struct step_test *t, bool gru, int units, int n_in, int rows)
{
    const size_t gates = gru ? 3 : 4, h = (size_t)units, n = (size_t)rows, in = (size_t)n_in;
    *t = (struct step_test){.gru = gru, .units = units, .n_in = n_in, .rows = rows};
    t->states = gru ? units : 2 * units;
    t->blocks = gru ? GRU_TAPE : LSTM_TAPE;
    const size_t state = (size_t)t->states + ODD;
    t->w = test_floats(gates * h * in);
    t->u = test_floats(gates * h * h);
    t->b = test_floats(gates * h);
    t->c = test_floats(gates * h);
    t->panels = test_floats(gru ? gru_panels_floats(units, n_in) : lstm_panels_floats(units, n_in));
    t->x = test_floats(n * (in + ODD));
    t->start = test_floats(n * state);
    t->state = test_floats(n * state);
    t->y = test_floats(n * (h + ODD));
    t->tape = test_floats(n * ((size_t)t->blocks * h + ODD));
    test_fill(t->w, gates * h * in, 1, 1);
    test_fill(t->u, gates * h * h, 2, 1 / sqrtf((float)units));
    test_fill(t->b, gates * h, 3, 1);
    test_fill(t->c, gates * h, 4, 1);
    test_fill(t->x, n * (in + ODD), 5, 1);
    test_fill(t->start, n * state, 6, 0.5f);
    t->x_rows = test_rows(t->x, rows, in + ODD);
    t->state_rows = test_rows(t->state, rows, state);
    t->y_rows = test_rows(t->y, rows, h + ODD);
    t->source = (struct panels_source){units, n_in, units, t->b, gru ? t->c : NULL, t->w, t->u};
    (gru ? gru_panels_pack : lstm_panels_pack)(&t->source, t->panels);
}

static void step_test_close(struct step_test *t)
{
    float *all[] = {t->w, t->u, t->b, t->c, t->panels, t->x, t->start, t->state, t->y, t->tape};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    free(t->x_rows);
    free(t->state_rows);
    free(t->y_rows);
}

static size_t step_state_bytes(const struct step_test *t)
{
    return (size_t)t->rows * ((size_t)t->states + ODD) * sizeof(float);
}

/* Rows first .. first + n - 1 from the start states. */
static void step_run(const struct kernels *k, struct step_test *t, int first, int n, bool taped)
{
    const struct cell_step step = {t->n_in, t->units, t->panels};
    const struct cell_rows rows = {.n = n,
                                   .x = (const float *const *)t->x_rows + first,
                                   .h = (const float *const *)t->state_rows + first,
                                   .state = t->state_rows + first,
                                   .y = t->y_rows + first,
                                   .tape = taped ? t->tape : NULL,
                                   .tape_stride = (size_t)(t->blocks * t->units) + ODD};
    (t->gru ? k->gru_step : k->lstm_step)(&step, &rows);
}

/* The same by product and gates, each gate with panels of its own. */
static void step_apart(const struct kernels *k, const struct step_test *t, float *const *state, float *const *y)
{
    const int units = t->units, panels = panels_count(units);
    const size_t width = (size_t)panels * PANEL, h = (size_t)units;
    float *a = test_floats((size_t)t->rows * 4 * width), *packed = test_floats(panels_floats(units, t->n_in + units));
    const float *const *x = (const float *const *)t->x_rows, *const *hs = (const float *const *)state;
    for (int g = 0; g < 4; g++) { /* a gru's gate 2 meets x, 3 is gate 2 once more and meets h */
        const size_t of = (size_t)(t->gru && g == 3 ? 2 : g) * h;
        const bool no_x = t->gru && g == 3, no_h = t->gru && g == 2;
        struct panels_source s = {units, t->n_in, units, t->b + of, NULL, t->w + of * (size_t)t->n_in, t->u + of * h};
        if (t->gru && g < 2) s.bias_h = t->c + of;
        if (no_x) s.n_x = 0, s.bias = t->c + of;
        if (no_h) s.n_h = 0;
        panels_pack(&s, packed);
        const struct product p = {s.n_x, s.n_h, panels, packed};
        k->product(&p, t->rows, x, hs, a + (size_t)g * width, 4 * width);
    }
    (t->gru ? k->gru : k->lstm)(t->rows, units, a, 4 * width, state, y, NULL);
    free(a);
    free(packed);
}

/* In every set: fused as apart, bit for bit, taped or not, all rows at once or one by one; and all sets close. */
static void step_check(bool gru, int units, int n_in, int rows)
{
    struct step_test t;
    step_test_open(&t, gru, units, n_in, rows);
    const size_t bytes = step_state_bytes(&t), n_y = (size_t)rows * ((size_t)units + ODD);
    float *apart = test_floats(bytes / sizeof(float)), *y = test_floats(n_y), *first_set = test_floats(n_y);
    float **apart_rows = test_rows(apart, rows, (size_t)t.states + ODD),
          **y_rows = test_rows(y, rows, (size_t)units + ODD);
    for (int i = 0; i < N_NAMES; i++) {
        const struct kernels *k = kernels_named(names[i]);
        if (!k) continue;
        memcpy(apart, t.start, bytes);
        step_apart(k, &t, apart_rows, y_rows);
        for (int way = 0; way < 3; way++) {
            memcpy(t.state, t.start, bytes);
            if (way < 2)
                step_run(k, &t, 0, rows, way == 1);
            else
                for (int b = 0; b < rows; b++) step_run(k, &t, b, 1, false);
            cr_assert_arr_eq(t.state, apart, bytes, "%s: %s of %d on %d, %d rows, way %d", names[i],
                             gru ? "gru" : "lstm", units, n_in, rows, way);
            cr_assert_arr_eq(t.y, y, n_y * sizeof(float), "%s: y", names[i]);
        }
        if (i == 0) memcpy(first_set, t.y, n_y * sizeof(float));
        for (size_t j = 0; j < n_y; j++)
            cr_assert_leq(fabsf(t.y[j] - first_set[j]), 1e-5f, "%s: %d units, %d rows", names[i], units, rows);
    }
    float *all[] = {apart, y, first_set};
    for (int i = 0; i < 3; i++) free(all[i]);
    free(apart_rows);
    free(y_rows);
    step_test_close(&t);
}

Test(steps, fused_is_product_and_gates_bit_for_bit_at_every_batch)
{
    for (int gru = 0; gru < 2; gru++)
        for (int rows = 0; rows <= 19; rows++) {
            step_check(gru, 5, 1, rows);
            step_check(gru, 33, 3, rows);
        }
}

Test(steps, fused_is_product_and_gates_bit_for_bit_at_every_size)
{
    for (int gru = 0; gru < 2; gru++)
        for (int units = 1; units <= 300; units += units < 66 ? 1 : 39)
            step_check(gru, units, 1 + units % 4, 1 + units % 8);
}

/* The weights' own arithmetic in double, by the C library. */
static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

static void by_hand(const struct step_test *t, int row, double *h_new)
{
    const int n = t->units;
    const float *x = t->x + (size_t)row * ((size_t)t->n_in + ODD),
                *h = t->start + (size_t)row * ((size_t)t->states + ODD);
    for (int j = 0; j < n; j++) {
        double a[4] = {0}, of_h = 0;
        for (int g = 0; g < (t->gru ? 3 : 4); g++) {
            const int at = g * n + j;
            double sum_x = (double)t->b[at], sum_h = t->gru ? (double)t->c[at] : 0;
            for (int k = 0; k < t->n_in; k++) sum_x += (double)t->w[at * t->n_in + k] * (double)x[k];
            for (int k = 0; k < n; k++) sum_h += (double)t->u[at * n + k] * (double)h[k];
            a[g] = t->gru && g == 2 ? sum_x : sum_x + sum_h;
            of_h = sum_h;
        }
        if (t->gru) {
            const double z = logistic(a[1]), m = tanh(a[2] + logistic(a[0]) * of_h);
            h_new[j] = (1 - z) * m + z * (double)h[j];
        } else {
            h_new[j] = logistic(a[3]) * tanh(logistic(a[1]) * (double)h[n + j] + logistic(a[0]) * tanh(a[2]));
        }
    }
}

Test(steps, they_are_the_equations)
{
    enum { UNITS = 37, ROWS = 9 };
    double want[UNITS];
    for (int gru = 0; gru < 2; gru++) {
        struct step_test t;
        step_test_open(&t, gru, UNITS, 3, ROWS);
        memcpy(t.state, t.start, step_state_bytes(&t));
        step_run(kernels_best(), &t, 0, ROWS, false);
        for (int b = 0; b < ROWS; b++) {
            by_hand(&t, b, want);
            for (int j = 0; j < UNITS; j++) {
                cr_assert_float_eq((double)t.y_rows[b][j], want[j], 3e-6, "gru %d, row %d, unit %d", gru, b, j);
                cr_assert_eq(t.y_rows[b][j], t.state_rows[b][j]);
            }
        }
        step_test_close(&t);
    }
}

Test(steps, huge_numbers_saturate_and_not_a_number_stays_in_its_row)
{
    enum { UNITS = 21, ROWS = 8 };
    for (int gru = 0; gru < 2; gru++)
        for (int i = 0; i < N_NAMES; i++) {
            const struct kernels *k = kernels_named(names[i]);
            struct step_test t;
            if (!k) continue;
            step_test_open(&t, gru, UNITS, 2, ROWS);
            memcpy(t.state, t.start, step_state_bytes(&t));
            t.x_rows[1][0] = NAN;
            t.state_rows[3][UNITS - 1] = NAN;
            t.x_rows[4][1] = 1e30f;
            t.x_rows[5][1] = -3e38f;
            t.state_rows[6][0] = gru ? 1 : 1e30f;
            if (!gru) t.state_rows[7][UNITS] = 1e20f;
            step_run(k, &t, 0, ROWS, true);
            for (int b = 0; b < ROWS; b++)
                for (int j = 0; j < UNITS; j++) {
                    const float h = t.y_rows[b][j];
                    cr_assert_eq(isnan(h) != 0, b == 1 || b == 3, "%s: gru %d, row %d: %g", names[i], gru, b,
                                 (double)h);
                    if (!isnan(h)) cr_assert_leq(fabsf(h), 2, "%s: gru %d, row %d: %g", names[i], gru, b, (double)h);
                }
            step_test_close(&t);
        }
}

/* A unit without weights is the activations of its biases alone. */
Test(steps, gates_are_within_their_error)
{
    double worst = 0;
    for (int i = 0; i < N_NAMES; i++) {
        const struct kernels *k = kernels_named(names[i]);
        if (!k) continue;
        for (float at = -40; at < 40; at += 0.003f) {
            float a[4 * PANEL], row[2 * PANEL] = {0}, y[PANEL], tape[LSTM_TAPE * PANEL], *state = row, *to = y;
            for (int j = 0; j < 4 * PANEL; j++) a[j] = at * (1 + 0.01f * (float)j / PANEL);
            k->lstm(1, PANEL, a, 4 * PANEL, &state, &to, tape);
            for (int g = 0; g < 4; g++)
                for (int j = 0; j < PANEL; j++) {
                    const double x = (double)a[g * PANEL + j], want = g == 2 ? tanh(x) : logistic(x);
                    worst = fmax(worst, fabs((double)tape[g * PANEL + j] - want));
                }
        }
    }
    cr_assert_leq(worst, 5e-7, "%g", worst);
}
