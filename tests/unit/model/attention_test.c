/* What attention looks at, and what it must not see. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model/fixture.h"

enum { N_IN = 4, MAX_OUT = 16, STEPS = 40 };

/* The outputs of all steps from a new key on; input k of step `changed` is another one. */
static void run(const char *layer, int changed, float y[STEPS][MAX_OUT])
{
    const struct network_shape shape = {.n_in = N_IN, .n_dims = 1, .n_horizons = 1};
    struct test_layer t;
    test_layer_open(&t, layer, &shape);
    float *params = test_floats(t.plan.n_params), *packed = test_floats(t.plan.n_packed);
    float *work = test_floats(t.plan.n_work), *state = test_floats(t.plan.n_state), x[N_IN];
    cr_assert_leq(t.plan.n_out, MAX_OUT);
    t.layer->init(&t.plan, 3, params);
    t.layer->pack(&t.plan, params, packed);
    for (int step = 0; step < STEPS; step++) {
        const float *in = x, elapsed_s = 1;
        float *out = y[step];
        test_fill(x, N_IN, 50 + (uint64_t)step, 1);
        if (step == changed) x[1] += 2;
        memset(out, 0, MAX_OUT * sizeof(float));
        const struct eddy_rows rows = {.n = 1, .x = &in, .state = &state, .elapsed_s = &elapsed_s, .y = &out};
        t.layer->step(&t.plan, packed, &rows, work);
    }
    float *all[] = {params, packed, work, state};
    for (int i = 0; i < 4; i++) free(all[i]);
    test_layer_close(&t);
}

/* Which steps a change of step 20 reaches: the first and the last one. */
static void reach(const char *layer, int *first, int *last)
{
    static float plain[STEPS][MAX_OUT], other[STEPS][MAX_OUT];
    run(layer, -1, plain);
    run(layer, 20, other);
    *first = *last = -1;
    for (int step = 0; step < STEPS; step++) {
        if (memcmp(plain[step], other[step], sizeof(plain[step])) == 0) continue;
        if (*first < 0) *first = step;
        *last = step;
    }
}

Test(attention, looks_at_its_window_and_not_a_step_further)
{
    static const char *const layers[] = {"attention: {units: 8, heads: 2, window: 5}",
                                         "attention: {units: 8, heads: 2, window: 5, positions: time}",
                                         "transformer: {heads: 2, window: 5, feed_forward: 6}",
                                         "transformer: {heads: 2, window: 5, feed_forward: 6, norm: after}"};
    for (int i = 0; i < 4; i++) {
        int first, last;
        reach(layers[i], &first, &last);
        cr_expect_eq(first, 20, "%s", layers[i]);
        cr_expect_eq(last, 24, "%s: %d", layers[i], last);
    }
}

Test(attention, the_same_history_gives_the_same_bits_wherever_the_ring_stands)
{
    static float y[STEPS][MAX_OUT];
    const struct network_shape shape = {.n_in = N_IN, .n_dims = 1, .n_horizons = 1};
    run("attention: {units: 8, heads: 2, window: 4}", -1, y);
    /* A key that began later has the same last 4 inputs and another position in its ring. */
    struct test_layer t;
    test_layer_open(&t, "attention: {units: 8, heads: 2, window: 4}", &shape);
    float *params = test_floats(t.plan.n_params), *packed = test_floats(t.plan.n_packed);
    float *work = test_floats(t.plan.n_work), *state = test_floats(t.plan.n_state), x[N_IN], out[MAX_OUT] = {0};
    t.layer->init(&t.plan, 3, params);
    t.layer->pack(&t.plan, params, packed);
    for (int step = STEPS - 6; step < STEPS; step++) {
        const float *in = x, elapsed_s = 1;
        float *to = out;
        test_fill(x, N_IN, 50 + (uint64_t)step, 1);
        const struct eddy_rows rows = {.n = 1, .x = &in, .state = &state, .elapsed_s = &elapsed_s, .y = &to};
        t.layer->step(&t.plan, packed, &rows, work);
    }
    cr_assert_eq(memcmp(out, y[STEPS - 1], 8 * sizeof(float)), 0);
    float *all[] = {params, packed, work, state};
    for (int i = 0; i < 4; i++) free(all[i]);
    test_layer_close(&t);
}

/* Stride 2, lag 3: run at steps 1, 3, .., each for the steps 3 and 2 before it, answered then and one step later. */
Test(attention, a_masked_encoder_answers_without_having_seen_the_step)
{
    static float plain[STEPS][MAX_OUT], other[STEPS][MAX_OUT];
    const char *layer =
        "masked_encoder: {units: 8, heads: 2, blocks: 1, feed_forward: 6, window: 9, stride: 2, lag: 3}";
    for (int changed = 19; changed <= 22; changed++) {
        run(layer, -1, plain);
        run(layer, changed, other);
        for (int step = 0; step < changed; step++)
            cr_expect_eq(memcmp(plain[step], other[step], sizeof(plain[step])), 0, "%d tells %d", changed, step);
        cr_expect_eq(memcmp(plain[changed + 3], other[changed + 3], sizeof(plain[0])), 0, "%d was seen", changed);
        cr_expect_neq(memcmp(plain[changed + 5], other[changed + 5], sizeof(plain[0])), 0, "later steps see %d",
                      changed);
    }
}

static void expect_refused(const char *layer, int n_in, const char *reason)
{
    struct test_network t;
    struct eddy_layer_plan plan;
    struct eddy_error err = {0};
    const struct eddy_choice *choice = &test_network_settings(&t, layer)->layers.item[0];
    const struct eddy_layer_place place = {.n_in = n_in, .n_dims = 1, .n_horizons = 1};
    const struct eddy_layer *type = (const struct eddy_layer *)(const void *)choice->part;
    cr_expect_eq(type->plan(choice->settings, &place, &plan, &err), EDDY_ECONFIG, "%s", layer);
    cr_expect(strstr(err.message, reason), "%s: %s", layer, err.message);
    cr_expect_eq(strncmp(err.message, choice->part->name, strlen(choice->part->name)), 0, "%s", err.message);
    config_close(t.config);
}

Test(attention, sizes_that_cannot_be_are_refused_with_the_reason)
{
    expect_refused("attention: {units: 10, heads: 4}", 3, "among its heads");
    expect_refused("transformer: {heads: 4}", 6, "among its heads");
    expect_refused("masked_encoder: {units: 9, heads: 2}", 3, "among 2 heads");
    expect_refused("masked_encoder: {stride: 8, lag: 6}", 3, "at least stride - 1");
    expect_refused("masked_encoder: {window: 16, lag: 16}", 3, "less than the window");
}
