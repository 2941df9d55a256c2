/* Exact gradients: each derivative against a fourth-order central difference.
 *
 * Compiled twice: in single precision, where rounding and the kinks of relu leave two digits, and with float defined as double, where the
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
    return sizeof(float) == 8 ? (struct precision){2e-4, 1e-6, 1e-3} : (struct precision){3e-2, 3e-3, 5e-2};
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

enum { EVENTS = 13, STACK_IN = 3 };

struct stack_loss {
    const struct network *net;
    struct window_shape shape;
    struct train_scratch *scratch;
    float *params, *windows, *gradient, *packed, *work;
};

static double stack_loss(void *context)
{
    struct stack_loss *s = context;
    double loss;
    cr_assert_eq(
        tbptt_gradient(s->net, &s->shape, s->params, s->windows, ROWS, 1, s->gradient, &loss, s->scratch, NULL),
        EDDY_OK);
    return loss * s->net->n_targets; /* the gradient is that of n_targets times the mean */
}

static float *stack_window(const struct stack_loss *s, size_t row)
{
    return s->windows + row * window_floats(&s->shape);
}

/* One event of one key, served. */
static void stack_serve(const struct stack_loss *s, float *state, const float *x, float elapsed_s, float *y)
{
    const struct eddy_rows rows = {.n = 1, .x = &x, .state = &state, .elapsed_s = &elapsed_s, .y = &y};
    network_step(s->net, s->packed, &rows, s->work);
}

/* Windows that start where some events have led; each row in a phase of its own. */
static void stack_start(struct stack_loss *s)
{
    float x[STACK_IN], *y = test_floats((size_t)s->net->n_out);
    for (size_t b = 0; b < ROWS; b++) {
        float *start = window_start(&s->shape, stack_window(s, b));
        memset(start, 0, s->shape.n_state * sizeof(float));
        for (uint64_t i = 0; i < 7 + b; i++) {
            test_fill(x, STACK_IN, 100 * b + i, 1);
            stack_serve(s, start, x, 0.3f * (float)i, y);
        }
        for (int t = 0; t < s->shape.n_steps; t++)
            window_elapsed(&s->shape, stack_window(s, b))[t] = 0.4f * (float)(((size_t)t + b) % 5);
    }
    free(y);
}

/* Labels on both branches of a Huber loss, far from the kink between them; or classes. */
static void stack_labels(struct stack_loss *s)
{
    static const float apart[] = {0.4f, -0.5f, 2.5f, -3};
    const struct loss *loss = &s->net->loss;
    const size_t targets = (size_t)s->shape.n_steps * (size_t)s->shape.n_targets;
    for (size_t b = 0; b < ROWS; b++) {
        float *target = window_target(&s->shape, stack_window(s, b));
        for (size_t i = 0; i < targets; i++)
            if (!isnan(target[i]))
                target[i] = loss_is_classes(loss) ? (float)((b + i) % (size_t)loss->n_classes) : apart[(b + i) % 4];
    }
}

/* Every layer with a stride has just fired: a lower one that did not would have left its count above 0. */
static bool stack_fired(const struct network *net, const float *state)
{
    for (int i = 0; i <= net->n_layers; i++)
        if (net->layers[i].plan.stride > 1 && state[net->layers[i].first_state] != 0) return false;
    return true;
}

/* The same loss from the outputs that are served: labels before the first firing in the window count for nothing. */
static double stack_served(const struct stack_loss *s)
{
    const size_t n_targets = (size_t)s->net->n_targets;
    float *y = test_floats((size_t)s->net->n_out), *d_y = test_floats((size_t)s->net->n_out);
    float *state = test_floats(s->shape.n_state);
    double sum = 0, labels = 0;
    for (size_t b = 0; b < ROWS; b++) {
        float *window = stack_window(s, b);
        bool fired = false;
        memcpy(state, window_start(&s->shape, window), s->shape.n_state * sizeof(float));
        for (size_t t = 0; t < (size_t)s->shape.n_steps; t++) {
            const float *target = window_target(&s->shape, window) + t * n_targets;
            stack_serve(s, state, window_x(&s->shape, window) + t * STACK_IN, window_elapsed(&s->shape, window)[t],
                        y);
            fired |= stack_fired(s->net, state);
            if (!fired) continue;
            sum += loss_step(&s->net->loss, (int)n_targets, y, target, 1, d_y);
            for (size_t i = 0; i < n_targets; i++) labels += !isnan(target[i]);
        }
    }
    float *all[] = {y, d_y, state};
    for (size_t i = 0; i < 3; i++) free(all[i]);
    return sum / labels;
}

static void stack_open(struct stack_loss *s, struct test_network *t, const char *network, int n_horizons)
{
    const struct network_shape shape = {.n_in = STACK_IN, .n_dims = 2, .n_horizons = n_horizons};
    test_network_open_shape(t, network, &shape);
    *s = (struct stack_loss){
        .net = t->net,
        .shape = {.n_steps = EVENTS, .n_in = STACK_IN, .n_targets = 2 * n_horizons, .n_state = t->net->n_state},
        .scratch = train_scratch_open(),
        .params = test_floats(t->net->n_params),
        .gradient = test_floats(t->net->n_params),
        .packed = test_floats(t->net->n_packed),
        .work = test_floats(t->net->n_work)};
    s->windows = test_windows(&s->shape, ROWS, 7);
    network_init(t->net, 9, s->params);
    for (size_t i = 0; i < t->net->n_params; i++) s->params[i] += 0.05f * eddy_random_normal(10, i);
    network_pack(t->net, s->params, s->packed);
    stack_start(s);
    stack_labels(s);
}

static void stack_close(struct stack_loss *s, struct test_network *t)
{
    float *all[] = {s->params, s->gradient, s->packed, s->work, s->windows};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    train_scratch_close(s->scratch);
    test_network_close(t);
}

static void check_stack_gradient(struct stack_loss *s, const char *network)
{
    float *gradient = test_floats(s->net->n_params);
    (void)stack_loss(s);
    memcpy(gradient, s->gradient, s->net->n_params * sizeof(float));
    check(network, stack_loss, s, s->params, gradient, s->net->n_params);
    free(gradient);
}

/* Every derivative, and the loss of what is served. */
static void check_stack(const char *network, int n_horizons)
{
    struct test_network t;
    struct stack_loss s;
    stack_open(&s, &t, network, n_horizons);
    const double loss = stack_loss(&s) / t.net->n_targets, served = stack_served(&s);
    cr_assert_float_eq(loss, served, 1e-12 * fabs(loss), "%s: %.17g, served %.17g", network, loss, served);
    check_stack_gradient(&s, network);
    stack_close(&s, &t);
}

/* The derivatives alone, of a network that makes choices in training which it does not make when it serves. */
static void check_choosing_stack(const char *network, int n_horizons)
{
    struct test_network t;
    struct stack_loss s;
    stack_open(&s, &t, network, n_horizons);
    check_stack_gradient(&s, network);
    stack_close(&s, &t);
}

Test(gradient, of_every_parameter_of_a_stack_through_the_loss)
{
    check_stack("lstm:5 gru:4 dense_tanh:6 dense_sigmoid:3", 1);
    check_stack("{bias: false, layers: [{gru: {units: 4}}, {dense: {units: 3, bias: false}}]}", 2);
}

Test(gradient, of_a_stack_through_every_loss)
{
    check_stack("{loss: squared, layers: [{gru: {units: 4}}]}", 2);
    check_stack("{loss: huber, delta: 1.5, layers: [{gru: {units: 4}}]}", 2);
    check_stack("{loss: gaussian, layers: [{gru: {units: 4}}]}", 2);
    check_stack("{loss: student_t, freedom: 3, layers: [{gru: {units: 4}}]}", 2);
    check_stack("{loss: quantiles, layers: [{gru: {units: 4}}]}", 2);
    check_stack("{loss: sigmoid, classes: [no, yes], layers: [{gru: {units: 4}}]}", 1);
    check_stack("{loss: softmax, classes: [up, down, flat], layers: [{gru: {units: 4}}]}", 1);
}

Test(gradient, of_a_stack_of_layers_that_look_back_before_the_window)
{
    check_stack("[{lags: {steps: 4}}, {conv1d: {filters: 3, kernel: 5, activation: tanh}}, {gru: {units: 4}}]", 1);
    check_stack("[{conv1d: {filters: 4, kernel: 3, stride: 2, activation: tanh}}, {lags: {steps: 2}}]", 1);
}

Test(gradient, of_a_stack_with_residual_layers)
{
    check_stack(
        "{residual: true, layers: [{gru: {units: 3}}, {dense: {units: 3, activation: sigmoid}}, {gru: {units: 3}}]}",
        1);
    check_stack("{residual: true, layers: [{conv1d: {filters: 4, kernel: 2, stride: 2, activation: tanh}}, "
                "{gru: {units: 4}}, {dense: {units: 5}}, {dense: {units: 5}}]}",
                1);
}

Test(gradient, of_stacks_above_strides_in_any_phase)
{
    check_stack(
        "[{conv1d: {filters: 3, kernel: 4, stride: 4, activation: tanh}}, {gru: {units: 4, time_decay: true}}]", 2);
    check_stack(
        "{loss: gaussian, layers: [{gru: {units: 3}}, {conv1d: {filters: 3, kernel: 3, stride: 2, activation: "
        "tanh}}, {rnn: {units: 3}}, {conv1d: {filters: 3, kernel: 3, stride: 3, activation: tanh}}, "
        "{lstm: {units: 3, time_decay: true, initial_state: learned}}]}",
        1);
    check_stack("[{conv1d: {filters: 4, kernel: 2, stride: 2, activation: tanh}}, {attention: {units: 4, heads: 2, "
                "window: 3, positions: time}}]",
                1);
    check_choosing_stack(
        "[{conv1d: {filters: 4, kernel: 2, stride: 2, activation: tanh}}, {gru: {units: 4, recurrent_dropout: "
        "0.4}}, {gru: {units: 4, recurrent_dropout: 0.4}}]",
        1);
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
    check_choosing_stack("[{gru: {units: 4}}, {decoder: {layer: {lstm: {units: 3}}, teacher_forcing: 0.5}}]", 3);
    check_stack("{loss: squared, layers: [{gru: {units: 4}}, {decoder: {layer: {gru: {units: 3}}}}]}", 3);
    check_stack("[{conv1d: {filters: 3, kernel: 3, stride: 2, activation: tanh}}, {gru: {units: 3}}, "
                "{decoder: {layer: {gru: {units: 3}}}}]",
                2);
    check_choosing_stack("[{conv1d: {filters: 3, kernel: 3, stride: 2, activation: tanh}}, {gru: {units: 3}}, "
                         "{decoder: {layer: {gru: {units: 3}}, teacher_forcing: 0.5}}]",
                         2);
}
