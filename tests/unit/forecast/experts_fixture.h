/* One expert at work on one value, as the lane does it. */
#ifndef TESTS_UNIT_FORECAST_EXPERTS_FIXTURE_H
#define TESTS_UNIT_FORECAST_EXPERTS_FIXTURE_H

#include "config/config.h"
#include "engine/forecast/experts.h"
#include "engine/forecast/scale.h"

enum { TEST_HORIZONS = 24, TEST_SHARE_EVERY = 16 };

struct test_expert {
    struct config *config;
    const struct eddy_expert *expert;
    const void *settings;
    struct eddy_expert_shape shape;
    struct scale scale;
    int64_t count;
    size_t bytes, model_bytes, contribution_bytes; /* bytes: of the state and of what is kept of steps behind it */
    void *state;
    unsigned char *kept; /* [n_kept, kept_each]; NULL: nothing */
    size_t kept_each;
    int n_kept;
    void *model;                  /* what keys share; a boundary every TEST_SHARE_EVERY steps */
    unsigned char *contributions; /* [TEST_SHARE_EVERY, contribution_bytes] */
    double forecast[TEST_HORIZONS];
};

/* `yaml` is one entry of `experts`.  Horizons are 1 .. TEST_HORIZONS, or those given. */
void test_expert_open(struct test_expert *, const char *yaml, int season);
void test_expert_open_at(struct test_expert *, const char *yaml, int season, int n_horizons, const int *horizons);
void test_expert_close(struct test_expert *);
/* The next key of the same expert: goes on with the model as `other` has left it. */
void test_expert_join(struct test_expert *t, const struct test_expert *);
/* The next step; x may be NaN.  The forecast lies in the fixture. */
void test_expert_fold(struct test_expert *, double x);
/* Why a configuration or plan() refuses it, for one that must be refused; "" when it is not. */
const char *test_expert_refusal(const char *yaml, int season);

/* The mean squared error h steps ahead over x[first .. n-1], relative to that of persistence. */
double test_expert_error(const char *yaml, int season, const double *x, int first, int n, int h);

double test_noise(uint64_t seed, int i);

#endif
