/* Networks for the tests of layers and of training.  Any failure to make them fails the test. */
#ifndef TESTS_UNIT_MODEL_FIXTURE_H
#define TESTS_UNIT_MODEL_FIXTURE_H

#include "config/config.h"
#include "engine/model/model.h"
#include "engine/model/stack.h"

struct test_network {
    struct config *config; /* owns the settings that the network's plans point to */
    struct network *net;
    struct model *model; /* of this network alone */
};

/* `layers` is YAML, an entry of the option `layers` or a list of them: "gru: {units: 5}", "[{lags: {steps: 8}}, ..]";
 * or, in short, words "lstm:5 dense_relu:6" for layers of that many units, bottom to top; or the whole network:
 * "{residual: true, layers: [..]}". */
void test_network_open(struct test_network *, const char *layers, int n_in, int n_out);
void test_network_open_shape(struct test_network *, const char *layers, const struct network_shape *);
void test_network_close(struct test_network *);

/* The same up to network_open(), for networks that are refused: the caller opens it and closes both. */
const struct network_settings *test_network_settings(struct test_network *, const char *layers);

/* One layer by itself, planned as if it stood above another one, or at the bottom when it takes categories. */
struct test_layer {
    struct config *config; /* owns the settings that the plan points to */
    const struct eddy_layer *layer;
    struct eddy_layer_plan plan;
};
void test_layer_open(struct test_layer *, const char *layer, const struct network_shape *);
void test_layer_close(struct test_layer *);

/* n floats, aligned, all 0; for free(). */
float *test_floats(size_t n);
/* scale * eddy_random_normal(seed, i) into all of them. */
void test_fill(float *to, size_t n, uint64_t seed, float scale);
/* Inputs [n_cells, n_in] whose last n_categories columns are category numbers 0 .. 3. */
void test_inputs(float *x, size_t n_cells, int n_in, int n_categories, uint64_t seed);

/* Pointers to the rows of a matrix: row b at data + b * stride. */
float **test_rows(float *data, int n, size_t stride);

#endif
