/* Outputs, states, loss, gradient and two optimiser steps against tests/golden/networks.txt, which an independent
 * implementation wrote (tests/golden/networks.py).  Run from the root of the tree.
 *
 * Compiled twice, in single precision and with float defined as double. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/train/fixture.h"

static const char path[] = "tests/golden/networks.txt";

struct golden {
    struct test_network t;
    struct window_shape shape;
    int n_rows;
    float *params, *windows, *outputs, *states, *loss, *gradient, *master, *ema;
};

static void golden_line(FILE *f, const char *name, char *rest, size_t size)
{
    char word[32];
    cr_assert_eq(fscanf(f, "%31s", word), 1);
    cr_assert_str_eq(word, name);
    cr_assert(fgets(rest, (int)size, f));
    rest[strcspn(rest, "\n")] = 0;
}

static float *golden_numbers(FILE *f, const char *name, size_t n)
{
    char word[32];
    float *values = test_floats(n);
    cr_assert_eq(fscanf(f, "%31s", word), 1);
    cr_assert_str_eq(word, name);
    for (size_t i = 0; i < n; i++) {
        double v;
        cr_assert_eq(fscanf(f, "%lf", &v), 1, "%s %zu", name, i);
        values[i] = (float)v;
    }
    return values;
}

static void golden_open(struct golden *g, const char *wanted)
{
    char name[64], line[512];
    FILE *f = fopen(path, "r");
    size_t n_params;
    cr_assert(f, "%s cannot be read: run from the root of the tree", path);
    for (;;) {
        int n_in, n_out, n_steps;
        size_t n_state;
        golden_line(f, "network", name, sizeof(name));
        golden_line(f, "layers", line, sizeof(line));
        cr_assert_eq(
            fscanf(f, " shape %d %d %d %d %zu %zu", &n_in, &n_out, &n_steps, &g->n_rows, &n_state, &n_params), 6);
        g->shape = (struct window_shape){n_steps, n_in, n_out, n_state};
        const size_t rows = (size_t)g->n_rows;
        g->params = golden_numbers(f, "params", n_params);
        g->windows = golden_numbers(f, "windows", rows * window_floats(&g->shape));
        g->outputs = golden_numbers(f, "outputs", rows * (size_t)n_steps * (size_t)n_out);
        g->states = golden_numbers(f, "states", rows * n_state);
        g->loss = golden_numbers(f, "loss", 1);
        g->gradient = golden_numbers(f, "gradient", n_params);
        g->master = golden_numbers(f, "master", n_params);
        g->ema = golden_numbers(f, "ema", n_params);
        if (strcmp(name + 1, wanted) == 0) break;
        float *all[] = {g->params, g->windows, g->outputs, g->states, g->loss, g->gradient, g->master, g->ema};
        for (size_t i = 0; i < 8; i++) free(all[i]);
    }
    fclose(f);
    test_network_open(&g->t, line + 1, g->shape.n_in, g->shape.n_targets);
    cr_assert_eq(g->t.net->n_state, g->shape.n_state);
    cr_assert_eq(g->t.net->n_params, n_params);
}

static void golden_close(struct golden *g)
{
    float *all[] = {g->params, g->windows, g->outputs, g->states, g->loss, g->gradient, g->master, g->ema};
    for (size_t i = 0; i < 8; i++) free(all[i]);
    test_network_close(&g->t);
}

static void near(const char *what, const float *got, const float *want, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        cr_assert_leq(fabs((double)got[i] - (double)want[i]), tolerance * (1 + fabs((double)want[i])),
                      "%s %zu: %.9g, golden %.9g", what, i, (double)got[i], (double)want[i]);
}

struct golden_case {
    char name[16];
};
static struct golden_case cases[] = {{"dense"}, {"gru"}, {"lstm"}, {"wide"}, {"stack"}};
enum { N_CASES = 5 };

ParameterizedTestParameters(golden, serving_gives_the_golden_outputs_and_states)
{
    return cr_make_param_array(struct golden_case, cases, N_CASES);
}
ParameterizedTest(struct golden_case *c, golden, serving_gives_the_golden_outputs_and_states)
{
    struct golden g;
    golden_open(&g, c->name);
    const struct network *net = g.t.net;
    const size_t n_in = (size_t)g.shape.n_in, n_out = (size_t)g.shape.n_targets;
    float *packed = test_floats(net->n_packed), *work = test_floats(net->n_work), *y = test_floats(n_out);
    const double tolerance = sizeof(float) == 8 ? 1e-7 : 5e-6;
    network_pack(net, g.params, packed);
    for (int b = 0; b < g.n_rows; b++) {
        float *window = g.windows + (size_t)b * window_floats(&g.shape), *state = window_start(&g.shape, window);
        for (int t = 0; t < g.shape.n_steps; t++) {
            const float *x = window_x(&g.shape, window) + (size_t)t * n_in;
            const struct eddy_rows rows = {
                .n = 1, .x = &x, .state = &state, .elapsed_s = window_elapsed(&g.shape, window), .y = &y};
            network_step(net, packed, &rows, work);
            near("output", y, g.outputs + (size_t)(b * g.shape.n_steps + t) * n_out, n_out, tolerance);
        }
        near("state", state, g.states + (size_t)b * net->n_state, net->n_state, tolerance);
    }
    free(packed);
    free(work);
    free(y);
    golden_close(&g);
}

ParameterizedTestParameters(golden, loss_and_gradient_are_the_golden_ones)
{
    return cr_make_param_array(struct golden_case, cases, N_CASES);
}
ParameterizedTest(struct golden_case *c, golden, loss_and_gradient_are_the_golden_ones)
{
    struct golden g;
    golden_open(&g, c->name);
    struct train_scratch *scratch = train_scratch_open();
    const double tolerance = sizeof(float) == 8 ? 1e-7 : 1e-5;
    float *gradient = test_floats(g.t.net->n_params);
    double loss;
    cr_assert_eq(tbptt_gradient(g.t.net, &g.shape, g.params, g.windows, g.n_rows, 1, gradient, &loss, scratch, NULL),
                 EDDY_OK);
    cr_assert_float_eq(loss, g.loss[0], tolerance);
    near("gradient", gradient, g.gradient, g.t.net->n_params, tolerance);
    free(gradient);
    train_scratch_close(scratch);
    golden_close(&g);
}

ParameterizedTestParameters(golden, two_steps_of_adam_give_the_golden_weights)
{
    return cr_make_param_array(struct golden_case, cases, N_CASES);
}
ParameterizedTest(struct golden_case *c, golden, two_steps_of_adam_give_the_golden_weights)
{
    struct golden g;
    golden_open(&g, c->name);
    struct train_settings settings = test_train_settings();
    settings.learning_rate = 0.01;
    settings.clip_norm = 0.5;
    settings.ema = 0.9;
    const size_t n = g.t.net->n_params;
    struct train_scratch *scratch = train_scratch_open();
    struct train_report report = {0};
    int64_t steps = 0;
    float *ema = test_floats(n), *moment = test_floats(n), *variance = test_floats(n);
    memcpy(ema, g.params, n * sizeof(float));
    struct train_state state = {g.params, moment, variance, ema, &steps, NULL};
    for (int i = 0; i < 2; i++)
        cr_assert_eq(train_step(g.t.net, &g.shape, &settings, &state, g.windows, g.n_rows, &report, scratch, NULL),
                     EDDY_OK);
    /* Adam divides by the gradient's size, so that rounding shows where a gradient is almost 0. */
    const double tolerance = sizeof(float) == 8 ? 1e-6 : 1e-4;
    cr_assert_eq(steps, 2);
    near("master", g.params, g.master, n, tolerance);
    near("ema", ema, g.ema, n, tolerance);
    float *all[] = {ema, moment, variance};
    for (size_t i = 0; i < 3; i++) free(all[i]);
    train_scratch_close(scratch);
    golden_close(&g);
}
