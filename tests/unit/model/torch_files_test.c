/* PyTorch's own files in eddy's networks: the same inputs must give the answers that PyTorch recorded.  The files lie in
 * tests/golden/files, written by tests/golden/torch_files.py.  Run from the root of the tree. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>

#include "engine/model/model_file.h"
#include "tests/unit/model/fixture.h"

struct golden_file {
    char name[16];
};

static void load(const char *name, const char *end, struct eddy_buffer *bytes, struct safetensors **f)
{
    char path[100];
    struct eddy_error err = {0};
    (void)snprintf(path, sizeof(path), "tests/golden/files/%s%s.safetensors", name, end);
    cr_assert_eq(model_file_load(path, bytes, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(safetensors_open(path, bytes->data, bytes->len, f, &err), EDDY_OK, "%s", err.message);
}

/* Steps from a state of zeros over x [T, n_in]; the largest difference from y [T, n_out]. */
static double largest_error(const struct network *net, const float *packed, const struct safetensor *x,
                            const struct safetensor *y)
{
    const size_t n_in = (size_t)net->n_in, n_out = (size_t)net->n_out;
    float *u = test_floats(n_in), *out = test_floats(n_out), *state = test_floats(net->n_state), elapsed_s = 0;
    float *work = test_floats(net->n_work);
    const float *inputs = u;
    const struct eddy_rows row = {.n = 1, .x = &inputs, .state = &state, .elapsed_s = &elapsed_s, .y = &out};
    double most = 0;
    for (size_t t = 0; t < x->n / n_in; t++) {
        for (size_t i = 0; i < n_in; i++) u[i] = (float)safetensors_number(x, t * n_in + i);
        network_step(net, packed, &row, work);
        for (size_t i = 0; i < n_out; i++)
            most = fmax(most, fabs((double)out[i] - safetensors_number(y, t * n_out + i)));
    }
    float *all[] = {u, out, state, work};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    return most;
}

ParameterizedTestParameters(torch_files, answer_as_in_pytorch)
{
    static struct golden_file files[] = {{"lstm"}, {"gru"}, {"rnn"}, {"dense"}, {"conv1d"}, {"doubles"}};
    return cr_make_param_array(struct golden_file, files, sizeof(files) / sizeof(files[0]));
}

ParameterizedTest(struct golden_file *g, torch_files, answer_as_in_pytorch)
{
    struct eddy_buffer weights = {0}, steps = {0};
    struct safetensors *f, *recorded;
    struct eddy_error err = {0};
    struct test_network t;
    load(g->name, "", &weights, &f);
    load(g->name, "_steps", &steps, &recorded);
    const struct safetensor *x = safetensors_find(recorded, "x"), *y = safetensors_find(recorded, "y");
    cr_assert(x && y && x->shape.n == 2 && y->shape.n == 2);
    test_network_open(&t, safetensors_metadata(f, "layers"), (int)x->shape.of[1], (int)y->shape.of[1]);

    float *params = test_floats(t.net->n_params), *packed = test_floats(t.model->n_packed);
    cr_assert_eq(model_file_decode(t.model, g->name, weights.data, weights.len, params, &err), EDDY_OK, "%s",
                 err.message);
    model_pack(t.model, params, packed);
    const double error = largest_error(t.net, packed, x, y);
    cr_assert_lt(error, 1e-5, "%s: %g", g->name, error);
    free(params);
    free(packed);
    safetensors_close(f);
    safetensors_close(recorded);
    eddy_buffer_free(&weights);
    eddy_buffer_free(&steps);
    test_network_close(&t);
}
