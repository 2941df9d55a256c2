/* What the layers that wrap other layers promise beyond the rules of all layers. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model/fixture.h"

enum { LAG = 3, STEPS = 12, N_IN = 2 };

/* One layer with random weights, and one key. */
struct wrapped {
    struct test_layer l;
    float *params, *packed, *work, *state, *y; /* y [n_out] */
};

static void wrapped_open(struct wrapped *w, const char *yaml, const struct network_shape *shape)
{
    test_layer_open(&w->l, yaml, shape);
    w->params = test_floats(w->l.plan.n_params);
    w->packed = test_floats(w->l.plan.n_packed);
    w->work = test_floats(w->l.plan.n_work);
    w->state = test_floats(w->l.plan.n_state);
    w->y = test_floats((size_t)w->l.plan.n_out);
    test_fill(w->params, w->l.plan.n_params, 1, 0.5f);
    w->l.layer->pack(&w->l.plan, w->params, w->packed);
}

static void wrapped_close(struct wrapped *w)
{
    float *all[] = {w->params, w->packed, w->work, w->state, w->y};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    test_layer_close(&w->l);
}

static void wrapped_step(struct wrapped *w, const float *x, float elapsed_s)
{
    const struct eddy_rows rows = {.n = 1, .x = &x, .state = &w->state, .elapsed_s = &elapsed_s, .y = &w->y};
    w->l.layer->step(&w->l.plan, w->packed, &rows, w->work);
}

/* A new key over x [n, n_in], at times elapsed_s [n] apart; what it says last is in y. */
static void wrapped_run(struct wrapped *w, const float *x, const float *elapsed_s, int n)
{
    memset(w->state, 0, w->l.plan.n_state * sizeof(float));
    for (int t = 0; t < n; t++) wrapped_step(w, x + t * w->l.plan.n_in, elapsed_s[t]);
}

/* `word` is part of the message, which starts with the layer's name. */
static void assert_refused(const char *yaml, const struct eddy_layer_place *place, const char *word)
{
    struct test_network t;
    struct eddy_layer_plan plan;
    struct eddy_error err = {0};
    const struct eddy_choice *choice = test_network_settings(&t, yaml)->layers.item;
    const struct eddy_layer *layer = (const struct eddy_layer *)(const void *)choice->part;
    const size_t name = strlen(layer->part.name);
    cr_assert_eq(layer->plan(choice->settings, place, &plan, &err), EDDY_ECONFIG, "%s", yaml);
    cr_assert(strncmp(err.message, layer->part.name, name) == 0 && err.message[name] == ':', "%s", err.message);
    cr_assert(strstr(err.message, word), "%s", err.message);
    config_close(t.config);
}

/* ---- bidirectional ---- */

/* Which of the inputs 0 .. STEPS-1 change the last answer. */
static void assert_knows_all_but(const char *yaml, int unknown)
{
    struct wrapped w;
    const struct network_shape shape = {.n_in = N_IN, .n_dims = 1, .n_horizons = 1};
    float x[STEPS * N_IN], elapsed_s[STEPS] = {0}, y[8];
    wrapped_open(&w, yaml, &shape);
    const size_t bytes = (size_t)w.l.plan.n_out * sizeof(float);
    cr_assert_leq(bytes, sizeof(y));
    test_fill(x, STEPS * N_IN, 3, 1);
    wrapped_run(&w, x, elapsed_s, STEPS);
    memcpy(y, w.y, bytes);
    for (int t = 0; t < STEPS; t++) {
        const float kept = x[t * N_IN];
        x[t * N_IN] += 2; /* enough to be seen in the last digit after all steps */
        wrapped_run(&w, x, elapsed_s, STEPS);
        cr_assert_eq(memcmp(y, w.y, bytes) == 0, t == unknown, "input %d of %s", t, yaml);
        x[t * N_IN] = kept;
    }
    wrapped_close(&w);
}

Test(wrapper, an_answer_knows_what_came_before_and_after_and_excludes_its_own_input_if_told_to)
{
    assert_knows_all_but("bidirectional: {layer: {gru: {units: 4}}, lag: 3, center: exclude}", STEPS - 1 - LAG);
    assert_knows_all_but("bidirectional: {layer: {gru: {units: 4}}, lag: 3}", -1);
    assert_knows_all_but("bidirectional: {layer: {lstm: {units: 4}}, lag: 1, center: exclude}", STEPS - 2);
}

Test(wrapper, a_new_key_is_answered_once_the_lag_has_passed)
{
    static const char *const layers[] = {"bidirectional: {layer: {gru: {units: 2}}, lag: 3}",
                                         "bidirectional: {layer: {gru: {units: 2}}, lag: 3, center: exclude}"};
    const struct network_shape shape = {.n_in = N_IN, .n_dims = 1, .n_horizons = 1};
    for (size_t i = 0; i < 2; i++) {
        struct wrapped w;
        wrapped_open(&w, layers[i], &shape);
        cr_assert_eq(w.l.plan.lag, LAG);
        for (int t = 0; t < 2 * LAG; t++) {
            const float x[N_IN] = {1, (float)t};
            wrapped_step(&w, x, 1);
            for (int j = 0; j < w.l.plan.n_out; j++) {
                const bool before = i == 1 && t == LAG && j < 2; /* nothing came before the first input */
                cr_assert_eq(w.y[j] == 0, t < LAG || before, "step %d, output %d", t, j);
            }
        }
        wrapped_close(&w);
    }
}

/* The halves of an answer are what the layer itself says over the inputs up to there and, with times between the same
 * inputs, over the reversed rest. */
Test(wrapper, both_halves_are_the_layer_itself_over_inputs_and_times_there_and_back)
{
    static const char *const cell = "gru: {units: 3, time_decay: true}";
    enum { UNITS = 3 };
    struct wrapped both, one;
    const struct network_shape shape = {.n_in = N_IN, .n_dims = 1, .n_horizons = 1};
    float x[STEPS * N_IN], elapsed_s[STEPS], back_x[STEPS * N_IN], back_s[STEPS] = {0};
    wrapped_open(&both, "bidirectional: {layer: {gru: {units: 3, time_decay: true}}, lag: 3}", &shape);
    wrapped_open(&one, cell, &shape);
    test_fill(x, STEPS * N_IN, 4, 1);
    for (int t = 0; t < STEPS; t++) elapsed_s[t] = t == 0 ? 0 : (float)(1 + t % 4);
    wrapped_run(&both, x, elapsed_s, STEPS);
    memcpy(one.params, both.params, one.l.plan.n_params * sizeof(float));
    one.l.layer->pack(&one.l.plan, one.params, one.packed);
    wrapped_run(&one, x, elapsed_s, STEPS - LAG);
    cr_assert_eq(memcmp(one.y, both.y, UNITS * sizeof(float)), 0);

    for (int k = 0; k <= LAG; k++) {
        memcpy(back_x + k * N_IN, x + (STEPS - 1 - k) * N_IN, N_IN * sizeof(float));
        if (k > 0) back_s[k] = elapsed_s[STEPS - k];
    }
    memcpy(one.params, both.params + one.l.plan.n_params, one.l.plan.n_params * sizeof(float));
    one.l.layer->pack(&one.l.plan, one.params, one.packed);
    wrapped_run(&one, back_x, back_s, LAG + 1);
    cr_assert_eq(memcmp(one.y, both.y + UNITS, UNITS * sizeof(float)), 0);
    wrapped_close(&both);
    wrapped_close(&one);
}

Test(wrapper, the_reverse_weights_have_the_names_of_the_forward_ones_and_reverse_behind_them)
{
    struct test_layer l;
    struct eddy_tensor_info t;
    const struct network_shape shape = {.n_in = N_IN, .n_dims = 1, .n_horizons = 1};
    test_layer_open(&l, "bidirectional: {layer: {gru: {units: 4}}}", &shape);
    cr_assert(l.layer->tensor(&l.plan, 0, &t));
    cr_assert_str_eq(t.name, "weight_ih");
    cr_assert(l.layer->tensor(&l.plan, 4, &t));
    cr_assert_str_eq(t.name, "weight_ih_reverse");
    cr_assert_eq(t.first, l.plan.n_params / 2);
    cr_assert(l.layer->tensor(&l.plan, 7, &t));
    cr_assert_str_eq(t.name, "bias_hh_reverse");
    test_layer_close(&l);
}

Test(wrapper, only_layers_that_remember_and_answer_at_once_can_be_inside)
{
    const struct eddy_layer_place place = {.n_in = N_IN, .n_dims = 1, .n_horizons = 2, .above = true};
    assert_refused("bidirectional: {layer: {dense: {units: 3}}}", &place, "dense");
    assert_refused("bidirectional: {layer: {conv1d: {stride: 2}}}", &place, "conv1d");
    assert_refused("bidirectional: {layer: {bidirectional: {layer: gru}}}", &place, "late");
    assert_refused("bidirectional: {layer: {decoder: {layer: gru}}}", &place, "head");
    assert_refused("bidirectional: {layer: gru, lag: 256}", &(struct eddy_layer_place){.n_in = 5000}, "lag");
    assert_refused("bidirectional: {layer: gru}", &(struct eddy_layer_place){.n_in = 0}, "0 inputs");
    assert_refused("decoder: {layer: {dense: {units: 3}}}", &place, "dense");
    assert_refused("decoder: {layer: {bidirectional: {layer: gru}}}", &place, "late");
    assert_refused("decoder: {layer: {lags: {steps: 3}}}", &place, "lags");
    assert_refused("decoder: {layer: {gru: {initial_state: learned}}}", &place, "gru");
}

/* ---- decoder ---- */

enum { DIMS = 2, HORIZONS = 4, N_OUT = DIMS * HORIZONS, ROWS = 64 };

static const struct network_shape decoder_shape = {.n_in = N_IN, .n_dims = DIMS, .n_horizons = HORIZONS};

/* What ROWS equal rows say at a step of a training window; target [N_OUT] and draws may be NULL.  y [ROWS, N_OUT] */
static void decode(const struct wrapped *w, const float *target, const uint64_t *draws, int step, float *y)
{
    static const float x[N_IN] = {0.3f, -0.7f}, elapsed_s[ROWS];
    const float *xs[ROWS], *targets[ROWS];
    float *ys[ROWS], *states[ROWS];
    for (int b = 0; b < ROWS; b++) {
        xs[b] = x;
        targets[b] = target;
        ys[b] = y + b * N_OUT;
        states[b] = NULL;
    }
    const struct eddy_rows rows = {.n = ROWS,
                                   .x = xs,
                                   .state = states,
                                   .elapsed_s = elapsed_s,
                                   .y = ys,
                                   .target = target ? targets : NULL,
                                   .draws = draws,
                                   .step = step};
    w->l.layer->step(&w->l.plan, w->packed, &rows, w->work);
}

static void seeds(uint64_t draws[ROWS])
{
    for (uint64_t b = 0; b < ROWS; b++) draws[b] = eddy_random_bits(77, b);
}

Test(wrapper, without_teacher_forcing_or_labels_training_says_what_run_time_says)
{
    struct wrapped never, always;
    uint64_t draws[ROWS];
    float run[ROWS * N_OUT], trained[ROWS * N_OUT], target[N_OUT];
    seeds(draws);
    test_fill(target, N_OUT, 8, 1);
    wrapped_open(&never, "decoder: {layer: {gru: {units: 5}}, teacher_forcing: 0}", &decoder_shape);
    wrapped_open(&always, "decoder: {layer: {gru: {units: 5}}, teacher_forcing: 1}", &decoder_shape);
    decode(&never, NULL, NULL, 0, run);
    decode(&never, target, draws, 3, trained);
    cr_assert_eq(memcmp(run, trained, sizeof(run)), 0);
    for (int i = 0; i < N_OUT; i++) target[i] = NAN;
    decode(&always, target, draws, 3, trained);
    cr_assert_eq(memcmp(run, trained, sizeof(run)), 0);
    wrapped_close(&never);
    wrapped_close(&always);
}

Test(wrapper, full_teacher_forcing_takes_the_label_of_the_horizon_before)
{
    struct wrapped w;
    uint64_t draws[ROWS];
    float y[ROWS * N_OUT], again[ROWS * N_OUT], target[N_OUT];
    seeds(draws);
    wrapped_open(&w, "decoder: {layer: {lstm: {units: 5}}, teacher_forcing: 1}", &decoder_shape);
    decode(&w, NULL, NULL, 0, y);
    decode(&w, y, draws, 0, again); /* labels that are its own outputs change nothing */
    cr_assert_eq(memcmp(y, again, sizeof(y)), 0);
    test_fill(target, N_OUT, 8, 1);
    decode(&w, target, draws, 0, y);
    for (int i = 0; i < N_OUT; i++) {
        const float kept = target[i];
        target[i] += 0.5f;
        decode(&w, target, draws, 0, again);
        const int first = i / DIMS + 1; /* the first horizon that saw it */
        for (int j = 0; j < N_OUT; j++)
            cr_assert_eq(y[j] != again[j], j / DIMS >= first, "label %d, output %d", i, j);
        target[i] = kept;
    }
    wrapped_close(&w);
}

Test(wrapper, some_teacher_forcing_takes_some_labels_by_the_seeds_alone)
{
    struct wrapped w;
    uint64_t draws[ROWS];
    float own[ROWS * N_OUT], y[ROWS * N_OUT], again[ROWS * N_OUT], target[N_OUT];
    seeds(draws);
    test_fill(target, N_OUT, 8, 1);
    wrapped_open(&w, "decoder: {layer: {gru: {units: 5}}, teacher_forcing: 0.25}", &decoder_shape);
    decode(&w, NULL, NULL, 0, own);
    decode(&w, target, draws, 5, y);
    decode(&w, target, draws, 5, again);
    cr_assert_eq(memcmp(y, again, sizeof(y)), 0);
    decode(&w, target, draws, 6, again);
    cr_assert_neq(memcmp(y, again, sizeof(y)), 0);
    int taken = 0; /* by the second step, which has only its own choice behind it */
    for (int b = 0; b < ROWS; b++) taken += y[b * N_OUT + DIMS] != own[b * N_OUT + DIMS];
    cr_assert(taken > ROWS / 10 && taken < ROWS / 2, "%d of %d", taken, ROWS);
    wrapped_close(&w);
}

Test(wrapper, a_decoder_stands_at_the_top_above_an_encoder)
{
    struct test_network t;
    struct eddy_error err = {0};
    const struct network_shape shape = {.n_in = 3, .n_dims = DIMS, .n_horizons = HORIZONS};
    assert_refused("decoder: {layer: gru}", &(struct eddy_layer_place){.n_in = 3, .n_dims = 1, .n_horizons = 1},
                   "encoder");
    const struct network_settings *settings = test_network_settings(&t, "[gru, {decoder: {layer: gru}}, dense]");
    cr_assert_eq(network_open(settings, &shape, &t.net, &err), EDDY_ECONFIG);
    cr_assert(strstr(err.message, "decoder"), "%s", err.message);
    config_close(t.config);

    test_network_open_shape(&t, "[{dense: {units: 5}}, {decoder: {layer: {gru: {units: 4}}}}]", &shape);
    cr_assert_eq(t.net->n_out, N_OUT);
    cr_assert_eq(t.net->n_state, 0);
    cr_assert_eq(t.net->n_params, 5 * 4 + 4 * 6 + 3 * (4 * 2 + 4 * 4 + 8) + 2 * 5);
    cr_assert_eq(t.net->layers[1].plan.multiply_adds, 4 * 5 + HORIZONS * (3 * (4 * 2 + 4 * 4) + 2 * 4));
    test_network_close(&t);
}
