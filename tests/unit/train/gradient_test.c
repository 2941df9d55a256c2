/* Exact gradients: each derivative against a fourth-order central difference.
 *
 * Compiled twice: in single precision, where rounding leaves three digits, and with float defined as double, where the
 * differences confirm six (`make unit-gradient`; see the Makefile). */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model/cases.h"
#include "tests/unit/train/fixture.h"

/* Relative to the derivative itself or, where that is small, to `floor` times the largest one. */
struct precision {
    double step, tolerance, floor;
};
static struct precision precision(void)
{
    return sizeof(float) == 8 ? (struct precision){2e-4, 1e-6, 1e-3} : (struct precision){3e-2, 1e-3, 5e-2};
}

/* (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h at *p. */
static double difference(double (*f)(void *), void *context, float *p)
{
    const double h = precision().step;
    const float middle = *p;
    double at[4];
    static const int steps[4] = {-2, -1, 1, 2};
    for (int i = 0; i < 4; i++) {
        *p = (float)((double)middle + steps[i] * h);
        at[i] = f(context);
    }
    *p = middle;
    return (8 * (at[2] - at[1]) - (at[3] - at[0])) / (12 * h);
}

static void check(const char *what, double (*f)(void *), void *context, float *values, const float *gradient,
                  size_t n)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        if (fabs((double)gradient[i]) > largest) largest = fabs((double)gradient[i]);
    cr_assert_gt(largest, 0, "%s: nothing to check", what);
    for (size_t i = 0; i < n; i++) {
        const double want = difference(f, context, &values[i]), got = (double)gradient[i];
        const double size = fmax(fabs(want), precision().floor * largest);
        cr_assert_leq(fabs(got - want), precision().tolerance * size, "%s %zu: %.9g, by differences %.9g", what, i,
                      got, want);
    }
}

/* ---- one layer: L = sum of c y over all steps, rows and outputs, c random ---- */

enum { STEPS = 5, ROWS = 3 };

struct layer_loss {
    const struct eddy_layer *layer;
    const struct eddy_layer_plan *plan;
    float *params, *packed, *work, *x, *start, *state, *y, *tape, *c, *elapsed_s, *target;
    uint64_t draws[ROWS];
};

static double layer_loss(void *context)
{
    struct layer_loss *l = context;
    const size_t n_in = (size_t)l->plan->n_in, n_out = (size_t)l->plan->n_out;
    double sum = 0;
    float **state = test_rows(l->state, ROWS, l->plan->n_state);
    memcpy(l->state, l->start, ROWS * l->plan->n_state * sizeof(float));
    l->layer->pack(l->plan, l->params, l->packed);
    for (size_t t = 0; t < STEPS; t++) {
        float **x = test_rows(l->x + t * ROWS * n_in, ROWS, n_in),
              **y = test_rows(l->y + t * ROWS * n_out, ROWS, n_out);
        float **target = test_rows(l->target + t * ROWS * n_out, ROWS, n_out);
        const struct eddy_rows rows = {.n = ROWS,
                                       .x = (const float *const *)x,
                                       .state = state,
                                       .elapsed_s = l->elapsed_s + t * ROWS,
                                       .y = y,
                                       .tape = l->tape + t * ROWS * l->plan->n_tape,
                                       .target = (const float *const *)target,
                                       .draws = l->draws,
                                       .step = (int)t};
        l->layer->step(l->plan, l->packed, &rows, l->work);
        free(x);
        free(y);
        free(target);
    }
    for (size_t i = 0; i < STEPS * ROWS * n_out; i++) sum += (double)l->c[i] * (double)l->y[i];
    free(state);
    return sum;
}

static struct eddy_tape layer_tape(const struct layer_loss *l, float *d_x)
{
    return (struct eddy_tape){.n_steps = STEPS,
                              .n_rows = ROWS,
                              .x = l->x,
                              .y = l->y,
                              .tape = l->tape,
                              .d_y = l->c,
                              .d_x = d_x,
                              .start = l->start,
                              .elapsed_s = l->elapsed_s,
                              .target = l->target,
                              .draws = l->draws};
}

/* The states that some steps have left; the first row's is a new key's where the digits allow for one more kind of start;
 * and the outputs at 0 where the layer does not fire. */
static void layer_start(struct layer_loss *l, const struct layer_case *c)
{
    const size_t cells = STEPS * ROWS, n_in = (size_t)l->plan->n_in, n_out = (size_t)l->plan->n_out;
    float *x = test_floats(cells * n_in);
    memcpy(x, l->x, cells * n_in * sizeof(float));
    for (uint64_t i = 0; i < 2; i++) {
        test_inputs(l->x, cells, c->n_in, c->n_categories, 20 + i);
        (void)layer_loss(l);
        memcpy(l->start, l->state, ROWS * l->plan->n_state * sizeof(float));
    }
    if (sizeof(float) == sizeof(double)) memset(l->start, 0, l->plan->n_state * sizeof(float));
    memcpy(l->x, x, cells * n_in * sizeof(float));
    memset(l->y, 0, cells * n_out * sizeof(float));
    free(x);
}

/* Category numbers have no neighbours: their gradient is 0. */
static void check_inputs(const struct layer_case *c, struct layer_loss *l, float *d_x)
{
    const size_t cells = STEPS * ROWS, n_in = (size_t)l->plan->n_in, numbers = n_in - (size_t)c->n_categories;
    float *x = l->x;
    for (size_t cell = 0; cell < cells; cell++)
        for (size_t k = numbers; k < n_in; k++) cr_assert_eq(d_x[cell * n_in + k], 0);
    if (numbers == n_in) check("input", layer_loss, l, x, d_x, cells * n_in);
    for (size_t cell = 0; numbers < n_in && numbers > 0 && cell < cells; cell++)
        check("input", layer_loss, l, x + cell * n_in, d_x + cell * n_in, numbers);
}

static void layer_check(const struct layer_case *c, struct layer_loss *l)
{
    const size_t cells = STEPS * ROWS, n_in = (size_t)l->plan->n_in;
    float *d_x = test_floats(cells * n_in), *d_params = test_floats(l->plan->n_params);
    float *back = test_floats(cells * l->plan->n_back + l->plan->n_back_once);
    (void)layer_loss(l);
    const struct eddy_tape tape = layer_tape(l, d_x), no_input = layer_tape(l, NULL);
    l->layer->backward(l->plan, l->params, &tape, d_params, back);
    if (l->plan->n_params > 0) check(c->layer, layer_loss, l, l->params, d_params, l->plan->n_params);
    check_inputs(c, l, d_x);

    /* Gradients are added to what is there; without d_x the rest is the same. */
    float *again = test_floats(l->plan->n_params);
    for (size_t i = 0; i < l->plan->n_params; i++) again[i] = 1;
    (void)layer_loss(l);
    l->layer->backward(l->plan, l->params, &no_input, again, back);
    for (size_t i = 0; i < l->plan->n_params; i++)
        cr_assert_float_eq(again[i], 1 + d_params[i], 1e-5 * (1 + fabs((double)d_params[i])), "%s", c->layer);
    float *all[] = {d_x, d_params, back, again};
    for (size_t i = 0; i < 4; i++) free(all[i]);
}

ParameterizedTestParameters(gradient, of_every_parameter_and_input_of_a_layer)
{
    return cr_make_param_array(struct layer_case, layer_cases, sizeof(layer_cases) / sizeof(layer_cases[0]));
}
ParameterizedTest(struct layer_case *c, gradient, of_every_parameter_and_input_of_a_layer)
{
    if (c->care == CURVED && sizeof(float) < sizeof(double)) return; /* the build in double precision looks at it */
    struct test_layer t;
    const struct network_shape shape = {.n_in = c->n_in,
                                        .n_categories = c->n_categories,
                                        .n_dims = 1,
                                        .n_horizons = c->n_horizons ? c->n_horizons : 1};
    test_layer_open(&t, c->layer, &shape);
    const struct eddy_layer_plan *plan = &t.plan;
    const size_t cells = STEPS * ROWS, n_in = (size_t)plan->n_in, n_out = (size_t)plan->n_out;
    struct layer_loss l = {.layer = t.layer,
                           .plan = plan,
                           .params = test_floats(plan->n_params),
                           .packed = test_floats(plan->n_packed),
                           .work = test_floats(plan->n_work),
                           .x = test_floats(cells * n_in),
                           .start = test_floats(ROWS * plan->n_state),
                           .state = test_floats(ROWS * plan->n_state),
                           .y = test_floats(cells * n_out),
                           .tape = test_floats(cells * plan->n_tape),
                           .c = test_floats(cells * n_out),
                           .elapsed_s = test_floats(cells),
                           .target = test_floats(cells * n_out),
                           .draws = {11, 12, 13}};
    test_fill(l.params, plan->n_params, 1, 0.5f);
    test_inputs(l.x, cells, c->n_in, c->n_categories, 2);
    test_fill(l.c, cells * n_out, 4, 1);
    test_fill(l.target, cells * n_out, 5, 1);
    for (size_t i = 0; i < cells; i++) l.elapsed_s[i] = (float)(i % 7) * 0.4f;
    layer_start(&l, c);
    const bool kink = c->care == SMALL_WEIGHTS || c->care == LARGE_BIASES;
    const float shrink = c->care == SMALL_WEIGHTS ? 0.1f : 0.8f, bias = c->care == SMALL_WEIGHTS ? 2 : 5;
    for (size_t i = 0; i < plan->n_params && kink; i++) /* the output's biases come last */
        l.params[i] = i < plan->n_params - n_out ? shrink * l.params[i] : (i % 2 ? bias : -bias);
    layer_check(c, &l);
    float *all[] = {l.params, l.packed, l.work, l.x, l.start, l.state, l.y, l.tape, l.c, l.elapsed_s, l.target};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    test_layer_close(&t);
}

/* ---- a whole stack, through the loss ---- */

struct stack_loss {
    const struct network *net;
    struct window_shape shape;
    struct train_scratch *scratch;
    float *params, *windows, *gradient;
};

static double stack_loss(void *context)
{
    struct stack_loss *s = context;
    double loss;
    cr_assert_eq(
        tbptt_gradient(s->net, &s->shape, s->params, s->windows, ROWS, 1, s->gradient, &loss, s->scratch, NULL),
        EDDY_OK);
    return loss * s->net->n_out; /* the gradient is that of n_out times the mean */
}

/* Labels on both branches of the loss, far from the kink between them. */
static void stack_labels(struct stack_loss *s)
{
    static const double apart[] = {0.4, -0.5, 2.5, -3};
    const size_t targets = (size_t)s->shape.n_steps * (size_t)s->shape.n_targets;
    for (size_t b = 0; b < ROWS; b++) {
        float *target = window_target(&s->shape, s->windows + b * window_floats(&s->shape));
        for (size_t i = 0; i < targets; i++)
            if (!isnan(target[i])) target[i] = (float)apart[(b + i) % 4];
    }
}

static void check_stack(const char *layers, int n_horizons)
{
    struct test_network t;
    const struct network_shape shape = {.n_in = 3, .n_dims = 2, .n_horizons = n_horizons};
    test_network_open_shape(&t, layers, &shape);
    struct stack_loss s = {.net = t.net,
                           .shape = {6, 3, 2 * n_horizons, t.net->n_state},
                           .scratch = train_scratch_open(),
                           .params = test_floats(t.net->n_params),
                           .gradient = test_floats(t.net->n_params)};
    s.windows = test_windows(&s.shape, ROWS, 7);
    stack_labels(&s);
    network_init(t.net, 9, s.params);
    float *gradient = test_floats(t.net->n_params);
    (void)stack_loss(&s);
    memcpy(gradient, s.gradient, t.net->n_params * sizeof(float));
    check("parameter", stack_loss, &s, s.params, gradient, t.net->n_params);
    float *all[] = {s.params, s.gradient, s.windows, gradient};
    for (size_t i = 0; i < 4; i++) free(all[i]);
    train_scratch_close(s.scratch);
    test_network_close(&t);
}

Test(gradient, of_every_parameter_of_a_stack_through_the_loss)
{
    check_stack("lstm:5 gru:4 dense_tanh:6 dense_sigmoid:3", 1);
}

Test(gradient, of_a_stack_of_layers_that_look_back_before_the_window)
{
    check_stack("[{lags: {steps: 4}}, {conv1d: {filters: 3, kernel: 5, activation: tanh}}, {gru: {units: 4}}]", 1);
    check_stack("[{conv1d: {filters: 4, kernel: 3, stride: 2, activation: tanh}}, {lags: {steps: 2}}]", 1);
}

Test(gradient, of_attention_that_looks_back_before_the_window_through_the_loss)
{
    check_stack("[{attention: {units: 4, heads: 2, window: 4}}, {attention: {units: 3, heads: 1, window: 9}}]", 1);
    check_stack("[{conv1d: {filters: 4, kernel: 3, stride: 2, activation: tanh}}, "
                "{attention: {units: 4, heads: 2, window: 3, positions: none}}]",
                1);
}

Test(gradient, of_a_smoother_and_of_decoders_through_the_loss)
{
    check_stack("[{dense: {units: 3}}, {bidirectional: {layer: {gru: {units: 3}}, lag: 2}}]", 1);
    check_stack("[{gru: {units: 4}}, {decoder: {layer: {lstm: {units: 3}}, teacher_forcing: 0.5}}]", 3);
    check_stack("[{conv1d: {filters: 3, kernel: 3, stride: 2, activation: tanh}}, {gru: {units: 3}}, "
                "{decoder: {layer: {gru: {units: 3}}, teacher_forcing: 0.5}}]",
                2);
}
