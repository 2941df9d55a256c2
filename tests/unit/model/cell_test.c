/* What the recurrent cells' options mean (cell.h). */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model/fixture.h"

enum { UNITS = 8, N_IN = 3 };

struct cell_test {
    struct test_layer t;
    float *params, *packed, *work, *tape, *state;
};

static void cell_open(struct cell_test *c, const char *layer)
{
    const struct network_shape shape = {.n_in = N_IN, .n_dims = 1, .n_horizons = 1};
    test_layer_open(&c->t, layer, &shape);
    c->params = test_floats(c->t.plan.n_params);
    c->packed = test_floats(c->t.plan.n_packed);
    c->work = test_floats(c->t.plan.n_work);
    c->tape = test_floats(c->t.plan.n_tape);
    c->state = test_floats(c->t.plan.n_state);
    test_fill(c->params, c->t.plan.n_params, 1, 0.5f);
    c->t.layer->pack(&c->t.plan, c->params, c->packed);
}

static void cell_close(struct cell_test *c)
{
    float *all[] = {c->params, c->packed, c->work, c->tape, c->state};
    for (size_t i = 0; i < 5; i++) free(all[i]);
    test_layer_close(&c->t);
}

/* One step from the states at hand; `draw` NULL = serving. */
static void cell_step(struct cell_test *c, const float *x, float elapsed_s, const uint64_t *draw, float y[UNITS])
{
    const struct eddy_rows rows = {.n = 1,
                                   .x = &x,
                                   .state = &c->state,
                                   .elapsed_s = &elapsed_s,
                                   .y = &y,
                                   .tape = draw ? c->tape : NULL,
                                   .draws = draw};
    c->t.layer->step(&c->t.plan, c->packed, &rows, c->work);
}

static const float input[N_IN] = {0.3f, -0.7f, 1.1f};

Test(cell, dropout_is_for_training_alone_and_gone_on_the_average)
{
    enum { DRAWS = 4000 };
    struct cell_test plain, drops;
    float start[UNITS], want[UNITS], y[UNITS];
    double mean = 0, truth = 0, apart = 0;
    cell_open(&plain, "rnn: {units: 8}");
    cell_open(&drops, "rnn: {units: 8, recurrent_dropout: 0.3}");
    test_fill(start, UNITS, 9, 0.2f);
    memcpy(plain.state, start, sizeof(start));
    memcpy(drops.state, start, sizeof(start));
    cell_step(&plain, input, 0, NULL, want);
    cell_step(&drops, input, 0, NULL, y);
    cr_assert_eq(memcmp(y, want, sizeof(y)), 0, "serving");
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        memcpy(drops.state, start, sizeof(start));
        cell_step(&drops, input, 0, &draw, y);
        for (int j = 0; j < UNITS; j++) {
            mean += (double)atanhf(y[j]) / (DRAWS * UNITS); /* the sums are linear in the mask */
            apart += fabs((double)(y[j] - want[j])) / (DRAWS * UNITS);
        }
    }
    for (int j = 0; j < UNITS; j++) truth += (double)atanhf(want[j]) / UNITS;
    cr_assert_float_eq(mean, truth, 5e-3, "%g %g", mean, truth);
    cr_assert_gt(apart, 0.01, "nothing was dropped");
    cell_close(&plain);
    cell_close(&drops);
}

Test(cell, equal_draws_hide_equal_units)
{
    struct cell_test c;
    float start[UNITS], once[UNITS], again[UNITS], other[UNITS];
    const uint64_t draw = 5, another = 6;
    cell_open(&c, "gru: {units: 8, recurrent_dropout: 0.5}");
    test_fill(start, UNITS, 9, 0.5f);
    memcpy(c.state, start, sizeof(start));
    cell_step(&c, input, 0, &draw, once);
    memcpy(c.state, start, sizeof(start));
    cell_step(&c, input, 0, &draw, again);
    memcpy(c.state, start, sizeof(start));
    cell_step(&c, input, 0, &another, other);
    cr_assert_eq(memcmp(once, again, sizeof(once)), 0);
    cr_assert_neq(memcmp(once, other, sizeof(once)), 0);
    cell_close(&c);
}

Test(cell, the_longer_the_silence_the_less_is_remembered)
{
    float y[3][UNITS];
    static const float silence[3] = {1, 100, 1e6f};
    for (int i = 0; i < 3; i++) {
        struct cell_test c;
        cell_open(&c, "lstm: {units: 8, time_decay: true}");
        for (size_t k = c.t.plan.n_params - 4 * UNITS; k < c.t.plan.n_params - 2 * UNITS; k++) c.params[k] = 1;
        c.t.layer->pack(&c.t.plan, c.params, c.packed);
        test_fill(c.state, c.t.plan.n_state, 3, 2);
        cell_step(&c, input, silence[i], NULL, y[i]);
        cell_close(&c);
    }
    struct cell_test fresh;
    float nothing[UNITS];
    double apart[3] = {0};
    cell_open(&fresh, "lstm: {units: 8, time_decay: true}");
    cell_step(&fresh, input, 0, NULL, nothing);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < UNITS; j++) apart[i] += fabs((double)(y[i][j] - nothing[j]));
    cr_assert(apart[0] > apart[1] && apart[1] > apart[2], "%g %g %g", apart[0], apart[1], apart[2]);
    cr_assert_lt(apart[2], 1e-3 * apart[0]);
    cell_close(&fresh);
}

Test(cell, a_new_key_starts_from_what_was_learned_and_only_once)
{
    struct cell_test learned, zero;
    float y[UNITS], from_zero[UNITS];
    cell_open(&learned, "gru: {units: 8, initial_state: learned}");
    cell_open(&zero, "gru: {units: 8}");
    cr_assert_eq(learned.t.plan.n_state, zero.t.plan.n_state + 1);
    cell_step(&learned, input, 0, NULL, y);
    memcpy(zero.state, learned.params + zero.t.plan.n_params, UNITS * sizeof(float)); /* the learned start */
    cell_step(&zero, input, 0, NULL, from_zero);
    cr_assert_eq(memcmp(y, from_zero, sizeof(y)), 0);
    cell_step(&learned, input, 0, NULL, y);
    cell_step(&zero, input, 0, NULL, from_zero);
    cr_assert_eq(memcmp(y, from_zero, sizeof(y)), 0);
    cell_close(&learned);
    cell_close(&zero);
}
