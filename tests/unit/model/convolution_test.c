/* What the layers that look at a stretch of the past promise beyond the rules of all layers. */
#include <criterion/criterion.h>
#include <math.h>
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

Test(convolution, a_strided_convolution_fires_at_every_so_manieth_step_what_the_full_one_says_there)
{
    enum { N_IN = 2, FILTERS = 3 };
    struct alone full, strided;
    const struct eddy_layer_place place = {.n_in = N_IN};
    alone_open(&full, "conv1d: {filters: 3, kernel: 5, activation: identity}", &place);
    alone_open(&strided, "conv1d: {filters: 3, kernel: 5, stride: 4, activation: identity}", &place);
    cr_assert_eq(full.plan.stride, 1);
    cr_assert_eq(strided.plan.stride, 4);
    for (int t = 0; t < 27; t++) {
        float x[N_IN], before[FILTERS];
        test_fill(x, N_IN, 50 + (uint64_t)t, 1);
        memcpy(before, strided.y, sizeof(before));
        alone_step(&full, x);
        alone_step(&strided, x);
        cr_assert_eq(strided.state[0], (t + 1) % 4);
        cr_assert_eq(memcmp(strided.y, t % 4 == 3 ? full.y : before, sizeof(before)), 0, "step %d", t);
    }
    alone_close(&full);
    alone_close(&strided);
}

Test(convolution, a_convolution_by_hand)
{
    struct alone a;
    const float weight[2 * 2 * 3] = {1, 10, 100, 2, 20, 200, -1, -10, -100, 0, 0, 0}; /* [filters, n_in, kernel] */
    const float bias[2] = {0.5f, 1};
    alone_open(&a, "conv1d: {filters: 2, kernel: 3, activation: relu}", &(struct eddy_layer_place){.n_in = 2});
    cr_assert_eq(a.plan.n_params, 2 * (2 * 3 + 1));
    memcpy(a.params, weight, sizeof(weight));
    memcpy(a.params + 12, bias, sizeof(bias));
    a.layer->pack(&a.plan, a.params, a.packed);
    alone_step(&a, (const float[]){1, 4});
    cr_assert_eq(a.y[0], 100 + 800 + 0.5f);
    cr_assert_eq(a.y[1], 0);
    alone_step(&a, (const float[]){-2, 5});
    alone_step(&a, (const float[]){3, 6});
    cr_assert_eq(a.y[0], 1 * 1 + 10 * -2 + 100 * 3 + 2 * 4 + 20 * 5 + 200 * 6 + 0.5f);
    alone_step(&a, (const float[]){-7, 0});
    cr_assert_eq(a.y[0], 0);
    cr_assert_eq(a.y[1], 2 - 30 + 700 + 1);
    alone_close(&a);
}

/* What an input at step 0 alone changes in the sum of the outputs of step t: every output is far above relu's kink. */
static void impulse_response(const char *yaml, int n_steps, float *response)
{
    for (int with = 0; with < 2; with++) {
        struct alone a;
        alone_open(&a, yaml, &(struct eddy_layer_place){.n_in = 1});
        for (int j = 0; j < a.plan.n_out; j++) a.params[a.plan.n_params - 1 - (size_t)j] = 10;
        a.layer->pack(&a.plan, a.params, a.packed);
        for (int t = 0; t < n_steps; t++) {
            const float x = t == 0 && with ? 1 : 0;
            alone_step(&a, &x);
            for (int j = 0; j < a.plan.n_out; j++) response[t] += with ? a.y[j] : -a.y[j];
        }
        alone_close(&a);
    }
}

Test(convolution, a_wavenet_sees_as_far_as_its_dilations_reach_and_no_further)
{
    enum { KERNEL2 = 1 + 15, KERNEL3 = 1 + 2 * 7, STEPS = 40 };
    float two[STEPS] = {0}, three[STEPS] = {0};
    impulse_response("wavenet: {channels: 3, layers: 4, kernel: 2, skip: 2}", STEPS, two);
    impulse_response("wavenet: {channels: 3, layers: 3, kernel: 3, skip: 2}", STEPS, three);
    for (int t = 0; t < STEPS; t++) {
        cr_assert_eq(fabsf(two[t]) > 1e-6f, t < KERNEL2, "step %d", t);
        cr_assert_eq(fabsf(three[t]) > 1e-6f, t < KERNEL3, "step %d", t);
    }
}

Test(convolution, a_wavenet_has_the_weights_of_its_parts)
{
    enum { N_IN = 5, C = 4, S = 6, K = 3, L = 3 };
    struct alone a;
    alone_open(&a, "wavenet: {channels: 4, layers: 3, kernel: 3, skip: 6}", &(struct eddy_layer_place){.n_in = N_IN});
    cr_assert_eq(a.plan.n_params, C * (N_IN + 1) + L * 2 * C * (K * C + 1) + (L - 1) * C * (C + 1) + L * S * (C + 1));
    cr_assert_eq(a.plan.n_state, L + (K - 1) * (1 + 2 + 4) * C);
    alone_close(&a);
}

Test(convolution, an_embedding_takes_numbers_modulo_its_buckets_and_what_is_no_number_as_0)
{
    static const struct {
        float number;
        int bucket;
    } known[] = {{0, 0}, {4, 4}, {5, 0}, {1048573, 3}, {-1, 0}, {INFINITY, 0}, {-INFINITY, 0}, {0x1p100f, 1}};
    struct alone one_hot, learned;
    const struct eddy_layer_place place = {.n_in = 3, .n_categories = 1};
    alone_open(&one_hot, "embedding: {encoding: one_hot, buckets: 5}", &place);
    alone_open(&learned, "embedding: {encoding: learned, buckets: 5, units: 2}", &place);
    cr_assert_eq(one_hot.plan.n_out, 2 + 5);
    cr_assert_eq(learned.plan.n_out, 2 + 2);
    cr_assert_eq(learned.plan.n_params, 5 * 2);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const float x[3] = {7, 8, known[i].number};
        const int bucket = known[i].bucket;
        alone_step(&one_hot, x);
        alone_step(&learned, x);
        for (int j = 0; j < 2; j++) cr_assert(one_hot.y[j] == x[j] && learned.y[j] == x[j]);
        for (int j = 0; j < 5; j++) cr_assert_eq(one_hot.y[2 + j], j == bucket ? 1 : 0, "%g", (double)x[2]);
        cr_assert_eq(memcmp(learned.y + 2, learned.params + bucket * 2, 2 * sizeof(float)), 0, "%g", (double)x[2]);
    }
    alone_close(&one_hot);
    alone_close(&learned);
}

Test(convolution, an_embedding_stands_at_the_bottom_of_a_network_that_reads_categories)
{
    const struct eddy_layer_place above = {.n_in = 4, .above = true}, none = {.n_in = 4};
    const struct eddy_layer_place many = {.n_in = 40, .n_categories = 33};
    assert_refused("embedding: {}", &above, "first layer");
    assert_refused("embedding: {}", &none, "no categories");
    assert_refused("embedding: {}", &many, "33 categories");
}

Test(convolution, sizes_that_cannot_be_are_refused_by_name)
{
    const struct eddy_layer_place no_input = {.n_in = 0}, wide = {.n_in = 1 << 19};
    assert_refused("lags: {steps: 4}", &no_input, "0 inputs");
    assert_refused("lags: {steps: 4}", &wide, "4 steps");
    assert_refused("conv1d: {filters: 2, kernel: 4}", &no_input, "0 inputs");
    assert_refused("conv1d: {filters: 2, kernel: 4}", &wide, "4 steps");
    assert_refused("wavenet: {channels: 2, layers: 2, skip: 2}", &no_input, "0 inputs");
    assert_refused("wavenet: {channels: 256, layers: 12, kernel: 3}", &(struct eddy_layer_place){.n_in = 1},
                   "per key");
}

Test(convolution, a_stride_beyond_the_kernel_would_lose_inputs)
{
    const struct eddy_layer_place place = {.n_in = 1};
    assert_refused("conv1d: {filters: 2, kernel: 4, stride: 5}", &place, "stride of 5");
}
