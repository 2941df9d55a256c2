/* What the layers that look at a window of past steps promise beyond the rules of all layers. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model/fixture.h"

enum { N_IN = 4, MAX_STEPS = 64 };

/* One layer with random weights, and one key. */
struct looker {
    struct test_layer l;
    float *params, *packed, *work, *state, *y; /* y [n_out] */
};

static void looker_open(struct looker *k, const char *yaml, int n_in)
{
    const struct network_shape shape = {.n_in = n_in, .n_dims = 1, .n_horizons = 1};
    test_layer_open(&k->l, yaml, &shape);
    k->params = test_floats(k->l.plan.n_params);
    k->packed = test_floats(k->l.plan.n_packed);
    k->work = test_floats(k->l.plan.n_work);
    k->state = test_floats(k->l.plan.n_state);
    k->y = test_floats((size_t)k->l.plan.n_out);
    test_fill(k->params, k->l.plan.n_params, 1, 0.5f);
    k->l.layer->pack(&k->l.plan, k->params, k->packed);
}

static void looker_close(struct looker *k)
{
    float *all[] = {k->params, k->packed, k->work, k->state, k->y};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    test_layer_close(&k->l);
}

static void looker_step(struct looker *k, const float *x, float elapsed_s, const uint64_t *draw, int step)
{
    const struct eddy_rows rows = {
        .n = 1, .x = &x, .state = &k->state, .elapsed_s = &elapsed_s, .y = &k->y, .draws = draw, .step = step};
    k->l.layer->step(&k->l.plan, k->packed, &rows, k->work);
}

/* A new key over x [n, n_in], at times elapsed_s [n] apart; what it says last is in y. */
static void looker_run(struct looker *k, const float *x, const float *elapsed_s, int n)
{
    memset(k->state, 0, k->l.plan.n_state * sizeof(float));
    for (int t = 0; t < n; t++) looker_step(k, x + t * k->l.plan.n_in, elapsed_s[t], NULL, t);
}

/* ---- the window ---- */

/* After histories of any kind and length (in whole strides), the same `window` steps end in the same bits: neither what lies before them
 * counts nor where in its ring the state has come to.  The oldest of these steps does count. */
static void assert_sees_no_further_than(const char *yaml, int window, int stride)
{
    struct looker k;
    float x[MAX_STEPS * N_IN], elapsed_s[MAX_STEPS], first[8];
    looker_open(&k, yaml, N_IN);
    const size_t bytes = (size_t)k.l.plan.n_out * sizeof(float);
    cr_assert_leq(bytes, sizeof(first));
    for (int before = 0; before <= 2 * window + 1; before += stride) {
        cr_assert_leq(before + window, MAX_STEPS);
        test_fill(x, (size_t)before * N_IN, 70 + (uint64_t)before, 2);
        test_fill(x + before * N_IN, (size_t)window * N_IN, 7, 1);
        for (int t = 0; t < before; t++) elapsed_s[t] = (float)(before + t);
        for (int t = 0; t < window; t++) elapsed_s[before + t] = t == 0 ? (float)before : 0.5f * (float)(t % 3);
        looker_run(&k, x, elapsed_s, before + window);
        if (before == 0) memcpy(first, k.y, bytes);
        cr_assert_eq(memcmp(first, k.y, bytes), 0, "%s after %d steps", yaml, before);
        x[before * N_IN] += 0.5f;
        looker_run(&k, x, elapsed_s, before + window);
        cr_assert_neq(memcmp(first, k.y, bytes), 0, "%s after %d steps", yaml, before);
    }
    looker_close(&k);
}

Test(attention, what_lies_further_back_than_the_window_has_no_influence_on_any_bit)
{
    assert_sees_no_further_than("attention: {units: 6, heads: 2, window: 2}", 2, 1);
    assert_sees_no_further_than("attention: {units: 6, heads: 2, window: 7}", 7, 1);
    assert_sees_no_further_than("attention: {units: 8, heads: 4, window: 5, positions: time}", 5, 1);
    assert_sees_no_further_than("attention: {units: 4, heads: 1, window: 6, positions: none}", 6, 1);
    assert_sees_no_further_than("transformer: {heads: 2, window: 4, feed_forward: 5}", 4, 1);
    assert_sees_no_further_than("transformer: {heads: 2, window: 5, feed_forward: 5, norm: after, positions: time}",
                                5, 1);
}

/* Two blocks of window W look back at W - 1 steps each: through what the lower one has kept in the upper one's ring. */
Test(attention, blocks_on_top_of_each_other_see_as_far_as_their_windows_reach_together)
{
    enum { WINDOW = 4, REACH = 2 * (WINDOW - 1), STEPS = 12 };
    struct test_network t;
    float x[STEPS * N_IN], unchanged = 0;
    test_network_open(
        &t, "[{transformer: {heads: 2, window: 4, feed_forward: 5}}, {transformer: {heads: 2, window: 4}}]", N_IN, 1);
    float *params = test_floats(t.net->n_params), *packed = test_floats(t.net->n_packed);
    float *work = test_floats(t.net->n_work), *state = test_floats(t.net->n_state), y, *to = &y;
    network_init(t.net, 1, params);
    network_pack(t.net, params, packed);
    for (int changed = -1; changed < STEPS; changed++) {
        const float elapsed_s = 1;
        test_fill(x, STEPS * N_IN, 8, 1);
        if (changed >= 0) x[changed * N_IN] += 1;
        memset(state, 0, t.net->n_state * sizeof(float));
        for (int step = 0; step < STEPS; step++) {
            const float *now = x + step * N_IN;
            const struct eddy_rows rows = {.n = 1, .x = &now, .state = &state, .elapsed_s = &elapsed_s, .y = &to};
            network_step(t.net, packed, &rows, work);
        }
        if (changed < 0) unchanged = y;
        if (changed >= 0) cr_assert_eq(y != unchanged, changed >= STEPS - 1 - REACH, "step %d", changed);
    }
    float *all[] = {params, packed, work, state};
    for (size_t i = 0; i < 4; i++) free(all[i]);
    test_network_close(&t);
}

/* ---- positions ---- */

/* Queries and keys of 0: what is left is a mean of the last inputs, weighted by their ages alone.  Head h of 8 weighs
 * with slope 2^-(h+1). */
static void assert_weighted_by_age(const char *positions, double (*age)(int steps, double seconds))
{
    enum { HEADS = 8, WINDOW = 5, STEPS = 9 };
    const float x[STEPS] = {9, -8, 7, 3, -5, 2, 6, -1, 4}, elapsed_s[STEPS] = {1, 60, 0, 3600, 0.5f, 20, 0, 7, 86400};
    char yaml[100];
    struct looker k;
    (void)snprintf(yaml, sizeof(yaml), "attention: {units: 8, heads: 8, window: 5, positions: %s}", positions);
    looker_open(&k, yaml, 1);
    memset(k.params, 0, k.l.plan.n_params * sizeof(float));
    for (int h = 0; h < HEADS; h++) k.params[2 * HEADS + h] = 1;             /* v = x in each head */
    for (int h = 0; h < HEADS; h++) k.params[6 * HEADS + h * HEADS + h] = 1; /* y = o */
    k.l.layer->pack(&k.l.plan, k.params, k.packed);
    looker_run(&k, x, elapsed_s, STEPS);
    for (int h = 0; h < HEADS; h++) {
        double sum = 0, weights = 0, seconds = 0;
        for (int ago = 0; ago < WINDOW; ago++) {
            const double weight = exp(-pow(2, -(h + 1)) * age(ago, seconds));
            sum += weight * (double)x[STEPS - 1 - ago];
            weights += weight;
            seconds += (double)elapsed_s[STEPS - 1 - ago];
        }
        cr_assert_float_eq((double)k.y[h], sum / weights, 3e-6, "%s, head %d: %g, not %g", positions, h,
                           (double)k.y[h], sum / weights);
    }
    looker_close(&k);
}

static double age_in_steps(int steps, double seconds)
{
    (void)seconds;
    return steps;
}

static double age_in_time(int steps, double seconds)
{
    (void)steps;
    return log(1 + seconds);
}

static double age_of_none(int steps, double seconds)
{
    (void)steps;
    (void)seconds;
    return 0;
}

Test(attention, a_step_counts_less_by_the_steps_since_by_the_time_since_or_not_at_all)
{
    assert_weighted_by_age("steps", age_in_steps);
    assert_weighted_by_age("time", age_in_time);
    assert_weighted_by_age("none", age_of_none);
}

Test(attention, a_new_key_looks_at_itself_alone)
{
    struct looker k;
    const float x[1] = {3}, elapsed_s[1] = {100};
    looker_open(&k, "attention: {units: 1, heads: 1, window: 8}", 1);
    looker_run(&k, x, elapsed_s, 1);
    const float *w = k.params, v = w[2] * 3 + w[5]; /* in_proj_weight q k v, in_proj_bias q k v, out_proj */
    cr_assert_float_eq((double)k.y[0], (double)(w[6] * v + w[7]), 1e-6);
    looker_close(&k);
}

/* ---- what is hidden ---- */

/* Which of n inputs change the last answer: those of the window at the last firing, without the stride of steps that
 * were hidden together with the one that it answers. */
static void assert_fills_in(int n, int window, int stride, int lag)
{
    char yaml[160];
    struct looker k;
    float x[MAX_STEPS * N_IN], elapsed_s[MAX_STEPS] = {0}, unchanged[4];
    (void)snprintf(
        yaml, sizeof(yaml),
        "masked_encoder: {units: 4, heads: 2, blocks: 2, feed_forward: 5, window: %d, stride: %d, lag: %d}", window,
        stride, lag);
    looker_open(&k, yaml, N_IN);
    cr_assert_eq(k.l.plan.lag, lag);
    cr_assert_eq(k.l.plan.stride, 1);
    const int fired = n - 1 - n % stride, hidden = fired - lag;
    test_fill(x, (size_t)n * N_IN, 9, 1);
    looker_run(&k, x, elapsed_s, n);
    memcpy(unchanged, k.y, sizeof(unchanged));
    for (int t = 0; t < n; t++) {
        const bool seen = t > fired - window && t <= fired && (t < hidden || t >= hidden + stride);
        const float before = x[t * N_IN];
        x[t * N_IN] += 0.5f;
        looker_run(&k, x, elapsed_s, n);
        cr_assert_eq(memcmp(unchanged, k.y, sizeof(unchanged)) != 0, seen, "step %d of %d: %s", t, n, yaml);
        x[t * N_IN] = before; /* bit for bit */
    }
    looker_close(&k);
}

Test(attention, a_masked_encoder_answers_from_before_and_after_without_having_seen_the_step)
{
    for (int n = 20; n < 24; n++) { /* at every place between two firings */
        assert_fills_in(n, 9, 2, 3);
        assert_fills_in(n, 8, 4, 3); /* nothing after the hidden steps yet */
        assert_fills_in(n, 5, 1, 4); /* nothing before the hidden step any more */
        assert_fills_in(n, 7, 3, 5);
    }
    assert_fills_in(6, 9, 2, 3); /* before the window is full */
}

Test(attention, a_masked_encoder_says_0_of_steps_before_the_first_one)
{
    enum { LAG = 5 };
    struct looker k;
    float x[N_IN];
    looker_open(&k, "masked_encoder: {units: 4, heads: 2, window: 9, stride: 4, lag: 5}", N_IN);
    for (int t = 0; t < 9; t++) {
        test_fill(x, N_IN, 90 + (uint64_t)t, 1);
        looker_step(&k, x, 1, NULL, t);
        for (int j = 0; j < k.l.plan.n_out; j++) cr_assert_eq(k.y[j] != 0, t >= LAG, "step %d", t);
    }
    looker_close(&k);
}

/* The last answer of a window of training steps. */
static void train_run(struct looker *k, const float *x, uint64_t draw, int n, float *y)
{
    memset(k->state, 0, k->l.plan.n_state * sizeof(float));
    for (int t = 0; t < n; t++) looker_step(k, x + t * k->l.plan.n_in, 1, &draw, t);
    memcpy(y, k->y, (size_t)k->l.plan.n_out * sizeof(float));
}

Test(attention, a_masked_encoder_hides_more_in_training_as_the_draws_say)
{
    enum { STEPS = 12, UNITS = 4 };
    struct looker hides, sees;
    float x[STEPS * N_IN], elapsed_s[STEPS] = {0}, y[UNITS], again[UNITS], other[UNITS];
    looker_open(&hides, "masked_encoder: {units: 4, heads: 2, window: 9, mask: 0.5}", N_IN);
    looker_open(&sees, "masked_encoder: {units: 4, heads: 2, window: 9, mask: 0}", N_IN);
    test_fill(x, STEPS * N_IN, 9, 1);
    looker_run(&sees, x, elapsed_s, STEPS);
    train_run(&sees, x, 5, STEPS, y);
    cr_assert_eq(memcmp(y, sees.y, sizeof(y)), 0);
    looker_run(&hides, x, elapsed_s, STEPS);
    cr_assert_eq(memcmp(y, hides.y, sizeof(y)), 0, "serving hides nothing by chance");
    train_run(&hides, x, 5, STEPS, other);
    train_run(&hides, x, 5, STEPS, again);
    cr_assert_eq(memcmp(again, other, sizeof(y)), 0);
    cr_assert_neq(memcmp(y, other, sizeof(y)), 0);
    train_run(&hides, x, 6, STEPS, again);
    cr_assert_neq(memcmp(again, other, sizeof(y)), 0);
    looker_close(&hides);
    looker_close(&sees);
}

/* ---- refusals ---- */

/* `word` is part of the message, which starts with the layer's name. */
static void assert_refused(const char *yaml, int n_in, const char *word)
{
    struct test_network t;
    struct eddy_layer_plan plan;
    struct eddy_error err = {0};
    const struct eddy_layer_place place = {.n_in = n_in, .n_dims = 1, .n_horizons = 1, .above = true};
    const struct eddy_choice *choice = test_network_settings(&t, yaml)->layers.item;
    const struct eddy_layer *layer = (const struct eddy_layer *)(const void *)choice->part;
    const size_t name = strlen(layer->part.name);
    cr_assert_eq(layer->plan(choice->settings, &place, &plan, &err), EDDY_ECONFIG, "%s on %d inputs", yaml, n_in);
    cr_assert(strncmp(err.message, layer->part.name, name) == 0 && err.message[name] == ':', "%s", err.message);
    cr_assert(strstr(err.message, word), "%s", err.message);
    config_close(t.config);
}

Test(attention, sizes_that_cannot_be_are_refused_by_name)
{
    assert_refused("attention: {units: 6, heads: 2}", 0, "0 inputs");
    assert_refused("attention: {units: 6, heads: 4}", 3, "6 units, 4 heads");
    assert_refused("transformer: {heads: 2}", 0, "0 inputs");
    assert_refused("transformer: {heads: 3}", 4, "its input, 4, and has 3 heads");
    assert_refused("transformer: {heads: 2}", 2048, "is wider than 1024");
    assert_refused("masked_encoder: {}", 0, "0 inputs");
    assert_refused("masked_encoder: {units: 9, heads: 2}", 3, "among 2 heads");
    assert_refused("masked_encoder: {stride: 8, lag: 6}", 3, "at least stride - 1");
    assert_refused("masked_encoder: {window: 16, lag: 16}", 3, "less than the window");
}
