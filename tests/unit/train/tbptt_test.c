#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/train/scratch.h"
#include "tests/unit/train/fixture.h"

/* A network with all that a training step needs. */
struct training {
    struct test_network t;
    struct window_shape shape;
    struct train_settings settings;
    struct train_state state;
    struct train_report report;
    struct train_scratch *scratch;
    float *arrays; /* master | moment | variance | ema */
    int64_t steps;
};

static void training_open(struct training *r, const char *layers, int n_in, int n_out, int n_steps)
{
    memset(r, 0, sizeof(*r));
    test_network_open(&r->t, layers, n_in, n_out);
    const size_t n = r->t.net->n_params;
    r->shape = (struct window_shape){n_steps, n_in, n_out, r->t.net->n_state};
    r->settings = test_train_settings();
    r->settings.ema = 0.99;
    r->arrays = test_floats(4 * n);
    r->state = (struct train_state){r->arrays, r->arrays + n, r->arrays + 2 * n, r->arrays + 3 * n, &r->steps, NULL};
    r->scratch = train_scratch_open();
    cr_assert(r->scratch);
    network_init(r->t.net, 1, r->state.master);
    memcpy(r->state.ema, r->state.master, n * sizeof(float));
}

static void training_close(struct training *r)
{
    free(r->arrays);
    train_scratch_close(r->scratch);
    test_network_close(&r->t);
}

static void training_step(struct training *r, const float *windows, int n)
{
    cr_assert_eq(train_step(r->t.net, &r->shape, &r->settings, &r->state, windows, n, &r->report, r->scratch, NULL),
                 EDDY_OK);
}

static double training_loss(struct training *r, const float *windows, int n)
{
    double loss;
    float *grad = test_floats(r->t.net->n_params);
    cr_assert_eq(tbptt_gradient(r->t.net, &r->shape, r->state.master, windows, n, 1, grad, &loss, r->scratch, NULL),
                 EDDY_OK);
    free(grad);
    return loss;
}

/* n windows of a sine whose next value is to be told from the last one alone: that takes memory of the slope. */
static float *sine_windows(const struct window_shape *shape, int n)
{
    const size_t floats = window_floats(shape);
    float *windows = test_floats((size_t)n * floats);
    for (int b = 0; b < n; b++) {
        float *window = windows + (size_t)b * floats;
        for (int t = 0; t < shape->n_steps; t++) {
            window_x(shape, window)[t] = (float)sin(0.3 * (t + 7 * b));
            window_target(shape, window)[t] = (float)sin(0.3 * (t + 1 + 7 * b));
        }
    }
    return windows;
}

static void learns_the_sine(const char *layers)
{
    struct training r;
    training_open(&r, layers, 1, 1, 24);
    r.settings.learning_rate = 1e-2;
    float *windows = sine_windows(&r.shape, 12);
    const double before = training_loss(&r, windows, 12);
    for (int i = 0; i < 150; i++) training_step(&r, windows, 12);
    const double after = training_loss(&r, windows, 12);
    cr_assert_lt(after, before / 20, "%s: %g -> %g", layers, before, after);
    cr_assert_eq(r.report.steps, 150);
    cr_assert_eq(r.report.refused, 0);
    cr_assert_eq(r.steps, 150);
    free(windows);
    training_close(&r);
}

Test(training, a_gru_learns_a_sine)
{
    learns_the_sine("gru:8");
}

Test(training, an_lstm_learns_a_sine)
{
    learns_the_sine("lstm:8");
}

Test(training, a_stack_learns_a_sine)
{
    learns_the_sine("gru:8 lstm:6 dense_tanh:5");
}

Test(training, windows_are_left_as_they_are)
{
    struct training r;
    training_open(&r, "lstm:5", 3, 2, 7);
    const size_t floats = 4 * window_floats(&r.shape);
    float *windows = test_windows(&r.shape, 4, 3), *copy = test_floats(floats);
    memcpy(copy, windows, floats * sizeof(float));
    training_step(&r, windows, 4);
    cr_assert_eq(memcmp(copy, windows, floats * sizeof(float)), 0);
    free(windows);
    free(copy);
    training_close(&r);
}

Test(training, equal_steps_give_equal_bits_whatever_the_scratch_held_before)
{
    struct training a, b;
    training_open(&a, "gru:9 lstm:5", 3, 2, 7);
    training_open(&b, "gru:9 lstm:5", 3, 2, 7);
    float *windows = test_windows(&a.shape, 5, 3), *others = test_windows(&a.shape, 20, 4);
    (void)training_loss(&b, others, 20); /* leaves its numbers in the scratch of b */
    for (int i = 0; i < 3; i++) {
        training_step(&a, windows, 5);
        training_step(&b, windows, 5);
    }
    cr_assert_eq(memcmp(a.arrays, b.arrays, 4 * a.t.net->n_params * sizeof(float)), 0);
    cr_assert_eq(a.report.loss, b.report.loss);
    free(windows);
    free(others);
    training_close(&a);
    training_close(&b);
}

Test(training, what_a_step_needs_is_known_before_it)
{
    struct training r;
    training_open(&r, "gru:9 lstm:5", 3, 2, 7);
    float *windows = test_windows(&r.shape, 40, 3);
    training_step(&r, windows, 40);
    cr_expect_eq(train_step_bytes(r.t.net, &r.shape, 40),
                 (r.scratch->batch_floats + r.scratch->step_floats) * sizeof(float));
    cr_expect_lt(train_step_bytes(r.t.net, &r.shape, 39), train_step_bytes(r.t.net, &r.shape, 40));
    free(windows);
    training_close(&r);
}

Test(training, more_windows_than_a_layer_takes_rows_are_one_batch)
{
    enum { N = 300 };
    struct training r;
    training_open(&r, "gru:4", 2, 1, 3);
    const size_t n = r.t.net->n_params;
    float *windows = test_windows(&r.shape, N, 3), *all = test_floats(n), *one = test_floats(n),
          *sum = test_floats(n);
    double loss, labels = 0;
    for (size_t b = 0; b < N; b++) /* the gradient of the whole is the mean of the parts, weighed by labels */
        for (size_t t = 0; t < 3; t++)
            labels += !isnan(window_target(&r.shape, windows + b * window_floats(&r.shape))[t]);
    for (size_t b = 0; b < N; b++) {
        const float *window = windows + b * window_floats(&r.shape);
        double own = 0;
        for (size_t t = 0; t < 3; t++) own += !isnan(window_target(&r.shape, (float *)(uintptr_t)window)[t]);
        cr_assert_eq(tbptt_gradient(r.t.net, &r.shape, r.state.master, window, 1, 1, one, &loss, r.scratch, NULL),
                     EDDY_OK);
        for (size_t i = 0; i < n; i++) sum[i] += one[i] * (float)(own / labels);
    }
    cr_assert_eq(tbptt_gradient(r.t.net, &r.shape, r.state.master, windows, N, 1, all, &loss, r.scratch, NULL),
                 EDDY_OK);
    for (size_t i = 0; i < n; i++) cr_assert_float_eq(all[i], sum[i], 1e-5, "%zu: %g %g", i, all[i], sum[i]);
    float *mine[] = {windows, all, one, sum};
    for (int i = 0; i < 4; i++) free(mine[i]);
    training_close(&r);
}

static void no_labels(const struct window_shape *shape, float *windows, int n)
{
    for (int b = 0; b < n; b++)
        for (int i = 0; i < shape->n_steps * shape->n_targets; i++)
            window_target(shape, windows + (size_t)b * window_floats(shape))[i] = NAN;
}

Test(training, windows_without_any_label_do_nothing)
{
    struct training r;
    training_open(&r, "gru:4", 2, 3, 5);
    const size_t bytes = 4 * r.t.net->n_params * sizeof(float);
    float *windows = test_windows(&r.shape, 3, 3), *before = test_floats(bytes / sizeof(float));
    no_labels(&r.shape, windows, 3);
    memcpy(before, r.arrays, bytes);
    training_step(&r, windows, 3);
    cr_assert_eq(memcmp(before, r.arrays, bytes), 0);
    cr_assert_eq(r.report.steps + r.report.refused + r.steps, 0);
    cr_assert(isnan(training_loss(&r, windows, 3)));
    free(windows);
    free(before);
    training_close(&r);
}

Test(training, loss_and_gradient_are_those_of_huber_over_the_known_labels)
{
    /* A head alone with weights 0: y = 0, so e = -target.  Known labels 0.5, -3: losses 0.125 and 2.5. */
    struct training r;
    training_open(&r, "", 1, 2, 2);
    memset(r.state.master, 0, 4 * sizeof(float));
    float window[] = {1, 1, 2, 4, 0.5f, NAN, NAN, -3}, grad[4];
    double loss;
    cr_assert_eq(tbptt_gradient(r.t.net, &r.shape, r.state.master, window, 1, 1, grad, &loss, r.scratch, NULL),
                 EDDY_OK);
    cr_assert_float_eq(loss, (0.125 + 2.5) / 2, 1e-7);
    /* Gradient by y: clip(e) n_out / n_labels = clip(e): -0.5 at x = 2 for output 0, +1 at x = 4 for output 1. */
    const float want[4] = {-0.5f * 2, 1 * 4, -0.5f, 1};
    for (int i = 0; i < 4; i++) cr_assert_float_eq(grad[i], want[i], 1e-6);
    training_close(&r);
}

/* A step over windows with this number somewhere must change nothing but the count. */
static void refused(float bad, bool in_target)
{
    struct training r;
    training_open(&r, "gru:6", 2, 1, 4);
    const size_t bytes = 4 * r.t.net->n_params * sizeof(float);
    float *windows = test_windows(&r.shape, 2, 3), *before = test_floats(bytes / sizeof(float));
    training_step(&r, windows, 2);
    memcpy(before, r.arrays, bytes);
    const struct train_report then = r.report;
    if (in_target)
        window_target(&r.shape, windows)[1] = bad;
    else
        for (int i = 0; i < 8; i++) window_x(&r.shape, windows)[i] = bad;
    window_target(&r.shape, windows)[3] = 1;
    training_step(&r, windows, 2);
    cr_assert_eq(memcmp(before, r.arrays, bytes), 0);
    cr_assert_eq(r.report.refused, 1);
    cr_assert_eq(r.report.steps, 1);
    cr_assert_eq(r.steps, 1);
    cr_assert_eq(r.report.loss, then.loss);
    cr_assert_eq(r.report.grad_norm, then.grad_norm);
    free(windows);
    free(before);
    training_close(&r);
}

Test(training, a_step_over_infinite_inputs_is_refused_and_changes_nothing)
{
    refused(INFINITY, false);
}

Test(training, a_step_over_inputs_that_are_not_numbers_is_refused)
{
    refused(NAN, false);
}

Test(training, a_step_over_an_infinite_label_is_refused)
{
    refused(-INFINITY, true);
}

Test(training, a_step_over_huge_inputs_is_refused)
{
    struct training r;
    training_open(&r, "", 1, 1, 1); /* a linear head: nothing saturates */
    float window[] = {1, 3e38f, 1}, before[8];
    r.state.master[0] = 1;
    memcpy(before, r.arrays, sizeof(before));
    training_step(&r, window, 1);
    window[1] = 3e38f;
    r.state.master[0] = 10; /* the output overflows */
    before[0] = 10;
    const int64_t refused_before = r.report.refused, steps_before = r.report.steps;
    memcpy(before, r.arrays, sizeof(before));
    training_step(&r, window, 1);
    cr_assert_eq(r.report.refused, refused_before + 1);
    cr_assert_eq(r.report.steps, steps_before);
    cr_assert_eq(memcmp(before, r.arrays, sizeof(before)), 0);
    training_close(&r);
}

Test(training, weights_that_are_not_numbers_are_never_adopted)
{
    struct training r;
    training_open(&r, "lstm:3", 2, 1, 4);
    float *windows = test_windows(&r.shape, 2, 3);
    r.state.master[5] = NAN;
    training_step(&r, windows, 2);
    cr_assert_eq(r.report.refused, 1);
    cr_assert_eq(r.steps, 0);
    free(windows);
    training_close(&r);
}

Test(training, huge_labels_move_the_weights_no_faster_than_near_ones)
{
    struct training r;
    training_open(&r, "", 1, 1, 1);
    float window[] = {1, 1, 1e30f};
    training_step(&r, window, 1);
    cr_assert_eq(r.report.steps, 1);
    cr_assert_leq(r.report.grad_norm, 2);
    cr_assert_leq(fabs((double)r.state.moment[0]), 0.11);
    training_close(&r);
}

Test(training, clipping_limits_the_norm_but_reports_the_true_one)
{
    struct training r;
    training_open(&r, "", 1, 1, 1);
    memset(r.state.master, 0, 2 * sizeof(float));
    float window[] = {1, 3, -10}; /* e = 10: gradient 1 by y, 3 by the weight, 1 by the bias */
    r.settings.clip_norm = 0.1;
    training_step(&r, window, 1);
    cr_assert_float_eq(r.report.grad_norm, sqrt(10), 1e-6);
    const double moment = hypot((double)r.state.moment[0], (double)r.state.moment[1]);
    cr_assert_float_eq(moment, 0.1 * 0.1, 1e-7); /* (1 - b1) x the clipped norm */
    training_close(&r);
}

Test(training, the_average_follows_the_weights_and_equals_them_without_decay)
{
    struct training r;
    training_open(&r, "gru:4", 2, 1, 4);
    const size_t n = r.t.net->n_params;
    float *windows = test_windows(&r.shape, 2, 3), *first = test_floats(n);
    memcpy(first, r.state.master, n * sizeof(float));
    training_step(&r, windows, 2);
    for (size_t i = 0; i < n; i++) /* b = 1 - 5/6 at the first step */
        cr_assert_float_eq(r.state.ema[i], first[i] + 5.0 / 6 * (double)(r.state.master[i] - first[i]), 1e-6);
    r.settings.ema = 0;
    training_step(&r, windows, 2);
    cr_assert_eq(memcmp(r.state.ema, r.state.master, n * sizeof(float)), 0);
    free(windows);
    free(first);
    training_close(&r);
}

Test(training, window_pieces_lie_one_after_another)
{
    const struct window_shape shape = {3, 2, 4, 5};
    float block[1];
    cr_assert_eq(window_start(&shape, block) - block, 0);
    cr_assert_eq(window_elapsed(&shape, block) - block, 5);
    cr_assert_eq(window_x(&shape, block) - block, 5 + 3);
    cr_assert_eq(window_target(&shape, block) - block, 5 + 3 + 6);
    cr_assert_eq(window_floats(&shape), 5 + 3 + 6 + 12);
}

Test(training, a_batch_that_cannot_be_held_fails_and_changes_nothing)
{
    struct training r;
    training_open(&r, "gru:4", 2, 1, 4);
    const size_t bytes = 4 * r.t.net->n_params * sizeof(float);
    float *windows = test_windows(&r.shape, 1, 3), *before = test_floats(bytes / sizeof(float));
    struct network huge = *r.t.net;
    struct eddy_error err;
    huge.n_packed = SIZE_MAX / 4;
    memcpy(before, r.arrays, bytes);
    cr_assert_eq(train_step(&huge, &r.shape, &r.settings, &r.state, windows, 1, &r.report, r.scratch, &err),
                 EDDY_ENOMEM);
    cr_assert_eq(memcmp(before, r.arrays, bytes), 0);
    training_step(&r, windows, 1); /* and the scratch is good for the next one */
    cr_assert_eq(r.report.steps, 1);
    free(windows);
    free(before);
    training_close(&r);
}
