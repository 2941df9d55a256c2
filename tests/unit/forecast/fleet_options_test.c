/* What the options of expert `fleet` do, each on a series that shows it. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "engine/forecast/fleet_parts.h"
#include "tests/unit/forecast/experts_fixture.h"

/* x remembers `memory` of itself until `change`, and `then` of itself afterwards; with 1 it is a walk. */
struct series {
    double memory, then;
    int change, n;
};

static double series_at(const struct series *s, int t, double last)
{
    return (t < s->change ? s->memory : s->then) * last + test_noise(31, t);
}

/* Mean squared errors of the next step in rows [from, n), and mean squared distances of the forecasts from the last value. */
struct outcome {
    double error, away;
    float usual_error; /* that the expert keeps */
};

static struct outcome outcome_of(const char *yaml, const struct series *s, int from)
{
    struct test_expert t;
    struct fleet_shape shape;
    struct outcome out = {0};
    double x = 0;
    test_expert_open(&t, yaml, 0);
    fleet_shape_of(&t.shape, &shape);
    for (int i = 0; i < s->n; i++) {
        const double next = series_at(s, i, x);
        if (i > from) {
            out.error += (next - t.forecast[0]) * (next - t.forecast[0]) / (s->n - from);
            out.away += (x - t.forecast[0]) * (x - t.forecast[0]) / (s->n - from);
        }
        x = next;
        test_expert_fold(&t, x);
    }
    out.usual_error = *(const float *)(const void *)((const unsigned char *)t.state + shape.at_errors);
    test_expert_close(&t);
    return out;
}

Test(fleet_options, a_garrote_that_nothing_passes_stays_with_the_last_value)
{
    const struct series s = {.5, .5, 0, 900};
    cr_assert_gt(outcome_of("fleet", &s, 800).away, .1);
    cr_assert_eq(outcome_of("fleet: {garrote: 1e6}", &s, 800).away, 0);
}

Test(fleet_options, a_key_follows_the_model_until_start)
{
    const struct series s = {.5, .5, 0, 900};
    cr_assert_gt(outcome_of("fleet: {garrote: 1e6, class_records: 1e9, start: 1000}", &s, 800).away, .1);
    cr_assert_eq(outcome_of("fleet: {garrote: 1e6, class_records: 1e9}", &s, 800).away, 0);
}

/* The model was worth following; then nothing is. */
static const struct series worth_no_more = {.5, 1, 3000, 3400};

Test(fleet_options, stacks_forget_as_they_are_told)
{
    const double usual = outcome_of("fleet: {class_records: 1}", &worth_no_more, 3300).away;
    const double own = outcome_of("fleet: {class_records: 1, stack_forgetting: 0.97}", &worth_no_more, 3300).away;
    cr_assert_lt(own, .7 * usual, "%g, %g", own, usual);
    const double both =
        outcome_of("fleet: {stack_forgetting: 0.97, class_stack_forgetting: 0.97}", &worth_no_more, 3300).away;
    const double key = outcome_of("fleet: {stack_forgetting: 0.97}", &worth_no_more, 3300).away;
    cr_assert_lt(both, .7 * key, "%g, %g", both, key);
}

Test(fleet_options, a_class_counts_as_so_many_records)
{
    const double much = outcome_of("fleet: {stack_forgetting: 0.97, class_records: 1e5}", &worth_no_more, 3300).away,
                 little = outcome_of("fleet: {stack_forgetting: 0.97, class_records: 1}", &worth_no_more, 3300).away;
    cr_assert_lt(little, .7 * much, "%g, %g", little, much);
}

static const struct series turned = {.8, -.8, 3000, 3300};

Test(fleet_options, weights_forget_as_they_are_told)
{
    const double usual = outcome_of("fleet", &turned, 3000).error,
                 own = outcome_of("fleet: {forgetting: 0.98}", &turned, 3000).error,
                 class = outcome_of("fleet: {class_forgetting: 0.99}", &turned, 3000).error;
    cr_assert_lt(own, .9 * usual, "%g, %g", own, usual);
    cr_assert_lt(class, .9 * usual, "%g, %g", class, usual);
}

Test(fleet_options, own_weights_start_as_slowly_as_they_are_told)
{
    struct fleet_shape shape;
    float own[2];
    const char *yaml[2] = {"fleet: {own_start: 1}", "fleet: {own_start: 1e6}"};
    for (int k = 0; k < 2; k++) {
        struct test_expert t;
        double x = 0;
        test_expert_open(&t, yaml[k], 0);
        fleet_shape_of(&t.shape, &shape);
        for (int i = 0; i < 200; i++) test_expert_fold(&t, x = .5 * x + test_noise(32, i));
        const float *D = (const float *)(const void *)((const unsigned char *)t.state + shape.at_own);
        own[k] = 0;
        for (int i = 0; i < FLEET_FEATURES; i++) own[k] += fabsf(D[i]);
        test_expert_close(&t);
    }
    cr_assert(own[0] > 0 && own[1] < .01f * own[0], "%g, %g", (double)own[0], (double)own[1]);
}

/* W = 0 and D . p = 1, so that what is said is rho: (0 + own_prior) / (10 + own_prior). */
Test(fleet_options, own_parts_are_doubted_as_the_prior_lets)
{
    static struct fleet_model model;
    static const double priors[2] = {10, 90};
    struct fleet_shape shape = {.n_anchors = 1, .n_groups = 1};
    struct fleet_state state = {.n = 1};
    struct fleet_view view = {.features = {1}};
    float own[FLEET_FEATURES] = {1}, said;
    model.self[0][0] = 10;
    for (int i = 0; i < 2; i++) {
        const struct fleet_settings settings = {.own_prior = priors[i]};
        const struct fleet_run r = {
            .settings = &settings, .shape = &shape, .state = &state, .own = own, .model = &model};
        fleet_weights_say(&r, &view, &said);
        cr_assert_float_eq((double)said, priors[i] / (10 + priors[i]), 1e-6);
    }
}

Test(fleet_options, the_usual_error_is_followed_by_error_rate)
{
    const struct series s = {.5, 1.02, 1000, 1020};
    const float usual = outcome_of("fleet", &s, 0).usual_error,
                fast = outcome_of("fleet: {error_rate: 0.9}", &s, 0).usual_error;
    cr_assert_gt(fabsf(fast - usual), .1f * usual, "%g, %g", (double)fast, (double)usual);
}

/* Here by the usual size of errors, which one of 40 deviations changes by a two-hundredth of itself. */
Test(fleet_options, an_error_teaches_no_more_than_the_limit)
{
    static const char *const yaml[2] = {"fleet: {limit: 1}", "fleet: {limit: 1e6}"};
    double grown[2];
    for (int k = 0; k < 2; k++) {
        struct test_expert t;
        struct fleet_shape shape;
        double x = 0;
        test_expert_open(&t, yaml[k], 0);
        fleet_shape_of(&t.shape, &shape);
        const float *S = (const float *)(const void *)((const unsigned char *)t.state + shape.at_errors);
        for (int i = 0; i < 500; i++) test_expert_fold(&t, x = .5 * x + test_noise(33, i));
        const float before = *S;
        test_expert_fold(&t, x + 40);
        grown[k] = (double)(*S - before);
        test_expert_close(&t);
    }
    cr_assert(grown[0] < 1e-3 && grown[1] > .03, "%g, %g", grown[0], grown[1]);
}

Test(fleet_options, forecasts_go_no_further_beyond_the_range_than_told)
{
    double further[2];
    static const char *const yaml[2] = {"fleet: {beyond: 0}", "fleet"};
    for (int k = 0; k < 2; k++) {
        struct test_expert t;
        test_expert_open(&t, yaml[k], 0);
        for (int i = 0; i < 600; i++) test_expert_fold(&t, i + .1 * test_noise(34, i));
        further[k] = t.forecast[TEST_HORIZONS - 1] - 599;
        test_expert_close(&t);
    }
    cr_assert(further[0] < .5 && further[1] > .5, "%g, %g", further[0], further[1]);
}

Test(fleet_options, have_ranges)
{
    cr_expect_str_eq(test_expert_refusal("fleet: {garrote: 0, beyond: 0}", 0), "");
    cr_expect_neq(*test_expert_refusal("fleet: {garrote: -1}", 0), '\0');
    cr_expect_neq(*test_expert_refusal("fleet: {forgetting: 1}", 0), '\0');
    cr_expect_neq(*test_expert_refusal("fleet: {class_records: 0}", 0), '\0');
}
