/* Windows for the tests of training, beside the networks of tests/unit/model.  Any failure to make them fails the test. */
#ifndef TESTS_UNIT_TRAIN_FIXTURE_H
#define TESTS_UNIT_TRAIN_FIXTURE_H

#include "engine/train/optimiser.h"
#include "tests/unit/model/fixture.h"

/* Adam as the option table has it, without an average: rate 2e-3, clipped to a norm of 1. */
struct train_settings test_train_settings(void);

/* n windows with random states and inputs; targets random, three in ten of them missing. */
float *test_windows(const struct window_shape *, int n, uint64_t seed);

#endif
