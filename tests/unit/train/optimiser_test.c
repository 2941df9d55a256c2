/* One step of each optimiser against PyTorch (tests/golden/optimisers.py), and what every step must keep to.  Run from the
 * root of the tree.
 *
 * Compiled twice, in single precision and with float defined as double. */
#include "engine/train/optimiser.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/tensors.h"
#include "tests/unit/train/fixture.h"

static const char path[] = "tests/golden/optimisers.txt";

/* A network and all that its steps touch. */
struct stepping {
    struct test_network t;
    struct window_shape shape;
    struct train_settings settings;
    struct train_pace pace;
    struct train_state state;
    struct train_report report;
    struct train_scratch *scratch;
    float *arrays; /* master | moment | variance | ema */
    int64_t steps;
};

static void stepping_open(struct stepping *s, const char *layers, int n_in, int n_out, int n_steps)
{
    memset(s, 0, sizeof(*s));
    test_network_open(&s->t, layers, n_in, n_out);
    const size_t n = s->t.net->n_params;
    s->shape = (struct window_shape){n_steps, n_in, n_out, s->t.net->n_state};
    s->settings = test_train_settings();
    s->arrays = test_floats(4 * n);
    s->state = (struct train_state){s->arrays,         s->arrays + n, s->arrays + 2 * n,
                                    s->arrays + 3 * n, &s->steps,     &s->pace};
    s->scratch = train_scratch_open();
    s->report.health = calloc((size_t)tensors_count(s->t.net), sizeof(*s->report.health));
    cr_assert(s->scratch && s->report.health);
    network_init(s->t.net, 1, s->state.master);
    memcpy(s->state.ema, s->state.master, n * sizeof(float));
}

static void stepping_close(struct stepping *s)
{
    free(s->arrays);
    free(s->report.health);
    train_scratch_close(s->scratch);
    test_network_close(&s->t);
}

static void take_step(struct stepping *s, const float *windows, int n)
{
    cr_assert_eq(train_step(s->t.net, &s->shape, &s->settings, &s->state, windows, n, &s->report, s->scratch, NULL),
                 EDDY_OK);
}

/* ---- against PyTorch ---- */

enum { STEPS = 5, N_IN = 3, N_OUT = 2, N_PARAMS = N_OUT * N_IN + N_OUT };

static void golden_numbers(FILE *f, const char *name, int n, float *to)
{
    char word[16];
    cr_assert_eq(fscanf(f, "%15s", word), 1);
    cr_assert_str_eq(word, name);
    for (int i = 0; i < n; i++) {
        double v;
        cr_assert_eq(fscanf(f, "%lf", &v), 1);
        to[i] = (float)v;
    }
}

static bool golden_settings(FILE *f, char name[32], struct train_settings *s)
{
    *s = test_train_settings();
    return fscanf(f, " optimiser %31s %d %lf %lf %lf %lf %lf %lf %lf %lf", name, &s->optimiser, &s->learning_rate,
                  &s->beta1, &s->beta2, &s->alpha, &s->momentum, &s->weight_decay, &s->clip_value,
                  &s->clip_norm) == 10;
}

static void golden_near(const char *name, int step, double got, double want)
{
    const double tolerance = sizeof(float) == 8 ? 1e-9 : 3e-6;
    cr_assert_float_eq(got, want, tolerance * (1 + fabs(want)), "%s step %d: %.9g, golden %.9g", name, step, got,
                       want);
}

static void golden_check(FILE *f, const char *name, const struct train_settings *settings)
{
    float x[STEPS * N_IN], target[STEPS * N_OUT], weights[STEPS * N_PARAMS], norms[STEPS];
    struct stepping s;
    stepping_open(&s, "", N_IN, N_OUT, 1);
    s.t.net->loss.kind = LOSS_SQUARED;
    s.settings = *settings;
    golden_numbers(f, "params", N_PARAMS, s.state.master);
    golden_numbers(f, "x", STEPS * N_IN, x);
    golden_numbers(f, "target", STEPS * N_OUT, target);
    golden_numbers(f, "weights", STEPS * N_PARAMS, weights);
    golden_numbers(f, "norms", STEPS, norms);
    for (int t = 0; t < STEPS; t++) {
        float window[1 + N_IN + N_OUT] = {1};
        memcpy(window + 1, x + t * N_IN, N_IN * sizeof(float));
        memcpy(window + 1 + N_IN, target + t * N_OUT, N_OUT * sizeof(float));
        take_step(&s, window, 1);
        for (int i = 0; i < N_PARAMS; i++)
            golden_near(name, t, (double)s.state.master[i], (double)weights[t * N_PARAMS + i]);
        golden_near(name, t, s.report.grad_norm, (double)norms[t]);
    }
    stepping_close(&s);
}

Test(optimiser, five_steps_of_each_are_those_of_pytorch)
{
    char name[32];
    struct train_settings settings;
    int n = 0;
    FILE *f = fopen(path, "r");
    cr_assert(f, "%s cannot be read: run from the root of the tree", path);
    for (; golden_settings(f, name, &settings); n++) golden_check(f, name, &settings);
    cr_assert_eq(n, 11);
    fclose(f);
}

/* ---- what holds for all of them ---- */

static const int optimisers[] = {OPTIMISER_ADAM, OPTIMISER_RMSPROP, OPTIMISER_SGD};
static const char every_tensor[] =
    "[{gru: {units: 4, initial_state: learned, layer_norm: true, time_decay: true}}, {dense: {units: 3}}]";

/* The same step with and without decay. */
static void decay_pair(int optimiser, struct stepping pair[2])
{
    for (int i = 0; i < 2; i++) {
        stepping_open(&pair[i], every_tensor, 2, 1, 6);
        pair[i].settings.optimiser = optimiser;
        pair[i].settings.learning_rate = 0.01;
        pair[i].settings.weight_decay = i == 0 ? 0 : 0.5;
        test_fill(pair[i].state.master, pair[i].t.net->n_params, 7, 0.5f);
        float *windows = test_windows(&pair[i].shape, 3, 3);
        take_step(&pair[i], windows, 3);
        free(windows);
    }
}

Test(optimiser, weight_decay_moves_weights_and_spares_biases_norms_and_initial_states)
{
    for (int k = 0; k < 3; k++) {
        struct stepping pair[2];
        decay_pair(optimisers[k], pair);
        const size_t n = pair[0].t.net->n_params;
        float *start = test_floats(n);
        int spared = 0, decayed = 0;
        test_fill(start, n, 7, 0.5f);
        for (struct tensors t = {.net = pair[0].t.net}; tensors_next(&t);) {
            const bool weight = strncmp(t.info.name, "weight", 6) == 0 || strcmp(t.info.name, "decay_weight") == 0;
            *(weight ? &decayed : &spared) += 1;
            for (size_t i = t.info.first; i < t.info.first + tensors_floats(&t); i++) {
                const float moved = pair[1].state.master[i] - pair[0].state.master[i];
                cr_assert_float_eq(moved, weight ? -0.01f * 0.5f * start[i] : 0, 3e-7f, "%s", t.info.name);
            }
        }
        cr_assert(spared >= 6 && decayed >= 5, "%d %d", spared, decayed);
        free(start);
        stepping_close(&pair[0]);
        stepping_close(&pair[1]);
    }
}

Test(optimiser, a_refused_step_changes_nothing_but_the_count)
{
    for (int k = 0; k < 3; k++) {
        struct stepping s;
        stepping_open(&s, "gru:5", 2, 1, 4);
        s.settings.optimiser = optimisers[k];
        s.settings.schedule = SCHEDULE_PLATEAU;
        s.settings.weight_decay = 0.1;
        s.settings.clip_value = 0.1;
        const size_t bytes = 4 * s.t.net->n_params * sizeof(float);
        const size_t healths = (size_t)tensors_count(s.t.net) * sizeof(struct train_health);
        float *windows = test_windows(&s.shape, 2, 3), *before = test_floats(bytes / sizeof(float));
        struct train_health *health = malloc(healths);
        cr_assert(health);
        take_step(&s, windows, 2);
        memcpy(before, s.arrays, bytes);
        memcpy(health, s.report.health, healths);
        const struct train_pace pace = s.pace;
        window_x(&s.shape, windows)[0] = INFINITY;
        window_target(&s.shape, windows)[3] = 1;
        take_step(&s, windows, 2);
        cr_assert(s.report.refused == 1 && s.report.steps == 1 && s.steps == 1);
        cr_assert_arr_eq(before, s.arrays, bytes);
        cr_assert_arr_eq(health, s.report.health, healths);
        cr_assert_arr_eq(&pace, &s.pace, sizeof(pace));
        free(windows);
        free(before);
        free(health);
        stepping_close(&s);
    }
}

Test(optimiser, each_keeps_the_average_and_leaves_alone_what_it_does_not_use)
{
    for (int k = 0; k < 3; k++) {
        struct stepping s;
        stepping_open(&s, "gru:5", 2, 1, 4);
        s.settings.optimiser = optimisers[k];
        s.settings.ema = 0.99;
        const size_t n = s.t.net->n_params;
        float *windows = test_windows(&s.shape, 2, 3), *first = test_floats(n);
        memcpy(first, s.state.master, n * sizeof(float));
        take_step(&s, windows, 2);
        double moment = 0, variance = 0;
        for (size_t i = 0; i < n; i++) { /* b = 1 - 5/6 at the first step */
            cr_assert_float_eq((double)s.state.ema[i],
                               (double)first[i] + 5.0 / 6 * ((double)s.state.master[i] - (double)first[i]), 1e-6);
            moment += fabs((double)s.state.moment[i]);
            variance += fabs((double)s.state.variance[i]);
        }
        cr_assert_eq(moment > 0, optimisers[k] != OPTIMISER_RMSPROP);
        cr_assert_eq(variance > 0, optimisers[k] != OPTIMISER_SGD);
        free(windows);
        free(first);
        stepping_close(&s);
    }
}

Test(optimiser, the_schedule_scales_the_step)
{
    struct stepping s;
    const float window[] = {1, 1, -1}; /* y = 0, e = 1: gradient 1 by weight and bias */
    stepping_open(&s, "", 1, 1, 1);
    memset(s.state.master, 0, 2 * sizeof(float));
    s.settings = test_train_settings();
    s.settings.optimiser = OPTIMISER_SGD;
    s.settings.clip_norm = 1e6;
    s.settings.learning_rate = 1;
    s.settings.schedule = SCHEDULE_WARMUP;
    s.settings.schedule_steps = 4;
    take_step(&s, window, 1);
    cr_assert_float_eq((double)s.state.master[0], -0.25, 1e-7);
    stepping_close(&s);
}

Test(optimiser, health_tells_each_tensors_gradient_and_update)
{
    struct stepping s;
    stepping_open(&s, every_tensor, 2, 1, 6);
    s.settings.clip_norm = 1e-3; /* what health tells is not clipped */
    const size_t n = s.t.net->n_params;
    float *windows = test_windows(&s.shape, 3, 3), *first = test_floats(n);
    memcpy(first, s.state.master, n * sizeof(float));
    take_step(&s, windows, 3);
    double all = 0;
    const struct train_health *health = s.report.health;
    for (struct tensors t = {.net = s.t.net}; tensors_next(&t); health++) {
        double moved = 0;
        for (size_t i = t.info.first; i < t.info.first + tensors_floats(&t); i++)
            moved += pow((double)s.state.master[i] - (double)first[i], 2);
        cr_assert_float_eq(health->update_norm, sqrt(moved), 1e-9, "%s", t.info.name);
        all += health->grad_norm * health->grad_norm;
    }
    cr_assert_float_eq(sqrt(all), s.report.grad_norm, 1e-6 * s.report.grad_norm);
    free(windows);
    free(first);
    stepping_close(&s);
}
