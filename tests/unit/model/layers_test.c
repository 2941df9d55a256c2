/* Rules that every layer must keep (eddy_layer.h), and the parameter counts of the textbooks. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model/cases.h"
#include "tests/unit/model/fixture.h"

enum { WARM_STEPS = 9, STEPS = 4, N_CASES = sizeof(layer_cases) / sizeof(layer_cases[0]) };

/* One layer over STEPS steps of B rows. */
struct layer_run_test {
    struct test_layer t;
    const struct eddy_layer *layer;
    const struct eddy_layer_plan *plan;
    float *params, *packed, *work, *x, *state, *y, *tape; /* x [T,B,n_in] y [T,B,n_out] tape [T,B,n_tape] */
    int n_rows;
};

static void run_step(struct layer_run_test *r, int t, int first, int n, bool with_tape);

/* Opened on the states that some steps have left. */
static void run_open(struct layer_run_test *r, const struct layer_case *c)
{
    const struct network_shape shape = {.n_in = c->n_in,
                                        .n_categories = c->n_categories,
                                        .n_dims = 1,
                                        .n_horizons = c->n_horizons ? c->n_horizons : 1};
    test_layer_open(&r->t, c->layer, &shape);
    r->layer = r->t.layer;
    r->plan = &r->t.plan;
    r->n_rows = c->n_rows;
    const size_t cells = STEPS * (size_t)c->n_rows;
    r->params = test_floats(r->plan->n_params);
    r->packed = test_floats(r->plan->n_packed);
    r->work = test_floats(r->plan->n_work);
    r->x = test_floats(cells * (size_t)c->n_in);
    r->state = test_floats((size_t)c->n_rows * r->plan->n_state);
    r->y = test_floats(cells * (size_t)r->plan->n_out);
    r->tape = test_floats(cells * r->plan->n_tape);
    r->layer->init(r->plan, 5, r->params);
    r->layer->pack(r->plan, r->params, r->packed);
    for (uint64_t i = 0; i < WARM_STEPS; i++) {
        test_inputs(r->x, (size_t)c->n_rows, c->n_in, c->n_categories, 100 + i);
        run_step(r, 0, 0, c->n_rows, false);
    }
    test_inputs(r->x, cells, c->n_in, c->n_categories, 6);
    memset(r->y, 0, cells * (size_t)r->plan->n_out * sizeof(float));
}

static void run_close(struct layer_run_test *r)
{
    float *all[] = {r->params, r->packed, r->work, r->x, r->state, r->y, r->tape};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    test_layer_close(&r->t);
}

/* Step t of rows first .. first + n - 1. */
static void run_step(struct layer_run_test *r, int t, int first, int n, bool with_tape)
{
    const size_t cell = (size_t)t * (size_t)r->n_rows + (size_t)first;
    const size_t n_in = (size_t)r->plan->n_in, n_out = (size_t)r->plan->n_out;
    float **x = test_rows(r->x + cell * n_in, n, n_in), **y = test_rows(r->y + cell * n_out, n, n_out);
    float **state = test_rows(r->state + (size_t)first * r->plan->n_state, n, r->plan->n_state);
    float elapsed_s[EDDY_LAYER_MAX_ROWS];
    for (int b = 0; b < n; b++) elapsed_s[b] = (float)((t + first + b) % 5) * 0.5f;
    const struct eddy_rows rows = {.n = n,
                                   .x = (const float *const *)x,
                                   .state = state,
                                   .elapsed_s = elapsed_s,
                                   .y = y,
                                   .tape = with_tape ? r->tape + cell * r->plan->n_tape : NULL,
                                   .step = t};
    r->layer->step(r->plan, r->packed, &rows, r->work);
    free(x);
    free(y);
    free(state);
}

static void assert_same_results(const struct layer_run_test *a, const struct layer_run_test *b)
{
    const size_t y = STEPS * (size_t)a->n_rows * (size_t)a->plan->n_out, s = (size_t)a->n_rows * a->plan->n_state;
    cr_assert_eq(memcmp(a->y, b->y, y * sizeof(float)), 0);
    cr_assert_eq(memcmp(a->state, b->state, s * sizeof(float)), 0);
}

ParameterizedTestParameters(layers, a_batch_equals_single_rows_bit_for_bit)
{
    return cr_make_param_array(struct layer_case, layer_cases, N_CASES);
}
ParameterizedTest(struct layer_case *c, layers, a_batch_equals_single_rows_bit_for_bit)
{
    struct layer_run_test batch, single;
    run_open(&batch, c);
    run_open(&single, c);
    for (int t = 0; t < STEPS; t++) {
        run_step(&batch, t, 0, c->n_rows, false);
        for (int b = c->n_rows - 1; b >= 0; b--) run_step(&single, t, b, 1, false);
    }
    assert_same_results(&batch, &single);
    run_close(&batch);
    run_close(&single);
}

ParameterizedTestParameters(layers, with_tape_equals_without_bit_for_bit)
{
    return cr_make_param_array(struct layer_case, layer_cases, N_CASES);
}
ParameterizedTest(struct layer_case *c, layers, with_tape_equals_without_bit_for_bit)
{
    struct layer_run_test with, without;
    run_open(&with, c);
    run_open(&without, c);
    for (int t = 0; t < STEPS; t++) {
        run_step(&with, t, 0, c->n_rows, true);
        run_step(&without, t, 0, c->n_rows, false);
    }
    assert_same_results(&with, &without);
    run_close(&with);
    run_close(&without);
}

ParameterizedTestParameters(layers, a_state_saved_and_restored_changes_nothing)
{
    return cr_make_param_array(struct layer_case, layer_cases, N_CASES);
}
ParameterizedTest(struct layer_case *c, layers, a_state_saved_and_restored_changes_nothing)
{
    struct layer_run_test kept, restored;
    run_open(&kept, c);
    run_open(&restored, c);
    const size_t bytes = (size_t)c->n_rows * kept.plan->n_state * sizeof(float);
    for (int t = 0; t < STEPS; t++) {
        run_step(&kept, t, 0, c->n_rows, false);
        run_step(&restored, t, 0, c->n_rows, false);
        float *saved = test_floats(bytes / sizeof(float));
        memcpy(saved, restored.state, bytes);
        free(restored.state);
        restored.state = saved; /* the row lives elsewhere now, as after an eviction */
    }
    assert_same_results(&kept, &restored);
    run_close(&kept);
    run_close(&restored);
}

ParameterizedTestParameters(layers, stays_within_the_sizes_that_it_planned)
{
    return cr_make_param_array(struct layer_case, layer_cases, N_CASES);
}
ParameterizedTest(struct layer_case *c, layers, stays_within_the_sizes_that_it_planned)
{
    const float guard = 12345.5f;
    struct layer_run_test r;
    run_open(&r, c);
    const size_t ends[] = {r.plan->n_packed, r.plan->n_work, r.plan->n_params};
    float *arrays[] = {test_floats(ends[0] + 16), test_floats(ends[1] + 16), test_floats(ends[2] + 16)};
    for (int a = 0; a < 3; a++)
        for (size_t i = 0; i < 16; i++) arrays[a][ends[a] + i] = guard;
    r.layer->init(r.plan, 1, arrays[2]);
    r.layer->pack(r.plan, arrays[2], arrays[0]);
    float *packed = r.packed, *work = r.work;
    r.packed = arrays[0];
    r.work = arrays[1];
    run_step(&r, 0, 0, c->n_rows, true);
    for (int a = 0; a < 3; a++)
        for (size_t i = 0; i < 16; i++) cr_assert_eq(arrays[a][ends[a] + i], guard);
    for (int a = 0; a < 3; a++) free(arrays[a]);
    r.packed = packed;
    r.work = work;
    run_close(&r);
}

ParameterizedTestParameters(layers, its_tensors_cover_the_parameters_exactly)
{
    return cr_make_param_array(struct layer_case, layer_cases, N_CASES);
}
ParameterizedTest(struct layer_case *c, layers, its_tensors_cover_the_parameters_exactly)
{
    struct test_layer l;
    struct eddy_tensor_info tensor;
    const struct network_shape shape = {.n_in = c->n_in,
                                        .n_categories = c->n_categories,
                                        .n_dims = 1,
                                        .n_horizons = c->n_horizons ? c->n_horizons : 1};
    test_layer_open(&l, c->layer, &shape);
    size_t next = 0;
    for (int i = 0; l.layer->tensor(&l.plan, i, &tensor); i++) {
        cr_assert_eq(tensor.first, next);
        next += (size_t)tensor.rows * (size_t)tensor.cols;
    }
    cr_assert_eq(next, l.plan.n_params);
    cr_assert_not(l.layer->tensor(&l.plan, -1, &tensor));
    test_layer_close(&l);
}

static size_t parameters(const char *layers, int n_in, int n_out)
{
    struct test_network t;
    test_network_open(&t, layers, n_in, n_out);
    const size_t n = t.net->n_params;
    test_network_close(&t);
    return n;
}

/* Parameters of one layer by itself. */
static size_t own_parameters(const char *layer, int n_in)
{
    struct test_layer t;
    const struct network_shape shape = {.n_in = n_in, .n_dims = 1, .n_horizons = 1};
    test_layer_open(&t, layer, &shape);
    const size_t n = t.plan.n_params;
    test_layer_close(&t);
    return n;
}

Test(layers, parameter_counts_are_those_of_the_textbooks)
{
    const size_t units = 7, in = 5;
    cr_assert_eq(parameters("dense_tanh:4", 3, 2), 26);
    cr_assert_eq(own_parameters("dense: {units: 4, bias: false}", 3) +
                     own_parameters("dense: {units: 2, bias: false}", 4),
                 20);
    cr_assert_eq(own_parameters("rnn: {units: 3}", 10), 42);
    cr_assert_eq(own_parameters("bidirectional: {layer: {rnn: {units: 3}}, lag: 4}", 10), 84);
    cr_assert_eq(own_parameters("lstm: {units: 7}", (int)in), 4 * (units * (in + units) + units));
    cr_assert_eq(own_parameters("gru: {units: 7, bias: single}", (int)in), 3 * (units * (in + units) + units));
    cr_assert_eq(own_parameters("gru: {units: 7}", (int)in), 3 * (units * (in + units) + 2 * units));
}

Test(layers, a_new_lstm_remembers_and_biases_start_at_zero)
{
    struct test_network t;
    test_network_open(&t, "lstm:4", 2, 1);
    float *params = test_floats(t.net->n_params), *bias = params + 16 * 2 + 16 * 4;
    network_init(t.net, 3, params);
    for (int j = 0; j < 16; j++) cr_assert_eq(bias[j], j >= 4 && j < 8 ? 1 : 0);
    free(params);
    test_network_close(&t);
}

Test(layers, sizes_that_cannot_be_are_refused_by_name)
{
    struct test_network t;
    struct eddy_layer_plan plan;
    struct eddy_error err;
    const struct network_settings *settings = test_network_settings(&t, "gru:3 lstm:3 dense:3");
    const struct eddy_layer_place no_input = {.n_dims = 1, .n_horizons = 1};
    for (int i = 0; i < settings->layers.n; i++) {
        const struct eddy_choice *choice = &settings->layers.item[i];
        const struct eddy_layer *layer = (const struct eddy_layer *)(const void *)choice->part;
        cr_assert_eq(layer->plan(choice->settings, &no_input, &plan, &err), EDDY_ECONFIG);
        cr_assert(strstr(err.message, choice->part->name));
    }
    const struct layer_dense_settings none = {0};
    const struct eddy_layer_place place = {.n_in = 3, .n_dims = 1, .n_horizons = 1};
    cr_assert_eq(layer_dense.plan(&none, &place, &plan, &err), EDDY_ECONFIG);
    config_close(t.config);
}
