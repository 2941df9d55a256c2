#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model/fixture.h"

/* Serves one step of n rows and returns outputs [n, n_out]; states [n, n_state] move on. */
static float *serve(const struct network *net, const float *packed, float *states, const float *x, int n)
{
    float *work = test_floats(net->n_work), *y = test_floats((size_t)n * (size_t)net->n_out);
    float *elapsed_s = test_floats((size_t)n);
    float **x_rows = test_rows((float *)(uintptr_t)x, n, (size_t)net->n_in);
    float **state_rows = test_rows(states, n, net->n_state), **y_rows = test_rows(y, n, (size_t)net->n_out);
    const struct eddy_rows rows = {
        .n = n, .x = (const float *const *)x_rows, .state = state_rows, .elapsed_s = elapsed_s, .y = y_rows};
    network_step(net, packed, &rows, work);
    free(work);
    free(elapsed_s);
    free(x_rows);
    free(state_rows);
    free(y_rows);
    return y;
}

Test(network, any_number_of_rows_equals_one_row_at_a_time)
{
    enum { ROWS = 301 };
    struct test_network t;
    test_network_open(&t, "lstm:9 gru:18 dense_relu:5", 4, 3);
    const size_t n_state = t.net->n_state;
    float *params = test_floats(t.net->n_params), *packed = test_floats(t.net->n_packed);
    float *x = test_floats(ROWS * 4), *together = test_floats(ROWS * n_state), *apart = test_floats(ROWS * n_state);
    network_init(t.net, 1, params);
    network_pack(t.net, params, packed);
    test_fill(x, ROWS * 4, 2, 1);
    for (int step = 0; step < 2; step++) {
        float *y = serve(t.net, packed, together, x, ROWS);
        for (size_t b = 0; b < ROWS; b++) {
            float *one = serve(t.net, packed, apart + b * n_state, x + b * 4, 1);
            cr_assert_eq(memcmp(one, y + b * 3, 3 * sizeof(float)), 0, "row %zu", b);
            free(one);
        }
        free(y);
    }
    cr_assert_eq(memcmp(together, apart, ROWS * n_state * sizeof(float)), 0);
    float *all[] = {params, packed, x, together, apart};
    for (size_t i = 0; i < 5; i++) free(all[i]);
    test_network_close(&t);
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

static char *summary(const struct network *net)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    cr_assert(f);
    network_summary(net, f);
    fclose(f);
    return text;
}

Test(network, summary_names_layers_and_counts)
{
    struct test_network t;
    test_network_open(&t, "dense_tanh:4", 3, 2);
    char *text = summary(t.net);
    cr_assert(strstr(text, "dense"));
    cr_assert(strstr(text, "head"));
    cr_assert(strstr(text, " 16 ") && strstr(text, " 10 ") && strstr(text, " 26 "), "%s", text); /* parameters */
    cr_assert(strstr(text, " 20\n"), "%s", text); /* multiply-adds: without the biases */
    free(text);
    test_network_close(&t);
}

Test(network, fingerprint_tells_networks_apart)
{
    enum { N = 7 };
    const char *const layers[N] = {"gru:8",
                                   "lstm:8",
                                   "gru:9",
                                   "gru:8 gru:8",
                                   "bidirectional: {layer: {gru: {units: 2}}}",
                                   "bidirectional: {layer: {lstm: {units: 2}}}",
                                   "bidirectional: {layer: {lstm: {units: 2, forget_bias: 2}}}"};
    struct eddy_buffer print[N] = {{0}};
    for (int i = 0; i < N; i++) {
        struct test_network t;
        test_network_open(&t, layers[i], 3, 2);
        cr_assert_eq(network_fingerprint(t.net, &print[i]), EDDY_OK);
        cr_assert_eq(eddy_buffer_append(&print[i], "", 1), EDDY_OK);
        test_network_close(&t);
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < i; j++) cr_assert_str_neq(print[i].data, print[j].data);
    for (int i = 0; i < N; i++) eddy_buffer_free(&print[i]);
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
