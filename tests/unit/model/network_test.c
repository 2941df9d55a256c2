#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model/fixture.h"

/* Serves one step of n rows, elapsed_s [n] after their last, and returns outputs [n, n_out]; states [n, n_state] move
 * on. */
static float *serve_after(const struct network *net, const float *packed, float *states, const float *x,
                          const float *elapsed_s, int n)
{
    float *work = test_floats(net->n_work), *y = test_floats((size_t)n * (size_t)net->n_out);
    float **x_rows = test_rows((float *)(uintptr_t)x, n, (size_t)net->n_in);
    float **state_rows = test_rows(states, n, net->n_state), **y_rows = test_rows(y, n, (size_t)net->n_out);
    const struct eddy_rows rows = {
        .n = n, .x = (const float *const *)x_rows, .state = state_rows, .elapsed_s = elapsed_s, .y = y_rows};
    network_step(net, packed, &rows, work);
    free(work);
    free(x_rows);
    free(state_rows);
    free(y_rows);
    return y;
}

static float *serve(const struct network *net, const float *packed, float *states, const float *x, int n)
{
    float *elapsed_s = test_floats((size_t)n);
    float *y = serve_after(net, packed, states, x, elapsed_s, n);
    free(elapsed_s);
    return y;
}

/* A network with random weights and many keys, that have come to different points of its strides. */
struct crowd {
    struct test_network t;
    float *params, *packed, *states, *x, *elapsed_s;
};
enum { CROWD = 301, CROWD_IN = 4, CROWD_STEPS = 7 };

static void crowd_inputs(struct crowd *c, uint64_t step)
{
    test_fill(c->x, CROWD * CROWD_IN, 10 + step, 1);
    for (size_t b = 0; b < CROWD; b++) c->elapsed_s[b] = (float)((b + step) % 5) * 0.5f;
}

static void crowd_open(struct crowd *c, const char *network)
{
    const struct network_shape shape = {.n_in = CROWD_IN, .n_dims = 1, .n_horizons = 3};
    test_network_open_shape(&c->t, network, &shape);
    const struct network *net = c->t.net;
    c->params = test_floats(net->n_params);
    c->packed = test_floats(net->n_packed);
    c->states = test_floats(CROWD * net->n_state);
    c->x = test_floats(CROWD * CROWD_IN);
    c->elapsed_s = test_floats(CROWD);
    test_fill(c->params, net->n_params, 1, 0.4f);
    network_pack(net, c->params, c->packed);
    for (size_t step = 0; step < 6; step++) {
        crowd_inputs(c, 50 + step);
        for (size_t b = 0; b < CROWD; b++)
            if (b % 6 > step)
                free(serve_after(net, c->packed, c->states + b * net->n_state, c->x + b * CROWD_IN, c->elapsed_s + b,
                                 1));
    }
}

static void crowd_close(struct crowd *c)
{
    float *all[] = {c->params, c->packed, c->states, c->x, c->elapsed_s};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    test_network_close(&c->t);
}

static void rows_equal_single_ones(const char *network)
{
    struct crowd c;
    crowd_open(&c, network);
    const struct network *net = c.t.net;
    const size_t n_state = net->n_state, n_out = (size_t)net->n_out, floats = CROWD * n_state;
    float *apart = test_floats(floats);
    memcpy(apart, c.states, floats * sizeof(float));
    for (uint64_t step = 0; step < CROWD_STEPS; step++) {
        crowd_inputs(&c, step);
        float *y = serve_after(net, c.packed, c.states, c.x, c.elapsed_s, CROWD);
        for (size_t b = 0; b < CROWD; b++) {
            float *one = serve_after(net, c.packed, apart + b * n_state, c.x + b * CROWD_IN, c.elapsed_s + b, 1);
            cr_assert_eq(memcmp(one, y + b * n_out, n_out * sizeof(float)), 0, "%s: row %zu", network, b);
            free(one);
        }
        free(y);
    }
    cr_assert_eq(memcmp(c.states, apart, floats * sizeof(float)), 0, "%s", network);
    free(apart);
    crowd_close(&c);
}

/* Strides of 2 and 3 one above the other, a residual layer in between. */
static const char two_strides[] =
    "{residual: true, layers: [{gru: {units: 5, time_decay: true}}, "
    "{conv1d: {filters: 4, kernel: 3, stride: 2}}, {lstm: {units: 4, time_decay: true}}, "
    "{conv1d: {filters: 3, kernel: 3, stride: 3}}, {rnn: {units: 6, time_decay: true}}]}";
static const char decoder_above_stride[] = "[{conv1d: {filters: 4, kernel: 4, stride: 4}}, {gru: {units: 5}}, "
                                           "{decoder: {layer: {gru: {units: 3}}}}]";

Test(network, any_number_of_rows_equals_one_row_at_a_time)
{
    rows_equal_single_ones("lstm:9 gru:18 dense_relu:5");
    rows_equal_single_ones(two_strides);
    rows_equal_single_ones(decoder_above_stride);
    rows_equal_single_ones("{residual: true, loss: quantiles, layers: [{dense: {units: 4}}, {bidirectional: {layer: "
                           "{gru: {units: 3}}, lag: 3, center: exclude}}, {dense: {units: 6}}]}");
}

/* Nobody asks for the outputs: the states are those of a network that was asked. */
Test(network, a_head_that_nobody_asks_is_left_out)
{
    struct crowd c;
    crowd_open(&c, "gru:18 lstm:9");
    const struct network *net = c.t.net;
    const size_t floats = CROWD * net->n_state;
    cr_assert_not(network_head_remembers(net));
    float *unheard = test_floats(floats), *work = test_floats(net->n_work);
    memcpy(unheard, c.states, floats * sizeof(float));
    for (uint64_t step = 0; step < CROWD_STEPS; step++) {
        crowd_inputs(&c, step);
        free(serve_after(net, c.packed, c.states, c.x, c.elapsed_s, CROWD));
        float **x_rows = test_rows(c.x, CROWD, (size_t)net->n_in), **rows = test_rows(unheard, CROWD, net->n_state);
        network_step(net, c.packed,
                     &(struct eddy_rows){
                         .n = CROWD, .x = (const float *const *)x_rows, .state = rows, .elapsed_s = c.elapsed_s},
                     work);
        free(x_rows);
        free(rows);
    }
    cr_assert_eq(memcmp(c.states, unheard, floats * sizeof(float)), 0);
    free(unheard);
    free(work);
    crowd_close(&c);
    crowd_open(&c, two_strides);
    cr_assert(network_head_remembers(c.t.net));
    crowd_close(&c);
}

/* As when a key is evicted after each event and comes back to another place. */
static void moves(const char *network)
{
    struct crowd c;
    crowd_open(&c, network);
    const struct network *net = c.t.net;
    const size_t floats = CROWD * net->n_state, outputs = CROWD * (size_t)net->n_out;
    float *moved = test_floats(floats);
    memcpy(moved, c.states, floats * sizeof(float));
    for (uint64_t step = 0; step < CROWD_STEPS; step++) {
        crowd_inputs(&c, step);
        float *y = serve_after(net, c.packed, c.states, c.x, c.elapsed_s, CROWD), *elsewhere = test_floats(floats);
        memcpy(elsewhere, moved, floats * sizeof(float));
        free(moved);
        moved = elsewhere;
        float *again = serve_after(net, c.packed, moved, c.x, c.elapsed_s, CROWD);
        cr_assert_eq(memcmp(y, again, outputs * sizeof(float)), 0, "%s", network);
        free(y);
        free(again);
    }
    free(moved);
    crowd_close(&c);
}

Test(network, a_state_that_was_moved_goes_on_as_if_it_had_stayed)
{
    moves("lstm:9 gru:18 dense_relu:5");
    moves(two_strides);
    moves(decoder_above_stride);
}

/* One step of one layer by itself. */
static void layer_step(const struct network *net, int i, const float *packed, const float *x, float *state,
                       float elapsed_s, float *y, float *work)
{
    const struct network_layer *l = &net->layers[i];
    const struct eddy_rows rows = {.n = 1, .x = &x, .state = &state, .elapsed_s = &elapsed_s, .y = &y};
    l->layer->step(&l->plan, packed + l->first_packed, &rows, work);
}

Test(network, above_a_stride_layers_step_when_it_fires_and_the_output_stands_in_between)
{
    enum { STRIDE = 3, UNITS = 4, EVENTS = 14 };
    struct test_network t;
    test_network_open(&t, "[{conv1d: {filters: 2, kernel: 5, stride: 3}}, {gru: {units: 4, time_decay: true}}]", 2,
                      3);
    const struct network *net = t.net;
    float *params = test_floats(net->n_params), *packed = test_floats(net->n_packed),
          *work = test_floats(net->n_work);
    float *state = test_floats(net->n_state), *apart = test_floats(net->n_state), since = 0;
    float filters[2] = {0}, h[UNITS] = {0}, want[3] = {0};
    test_fill(params, net->n_params, 1, 0.5f);
    network_pack(net, params, packed);
    cr_assert_eq(net->stride, STRIDE);
    for (int event = 0; event < EVENTS; event++) {
        const float x[2] = {(float)event, 1}, elapsed_s = 0.1f * (float)(event % 4);
        since += elapsed_s;
        layer_step(net, 0, packed, x, apart, elapsed_s, filters, work);
        if (event % STRIDE == STRIDE - 1) {
            layer_step(net, 1, packed, filters, apart + net->layers[1].first_state, since, h, work);
            layer_step(net, 2, packed, h, NULL, since, want, work);
            since = 0;
        }
        float *y = serve_after(net, packed, state, x, &elapsed_s, 1);
        cr_assert_eq(memcmp(y, want, sizeof(want)), 0, "event %d", event);
        free(y);
    }
    float *all[] = {params, packed, work, state, apart};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    test_network_close(&t);
}

Test(network, a_residual_layer_adds_its_input)
{
    struct test_network t;
    /* W = [1 2; 3 4], b = [0.5, 0]; the head [1 10], 0 */
    const float params[9] = {1, 2, 3, 4, 0.5f, 0, 1, 10, 0}, x[2] = {7, 100};
    test_network_open(&t, "{residual: true, layers: [{dense: {units: 2, activation: identity}}]}", 2, 1);
    float *packed = test_floats(t.net->n_packed), none[1];
    cr_assert_eq(t.net->n_params, 9);
    network_pack(t.net, params, packed);
    float *y = serve(t.net, packed, none, x, 1);
    cr_assert_eq(y[0], (7 + 7 + 200 + 0.5f) + 10 * (100 + 21 + 400));
    free(y);
    free(packed);
    test_network_close(&t);
}

Test(network, heads_are_as_wide_as_their_losses)
{
    static const struct {
        const char *network;
        int n_dims, n_horizons, n_out;
        size_t n_params; /* of the head on 2 inputs */
    } heads[] = {{"{loss: squared, layers: [{gru: {units: 2}}]}", 2, 3, 6, 6 * 3},
                 {"{loss: gaussian, layers: [{gru: {units: 2}}]}", 2, 3, 12, 12 * 3},
                 {"{loss: student_t, bias: false, layers: [{gru: {units: 2}}]}", 2, 3, 12, 12 * 2},
                 {"{loss: quantiles, quantiles: [0.1, 0.5, 0.9], layers: [{gru: {units: 2}}]}", 2, 3, 18, 18 * 3},
                 {"{loss: sigmoid, classes: [no, yes], layers: [{gru: {units: 2}}]}", 1, 1, 1, 3},
                 {"{loss: softmax, classes: [a, b, c, d], layers: [{gru: {units: 2}}]}", 1, 1, 4, 4 * 3}};
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct test_network t;
        const struct network_shape shape = {.n_in = 3, .n_dims = heads[i].n_dims, .n_horizons = heads[i].n_horizons};
        test_network_open_shape(&t, heads[i].network, &shape);
        cr_assert_eq(t.net->n_targets, heads[i].n_dims * heads[i].n_horizons);
        cr_assert_eq(t.net->n_out, heads[i].n_out, "%s", heads[i].network);
        cr_assert_eq(t.net->layers[1].plan.n_params, heads[i].n_params, "%s", heads[i].network);
        test_network_close(&t);
    }
}

Test(network, starts_near_zero_and_moves_with_the_seed)
{
    struct test_network t;
    test_network_open(&t, "gru:32", 6, 4);
    float *params = test_floats(t.net->n_params), *other = test_floats(t.net->n_params);
    float *packed = test_floats(t.net->n_packed), *state = test_floats(t.net->n_state), x[6];
    network_init(t.net, 1, params);
    network_init(t.net, 2, other);
    cr_assert_neq(memcmp(params, other, t.net->n_params * sizeof(float)), 0);
    network_init(t.net, 1, other);
    cr_assert_eq(memcmp(params, other, t.net->n_params * sizeof(float)), 0);
    network_pack(t.net, params, packed);
    test_fill(x, 6, 4, 2);
    float *y = serve(t.net, packed, state, x, 1);
    for (int j = 0; j < 4; j++) cr_assert_lt(fabsf(y[j]), 0.3f);
    free(y);
    free(params);
    free(other);
    free(packed);
    free(state);
    test_network_close(&t);
}

Test(network, without_layers_is_a_linear_head)
{
    struct test_network t;
    test_network_open(&t, "", 2, 1);
    const float params[3] = {2, 3, 0.5f}, x[2] = {10, 100};
    float *packed = test_floats(t.net->n_packed), none[1];
    network_pack(t.net, params, packed);
    float *y = serve(t.net, packed, none, x, 1);
    cr_assert_eq(y[0], 320.5f);
    cr_assert_eq(t.net->n_state, 0);
    free(y);
    free(packed);
    test_network_close(&t);
}

Test(network, the_head_may_be_wider_than_any_layer)
{
    struct test_network t;
    test_network_open(&t, "gru:4", 1, 3000);
    cr_assert_eq(t.net->n_params, 3 * (4 * 5 + 8) + 3000 * 5);
    test_network_close(&t);
}

Test(network, bad_sizes_are_refused_and_close_takes_null)
{
    const struct network_settings none = {.layers = {0, NULL}};
    const struct network_shape no_input = {.n_dims = 1, .n_horizons = 1}, no_output = {.n_in = 1, .n_horizons = 1};
    struct network *net;
    struct eddy_error err;
    cr_assert_eq(network_open(&none, &no_input, &net, &err), EDDY_EINVAL);
    cr_assert_eq(network_open(&none, &no_output, &net, &err), EDDY_EINVAL);
    cr_assert_null(net);
    network_close(NULL);
}
