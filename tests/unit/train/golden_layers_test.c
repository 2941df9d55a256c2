/* Every layer against PyTorch: outputs over 200 steps from a new key on, and gradients over a window of 32 steps.
 *
 * The values lie in tests/golden/layers/NAME.txt, written by the scripts tests/golden/layers_*.py (the format is in
 * tests/golden/common.py).  Run from the root of the tree.  Compiled twice, in single precision and with float defined as
 * double. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/train/fixture.h"

enum { MAX_FILES = 200, MAX_PATH = 120 };

struct golden_file {
    char path[MAX_PATH];
};

struct golden_layer {
    struct test_layer t;
    const struct eddy_layer *layer;
    const struct eddy_layer_plan *plan;
    int n_steps, n_rows, n_window; /* T, B, steps of the window whose gradient is known */
    float *params, *packed, *work;
    float *x, *y, *elapsed_s; /* [T, B, n_in] [T, B, n_out] [T, B]; y is NaN where the layer does not fire */
    float *c;                 /* [n_window, B, n_out]: the loss is sum c y over the window, from a new key on */
    float *d_params, *d_x;    /* [n_params] [n_window, B, n_in] */
};

static float *numbers(FILE *f, const char *name, size_t n)
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

static void golden_open(struct golden_layer *g, const char *path)
{
    char yaml[400];
    struct network_shape shape;
    size_t n_params;
    int n_out;
    FILE *f = fopen(path, "r");
    cr_assert(f, "%s cannot be read: run from the root of the tree", path);
    cr_assert_eq(fscanf(f, " layer %399[^\n]", yaml), 1);
    cr_assert_eq(fscanf(f, " shape %d %d %d %d", &shape.n_in, &shape.n_categories, &shape.n_dims, &shape.n_horizons),
                 4);
    cr_assert_eq(fscanf(f, " steps %d %d %d", &g->n_steps, &g->n_rows, &g->n_window), 3);
    cr_assert_eq(fscanf(f, " sizes %d %zu", &n_out, &n_params), 2);
    test_layer_open(&g->t, yaml, &shape);
    g->layer = g->t.layer;
    g->plan = &g->t.plan;
    cr_assert_eq(g->plan->n_out, n_out, "%s", path);
    cr_assert_eq(g->plan->n_params, n_params, "%s: %zu parameters, golden %zu", path, g->plan->n_params, n_params);
    const size_t rows = (size_t)g->n_rows, cells = (size_t)g->n_steps * rows, window = (size_t)g->n_window * rows;
    g->params = numbers(f, "params", n_params);
    g->x = numbers(f, "x", cells * (size_t)shape.n_in);
    g->elapsed_s = numbers(f, "elapsed", cells);
    g->y = numbers(f, "y", cells * (size_t)n_out);
    g->c = numbers(f, "c", window * (size_t)n_out);
    g->d_params = numbers(f, "d_params", n_params);
    g->d_x = numbers(f, "d_x", window * (size_t)shape.n_in);
    fclose(f);
    g->packed = test_floats(g->plan->n_packed);
    g->work = test_floats(g->plan->n_work);
    g->layer->pack(g->plan, g->params, g->packed);
}

static void golden_close(struct golden_layer *g)
{
    float *all[] = {g->params, g->packed, g->work, g->x, g->y, g->elapsed_s, g->c, g->d_params, g->d_x};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    test_layer_close(&g->t);
}

/* Steps 0 .. n_steps-1 from a new key on: y [n_steps, B, n_out]; tape may be NULL. */
static void golden_run(struct golden_layer *g, int n_steps, float *y, float *tape)
{
    const size_t n_in = (size_t)g->plan->n_in, n_out = (size_t)g->plan->n_out, n = (size_t)g->n_rows;
    float *state = test_floats(n * g->plan->n_state), **states = test_rows(state, g->n_rows, g->plan->n_state);
    for (size_t t = 0; t < (size_t)n_steps; t++) {
        float **x = test_rows(g->x + t * n * n_in, g->n_rows, n_in),
              **out = test_rows(y + t * n * n_out, g->n_rows, n_out);
        const struct eddy_rows rows = {.n = g->n_rows,
                                       .x = (const float *const *)x,
                                       .state = states,
                                       .elapsed_s = g->elapsed_s + t * n,
                                       .y = out,
                                       .tape = tape ? tape + t * n * g->plan->n_tape : NULL,
                                       .step = (int)t};
        g->layer->step(g->plan, g->packed, &rows, g->work);
        free(x);
        free(out);
    }
    free(state);
    free(states);
}

/* A NaN in the golden values is a place that says nothing. */
static void near(const char *what, const float *got, const float *want, size_t n, double tolerance)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        if (fabs((double)want[i]) > largest) largest = fabs((double)want[i]);
    for (size_t i = 0; i < n; i++) {
        if (isnan(want[i])) continue;
        const double size = fabs((double)want[i]) > 0.1 * largest ? fabs((double)want[i]) : 0.1 * largest;
        cr_assert_leq(fabs((double)got[i] - (double)want[i]), tolerance * size, "%s %zu: %.9g, golden %.9g", what, i,
                      (double)got[i], (double)want[i]);
    }
}

/* Parameters of a test may not point into the heap. */
static struct golden_file files[MAX_FILES];

static struct criterion_test_params golden_files(void)
{
    glob_t found = {0};
    cr_assert_eq(glob("tests/golden/layers/*.txt", 0, NULL, &found), 0,
                 "no golden files: run from the root of the tree");
    cr_assert_leq(found.gl_pathc, MAX_FILES);
    for (size_t i = 0; i < found.gl_pathc; i++)
        (void)snprintf(files[i].path, sizeof(files[i].path), "%s", found.gl_pathv[i]);
    const size_t n = found.gl_pathc;
    globfree(&found);
    return cr_make_param_array(struct golden_file, files, n);
}

ParameterizedTestParameters(golden_layers, streaming_gives_what_pytorch_gives_for_the_whole_sequence)
{
    return golden_files();
}
ParameterizedTest(struct golden_file *file, golden_layers, streaming_gives_what_pytorch_gives_for_the_whole_sequence)
{
    struct golden_layer g = {0};
    golden_open(&g, file->path);
    const size_t n = (size_t)g.n_steps * (size_t)g.n_rows * (size_t)g.plan->n_out;
    float *y = test_floats(n);
    golden_run(&g, g.n_steps, y, NULL);
    near(file->path, y, g.y, n, sizeof(float) == 8 ? 1e-6 : 1e-5);
    free(y);
    golden_close(&g);
}

ParameterizedTestParameters(golden_layers, gradients_are_those_of_pytorch)
{
    return golden_files();
}
ParameterizedTest(struct golden_file *file, golden_layers, gradients_are_those_of_pytorch)
{
    struct golden_layer g = {0};
    golden_open(&g, file->path);
    const size_t cells = (size_t)g.n_window * (size_t)g.n_rows, n_in = (size_t)g.plan->n_in;
    float *y = test_floats(cells * (size_t)g.plan->n_out), *tape = test_floats(cells * g.plan->n_tape);
    float *start = test_floats((size_t)g.n_rows * g.plan->n_state),
          *back = test_floats(cells * g.plan->n_back + g.plan->n_back_once);
    float *d_params = test_floats(g.plan->n_params), *d_x = test_floats(cells * n_in);
    golden_run(&g, g.n_window, y, tape);
    const struct eddy_tape window = {.n_steps = g.n_window,
                                     .n_rows = g.n_rows,
                                     .x = g.x,
                                     .y = y,
                                     .tape = tape,
                                     .d_y = g.c,
                                     .d_x = d_x,
                                     .start = start,
                                     .elapsed_s = g.elapsed_s};
    g.layer->backward(g.plan, g.params, &window, d_params, back);
    near("parameter", d_params, g.d_params, g.plan->n_params, sizeof(float) == 8 ? 1e-6 : 1e-4);
    near("input", d_x, g.d_x, cells * n_in, sizeof(float) == 8 ? 1e-6 : 1e-4);
    float *all[] = {y, tape, start, back, d_params, d_x};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    golden_close(&g);
}
