/* What the layers that look at a stretch of the past promise beyond the rules of all layers. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model/fixture.h"

/* One layer outside any network, and one key. */
struct alone {
    struct test_network t;
    const struct eddy_layer *layer;
    struct eddy_layer_plan plan;
    float *params, *packed, *work, *state, *y; /* y [n_out] */
};

static eddy_status alone_plan(struct alone *a, const char *yaml, const struct eddy_layer_place *place,
                              struct eddy_error *err)
{
    const struct network_settings *settings = test_network_settings(&a->t, yaml);
    cr_assert_eq(settings->layers.n, 1);
    a->layer = (const struct eddy_layer *)(const void *)settings->layers.item[0].part;
    return a->layer->plan(settings->layers.item[0].settings, place, &a->plan, err);
}

static void alone_open(struct alone *a, const char *yaml, const struct eddy_layer_place *place)
{
    struct eddy_error err = {0};
    cr_assert_eq(alone_plan(a, yaml, place, &err), EDDY_OK, "%s: %s", yaml, err.message);
    a->params = test_floats(a->plan.n_params);
    a->packed = test_floats(a->plan.n_packed);
    a->work = test_floats(a->plan.n_work);
    a->state = test_floats(a->plan.n_state);
    a->y = test_floats((size_t)a->plan.n_out);
    a->layer->init(&a->plan, 1, a->params);
    a->layer->pack(&a->plan, a->params, a->packed);
}

static void alone_close(struct alone *a)
{
    float *all[] = {a->params, a->packed, a->work, a->state, a->y};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    config_close(a->t.config);
}

static void alone_step(struct alone *a, const float *x)
{
    const float elapsed_s = 1;
    const struct eddy_rows rows = {.n = 1, .x = &x, .state = &a->state, .elapsed_s = &elapsed_s, .y = &a->y};
    a->layer->step(&a->plan, a->packed, &rows, a->work);
}

/* `word` is part of the message, which starts with the layer's name. */
static void assert_refused(const char *yaml, const struct eddy_layer_place *place, const char *word)
{
    struct alone a;
    struct eddy_error err = {0};
    cr_assert_eq(alone_plan(&a, yaml, place, &err), EDDY_ECONFIG, "%s", yaml);
    const size_t name = strlen(a.layer->part.name);
    cr_assert(strncmp(err.message, a.layer->part.name, name) == 0 && err.message[name] == ':', "%s", err.message);
    cr_assert(strstr(err.message, word), "%s", err.message);
    config_close(a.t.config);
}

Test(convolution, lags_are_the_newest_first_and_zeros_before_the_start)
{
    enum { STEPS = 4, N_IN = 2 };
    struct alone a;
    const struct eddy_layer_place place = {.n_in = N_IN};
    alone_open(&a, "lags: {steps: 4}", &place);
    cr_assert_eq(a.plan.n_out, STEPS * N_IN);
    cr_assert_eq(a.plan.n_params, 0);
    for (int t = 1; t <= 11; t++) {
        const float x[N_IN] = {(float)t, (float)-t};
        alone_step(&a, x);
        for (int j = 0; j < STEPS; j++) {
            const float want = t - j > 0 ? (float)(t - j) : 0;
            cr_assert_eq(a.y[j * N_IN], want, "step %d, lag %d", t, j);
            cr_assert_eq(a.y[j * N_IN + 1], -want, "step %d, lag %d", t, j);
        }
    }
    alone_close(&a);
}

Test(convolution, a_counter_that_cannot_be_leads_nowhere_outside)
{
    const float x[1] = {5}, wrong[] = {-1, 3, 1e30f};
    for (size_t i = 0; i < 3; i++) {
        struct alone a;
        alone_open(&a, "lags: {steps: 4}", &(struct eddy_layer_place){.n_in = 1});
        a.state[0] = wrong[i];
        alone_step(&a, x);
        alone_step(&a, x);
        cr_assert_eq(a.y[1], 5);
        alone_close(&a);
    }
}

Test(convolution, sizes_that_cannot_be_are_refused_by_name)
{
    const struct eddy_layer_place no_input = {.n_in = 0}, wide = {.n_in = 1 << 19};
    assert_refused("lags: {steps: 4}", &no_input, "0 inputs");
    assert_refused("lags: {steps: 4}", &wide, "4 steps");
}
