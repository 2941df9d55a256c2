/* Networks for the tests of layers and of training.  Any failure to make them fails the test. */
#ifndef TESTS_UNIT_MODEL_FIXTURE_H
#define TESTS_UNIT_MODEL_FIXTURE_H

#include "engine/model/stack.h"

enum { MAX_TEST_LAYERS = 8 };

/* "lstm:5 dense_relu:6": layers bottom to top, without the head. */
struct test_network {
    struct network *net;
    struct eddy_choice choices[MAX_TEST_LAYERS];
    union {
        struct layer_dense_settings dense;
        struct layer_gru_settings gru;
        struct layer_lstm_settings lstm;
    } settings[MAX_TEST_LAYERS];
};
void test_network_open(struct test_network *, const char *layers, int n_in, int n_out);
void test_network_close(struct test_network *);

/* n floats, aligned, all 0; for free(). */
float *test_floats(size_t n);
/* scale * eddy_random_normal(seed, i) into all of them. */
void test_fill(float *to, size_t n, uint64_t seed, float scale);

/* Pointers to the rows of a matrix: row b at data + b * stride. */
float **test_rows(float *data, int n, size_t stride);

#endif
