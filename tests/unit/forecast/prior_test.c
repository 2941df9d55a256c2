/* What keys of an age have shown of experts: learnt from all, begun with by a new one. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/forecast/blend.h"
#include "engine/forecast/stack.h"
#include "tests/unit/forecast/experts_fixture.h"
#include "tests/unit/forecast/mix_usual.h"

enum { E = 2, H = 3 };
static const int horizons[H] = {1, 2, 5};
static const size_t first[H + 1] = {0, 1, 3, 8};
static const struct mix_settings standard = {MIX_USUAL, .prior = 100, .horizons = MIX_GROUPED, .kind = MIX_HEDGE};
/* As mix_group() has them. */
static const struct mix_groups groups = {.n_horizons = H, .n = 3, .of = {0, 1, 2}, .members = {1, 1, 1}};
static const struct prior_shape shape = {&standard, E, H, horizons, &groups};

static void *model_open(void)
{
    void *model = calloc(1, prior_bytes(&shape));
    cr_assert(model);
    prior_init(&shape, model);
    return model;
}

/* One label of the j-th horizon at step t. */
static void tell(void *model, int64_t t, int j, const double *errors)
{
    _Alignas(8) unsigned char bytes[64] = {0};
    const void *one = bytes;
    cr_assert_leq(prior_contribution_bytes(&shape), sizeof(bytes));
    prior_begin(&shape, t, bytes);
    prior_contribute(&shape, j, errors, bytes);
    prior_learn(&shape, model, &one, 1);
}

Test(stack, divides_a_given_sum_where_errors_are_least)
{
    /* Variances 1 and 4, apart: 4 to 1.  A third whose errors are the first's, but twice: nothing. */
    const double M[] = {1, 0, 2, 0, 4, 0, 2, 0, 4};
    double a[] = {1 / 3., 1 / 3., 1 / 3.};
    for (int i = 0; i < 50; i++) stack_divide(3, M, a);
    cr_expect_float_eq(a[0], .8, 1e-9);
    cr_expect_float_eq(a[1], .2, 1e-9);
    cr_expect_eq(a[2], 0);
}

Test(prior, weighs_experts_of_an_age_by_their_errors_at_it)
{
    void *model = model_open();
    for (int i = 0; i < 4000; i++) {
        const double young[] = {test_noise(1, i), 2 * test_noise(2, i)}, grown[] = {young[1], young[0]};
        tell(model, 20 + 1, 0, young); /* 20 steps before the origin */
        tell(model, 300, 0, grown);
    }
    cr_expect_float_eq((double)prior_weights(&shape, model, 20, 0)[0], .8, .03);
    cr_expect_float_eq((double)prior_weights(&shape, model, 299, 0)[0], .2, .03);
    cr_expect_eq(prior_weights(&shape, model, 20, 0), prior_weights(&shape, model, 30, 0), "15 to 30 are one age");
    cr_expect_neq(prior_weights(&shape, model, 20, 0), prior_weights(&shape, model, 31, 0));
    cr_expect_eq(prior_weights(&shape, model, 299, 0), prior_weights(&shape, model, INT64_MAX - 1, 0));
    cr_expect_eq(prior_weights(&shape, model, 5, 0)[0], .5F, "an age without labels");
    cr_expect_eq(prior_weights(&shape, model, 20, 1)[0], .5F, "a group without labels");
    cr_expect(prior_sound(&shape, model));
    free(model);
}

Test(prior, is_near_equality_while_labels_are_few_and_no_jump_decides)
{
    void *model = model_open();
    for (int i = 0; i < 2; i++) tell(model, 4, 0, (double[]){.1, 3});
    cr_expect_lt(prior_weights(&shape, model, 3, 0)[0], .7F);
    for (int i = 0; i < 500; i++) tell(model, 4, 0, (double[]){test_noise(1, i), test_noise(2, i)});
    const float before = prior_weights(&shape, model, 3, 0)[0];
    tell(model, 4, 0, (double[]){1e9, 1});
    cr_expect_gt(prior_weights(&shape, model, 3, 0)[0], before - .05F);
    free(model);
}

Test(prior, a_label_counts_only_if_all_had_spoken)
{
    void *model = model_open(), *same = model_open();
    tell(model, 3, 0, (double[]){NAN, 1});
    tell(model, 3, 0, (double[]){1, NAN});
    tell(model, 1, 1, (double[]){1, 2}); /* of before the first step */
    _Alignas(8) unsigned char hostile[64] = {0};
    const void *one = hostile;
    prior_learn(&shape, model, &one, 1); /* nobody said anything */
    memset(hostile, 0xff, sizeof(hostile));
    prior_learn(&shape, model, &one, 1);
    cr_expect_arr_eq(model, same, prior_bytes(&shape));
    free(model), free(same);
}

/* What a new key's first forecasts are, experts saying 1 and 3 from a last value of 0. */
static double begun(const struct mix_settings *settings, const void *model)
{
    const struct blend b = {settings, E, H, horizons, first, &groups};
    const double forecasts[E * H] = {1, 1, 1, 3, 3, 3};
    double mixed[H];
    void *state = calloc(1, blend_bytes(&b));
    cr_assert(state);
    blend_forecast(&b, state, model, 0, 0, 1, forecasts, mixed);
    free(state);
    return mixed[0];
}

Test(prior, a_new_key_begins_with_what_others_have_shown)
{
    void *model = model_open();
    const double even = begun(&standard, NULL);
    cr_expect_float_eq(even, 2, 1e-12);
    cr_expect_float_eq(begun(&standard, model), even, 1e-12);
    for (int i = 0; i < 4000; i++) tell(model, 1, 0, (double[]){2 * test_noise(1, i), test_noise(2, i)});
    const double p = (double)prior_weights(&shape, model, 0, 0)[0];
    cr_expect_lt(p, .25);
    const double w = (100 * p + .5) / 101; /* one value of its own has been seen */
    cr_expect_float_eq(begun(&standard, model), w * 1 + (1 - w) * 3, 1e-6);
    free(model);
}

Test(prior, what_a_blend_says_of_its_labels_teaches_who_is_good)
{
    const struct blend b = {&standard, E, H, horizons, first, &groups};
    void *model = model_open(), *state = calloc(1, blend_bytes(&b));
    const struct prior_shape of = blend_prior(&b);
    cr_assert_eq(prior_bytes(&of), prior_bytes(&shape));
    for (int t = 0; t < 600; t++) {
        _Alignas(8) unsigned char bytes[64] = {0};
        const void *one = bytes;
        double forecasts[E * H], errors[E * H], mixed[H], x = test_noise(5, t);
        for (int j = 0; j < H; j++)
            for (int i = 0; i < E; i++)
                forecasts[i * H + j] = test_noise(5, t + horizons[j]) +
                                       (1 + i) * test_noise((uint64_t)(6 + i), H * t + j);
        blend_learn(&b, state, t, t % 7 == 3 ? NAN : x, errors);
        blend_contribute(&b, state, t, t % 7 == 3 ? NAN : x, 2, bytes);
        if (t > 0 && t % 7 != 3 && t % 7 != 4) {
            float u[E];
            memcpy(u, bytes + sizeof(int64_t), sizeof(u));
            for (int i = 0; i < E; i++) cr_assert_float_eq((double)u[i], errors[i * H] / 2, 1e-5, "%d", t);
        }
        prior_learn(&shape, model, &one, 1);
        blend_forecast(&b, state, model, t, t % 7 == 3 ? NAN : x, 2, forecasts, mixed);
    }
    for (int j = 0; j < H; j++) cr_expect_gt(prior_weights(&shape, model, 500, j)[0], .65F, "%d", j);
    free(model), free(state);
}

Test(prior, is_drawn_to_equality_by_its_ridge_and_forgets_at_its_rate)
{
    struct mix_settings drawn = standard, forgetful = standard;
    const struct prior_shape shapes[3] = {
        shape, {&drawn, E, H, horizons, &groups}, {&forgetful, E, H, horizons, &groups}};
    double first_share[3];
    drawn.prior_ridge = 1e6;
    forgetful.prior_rate = .05;
    forgetful.prior_ridge = 1;
    for (int k = 0; k < 3; k++) {
        void *model = model_open();
        for (int i = 0; i < 2100; i++) {
            _Alignas(8) unsigned char bytes[64] = {0};
            const void *one = bytes;
            const double good = test_noise(1, i), bad = 3 * test_noise(2, i);
            prior_begin(&shapes[k], 4, bytes);
            prior_contribute(&shapes[k], 0, i < 2000 ? (double[]){good, bad} : (double[]){bad, good}, bytes);
            prior_learn(&shapes[k], model, &one, 1);
        }
        first_share[k] = (double)prior_weights(&shapes[k], model, 3, 0)[0];
        free(model);
    }
    cr_expect_gt(first_share[0], .7, "%g", first_share[0]);
    cr_expect_float_eq(first_share[1], .5, .05, "%g", first_share[1]);
    cr_expect_lt(first_share[2], .4, "%g", first_share[2]);
}
